"""Public keys that the policy names by their files: read once, so that its rules hold the keys themselves.

Whoever exchanges a file changes nothing that was judged: the keys are part of the policy's digest and of the evidence.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

from core.policy.fields import shown
from core.policy.findings import Wrong
from core.policy.papers import PEM

MAX_BYTES = 10_000


def write_out(content: Any, folder: FilePath) -> list[Wrong]:
    """Put each key in the place of its file's name, in `content`; what cannot be read is returned."""
    wrong: list[Wrong] = []
    for number, index, keys in _lists(content):
        for place, given in enumerate(keys):
            if not isinstance(given, str) or PEM in given or not given.strip():
                continue  # a key, or nothing that names a file: the schema says so
            try:
                with (folder / given).open("rb") as file:
                    keys[place] = file.read(MAX_BYTES).decode("utf-8-sig")
            except (OSError, ValueError) as error:
                why = getattr(error, "strerror", None) or "it is not text"
                at = ("stages", number, "gates", index, "signature", "keys", place)
                remedy = "write the path of a public key in PEM, as seen from this file, or the key itself"
                wrong.append((at, f"{shown(given)} cannot be read ({why})", remedy))
                keys[place] = ""
    return wrong


def _lists(content: Any) -> Iterator[tuple[int, int, list[Any]]]:
    stages = content.get("stages") if isinstance(content, dict) else None
    for number, stage in enumerate(stages if isinstance(stages, list) else []):
        gates = stage.get("gates") if isinstance(stage, dict) else None
        for index, gate in enumerate(gates if isinstance(gates, list) else []):
            signature = gate.get("signature") if isinstance(gate, dict) else None
            keys = signature.get("keys") if isinstance(signature, dict) else None
            if isinstance(keys, list):
                yield number, index, keys
