"""What hostile and clumsy people type, and the one sentence that each is answered with, read aloud."""

from __future__ import annotations

import pytest

from bot.local_slack.person import shown_text
from tests.scenario.world import MODEL, POLICY, Baton

PROMOTE = "Write `/promote MODEL VERSION [to STAGE] [because REASON]`"
WHICH = "Which version of which model? Write"
VETO = "`/promote veto MODEL VERSION [from STAGE] because REASON`."
STOP = "`/promote stop [MODEL] because REASON`."
DELEGATE = "`/promote delegate @PERSON until DAY`, or `/promote delegate off`."
GLASS = "`/promote break-glass MODEL VERSION to STAGE because REASON`."
REVIEW = "`/promote review P-12 [because WHAT YOU FOUND]`."
ROLLBACK = "`/rollback MODEL [STAGE] [to VERSION] because REASON`."
DAY = "write a day such as friday, tomorrow or 2026-12-01, a moment such as friday 17:00, or a time such as 3d."
STAGES = "There is no stage “nowhere”; the policy has development, staging, production."
NOPE = "There is no model called “nope”."
NINE = f"{MODEL} has no version 9; its newest are 7, 6."
EXTRA = "is not understood after the stage; a reason starts with “because”. Write"

BOB = {
    "helo": "“helo” is not understood; did you mean /promote help?",
    "stauts": "“stauts” is not understood; did you mean /promote status?",
    f"status {MODEL} x": "“x” is not understood after the model. Write `/promote status [MODEL]`.",
    "status nope": NOPE,
    f"{MODEL}": f"Which version of {MODEL}? {PROMOTE}, or /promote alone for a form.",
    "because I want to": f"Which version? {PROMOTE}, or /promote alone for a form.",
    f"{MODEL} 7 production": f"“production” is not understood after the version. {PROMOTE}.",
    f"{MODEL} 7 to": f"To which stage? {PROMOTE}.",
    f"{MODEL} 7 to nowhere": STAGES,
    f"{MODEL} 7 to production please": f"“please” {EXTRA.removesuffix(' Write')} {PROMOTE}.",
    f"{MODEL} 7 to production because": f"There is nothing after “because”. {PROMOTE}.",
    f"{MODEL} 9": NINE,
    f"{MODEL} 6": f"{MODEL} 6 serves production already, and there is no stage after it.",
    "nope 7": NOPE,
    "Fraud-Detector 7 to production": f"There is no model called “Fraud-Detector”; did you mean {MODEL}?",
    f"{MODEL} 7 to development": "development is where versions arrive by being registered; nothing is promoted to it. Choose one of staging, production.",
    "why": "To ask why, name a model and a version, and a stage if you like. Write `/promote why MODEL VERSION [STAGE]`.",
    f"why {MODEL} 7 nowhere": STAGES,
    f"why {MODEL} 9": NINE,
    "stop": f"A stop needs a reason: add “because …”. Write {STOP}",
    "stop because   ": f"A stop needs a reason: add “because …”. Write {STOP}",
    f"stop {MODEL} now because x": f"“now” {EXTRA.replace('stage', 'model')} {STOP}",
    "stop nope because x": NOPE,
    "resume": "There is no stop of all promotions.",
    f"resume {MODEL}": f"Promotions of {MODEL} are not stopped.",
    "resume nope": NOPE,
    "veto": f"{WHICH} {VETO}",
    f"veto {MODEL} 7": f"A veto needs a reason: add “because …”. Write {VETO}",
    f"veto {MODEL} 7 becuase it leaks": f"“it” {EXTRA} {VETO}",
    f"veto {MODEL} 9 because x": NINE,
    f"veto {MODEL} 7 from nowhere because x": STAGES,
    "unveto": "Which version of which model? Write `/promote unveto MODEL VERSION`.",
    "unveto nope 7": NOPE,
    f"unveto {MODEL} 7": f"{MODEL} 7 is not vetoed.",
    f"unveto {MODEL} 7 please": "“please” is not understood after the version. Write `/promote unveto MODEL VERSION`.",
    f"release {MODEL}": "Which model in which stage? Write `/promote release MODEL STAGE`.",
    f"release {MODEL} nowhere": STAGES,
    "release nope production": NOPE,
    f"release {MODEL} production": f"Automatic promotions of {MODEL} to production are not held.",
    f"break-glass {MODEL} 7": f"Which version of which model, to which stage? Write {GLASS}",
    f"break-glass {MODEL} 7 to production": f"Breaking the glass needs a reason: add “because …”. Write {GLASS}",
    f"break-glass {MODEL} 7 to nowhere because x": STAGES,
    f"break-glass {MODEL} 7 to staging because x": "You may not break the glass for staging: the policy names nobody who may; its owner must add break_glass.allowed.",
    f"breakglass {MODEL} 7 to production because x": "“breakglass” is not understood; did you mean /promote break-glass?",
    "review": f"Which promotion? Write {REVIEW}",
    "review x": "“x” does not name a promotion; write P- and its number, such as P-12.",
    "review P-99": "There is no promotion P-99.",
    "review P-99999999999999999999": "“P-99999999999999999999” does not name a promotion; write P- and its number, such as P-12.",
    "review P-1": "P-1 was not deployed by breaking the glass.",
    "review P-1 P-2": f"“P-2” {EXTRA.replace('stage', 'promotion')} {REVIEW}",
    "digest maybe": "On or off? Write `/promote digest on`, or `/promote digest off`.",
    f"at {MODEL}": "Which model, and when (such as 2026-05-01T12:00)? Write `/promote at MODEL TIME [STAGE]`.",
    f"at {MODEL} tomorrow": "“tomorrow” is still to come; nobody knows the champion of then.",
    f"at {MODEL} 2026-02-30": "“2026-02-30” is a day that no calendar holds; write 2026-05-01 or 2026-05-01T12:00.",
    f"at {MODEL} 31.12.": "“31.12.” may be read in several ways; write the year, the month and the day, such as 2026-12-01.",
    f"at {MODEL} soon": "“soon” is not understood as a moment; write 2026-05-01 or 2026-05-01T12:00.",
    f"at {MODEL} 0001-01-01": "“0001-01-01” is a moment that no calendar holds.",
    "at nope now": NOPE,
    f"at {MODEL} now nowhere": STAGES,
    "evidence": "Of which promotion? Write `/promote evidence P-12`.",
    "evidence P-99": "There is no promotion P-99.",
    "delegate @dave": f"To whom, and until when? Write {DELEGATE}",
    "delegate @dave @carol until friday": f"To whom, and until when? Write {DELEGATE}",
    "delegate @dave until yesterday": "That is in the past; name a day that is still to come.",
    "delegate @dave until 31.12.": "“31.12.” may be read in several ways; write the year, the month and the day, such as 2026-12-01.",
    "delegate @dave until 2026-02-30": f"“2026-02-30” is a day that no calendar holds; {DAY}",
    "delegate @dave until 9 weeks ago": f"“9 weeks ago” is not understood as a day; {DAY}",
    "delegate @dave until 99 weeks": "That is too far away; 92 days at most can be delegated.",
    "delegate @here until friday": "Slack knows nobody called @here; write @ and their name, or their e-mail address.",
    "delegate <!channel> until friday": "Slack knows nobody called &lt;!channel&gt;; write @ and their name, or their e-mail address.",
    "delegate @bob until friday": "You decide for yourself already; name somebody else.",
    "delegate off": "Nobody decides for you now, so there is nothing to take back.",
}  # fmt: skip
ROLLBACKS = {
    MODEL: f"A rollback needs a reason: add “because …”. Write {ROLLBACK}",
    "because x": "Which model? Write `/rollback MODEL [STAGE] [to VERSION] because REASON`, or /rollback alone for a form.",
    "nope because x": NOPE,
    f"{MODEL} nowhere because x": STAGES,
    f"{MODEL} production to because x": f"After “to” comes one version. Write {ROLLBACK}",
    f"{MODEL} staging production because x": f"“production” {EXTRA} {ROLLBACK}",
    f"{MODEL} production to 7 because x": f"{MODEL} 7 never served production; earlier versions there: none.",
    f"{MODEL} production to 6 because x": f"{MODEL} 6 serves production already; rolling back to it would change nothing.",
}
MALLORY = {
    f"/promote veto {MODEL} 7 because I can": "You may not veto versions or lift holds here: that takes on-call, ml-leads or risk.",
    f"/promote unveto {MODEL} 7": f"{MODEL} 7 is not vetoed.",
    "/promote stop because I can": "You may not stop or resume promotions: that takes on-call.",
    "/promote resume": "You may not stop or resume promotions: that takes on-call.",
    f"/promote release {MODEL} production": "You may not veto versions or lift holds here: that takes on-call, ml-leads or risk.",
    f"/promote break-glass {MODEL} 7 to production because I can": "You may not break the glass for production: that takes on-call.",
    "/promote evidence P-1": "You may not have the evidence of promotions to production: that takes on-call, ml-leads or risk.",
    "/promote delegate @bob until friday": "You approve for no stage yourself, so there is nothing to delegate.",
    f"/rollback {MODEL} because I can": "You may not roll back production: that takes on-call.",
}  # fmt: skip


@pytest.fixture
def policy() -> str:
    return POLICY.replace(
        "rollback: {allowed: [on-call]}", "rollback: {allowed: [on-call]}\n    break_glass: {allowed: [on-call]}"
    )


def test_every_slip_is_answered_with_what_is_wrong_and_what_would_be_right(baton: Baton) -> None:
    baton.promoted("6")
    baton.register("7")
    typed = {f"/promote {text}": said for text, said in BOB.items()}
    typed |= {f"/rollback {text}": said for text, said in ROLLBACKS.items()}
    answers = {text: baton.command(baton.bob, text) for text in typed}
    assert {text: said["text"] for text, said in answers.items()} == typed
    told = {text: baton.command(baton.mallory, text)["text"] for text in MALLORY}
    assert told == MALLORY
    assert baton.states() == ["succeeded"]
    read = shown_text(answers["/promote veto"]).splitlines()[-1]
    assert read == f"{WHICH} {VETO}"  # what is to be typed is set as code
