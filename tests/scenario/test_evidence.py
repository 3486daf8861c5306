"""What an auditor asks for, in Slack: the evidence of a promotion as a file, and who served when."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path

import httpx
import pytest

from bot import verify_evidence
from bot.local_slack.person import Json, Person, labels, shown_text
from tests.scenario.world import BOB, MODEL, PROMO, Baton, wait


def details(baton: Baton, person: Person, card: Json) -> Json:
    baton.click(person, card, "Details")
    return person.wait_for_view(predicate=lambda view: view["title"]["text"] == "P-1")


def evidence(person: Person) -> Json:
    return person.wait_for_message("app", lambda m: "The evidence of P-1" in shown_text(m) and bool(m["files"]))


@pytest.mark.parametrize("delivery", ["http", "socket"])
def test_the_evidence_comes_as_a_page_by_direct_message_and_verifies(baton: Baton, tmp_path: Path) -> None:
    baton.promoted("7")
    said = baton.command(baton.carol, "/promote evidence P-1")
    assert "The evidence of P-1 is on its way to you, as a direct message." in shown_text(said)

    message = evidence(baton.carol)

    assert message["text"].startswith(f"The evidence of P-1: {MODEL} 7 → production.")
    [file] = message["files"]
    assert (file["name"], file["mimetype"]) == ("baton-P-1.html", "text/html")
    path, proof = tmp_path / "baton-P-1.html", {"authorization": f"Bearer {baton.slack.bot_token}"}
    path.write_bytes(httpx.get(file["url_private"], headers=proof, trust_env=False).content)
    assert verify_evidence.main(str(path))
    made = json.loads(unescape(re.search(r'<pre id="data">(.*?)</pre>', path.read_text("utf-8"), re.DOTALL)[1]))  # type: ignore[index]
    assert [each["by"]["actor"] for each in made["decisions"]] == [f"user:{BOB}", "user:U03CAROL"]
    [deployed] = made["deployments"]
    assert deployed["key"] == baton.receiver.hooks[0].id
    assert made["served"][0]["until"] is None
    assert made["audit"]["sound"] is True


def waiting(baton: Baton) -> Json:
    baton.register("7")
    return baton.ask("7")


def test_only_those_who_may_approve_or_roll_back_are_offered_it(baton: Baton) -> None:
    card = waiting(baton)
    for person in (baton.alice, baton.mallory):
        assert "Evidence" not in labels(details(baton, person, card))
        said = shown_text(baton.command(person, "/promote evidence P-1"))
        assert "You may not have the evidence of promotions to production: that takes on-call, ml-leads or risk" in said
    baton.click(baton.bob, details(baton, baton.bob, card), "Evidence")
    baton.bob.wait_for_view(predicate=lambda each: "is on its way to you" in shown_text(each))
    assert evidence(baton.bob)["files"]
    assert not any(each["files"] for each in baton.mallory.dms())


def test_without_the_scope_one_sentence_says_how_to_mend_it(baton: Baton) -> None:
    waiting(baton)
    baton.excused = {"files.getUploadURLExternal"}
    baton.fault("files.getUploadURLExternal", error="missing_scope")
    baton.command(baton.bob, "/promote evidence P-1")
    said = shown_text(baton.bob.wait_for_message("app", lambda m: "files:write" in shown_text(m)))
    assert "baton evidence P-1" in said


@pytest.mark.parametrize("method", ["files.getUploadURLExternal", "files.completeUploadExternal"])
def test_when_slack_takes_no_file_it_is_said(baton: Baton, method: str) -> None:
    waiting(baton)
    baton.fault(method, status=503)
    baton.command(baton.bob, "/promote evidence P-1")
    baton.bob.wait_for_message("app", lambda m: "Slack did not take the evidence of P-1" in shown_text(m))


def test_whoever_asks_is_told_privately_who_served_then(baton: Baton) -> None:
    baton.promoted("6")
    baton.promoted("7")
    offer = baton.command(baton.bob, f"/rollback {MODEL} production because false alarms")
    baton.click(baton.bob, offer, "Roll back to 6")
    baton.card(f"Rolled back: {MODEL} 6 serves production again")
    wait(lambda: baton.champion() == "6", "the champion")

    now = shown_text(baton.command(baton.mallory, f"/promote at {MODEL} now"))
    assert "*production: 6*, since <!date^" in now
    assert f"by P-3, a rollback, asked for by <@{BOB}>; nobody had to approve" in now
    before = baton.api("GET", "/promotions/P-2").json()["ended_at"]
    then = shown_text(baton.command(baton.alice, f"/promote at {MODEL} {before} production"))
    assert "*production: 7*, from <!date^" in then
    assert f"approved by <@{BOB}> (ml-leads), <@U03CAROL> (risk)" in then
    assert "replaced by P-3" in then
    assert "artifact sha256:" in then
    nobody = shown_text(baton.command(baton.alice, f"/promote at {MODEL} 2020-01-01 production"))
    assert "Nobody served then." in nobody
    for typed, sentence in (
        (f"{MODEL} 2999-01-01", "is still to come; nobody knows the champion of then."),
        (f"{MODEL} soon", "is not understood as a moment"),
        ("nobody now", "There is no model called “nobody”."),
        (f"{MODEL} now nowhere", "There is no stage “nowhere”; the policy has development, staging, production."),
        (MODEL, "Which model, and when"),
    ):
        assert sentence in shown_text(baton.command(baton.alice, f"/promote at {typed}"))


def test_each_digest_keeps_the_head_of_the_audit_chain_where_nobody_can_rewrite_it(
    baton: Baton, tmp_path: Path
) -> None:
    baton.promoted("7")
    baton.server.services.send_digest()
    said = shown_text(baton.alice.wait_for_message(PROMO, lambda m: "Audit log: event " in shown_text(m)))
    event, head = re.search(r"Audit log: event (\d+), head ([0-9a-f]{24})", said).groups()  # type: ignore[union-attr]

    made = baton.api("GET", "/promotions/P-1/evidence").json()
    chain = [json.loads(line) for line in baton.api("GET", "/audit").text.splitlines()]
    assert verified(made, chain, tmp_path, f"{event}:{head}")

    chain[0]["actor_name"], before = "somebody else", "0" * 64
    for each in chain:  # computed anew from there on, and the file with it
        each["prev_hash"] = before
        before = each["hash"] = verify_evidence.sha(verify_evidence.without(each, "hash"))
    mine = {each["seq"] for each in made["audit"]["events"]}
    made["audit"] |= {
        "events": [each for each in chain if each["seq"] in mine],
        "head": {"event": chain[-1]["seq"], "hash": chain[-1]["hash"]},
    }
    made["fingerprint"] = verify_evidence.sha(verify_evidence.without(made, "fingerprint"))
    assert verified(made, chain, tmp_path), "nothing but a head that was kept elsewhere can tell"
    assert not verified(made, chain, tmp_path, f"{event}:{head}")


def verified(made: Json, chain: list[Json], folder: Path, *heads: str) -> bool:
    file, export = folder / "P-1.json", folder / "audit.ndjson"
    file.write_text(json.dumps(made), "utf-8")
    export.write_text("\n".join(map(json.dumps, chain)), "utf-8")
    return verify_evidence.main(str(file), str(export), *heads)
