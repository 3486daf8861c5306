"""From what is to be drawn to a PNG: here at once, or with a time limit in a process of its own."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import subprocess
import sys
import warnings
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bot.slack.blocks.text import plain
from core.policy.comparison import Comparison, Edge, Spot, Strip
from core.policy.timeline import Panel, Point, Step, Timeline

Picture = Comparison | Timeline

#: A picture that takes longer is not worth waiting for. The very first one also has the machine's fonts looked up.
SECONDS, FIRST = 5.0, 30.0


class NotDrawn(Exception):
    """There is no picture; the sentence says why."""


def available() -> bool:
    """Whether the extra `charts` is installed. Imports nothing."""
    return importlib.util.find_spec("matplotlib") is not None


def draw(found: Picture, folder: str, seconds: float = SECONDS) -> bytes:
    """The PNG, drawn elsewhere; `folder` keeps what was looked up of fonts. Raises `NotDrawn` when it fails, or is not
    there in time.
    """
    first = not any(Path(folder).iterdir())
    return _run(json.dumps(_harmless(asdict(found))), folder, max(seconds, FIRST) if first else seconds)


def _harmless(given: Any) -> Any:
    """Names come from outside: without control and direction-changing characters, and no longer than a line."""
    if isinstance(given, str):
        return plain(given, 120).strip("\u2068\u2069") if given else ""
    if isinstance(given, dict):
        return {name: _harmless(each) for name, each in given.items()}
    return [_harmless(each) for each in given] if isinstance(given, list | tuple) else given


def _run(given: str, folder: str, seconds: float) -> bytes:
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG", "LC_ALL") if name in os.environ}
    command = [sys.executable, "-m", "bot.charts"]
    try:
        done = subprocess.run(  # noqa: S603 - our own interpreter and module; what is drawn goes in as data
            command,
            input=given.encode(),
            capture_output=True,
            timeout=seconds,
            env={**kept, "MPLCONFIGDIR": folder, "MPLBACKEND": "agg", "PYTHONWARNINGS": "ignore"},
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotDrawn(f"it was not drawn within {seconds:g} s") from None
    except OSError as error:
        raise NotDrawn(f"nothing draws it ({type(error).__name__})") from None
    if done.returncode:
        last = done.stderr.decode("utf-8", "replace").strip().splitlines()
        raise NotDrawn(last[-1][:300] if last else f"its process ended with {done.returncode}")
    return done.stdout


def read(given: Mapping[str, Any]) -> Picture:
    """What `dataclasses.asdict` made of a picture. Raises `KeyError` or `TypeError` for anything else."""
    if "strips" in given:
        return Comparison(**{**given, "strips": tuple(map(_strip, given["strips"])), "legend": tuple(given["legend"])})
    panels = tuple(
        Panel(**{**each, "edges": _edges(each["edges"]), "points": tuple(Point(**point) for point in each["points"])})
        for each in given["panels"]
    )
    return Timeline(**{**given, "panels": panels, "steps": tuple(Step(**each) for each in given["steps"])})


def _strip(given: Mapping[str, Any]) -> Strip:
    spots = {whose: Spot(**given[whose]) if given[whose] else None for whose in ("candidate", "champion")}
    return Strip(**{**given, **spots, "edges": _edges(given["edges"])})


def _edges(given: Any) -> tuple[Edge, ...]:
    return tuple(Edge(**each) for each in given)


def png(found: Picture) -> bytes:
    """The PNG, drawn here. Needs the extra `charts`."""
    from bot.charts import over_time, versus

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a glyph that the font lacks is a box; the alt text has the name
        figure = versus.draw(found) if isinstance(found, Comparison) else over_time.draw(found)
        kept = io.BytesIO()
        figure.savefig(kept, format="png", pil_kwargs={"optimize": True})
    return kept.getvalue()
