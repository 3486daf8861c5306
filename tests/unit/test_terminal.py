"""Text for terminals cannot be made to lie by the names in it."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from bot import terminal


@given(st.text())
def test_no_text_moves_the_cursor_turns_around_or_starts_a_line(text: str) -> None:
    shown = terminal.safe(text)
    assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in shown)
    assert not set(shown) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u200e\u200f\u2028\u2029\u200b")
    shown.encode("utf-8")


def test_ordinary_text_in_any_language_is_left_alone() -> None:
    for text in ("fraud-detector 7", "Modèle été", "模型", "אבג", "👩‍💻", "<!channel> *_~`"):
        assert terminal.safe(text) == text


def test_control_characters_and_marks_are_spelled_out() -> None:
    assert terminal.safe("a\x1b[2Jb\u202ec\nd\u200b") == "a\\x1b[2Jb\\u202ec\\nd\\u200b"


def test_columns_are_aligned_whatever_is_in_them() -> None:
    lines = terminal.table(("NAME", "N"), [("模型", 1), ("é\u0301", 22), ("x" * 60, 3)]).splitlines()
    assert len({terminal.width(line[: line.rindex(" ") + 1]) for line in lines}) == 1
    assert lines[3].startswith("x" * 47 + "…")


def test_times_are_told_roughly() -> None:
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert terminal.ago("2026-11-23T11:59:50Z", now) == "now"
    assert terminal.ago("2026-11-23T10:00:00Z", now) == "2 h ago"
    assert terminal.ago("2026-11-25T12:00:00Z", now) == "in 2 d"
    assert terminal.ago("2026-11-26T11:59:58Z", now) == "in 3 d", "asked for just now, and open for 72 h"
    assert terminal.ago(None) == ""
