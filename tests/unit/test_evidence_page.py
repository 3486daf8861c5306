"""The page of an evidence file: whatever people and machines call things is text in it, and any change is found."""

from __future__ import annotations

import base64
import contextlib
import copy
import hashlib
import json
import random
import re
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import evidence, evidence_html, verify_evidence
from core.domain.views import PromotionView
from core.evidence_file import Act, Chain, EvidenceFile, Said
from core.policy import evidence as bound
from core.store.audit import GENESIS
from core.store.views import verdict_to_json
from tests.unit.test_hostile_text import NASTY, NOW, STAGE, texts, views

Json = dict[str, Any]

#: What would be more than text in HTML.
MARKUP = [
    "<script>alert(1)</script>", "</pre><script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "<a href='http://evil.example'>x</a>",
    "javascript:alert(1)", "http://evil.example/", "<!-- ", "-->", "</style>", "]]>", "&#60;b&#62;", "<svg/onload=alert(1)>", "\n<!-- sha256 ",
]  # fmt: skip
hostile = st.one_of(texts, st.sampled_from(MARKUP), st.lists(st.sampled_from(MARKUP + NASTY), max_size=3).map("".join))
#: Every tag of the page, with the attributes that it may have.
TAGS = {
    "html": {"lang"}, "head": set(), "meta": {"charset", "http-equiv", "content", "name"}, "title": set(), "style": set(),
    "body": set(), "main": set(), "section": set(), "h1": set(), "h2": set(), "h3": set(), "p": {"class"}, "bdi": set(),
    "dl": set(), "dt": set(), "dd": set(), "div": {"class"}, "table": set(), "thead": set(), "tbody": set(), "tr": set(),
    "th": set(), "td": set(), "span": {"class"}, "pre": {"class", "id"}, "details": set(), "summary": set(),
}  # fmt: skip


class Reader(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.comments: list[str] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def hashed(seq: int, before: str, **event: Any) -> Json:
    made: Json = {
        "seq": seq, "at": NOW.isoformat(timespec="microseconds"), "actor": "user:U01ALICE", "actor_name": "Alice", "model": "m",
        "version": "7", "stage": "production", "promotion": "P-1", "deployment": None, "data": {}, "prev_hash": before, **event,
    }  # fmt: skip
    return made | {"hash": verify_evidence.sha(made)}


def story(view: PromotionView, said: tuple[Said, ...], digest: str, words: str) -> tuple[Json, ...]:
    """The events that the promotion would have left, in a chain of its own."""
    told = [
        ("requested", str(view.requester), {"reason": view.reason}),
        ("gates_passed", "system:gates", {"verdicts": [verdict_to_json(v) for v in view.verdicts], "evidence_digest": digest}),
        ("deployment_reported", "target:x", {"state": words, "url": words, "message": words}),
    ]  # fmt: skip
    told += [
        (("approved" if each.decision.kind == "approval" else "rejected"), str(each.decision.actor), {"evidence_digest": digest})
        for each in said
    ]  # fmt: skip
    chain: list[Json] = []
    for seq, (kind, actor, data) in enumerate(told, 1):
        head = chain[-1]["hash"] if chain else GENESIS
        deployment = "D-3" if kind == "deployment_reported" else None
        chain.append(hashed(seq, head, kind=kind, actor=actor, actor_name=words, deployment=deployment, data=data))
    return tuple(chain)


@st.composite
def files(draw: st.DrawFn) -> EvidenceFile:
    """An evidence file in which everything that comes from outside is hostile."""
    view, words = draw(views()), draw(hostile)
    facts = bound.facts(view.version, view.champion, STAGE)
    digest = bound.digest(facts)
    view = replace(view, evidence_digest=digest)
    limit, delegated = draw(st.none() | st.just((10, 3600))), draw(st.none() | st.just((NOW, NOW + timedelta(days=1))))
    said = tuple(
        Said(replace(each, evidence_digest=digest), NOW if each.void else None, limit, delegated)
        for each in (*view.decisions, *view.voided)
    )
    events = story(view, said, digest, words)
    look = {"at": NOW.isoformat(), "outcome": "failed", "sentence": words, "candidate": 0.1, "champion": None}
    analysis = {"began": NOW.isoformat(), "looks": 1, "looked": None, "metrics": [
        {"name": words, "passed": 0, "failed": 1, "inconclusive": 0, "errored": 0, "recent": [look]}
    ]}  # fmt: skip
    rollout = {
        "strategy": "canary", "steps": [{"traffic": 5, "hold_seconds": 60}], "step": 0, "traffic": 5, "phase": "asking",
        "said": words, "paused_by": words, "abort": words, "analysis": draw(st.none() | st.just(analysis)),
    }  # fmt: skip
    return EvidenceFile(
        made_at=NOW, promotion=view, policy=draw(st.none() | st.just((words, NOW))), facts=facts, decisions=said,
        deployments=tuple(Act(each, 0, words, NOW) for each in view.deployments),
        rollout=draw(st.none() | st.just(rollout)), served=((NOW, None, None),),
        chain=Chain(events, (len(events), events[-1]["hash"]), ((True, words), (False, words))),
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(files())
def test_no_text_from_outside_is_more_than_text(found: EvidenceFile) -> None:
    page = evidence_html.page(evidence.document(found))
    read = Reader(page)

    for tag, attributes in read.tags:
        assert tag in TAGS, tag
        assert set(attributes) <= TAGS[tag], attributes
        assert attributes.get("id") in (None, "data")
        assert attributes.get("class") in (None, "wide", "whole", "soft", "good", "bad", "quote")
    assert len(read.comments) == 1, "the seal alone"
    assert [tag for tag, _ in read.tags].count("style") == 1
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200b\u200e\u200f\x00-\x08\x0b-\x1f]", page)


@settings(max_examples=30, deadline=None)
@given(files())
def test_what_it_holds_is_verified_without_baton_and_told_as_it_is(found: EvidenceFile) -> None:
    made = evidence.document(found)
    assert [sentence for holds, sentence in verify_evidence.own(made) if not holds] == []
    assert json.loads(evidence_html.data(made)) == made


def typical() -> Json:
    """One file that is always the same."""
    made: list[Json] = []

    @settings(max_examples=1, deadline=None, database=None, derandomize=True)
    @given(files().filter(lambda each: bool(each.facts)))
    def once(found: EvidenceFile) -> None:
        made.append(evidence.document(replace(found, chain=replace(found.chain, checks=((True, "sound"),)))))

    once()
    return made[0]


@pytest.fixture(scope="module")
def made() -> Json:
    return typical()


def test_who_reads_no_further_reads_what_happened_and_whether_it_verifies(made: Json) -> None:
    told = copy.deepcopy(made)
    told["request"] |= {"model": "fraud", "version": "7", "stage": "production", "state": "failed", "kind": "promotion"}
    told["request"] |= {"end_reason": "auc is 0.8.", "ended_at": "2026-11-23T10:00:00.000000Z"}
    told |= {"champion": None, "override": None, "served": [], "decisions": []}
    told["gates"] = [
        {"gate": gate, "outcome": outcome, "advisory": advisory, "metric": "", "candidate": None, "champion": None}
        | {"change": None, "sentence": ""}
        for gate, outcome, advisory in (("auc", "failed", False), ("gap", "failed", True), ("lineage", "passed", False))
    ]
    short = "".join(Reader(evidence_html.page(told).partition("<h2>Request</h2>")[0]).words)
    for said in (
        "fraud 7 into production", "failed: auc is 0.8.", "1 of 3 passed; auc failed; gap failed (advisory)", "never",
        "sound: everything that was looked at holds",
    ):  # fmt: skip
        assert said in short
    assert ("nobody" if told["approval"] else "nobody had to be asked") in short
    told["audit"]["sound"] = False
    assert "it does NOT verify, see below" in evidence_html.page(told)


def test_no_number_time_or_name_is_broken_over_two_lines(made: Json) -> None:
    page = evidence_html.page(made)
    for cell in re.findall(r"<td>(.*?)</td>", page):
        bare = "".join(Reader(cell).words)
        if re.fullmatch(r"[+-]?[0-9.]+(e-?[0-9]+)?|[0-9-]{10} [0-9:]{8}", bare) and not bare.isdigit():
            assert '<span class="whole">' in cell, cell


def verified(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """As an auditor runs it: the program as the page prints it, in an empty place."""
    return subprocess.run(
        [sys.executable, "-I", *map(str, arguments)], capture_output=True, text=True, check=False, cwd=Path("/")
    )


def printed_program(page: str, folder: Path) -> Path:
    """The program, taken out of the page as a person would copy it."""
    words = "".join(Reader(page).words)
    begin = words.index('"""Checks an evidence file without Baton')
    end = words.index("sys.exit(0 if main(*sys.argv[1:]) else 1)", begin)
    path = folder / "verify_evidence.py"
    path.write_text(words[begin:end] + "sys.exit(0 if main(*sys.argv[1:]) else 1)\n", encoding="utf-8")
    return path


def test_the_program_that_the_page_prints_verifies_the_page_and_the_data(made: Json, tmp_path: Path) -> None:
    page = evidence_html.page(made)
    program = printed_program(page, tmp_path)
    (tmp_path / "P-1.html").write_text(page, encoding="utf-8", newline="")
    (tmp_path / "P-1.json").write_text(evidence_html.data(made), encoding="utf-8")

    for name in ("P-1.html", "P-1.json"):
        done = verified(program, tmp_path / name)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "WRONG" not in done.stdout
        assert made["fingerprint"] in done.stdout


def test_a_changed_letter_anywhere_in_the_page_is_found(made: Json, tmp_path: Path) -> None:
    page = evidence_html.page(made)
    chance = random.Random(7)
    path = tmp_path / "P-1.html"
    for _ in range(60):
        place = chance.randrange(len(page) - 100)
        letter = chance.choice([c for c in "ab01 " if c != page[place]])
        path.write_text(page[:place] + letter + page[place + 1 :], encoding="utf-8", newline="")
        with contextlib.suppress(ValueError, KeyError):  # it can no longer be read at all
            assert not verify_evidence.main(str(path)), place


def sealed(made: Json) -> Json:
    """With a fingerprint that fits, as somebody would make who knows how."""
    made = verify_evidence.without(made, "fingerprint")
    return made | {"fingerprint": evidence.fingerprint(made)}


FORGERIES = {
    "the reason": lambda m: m["request"].update(reason="because"),
    "who asked": lambda m: m["request"]["by"].update(actor="user:U09ELSE"),
    "a verdict": lambda m: m["gates"][0].update(outcome="passed", sentence="fine"),
    "a measured number": lambda m: m["evidence"]["facts"]["candidate"]["metrics"].update(auc=["0.999", 3]),
    "the digest": lambda m: m["evidence"].update(digest="f" * 64),
    "who decided": lambda m: m["decisions"][0]["by"].update(actor="user:U09ELSE"),
    "a decision more": lambda m: m["decisions"].append(copy.deepcopy(m["decisions"][0])),
    "a decision less": lambda m: m["decisions"].pop(),
    "an event's facts": lambda m: m["audit"]["events"][0]["data"].update(reason="because"),
    "when an event was": lambda m: m["audit"]["events"][1].update(at="2026-01-01T00:00:00.000000+00:00"),
    "two events' order": lambda m: m["audit"]["events"].reverse(),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_is_forged_is_found_though_the_fingerprint_was_made_anew(made: Json, forgery: str) -> None:
    forged = copy.deepcopy(made)
    FORGERIES[forgery](forged)
    assert forged != made
    assert [sentence for holds, sentence in verify_evidence.own(sealed(forged)) if not holds]


def test_a_change_of_anything_at_all_breaks_the_fingerprint(made: Json) -> None:
    for key in verify_evidence.without(made, "fingerprint"):
        changed = copy.deepcopy(made) | {key: "something else"}
        assert evidence.fingerprint(verify_evidence.without(changed, "fingerprint")) != made["fingerprint"], key


def in_chain(made: Json) -> list[Json]:
    """The chain that the file's events are from, with some of others before and after them."""
    return [
        *made["audit"]["events"],
        hashed(len(made["audit"]["events"]) + 1, made["audit"]["head"]["hash"], kind="digest"),
    ]


def test_with_the_whole_chain_it_shows_that_the_events_are_in_it(made: Json, tmp_path: Path) -> None:
    chain = in_chain(made)
    path, export = tmp_path / "P-1.json", tmp_path / "audit.ndjson"
    path.write_text(evidence_html.data(made), encoding="utf-8")

    def against(events: list[Json], *heads: str) -> list[str]:
        export.write_text("".join(f"{json.dumps(each)}\n" for each in events), encoding="utf-8")
        done = verified(Path(verify_evidence.__file__), path, export, *heads)
        wrong = [line.removeprefix("WRONG ") for line in done.stdout.splitlines() if line.startswith("WRONG")]
        assert (done.returncode == 0) == (not wrong), done.stderr
        return wrong

    last = chain[-1]
    assert against(chain) == []
    assert against(chain, f"{last['seq']}:{last['hash'][:12]}") == []
    assert against(chain, f"{last['seq']}:{'0' * 12}") == [f"the chain's head at event {last['seq']} is {'0' * 12}"]
    assert against(chain[:-2]) != [], "cut off before the file's head"
    assert "event 3 of the chain is unchanged and follows on the one before" in against([chain[0], *chain[2:]])
    anew = [hashed(1, GENESIS, kind="requested", data={"reason": "another"})]
    for each in chain[1:]:
        kept = {key: value for key, value in each.items() if key not in ("hash", "prev_hash", "seq")}
        anew.append(hashed(each["seq"], anew[-1]["hash"], **kept))
    assert "event 1 is in the chain as it is in the file" in against(anew), "computed anew after a change"


def test_a_head_without_a_chain_is_not_passed_over(made: Json, tmp_path: Path) -> None:
    path = tmp_path / "P-1.json"
    path.write_text(evidence_html.data(made), encoding="utf-8")
    assert not verify_evidence.main(str(path), "3:abcdef")


def test_the_page_fetches_nothing_and_is_readable_on_a_phone_and_on_paper(made: Json) -> None:
    page = evidence_html.page(made)
    style = page.partition("<style>")[2].partition("</style>")[0]
    for word in ("url(", "@import", "http"):
        assert word not in style
    assert "@media print" in style
    assert 'name="viewport" content="width=device-width, initial-scale=1"' in page
    named = hashlib.sha256(style.encode()).digest()
    assert base64.b64encode(named).decode() in page, "its own style is the only one that may apply"
