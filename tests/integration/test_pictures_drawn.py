"""What is drawn is a crisp PNG, in time, by a process of its own that is ended when its time is up."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest

from bot.charts import drawing
from core.policy.comparison import Comparison
from tests.unit.test_pictures import both


def size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def test_what_is_drawn_is_a_crisp_png() -> None:
    for found in both():
        width, height = size(drawing.png(found))
        assert width >= 1280
        assert height >= 800


def test_a_process_of_its_own_draws_and_is_ended_when_its_time_is_up(tmp_path: Path) -> None:
    compared, _ = both()
    assert size(drawing.draw(compared, str(tmp_path), 60))[0] >= 1280
    (tmp_path / "fonts").touch()
    with pytest.raises(drawing.NotDrawn, match=r"it was not drawn within 0\.01 s"):
        drawing.draw(compared, str(tmp_path), 0.01)


def test_where_it_cannot_be_drawn_it_is_said_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compared, _ = both()
    monkeypatch.setattr(drawing, "asdict", lambda _: {"strips": 3, "legend": []})
    with pytest.raises(drawing.NotDrawn, match="TypeError"):
        drawing.draw(compared, str(tmp_path), 60)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with pytest.raises(drawing.NotDrawn, match="nothing draws it"):
        drawing.draw(compared, str(tmp_path), 60)


def test_a_formula_in_a_name_is_no_formula() -> None:
    compared, _ = both()
    broken = Comparison(r"$\frac{$ $x^$", r"$\alpha$", "$", "", compared.strips, compared.legend, "")
    assert size(drawing.png(broken))[0] >= 1280
