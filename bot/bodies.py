"""Request bodies out of command lines and files."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.domain.errors import BadInput


def version_body(
    model: str, version: str, metrics: list[str], file: Path | None, members: Sequence[str] = ()
) -> dict[str, Any]:
    """What `baton register` sends: the file's contents, and the metrics of the command line after those of the file.

    Raises `BadInput` naming the option.
    """
    body = _read(file) if file is not None else {}
    for key, given in (("model", model), ("version", version)):
        if body.setdefault(key, given) != given:
            shown = json.dumps(body[key])[:80]
            raise BadInput("file", f"--file is of {key} {shown}, but the command line says “{given}”; make them agree.")
    listed = body.setdefault("metrics", [])
    if not isinstance(listed, list):
        raise BadInput("file", '--file: metrics is not a list; write [{"name": "auc", "value": 0.93}].')
    listed += [_metric(text) for text in metrics]
    if members:
        body["members"] = {**(body.get("members") or {}), **dict(map(_member, members))}
    return body


def _member(text: str) -> tuple[str, str]:
    model, _, version = text.partition("=")
    if not model.strip() or not version.strip():
        raise BadInput("member", f"--member {text[:80]} is not understood; write MODEL=VERSION, such as ranker=4.")
    return model.strip(), version.strip()


def _metric(text: str) -> dict[str, Any]:
    name, separator, value = text.rpartition("=")
    try:
        number = float(value)
    except ValueError:
        number = None
    if not separator or not name.strip() or number is None:
        raise BadInput("metric", f"--metric {text[:80]} is not understood; write NAME=NUMBER, such as auc=0.93.")
    return {"name": name.strip(), "value": number if math.isfinite(number) else value.strip()}


def papers(signature: Path | None, card: Path | None) -> dict[str, Any]:
    """Signature and card out of files of their own, instead of those of the body. Raises `BadInput`."""
    found: dict[str, Any] = {"signature": _read(signature, "signature")} if signature else {}
    return found | ({"card": _text(card, "card", "Markdown")} if card else {})


def _text(file: Path, option: str, kind: str) -> str:
    where = "standard input" if str(file) == "-" else f"“{file}”"
    try:
        return sys.stdin.read() if str(file) == "-" else file.read_text("utf-8")
    except OSError as wrong:
        raise BadInput(option, f"--{option} {where} cannot be read ({wrong.strerror}).") from None
    except UnicodeDecodeError:
        raise BadInput(option, f"--{option} {where} is not text in UTF-8; write {kind}.") from None


def _read(file: Path, option: str = "file") -> dict[str, Any]:
    where = "standard input" if str(file) == "-" else f"“{file}”"
    text = _text(file, option, "JSON")
    try:
        found = json.loads(text)
    except json.JSONDecodeError as wrong:
        raise BadInput(
            option, f"--{option} {where} is not JSON: {wrong.msg.lower()} at line {wrong.lineno}, column {wrong.colno}."
        ) from None
    except (RecursionError, ValueError):
        raise BadInput(option, f"--{option} {where} nests too deep, or holds a number too long to read.") from None
    if not isinstance(found, dict):
        raise BadInput(option, f"--{option} {where} is not a JSON object; write one, in {{ }}.")
    return found
