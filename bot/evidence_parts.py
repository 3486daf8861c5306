"""The parts of an evidence page, each drawn from the document of `bot.evidence`, pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from bot.markup import Markup, facts, folded, heading, lines, paragraph, section, table, text, whole
from core.policy.durations import spoken

Json = dict[str, Any]
ACTS = {"deploy": "deploy", "set_traffic": "move traffic to", "rollback": "roll back to"}
#: Digests are whole in the page's data; a table shows how they begin.
_DIGEST = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{28,}\b")


def told(made: Json) -> Iterator[Markup]:
    """One after the other."""
    yield _request(made)
    yield _versions(made)
    yield _gates(made)
    yield _metrics(made)
    yield _decisions(made)
    yield _override(made)
    yield _deployments(made)
    yield _rollout(made)
    yield _served(made)
    yield _bound(made)
    yield _policy(made)
    yield _audit(made)


def utc(moment: str | None) -> str:
    """`2026-11-23 09:47:42 UTC`."""
    return f"{moment[:19].replace('T', ' ')} UTC" if moment else ""


def words(name: str) -> str:
    """`awaiting_approval`, for people."""
    return name.replace("_", " ")


def who(found: Json | None) -> str:
    """A name, and the id that it stands for."""
    return f"{found['name']} ({found['actor']})" if found else ""


def _figure(value: float | None) -> str:
    return "no data" if value is None else f"{value:.6g}"


def _change(value: float | None) -> Markup:
    return whole("" if value is None else f"{value:+.6g}")


def _at(moment: str | None) -> Markup:
    """For tables, where it need not be said that it is UTC."""
    return whole(utc(moment).removesuffix(" UTC"))


def _request(made: Json) -> Markup:
    asked = made["request"]
    pairs = [
        ("Asked for by", who(asked["by"])),
        ("When", utc(asked["at"])),
        ("Kind", asked["kind"]),
        ("State", words(asked["state"])),
        ("Waits for", asked["waiting_for"]),
        ("Expires", utc(asked["expires_at"]) if not asked["ended_at"] else ""),
        ("Ended", utc(asked["ended_at"])),
        ("Ended by", who(asked["ended_by"])),
        ("Because", asked["end_reason"]),
        ("Reason", lines(asked["reason"]) if asked["reason"] else "none was given"),
    ]
    return section("Request", facts(pairs))


def _versions(made: Json) -> Markup:
    champion = made["champion"]
    return section(
        "Versions",
        heading("Candidate"),
        _version(made["candidate"]),
        heading("Champion when it was judged"),
        _version(champion) if champion else paragraph("There was none.", kind="soft"),
    )


def _version(found: Json) -> Markup:
    lineage = found["lineage"]
    data = "; ".join(f"{each['name']} {each['digest']}".strip() for each in lineage["data"])
    return facts(
        [
            ("Version", f"{found['model']} {found['version']}"),
            ("Artifact", found["artifact"]["uri"]),
            ("Artifact digest", found["artifact"]["digest"] or "none was registered"),
            ("Data", data or "not known"),
            ("Code", f"{lineage['code']['repo']} {lineage['code']['commit']}".strip() or "not known"),
            ("Run", lineage["run_url"]),
            ("Trained by", lineage["trained_by"] or "not known"),
            ("Signature", found["papers"].get("signature", "none was registered")),
            ("Model card", found["papers"].get("card", "none was registered")),
            ("Registered by", found["registered_by"]),
            ("Registered", utc(found["registered_at"])),
            ("Tags", ", ".join(f"{name}={value}" for name, value in found["tags"].items())),
        ]
    )


def _gates(made: Json) -> Markup:
    rows = [
        (
            each["gate"] + (" (advisory: decides nothing)" if each["advisory"] else ""),
            whole(_figure(each["candidate"])) if each["metric"] else "",
            "" if each["champion"] is None else whole(_figure(each["champion"])),
            _change(each["change"]),
            _verdict(each["outcome"]),
            each["sentence"],
        )
        for each in made["gates"]
    ]
    head = ("Gate", "Candidate", "Champion", "Change", "Verdict", "What was found")
    return section("Gates", table(head, rows) or paragraph("None was judged.", kind="soft"))


def _verdict(outcome: str) -> Markup:
    kind = "good" if outcome == "passed" else "bad"
    return Markup(f'<span class="{kind}">{whole(words(outcome))}</span>')


def _metrics(made: Json) -> Markup:
    rows = [
        (
            each["metric"],
            each["slice"] or "all",
            each["dataset"],
            _measured(each["candidate"]),
            _measured(each["champion"]),
            _change(each["change"]),
        )
        for each in made["metrics"]
    ]
    head = ("Metric", "Slice", "Data set", "Candidate", "Champion", "Change")
    return section("Metrics", table(head, rows) or paragraph("None was registered.", kind="soft"))


def _measured(found: Json | None) -> str:
    if found is None:
        return "not measured"
    value = _figure(found["value"]) + (f" ({found['raw']})" if found["value"] is None and found["raw"] else "")
    return value + (f", n = {found['samples']:,}" if found["samples"] is not None else "")


def _decisions(made: Json) -> Markup:
    approval = made["approval"]
    told = [paragraph(approval["sentence"] if approval else "Nobody had to be asked.", kind="soft")]
    told += [_decision(each, made["evidence"]["digest"]) for each in made["decisions"]]
    return section("Decisions", *told)


def _decision(found: Json, digest: str) -> Markup:
    seen = found["evidence_digest"]
    limited = found["limit_percent"] is not None
    limit = f"{found['limit_percent']} % for {_long(found['limit_seconds'])}" if limited else ""
    void = f"{utc(found['void_at'])}: {found['void_reason']}" if found["void_at"] else ""
    until = f"from {utc(found['delegated_since'])} until {utc(found['delegated_until'])}"
    delegated = f"{who(found['for'])}, who had delegated {until}" if found["delegated_until"] else who(found["for"])
    return facts(
        [
            (found["kind"].capitalize(), who(found["by"])),
            ("For", delegated),
            ("When", utc(found["at"])),
            ("Groups then", ", ".join(found["groups"])),
            ("Reason", found["reason"]),
            ("At most", limit),
            ("Saw evidence", f"{seen}{'' if seen == digest else ' (an earlier one)'}"),
            ("Void since", Markup(f'<span class="bad">{text(void)}</span>') if void else ""),
        ]
    )


def _override(made: Json) -> Markup:
    found = made["override"]
    if found is None:
        return Markup("")
    return section(
        "The glass was broken",
        facts([("By", who(found)), ("When", utc(found["at"]))]),
        lines(found["reason"]),
        *(paragraph("Passed by: ", each, kind="bad") for each in found["bypassed"]),
        facts(
            [
                ("Reviewed by", who(found["reviewed_by"]) or "nobody yet"),
                ("What they found", found["review"]),
            ]
        ),
    )


def _deployments(made: Json) -> Markup:
    shown = []
    for each in made["deployments"]:
        version = f"{each['model']} {each['version']}" if "model" in each else each["version"]
        shown.append(heading(f"{each['id']}: {ACTS.get(each['action'], each['action'])} {version}"))
        shown.append(
            facts(
                [
                    ("Target", each["target"] or "none: only the champion is recorded"),
                    ("Instead of", each["previous_version"]),
                    ("Traffic", f"{each['traffic_percent']} %" + _step(made, each["step"])),
                    ("Key (webhook-id)", each["key"]),
                    ("State", words(each["state"])),
                    ("Requested", utc(each["requested_at"])),
                    ("First tried", utc(each["tried_at"])),
                    ("Taken", utc(each["sent_at"])),
                    ("Deadline", utc(each["deadline"])),
                    ("Finished", utc(each["finished_at"])),
                    ("Attempts", each["attempts"]),
                    ("External job", each["run"]),
                    ("Address", each["url"]),
                    ("Message", each["message"]),
                    ("Stopped because", each["abort"]),
                ]
            )
        )
        heard = [(_at(r["at"]), r["by"], r["state"], r["url"], r["message"]) for r in each["reports"]]
        shown.append(table(("Reported", "By", "State", "Address", "Message"), heard))
    return section("Deployments", *shown)


def _step(made: Json, number: int) -> str:
    steps = len(made["rollout"]["steps"]) if made["rollout"] else 0
    return f" (step {number + 1} of {steps})" if number < steps else ""


def _long(seconds: int) -> str:
    return spoken(timedelta(seconds=seconds))


def _rollout(made: Json) -> Markup:
    found = made["rollout"]
    if found is None:
        return Markup("")
    steps = ", then ".join(
        f"{each['traffic']} %" + (f" for {_long(each['hold_seconds'])}" if each["hold_seconds"] else "")
        for each in found["steps"]
    )
    pairs = [
        ("Strategy", words(found["strategy"])),
        ("Steps", steps),
        ("Reached", f"step {found['step'] + 1} of {len(found['steps'])}, {found['traffic']} %, {found['phase']}"),
        ("Said last", found["said"]),
        ("Held by", found["paused_by"]),
        ("Went back because", found["abort"]),
    ]
    return section("Rollout", facts(pairs), *_analysis(found["analysis"]))


def _analysis(found: Json | None) -> Iterator[Markup]:
    if found is None:
        yield paragraph("Nothing was analysed.", kind="soft")
        return
    yield paragraph(
        f"Analysis since {utc(found['began'])}: {found['looks']} looks, the last at {utc(found['looked'])}."
    )
    for each in found["metrics"]:
        counts = ", ".join(f"{each[name]} {name}" for name in ("passed", "failed", "inconclusive", "errored"))
        yield heading(f"{each['name']}: {counts}")
        rows = [
            (_at(look["at"]), _verdict(look["outcome"]), look["sentence"], whole(_figure(look["candidate"])), whole(_figure(look["champion"])))
            for look in each["recent"]
        ]  # fmt: skip
        yield table(("Look", "Outcome", "Sentence", "Candidate", "Champion"), rows)


def _served(made: Json) -> Markup:
    rows = [
        (utc(each["since"]), utc(each["until"]) or "to this day", each["ended_by"] or "") for each in made["served"]
    ]
    return section("Time as champion", table(("Since", "Until", "Replaced by"), rows))


def _bound(made: Json) -> Markup:
    found = made["evidence"]
    if found["facts"] is None:
        return section("Evidence", paragraph("It is older than evidence digests.", kind="soft"))
    said = "Approvals were bound to this: artifact digests, metrics, lineage and rules, under one SHA-256."
    whole_of_it = folded("All of it", _json(found["facts"]))
    return section("Evidence", paragraph(said), facts([("Digest", found["digest"])]), whole_of_it)


def _policy(made: Json) -> Markup:
    found = made["policy"]
    kept = lines(found["text"]) if found["text"] is not None else paragraph("The file was not kept.", kind="bad")
    bound = made["evidence"]["facts"] is not None  # the stage's rules are in there
    rules = () if bound else (folded("The stage's rules as they were", _json(found["rules"])),)
    version = facts([("Version", found["version"]), ("Read", utc(found["read_at"]))])
    return section("Policy", version, *rules, heading("The file"), kept)


def _json(found: Any) -> Markup:
    return lines(json.dumps(found, indent=1, ensure_ascii=False))


def _audit(made: Json) -> Markup:
    found = made["audit"]
    checks = [paragraph(each["sentence"], kind="good" if each["holds"] else "bad") for each in found["checks"]]
    rows = [
        (
            each["seq"],
            _at(each["at"]),
            _name(each["actor_name"] or each["actor"]),
            words(each["kind"]) + (f" {each['deployment']}" if each["deployment"] else ""),
            _facts_of(each["data"]),
            whole(f"{each['hash'][:12]}…"),
        )
        for each in found["events"]
    ]
    head = facts([("Chain's head then", f"event {found['head']['event']}: {found['head']['hash']}")])
    return section("Audit events", *checks, head, table(("Event", "When", "Who", "What", "Facts", "Hash"), rows))


def _name(name: str) -> object:
    return whole(name) if len(name) <= 24 else name


def _facts_of(data: Json) -> str:
    """What an event says beside who, when and what; verdicts stand under the gates."""
    kept = {name: value for name, value in data.items() if name != "verdicts" and value not in ("", None, [], {})}
    said = {name: value if isinstance(value, str) else _listed(value) for name, value in kept.items()}
    return "; ".join(f"{words(name)}: " + _DIGEST.sub(r"\1…", value) for name, value in said.items())


def _listed(value: Any) -> str:
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    return json.dumps(value, ensure_ascii=False)
