"""What Slack sends, as typed values: whatever it is, it is understood or refused with a sentence, and never more."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.slack.grammar import promote_command, rollback_command, unescape
from bot.slack.payloads import OfPromotion, OfRollback, selected
from bot.slack.typed import (
    At,
    BreakGlass,
    Delegate,
    DelegateOff,
    DelegateShow,
    Evidence,
    Help,
    OpenForm,
    PersonalDigest,
    Promote,
    Release,
    Resume,
    Review,
    Rollback,
    Status,
    Stop,
    Unveto,
    Veto,
    Why,
)
from core.domain.errors import BadInput

UNDERSTOOD = {
    "": OpenForm(),
    "   ": OpenForm(),
    "help": Help(),
    "HELP": Help(),
    "status": Status(),
    "status fraud": Status("fraud"),
    "why fraud 7": Why("fraud", "7"),
    "why fraud 7 production": Why("fraud", "7", "production"),
    "why fraud 7 to production": Why("fraud", "7", "production"),
    "fraud 7": Promote("fraud", "7"),
    "fraud 7 to production": Promote("fraud", "7", "production"),
    "fraud 7 TO production BECAUSE it is better": Promote("fraud", "7", "production", "it is better"),
    "fraud 7 because it is better": Promote("fraud", "7", "", "it is better"),
    "fraud 7 because  because \n twice": Promote("fraud", "7", "", "because \n twice"),
    "fraud 7 because p99 &lt; 50 &amp;amp; fine": Promote("fraud", "7", "", "p99 < 50 &amp; fine"),
    "“fraud” `7` to 'production', because “it’s” better": Promote("fraud", "7", "production", "“it’s” better"),
    "<http://fraud.ai|fraud.ai> 7 because <http://fraud.ai|fraud.ai>": Promote(
        "fraud.ai", "7", "", "<http://fraud.ai|fraud.ai>"
    ),
    "org/fraud.v2 1.0.0-rc.1+5 to production": Promote("org/fraud.v2", "1.0.0-rc.1+5", "production"),
    "fraud@7 to production": Promote("fraud", "7", "production"),
    "team@fraud@7": Promote("team@fraud", "7"),
    "x@1 7": Promote("x@1", "7"),
    "fraud to production": None,
    "because 7": None,
    "status a b": None,
    "stop because it burns": Stop("", "it burns"),
    "stop fraud because it burns": Stop("fraud", "it burns"),
    "stop": None,
    "stop fraud now because it burns": None,
    "resume": Resume(),
    "resume fraud because it is out": Resume("fraud", "it is out"),
    "resume fraud now": None,
    "veto fraud 7 because it leaks": Veto("fraud", "7", "", "it leaks"),
    "veto fraud 7 from staging because it leaks": Veto("fraud", "7", "staging", "it leaks"),
    "veto fraud 7": None,
    "veto fraud because it leaks": None,
    "unveto fraud 7": Unveto("fraud", "7"),
    "unveto fraud": None,
    "release fraud staging": Release("fraud", "staging"),
    "release fraud in staging because mended": Release("fraud", "staging", "mended"),
    "release fraud": None,
    "delegate": DelegateShow(),
    "delegate off": DelegateOff(),
    "delegate @dave until friday": Delegate("@dave", "friday"),
    "delegate to @dave for 3d": Delegate("@dave", "3d"),
    "delegate @dave": None,
    "delegate @dave until": None,
    "break-glass fraud 7 to production because the old one leaks": BreakGlass(
        "fraud", "7", "production", "the old one leaks"
    ),
    "break-glass fraud 7 because x": None,
    "break-glass fraud 7 to production": None,
    "review P-12": Review("P-12"),
    "review P-12 because it was right": Review("P-12", "it was right"),
    "review": None,
    "digest on": PersonalDigest(True),
    "digest off": PersonalDigest(False),
    "digest": None,
    "at fraud 2026-05-01": At("fraud", "2026-05-01"),
    "at fraud 2026-05-01T12:00+02:00 production": At("fraud", "2026-05-01T12:00+02:00", "production"),
    "at fraud 2026-05-01 9:30 in production": At("fraud", "2026-05-01 09:30", "production"),
    "AT fraud yesterday production": At("fraud", "yesterday", "production"),
    "at": None,
    "evidence P-12": Evidence("P-12"),
    "evidence": None,
    "at fraud": None,
    "at fraud now production too": None,
}
ROLLED_BACK = {
    "": OpenForm(),
    "help": Help(),
    "“fraud” to “6”, because it burns": Rollback("fraud", "", "6", "it burns"),
    "fraud because it burns": Rollback("fraud", reason="it burns"),
    "fraud production because it burns": Rollback("fraud", "production", reason="it burns"),
    "fraud production to 6 because it burns": Rollback("fraud", "production", "6", "it burns"),
    "fraud to 6 because it burns": Rollback("fraud", "", "6", "it burns"),
    "fraud": None,
    "fraud because": None,
    "because it burns": None,
    "fraud to because x": None,
    "fraud to 6 production because x": None,
}


@pytest.mark.parametrize(("text", "meant"), UNDERSTOOD.items())
def test_promote_understands_what_the_contract_says(text: str, meant: object) -> None:
    if meant is None:
        with pytest.raises(BadInput, match="/promote"):
            promote_command(text)
    else:
        assert promote_command(text) == meant


@pytest.mark.parametrize(("text", "meant"), ROLLED_BACK.items())
def test_rollback_understands_what_the_contract_says(text: str, meant: object) -> None:
    if meant is None:
        with pytest.raises(BadInput, match="/rollback"):
            rollback_command(text)
    else:
        assert rollback_command(text) == meant


WORDS = st.lists(
    st.one_of(
        st.text(max_size=12), st.sampled_from(["to", "because", "why", "status", "help", "&lt;!channel&gt;", "\u00a0"])
    )
).map(" ".join)


@given(WORDS)
def test_no_text_behind_a_command_does_more_than_be_refused(text: str) -> None:
    for read in (promote_command, rollback_command):
        with suppress(BadInput):
            read(text)


@given(st.text().filter(lambda name: name.split() == [name]), st.text().filter(lambda name: name.split() == [name]))
def test_names_come_out_as_they_were_typed(model: str, version: str) -> None:
    special = {"to", "because", "why", "status", "help", "at", "evidence"}
    if {model.lower(), version.lower()} & special or "&" in model + version:
        return
    if any(
        len(name) > 2 and name[0] in "“„‘«\"'`" for name in (model, version)
    ):  # quotation marks are no part of a name
        return
    if "=" in version:  # names a member of a bundle; whoever calls a version so asks with the form
        return
    assert promote_command(f"{model} {version}") == Promote(model, version)


@given(st.text())
def test_escaped_text_comes_back_as_it_was(text: str) -> None:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert unescape(escaped) == text


@given(st.text(), st.text(max_size=300))
def test_the_red_button_carries_what_was_shown(model: str, reason: str) -> None:
    shown = OfRollback(model=model, stage="production", current="7", target="6", reason=reason)
    assert OfRollback.read(shown.dump()) == shown


FORGED = [
    "",
    None,
    "{}",
    "[]",
    "12",
    '{"promotion": "x"}',
    '{"promotion": 1, "actor": "U02BOB"}',
    '{"promotion": 1',
    '{"promotion": 0}',
    '{"promotion": 99999999999999999999}',
    "\x00",
]


@pytest.mark.parametrize("text", FORGED)
def test_what_baton_did_not_write_is_refused(text: str | None) -> None:
    with pytest.raises(BadInput, match="was not made by this release of Baton"):
        OfPromotion.read(text)


def test_a_forms_values_are_found_in_whichever_block_they_are() -> None:
    values = {
        "a": {"model": {"selected_option": {"value": "fraud"}}},
        "b": {"reason": {"value": "better"}},
        "c": {"version": {"selected_option": None}},
    }
    assert [selected(values, each) for each in ("model", "reason", "version", "stage")] == ["fraud", "better", "", ""]
