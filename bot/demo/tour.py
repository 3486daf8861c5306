"""The whole story, played through the same Slack protocol as any person's click, and checked at every step."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from bot.demo.setting import ALICE, BOB, CAROL, CHANNEL, MALLORY, DemoFailed, Setting
from bot.local_slack.person import NotThere, shown_text

T = TypeVar("T")
Say = Callable[[str], None]


def history(setting: Setting, say: Say) -> None:
    """What happened before the story: versions registered, 5 and then 6 brought into production by everybody's clicks."""
    names = setting.register_models()
    say(f"{len(names)} trained versions of 3 models are registered, with the metrics measured in training")
    for version in ("5", "6"):
        promote(setting, version, "staging")
        card(setting, f"fraud-detector {version} is champion of staging")
        promote(setting, version, "production")
        message = card(setting, f"Promote fraud-detector {version} to production?")
        for who in (BOB, CAROL):
            click(setting, who, message, "Approve")
        for step in (1, 2):
            click(setting, BOB, at_step(setting, step), "Continue now")
        card(setting, f"fraud-detector {version} is champion of production")
    promote(setting, "7", "staging")
    card(setting, "fraud-detector 7 is champion of staging")
    say("fraud-detector 5, then 6, went to production the same way as what follows")


def tour(setting: Setting, say: Say) -> None:
    """Request, gates, approvals, canary, champion, alert, rollback, digest. Raises `DemoFailed` at the first that is missing."""
    history(setting, say)
    alice = setting.person(ALICE)
    promote(setting, "7", "production", "it finds 3 % more fraud")
    message = card(setting, "Promote fraud-detector 7 to production?")
    say("REQUEST    Alice typed /promote fraud-detector 7 to production because it finds 3 % more fraud")
    _expect("All 6 gates passed" in shown_text(message), "the card to say that its gates passed")
    say("GATES      the card shows 7 beside the champion 6: all 6 gates passed, one is advisory")
    for who, name, part in (
        (ALICE, "Alice", "You asked for this promotion"),
        (MALLORY, "Mallory", "not among those who may"),
    ):
        click(setting, who, message, "Approve")
        setting.person(who).wait_for_text(CHANNEL, part, 10)
        say(f"REFUSED    {name} clicked Approve and was told privately why not")
    click(setting, BOB, message, "Approve")
    card(setting, "Approvals 1 of 2")
    say("APPROVAL   Bob, of ml-leads (a Slack user group), approved: 1 of 2")
    click(setting, CAROL, message, "Approve")
    say("APPROVAL   Carol, of risk (an e-mail address in the policy), approved: 2 of 2")
    wait(lambda: _act(setting, "deploy", "7"), "the deployment hook")
    say("HOOK       the receiver got one signed CloudEvent and verified it")
    at_step(setting, 1)
    _expect(champion(setting, "production") == "6", "6 to be champion still")
    say("CANARY     5 % of the traffic goes to 7; after its hold the next step begins by itself")
    click(setting, BOB, at_step(setting, 2), "Continue now")
    say("CANARY     25 %; Bob pressed Continue now rather than wait")
    card(setting, "fraud-detector 7 is champion of production")
    _expect(champion(setting, "production") == "7", "7 to be champion")
    say("SUCCESS    the report came back signed; 7 is champion of production, and Alice was told directly")
    alice.wait_for_text("app", "fraud-detector 7 is champion of production", 10)
    alert(setting, say)
    worse_on_a_slice(setting, say)
    digest(setting, say)


def alert(setting: Setting, say: Say) -> None:
    """3 a.m.: monitoring calls, and one button brings the last good version back."""
    setting.alert(alertname="FalseAlarmsDoubled", model="fraud-detector", version="7", stage="production")
    proposal = card(setting, "Alert: fraud-detector 7 in production")
    _expect("brings *6* back" in shown_text(proposal), "the alert to name where a rollback goes")
    say("ALERT      Alertmanager called: false alarms doubled. One message says that a rollback would bring 6 back")
    click(setting, MALLORY, proposal, "Roll back to 6")
    setting.person(MALLORY).wait_for_text(CHANNEL, "You may not roll back production", 10)
    _expect(champion(setting, "production") == "7", "nothing to have changed before the button")
    click(setting, BOB, proposal, "Roll back to 6")
    say("ROLLBACK   Mallory's click was refused; Bob pressed the red button")
    wait(lambda: _act(setting, "rollback", "6"), "the rollback's hook")
    card(setting, "Rolled back: fraud-detector 6 serves production again")
    _expect(champion(setting, "production") == "6", "6 to be champion again")
    say("BACK       6 serves production again, proven by the receiver's report")


def worse_on_a_slice(setting: Setting, say: Say) -> None:
    """Better on the whole, worse where it matters."""
    promote(setting, "8", "staging")
    card(setting, "fraud-detector 8 is champion of staging")
    promote(setting, "8", "production")
    stopped = card(setting, "Not promoted: fraud-detector 8 to production")
    _expect("country=DE" in shown_text(stopped), "the slice to be named")
    say("STOPPED    8 is better on the whole and worse on country=DE: its gates stopped it, nobody was bothered")
    promote(setting, "7", "production", "the false alarms came from a broken feed")
    card(setting, "Promote fraud-detector 7 to production?")


def digest(setting: Setting, say: Say) -> None:
    """Today's, sent once however often it is asked for."""
    for _ in range(2):
        setting.run("digest", "--send")
    found = setting.person(ALICE).wait_for_text(CHANNEL, "waiting for a decision", 15)
    _expect("Rolled back since yesterday" in shown_text(found), "the digest to name the rollback")
    again = [m for m in setting.person(ALICE).messages(CHANNEL) if "waiting for a decision" in shown_text(m)]
    _expect(len(again) == 1, "one digest only")
    say("DIGEST     one message names what waits, who is awaited, and what was rolled back")
    _expect("verified" in setting.run("audit", "verify"), "the audit chain to hold")
    say("AUDIT      the chain of every event above verifies")


# -- small things ------------------------------------------------------------------------------------------------


def promote(setting: Setting, version: str, stage: str, reason: str = "") -> None:
    """Alice asks, by the slash command."""
    because = f" because {reason}" if reason else ""
    answer = setting.person(ALICE).command(CHANNEL, f"/promote fraud-detector {version} to {stage}{because}")
    _expect(bool(answer.get("ok")), f"/promote to be taken ({answer})")


def card(setting: Setting, text: str) -> dict[str, Any]:
    """The newest message in the channel that shows `text`, as soon as there is one."""
    try:
        return setting.person(ALICE).wait_for_message(
            CHANNEL, lambda m: not m["ephemeral"] and text in shown_text(m), 15
        )
    except NotThere as error:
        raise DemoFailed(f"waited for a card that says “{text}”: {error}") from error


def at_step(setting: Setting, number: int) -> dict[str, Any]:
    """The card once the receiver has confirmed a step of the canary."""

    def there() -> dict[str, Any] | None:
        found = card(setting, f"*Step {number} of 3*")
        return found if "Stays here until" in shown_text(found) else None

    return wait(there, f"step {number} of the canary")


def click(setting: Setting, user: str, message: dict[str, Any], label: str) -> None:
    """Somebody presses a button."""
    answer = setting.person(user).click(message, label)
    _expect(bool(answer.get("ok")), f"{user}'s click on {label} to be taken ({answer})")


def champion(setting: Setting, stage: str) -> str:
    """Which version of fraud-detector serves a stage, by the API; "" if none."""
    try:
        return str(setting.api("GET", f"/models/fraud-detector/stages/{stage}").get("version") or "")
    except DemoFailed:
        return ""


def wait(look: Callable[[], T | None], what: str, seconds: float = 15) -> T:
    """Look until there is something."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise DemoFailed(f"waited {seconds:.0f} s for {what}.")


def _act(setting: Setting, action: str, version: str) -> bool:
    return any(act["action"] == action and act["model"]["version"] == version for act in setting.receiver.acts)


def _expect(happened: bool, what: str) -> None:
    if not happened:
        raise DemoFailed(f"expected {what}.")
