"""Text from outside, made harmless."""

from __future__ import annotations

import html
import re
import unicodedata
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack.blocks.text import clip, context, date, escape, link, mrkdwn, notice, person, plain, plain_text, said

HOSTILE = st.text(
    alphabet=st.one_of(
        st.characters(),
        st.sampled_from("<>&*_~`:|@#!\n\r\t \u202e\u2066\u200b\u2060\u0301\U0001f916\u05d0\u0627"),
    ),
    max_size=400,
)


@given(HOSTILE, st.integers(4, 300), st.booleans())
def test_escaped_text_mentions_nobody_links_nothing_and_fits(text: str, limit: int, lines: bool) -> None:
    shown = escape(text, limit, lines)

    assert 1 <= len(shown) <= max(limit, 5)  # one character may need five
    assert "<" not in shown
    assert ">" not in shown
    assert re.sub(r"&(amp|lt|gt);", "", shown).count("&") == 0


@given(HOSTILE)
def test_escaped_text_opens_no_markup(text: str) -> None:
    shown = escape(text, 3000)

    assert "`" not in shown
    for mark in "*_~":
        assert not re.search(rf"(?<![^\W_]){re.escape(mark)}\S", html.unescape(shown)), shown
    assert not re.search(r":[a-z0-9_+'-]+:", shown, re.IGNORECASE)


@given(HOSTILE, st.integers(4, 300))
def test_plain_text_is_never_empty_and_turns_nothing_around(text: str, limit: int) -> None:
    shown = plain(text, limit)

    assert 1 <= len(shown) <= limit
    inner = shown.strip("\u2068\u2069")
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\u200e\u200f\ufeff]", inner)
    assert not any(unicodedata.category(each) in ("Cc", "Cs") for each in inner)
    assert "\n" not in shown


@given(HOSTILE)
def test_what_is_isolated_ends_isolated(text: str) -> None:
    shown = plain(text, 50)
    assert shown.count("\u2068") == shown.count("\u2069")


def test_ordinary_names_stay_readable() -> None:
    for name in ("latency_p99_ms", "country=DE", "fraud-detector", "Zoë O'Neill", "モデル", "v1.2.3-rc.1+5"):
        assert escape(name) == name
    assert escape("שלום").strip("\u2068\u2069") == "שלום"


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "http://evil|x",
        "https://a b",
        "https://a>b",
        "https://a<b",
        "",
        "ftp://x",
        "https://x\n@y",
    ],
)
def test_only_a_sound_address_becomes_a_link(url: str) -> None:
    assert link(url, "run") == "run"


def test_a_link_is_a_link_whatever_its_label() -> None:
    assert link("https://ci.example/1?a=1&b=2", "a|b>c") == "<https://ci.example/1?a=1&amp;b=2|a¦b&gt;c>"


@pytest.mark.parametrize("actor", ["U02BOB", "W123ABC"])
def test_a_slack_id_is_shown_as_the_person(actor: str) -> None:
    assert person(actor) == f"<@{actor}>"


@pytest.mark.parametrize("actor", ["U02BOB>", "!channel", "S01", "u02bob", "", "U02BOB\n"])
def test_nothing_else_becomes_a_mention(actor: str) -> None:
    assert "<" not in person(actor)


def test_a_date_is_shown_in_the_readers_zone_and_readable_without_slack() -> None:
    moment = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
    assert date(moment) == f"<!date^{int(moment.timestamp())}^{{date_short_pretty}} at {{time}}^2026-11-23 09:30 UTC>"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("<!channel> <@U05MALLORY> <#C1|x>", "‹!channel› ‹@U05MALLORY› ‹#C1|x›"),
        ("<http://evil.example|Approve>", "‹http://evil.example|Approve›"),
        ("<!date^1^{date}|x> <x|y>", "‹!date^1^{date}|x› ‹x|y›"),
        ("auc < 0.9 and p99 > 3", "auc < 0.9 and p99 > 3"),
        ("List<int>", "List<int>"),
    ],
)
def test_what_slack_would_take_for_a_reference_is_none_anywhere(given: str, shown: str) -> None:
    assert plain(given) == shown


@given(HOSTILE)
def test_a_notification_mentions_nobody_and_fits(text: str) -> None:
    shown = notice(text * 20)
    assert "<" not in shown
    assert len(shown) <= 3000


@given(HOSTILE, st.integers(1, 30))
def test_clipping_keeps_the_limit_and_says_so(text: str, limit: int) -> None:
    cut = clip(text, limit)
    assert len(cut) <= limit
    assert cut == text or cut.endswith("…")


@given(
    st.lists(
        st.sampled_from(["<@U02BOB>", "<https://x.example/|run>", "&amp;", "word ", "<!date^1^{time}^x>"]), min_size=1
    )
)
def test_no_text_object_ends_in_half_a_mention(parts: list[str]) -> None:
    shown = mrkdwn("".join(parts) * 600)["text"]
    assert len(shown) <= 3000
    assert shown.count("<") == shown.count(">")
    assert re.sub(r"&(amp|lt|gt);", "", shown).count("&") == 0


def test_no_text_object_is_empty() -> None:
    assert plain_text("")["text"] == "–"
    assert [each["text"] for each in context("a", "", "b")["elements"]] == ["a", "b"]


def test_what_is_cut_off_is_cut_between_words_unless_a_word_is_very_long() -> None:
    assert clip("it finds three per cent more fraud", 25) == "it finds three per cent…"
    assert clip("it finds three per cent more fraud", 24) == "it finds three per cent…"
    assert clip("it finds three per cent more fraud", 23) == "it finds three per…"
    assert clip("a" + "b" * 60, 40) == "a" + "b" * 38 + "…"
    assert clip("short " + "b" * 60, 40) == "short " + "b" * 33 + "…"


def test_a_sentence_shows_commands_as_code_and_moments_in_the_readers_zone() -> None:
    assert said("Write `/promote at MODEL TIME [STAGE]`.") == "Write `/promote at MODEL TIME [STAGE]`."
    assert said("It opens at 2026-11-30 00:00 UTC.") == (
        "It opens at <!date^1795996800^{date_short_pretty} at {time}^2026-11-30 00:00 UTC>."
    )
    assert said("Never at 2026-13-30 00:00 UTC") == "Never at 2026-13-30 00:00 UTC"
    assert said("`rm -rf` <@U1> and `/promote <!here>`") == "ˋrm -rfˋ ‹@U1› and `/promote ‹!here›`"
