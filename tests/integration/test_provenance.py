"""What a version came with, by the API, kept on both databases, and judged when it is to be promoted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from core.policy.load import load
from core.store.database import Database
from core.whatif import judge_past
from tests.integration.api_world import BODY, POLICY, World, client, running

SIGNED = Path(__file__).parents[1] / "fakes" / "signed"
BUNDLE = json.loads((SIGNED / "model.sig").read_text())
FOLDER = "sha256:fe0b3074fde28c515f63068389676f0286a0352a0a036fc269189d43948f46b7"
CARD = "---\nintended_use: Scoring card payments.\n---\n# Fraud\n\n## Limitations\n\nCards only. <!channel>\n"
GATES = (
    POLICY.replace(
        "    requires: [development]\n",
        "    requires: [development]\n    gates:\n      - {signature: {keys: [KEY]}}\n"
        "      - {model_card: [intended_use, limitations]}\n      - {model_card: [biases], advisory: true}\n",
    )
    .replace("KEY", json.dumps((SIGNED / "release.pub").read_text()))
    .replace("    deploy: {target: hook}\n", "")
)


@pytest.fixture
def served(database: Database) -> Iterator[tuple[World, httpx.Client]]:
    with running(database, policy=load(GATES)) as (world, server), client(server, world.token()) as api:
        yield world, api


def body(version: str, **more: Any) -> dict[str, Any]:
    return BODY | {"version": version, "artifact": {"uri": "s3://m", "digest": FOLDER}} | more


def test_signature_and_card_are_kept_for_ever_and_decide(served: tuple[World, httpx.Client]) -> None:
    world, api = served
    papers = {"signature": BUNDLE, "card": CARD}
    made = api.post("/api/v1/models/fraud/versions", json=body("7", **papers))
    assert made.status_code == 201
    assert made.json()["papers"].keys() == {"signature", "card"}
    assert api.post("/api/v1/models/fraud/versions", json=body("7", **papers)).status_code == 200
    kept = api.get("/api/v1/models/fraud/versions/7").json()
    assert (kept["signature"], kept["card"]) == (BUNDLE, CARD)
    for change in ({"card": CARD + "More."}, {"signature": None}):
        differs = api.post("/api/v1/models/fraud/versions", json=body("7", **papers | change))
        assert differs.status_code == 409
        assert ("model card" if "card" in change else "signature") in differs.json()["detail"]

    asked = api.post("/api/v1/promotions", json={"model": "fraud", "version": "7", "stage": "staging"}).json()
    assert [(each["outcome"], each["sentence"]) for each in asked["gates"]] == [
        ("passed", f"Key 0e14642b2e31 signed {FOLDER} as fraud-detector."),
        ("passed", "The model card says intended_use, limitations."),
        ("failed", "The model card of version 7 has no biases."),
    ]
    assert asked["state"] in ("approved", "deploying", "succeeded"), "what is advisory decides nothing"
    facts = api.get(f"/api/v1/promotions/{asked['id']}/evidence").json()
    assert facts["evidence"]["facts"]["candidate"]["card"] == kept["papers"]["card"]
    assert facts["evidence"]["facts"]["candidate"]["signature"] == kept["papers"]["signature"]

    (again,) = judge_past(world.database, world.policy, world.time)
    assert not again.differs, f"the same policy judges it alike from what was kept: {again.would}"

    for statement in ("UPDATE papers SET card = 'x'", "DELETE FROM papers"):
        with pytest.raises(DBAPIError, match="rows of papers are never"), world.database.change() as session:
            session.execute(text(statement))


def test_what_came_without_them_is_as_before_and_does_not_pass(served: tuple[World, httpx.Client]) -> None:
    _, api = served
    made = api.post("/api/v1/models/fraud/versions", json=body("8"))
    assert (made.status_code, made.json()["papers"]) == (201, {})
    kept = api.get("/api/v1/models/fraud/versions/8").json()
    assert (kept["signature"], kept["card"]) == (None, None)
    asked = api.post("/api/v1/promotions", json={"model": "fraud", "version": "8", "stage": "staging"}).json()
    assert (asked["state"], asked["end_reason"]) == (
        "failed",
        "Version 8 came without a signature; one by key 0e14642b2e31 is required. "
        "Version 8 came without a model card; one is required.",
    )


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"card": "x" * 100_001}, "card has 100,001 characters; 100,000 at most are kept."),
        ({"signature": {"x": "y" * 100_000}}, "signature has 100,009 characters; 100,000 at most are kept."),
        ({"card": "a\x07b"}, "card holds the control character U+0007; leave it out."),
    ],
)
def test_what_is_too_long_or_no_text_is_refused(
    served: tuple[World, httpx.Client], more: dict[str, Any], said: str
) -> None:
    refused = served[1].post("/api/v1/models/fraud/versions", json=body("9", **more))
    assert (refused.status_code, refused.json()["detail"]) == (422, said)
