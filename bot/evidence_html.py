"""The evidence of a promotion as one page that needs nothing else: drawn from the document of `bot.evidence`, pure.

There is no link in it but to its own parts, nothing is fetched and nothing runs. The document itself is inside, so that
the page alone can be verified.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from html import escape
from importlib.resources import files
from typing import Any

from bot.html import Markup, facts, heading, lines, paragraph, section, table, text

Json = dict[str, Any]

STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 62rem; margin: 0 auto;
  padding: 1.25rem 1rem 4rem; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0 0 .25rem; }
h2 { font-size: 1.1rem; margin: 0 0 .5rem; }
h3 { font-size: .95rem; margin: .75rem 0 .25rem; }
section { border-top: 1px solid #ccc; padding: 1rem 0; }
dl { display: grid; grid-template-columns: 11rem 1fr; gap: .2rem 1rem; margin: 0 0 .5rem; }
dt { color: #555; }
dd { margin: 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; margin: 0 0 .5rem; }
th, td { text-align: left; vertical-align: top; border-bottom: 1px solid #ddd; padding: .3rem .6rem .3rem 0;
  min-width: 4rem; }
th { color: #555; font-weight: 600; }
pre { font: 12px/1.45 ui-monospace, monospace; white-space: pre-wrap; margin: .25rem 0 .75rem; padding: .5rem .75rem;
  background: #f5f5f5; border-left: 3px solid #ccc; }
.good { color: #146c2e; }
.bad { color: #a30d0d; font-weight: 600; }
.soft { color: #555; }
summary { cursor: pointer; color: #1d4f91; }
@media (max-width: 40rem) { dl { grid-template-columns: 1fr; } dt { margin-top: .3rem; } }
@media print { body { max-width: none; padding: 0; font-size: 11px; } .wide { overflow: visible; }
  table { font-size: 10px; } tr, dl { break-inside: avoid-page; } }
"""
_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
#: The page's own style applies, and nothing else does.
POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'"
FORMAT = "baton-evidence-1"
VERIFIER = "verify_evidence.py"


def page(made: Json) -> str:
    """The page of a document. Its last line has the SHA-256 of all that is before it."""
    asked = made["request"]
    title = f"Evidence of {made['promotion']}"
    parts = "".join(_parts(made))
    whole = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body><main><h1>{escape(title)}</h1>"
        f"{paragraph(asked['model'], ' ', asked['version'], ' → ', asked['stage'], ': ', _words(asked['state']))}"
        f"{paragraph('Made by Baton on ', utc(made['made_at']), '. All times are UTC.', kind='soft')}"
        f'{parts}<details><summary>The data of this page, as JSON</summary><pre id="data">{escape(data(made))}</pre></details>'
        "</main></body></html>"
    )
    return f"{whole}\n<!-- sha256 {hashlib.sha256(whole.encode()).hexdigest()} -->\n"


def data(made: Json) -> str:
    """The document as a file; ASCII only, so that nothing in it can hide or turn what is read."""
    return json.dumps(made, indent=1)


def _parts(made: Json) -> Iterator[Markup]:
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
    yield _verify(made)


def utc(moment: str | None) -> str:
    """`2026-11-23 09:47:42 UTC`."""
    return f"{moment[:19].replace('T', ' ')} UTC" if moment else ""


def _words(name: str) -> str:
    return name.replace("_", " ")


def _who(found: Json | None) -> str:
    """A name, and the id that it stands for."""
    return f"{found['name']} ({found['actor']})" if found else ""


def _number(value: float | None) -> str:
    return "no data" if value is None else f"{value:.6g}"


def _request(made: Json) -> Markup:
    asked = made["request"]
    pairs = [
        ("Asked for by", _who(asked["by"])),
        ("When", utc(asked["at"])),
        ("Kind", asked["kind"]),
        ("State", _words(asked["state"])),
        ("Waits for", asked["waiting_for"]),
        ("Expires", utc(asked["expires_at"]) if not asked["ended_at"] else ""),
        ("Ended", utc(asked["ended_at"])),
        ("Ended by", _who(asked["ended_by"])),
        ("Because", asked["end_reason"]),
    ]
    reason = lines(asked["reason"]) if asked["reason"] else paragraph("No reason was given.", kind="soft")
    return section("Request", facts(pairs), reason)


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
            _number(each["candidate"]) if each["metric"] else "",
            "" if each["champion"] is None else _number(each["champion"]),
            "" if each["change"] is None else f"{each['change']:+.6g}",
            _verdict(each["outcome"]),
            each["sentence"],
        )
        for each in made["gates"]
    ]
    head = ("Gate", "Candidate", "Champion", "Change", "Verdict", "What was found")
    return section("Gates", table(head, rows) or paragraph("None was judged.", kind="soft"))


def _verdict(outcome: str) -> Markup:
    kind = "good" if outcome == "passed" else "bad"
    return Markup(f'<span class="{kind}">{text(_words(outcome))}</span>')


def _metrics(made: Json) -> Markup:
    rows = [
        (
            each["metric"],
            each["slice"] or "all",
            each["dataset"],
            _measured(each["candidate"]),
            _measured(each["champion"]),
            "" if each["change"] is None else f"{each['change']:+.6g}",
        )
        for each in made["metrics"]
    ]
    head = ("Metric", "Slice", "Data set", "Candidate", "Champion", "Change")
    return section("Metrics", table(head, rows) or paragraph("None was registered.", kind="soft"))


def _measured(found: Json | None) -> str:
    if found is None:
        return "not measured"
    value = _number(found["value"]) + (f" ({found['raw']})" if found["value"] is None and found["raw"] else "")
    return value + (f", n = {found['samples']:,}" if found["samples"] is not None else "")


def _decisions(made: Json) -> Markup:
    approval = made["approval"]
    told = [paragraph(approval["sentence"] if approval else "Nobody had to be asked.", kind="soft")]
    told += [_decision(each, made["evidence"]["digest"]) for each in made["decisions"]]
    return section("Decisions", *told)


def _decision(found: Json, digest: str) -> Markup:
    seen = found["evidence_digest"]
    limit = f"{found['limit_percent']} % for {found['limit_seconds']} s" if found["limit_percent"] is not None else ""
    void = f"{utc(found['void_at'])}: {found['void_reason']}" if found["void_at"] else ""
    until = f"from {utc(found['delegated_since'])} until {utc(found['delegated_until'])}"
    delegated = f"{_who(found['for'])}, who had delegated {until}" if found["delegated_until"] else _who(found["for"])
    return facts(
        [
            (found["kind"].capitalize(), _who(found["by"])),
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
        facts([("By", _who(found)), ("When", utc(found["at"]))]),
        lines(found["reason"]),
        *(paragraph("Passed by: ", each, kind="bad") for each in found["bypassed"]),
        facts(
            [
                ("Reviewed by", _who(found["reviewed_by"]) or "nobody yet"),
                ("What they found", found["review"]),
            ]
        ),
    )


def _deployments(made: Json) -> Markup:
    shown = []
    for each in made["deployments"]:
        version = f"{each['model']} {each['version']}" if "model" in each else each["version"]
        shown.append(heading(f"{each['id']}: {_words(each['action'])} {version}"))
        shown.append(
            facts(
                [
                    ("Target", each["target"] or "none: only the champion is recorded"),
                    ("Instead of", each["previous_version"]),
                    ("Traffic", f"{each['traffic_percent']} % (step {each['step']})"),
                    ("Key (webhook-id)", each["key"]),
                    ("State", _words(each["state"])),
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
        heard = [(utc(r["at"]), r["by"], r["state"], r["url"], r["message"]) for r in each["reports"]]
        shown.append(table(("Reported", "By", "State", "Address", "Message"), heard))
    return section("Deployments", *shown)


def _rollout(made: Json) -> Markup:
    found = made["rollout"]
    if found is None:
        return Markup("")
    steps = ", ".join(f"{each['traffic']} % for {each['hold_seconds']} s" for each in found["steps"])
    pairs = [
        ("Strategy", _words(found["strategy"])),
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
            (utc(look["at"]), _words(look["outcome"]), look["sentence"], _number(look["candidate"]), _number(look["champion"]))
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
    return section("Evidence", paragraph(said), facts([("Digest", found["digest"])]), _json(found["facts"]))


def _policy(made: Json) -> Markup:
    found = made["policy"]
    kept = lines(found["text"]) if found["text"] is not None else paragraph("The file was not kept.", kind="bad")
    bound = made["evidence"]["facts"] is not None  # the stage's rules are in there
    rules = () if bound else (heading("The stage's rules as they were"), _json(found["rules"]))
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
            utc(each["at"]),
            each["actor_name"] or each["actor"],
            _words(each["kind"]) + (f" {each['deployment']}" if each["deployment"] else ""),
            json.dumps({k: v for k, v in each["data"].items() if k != "verdicts"}, ensure_ascii=False),
            each["hash"],
        )
        for each in found["events"]
    ]
    head = facts([("Chain's head then", f"event {found['head']['event']}: {found['head']['hash']}")])
    return section("Audit events", *checks, head, table(("Event", "When", "Who", "What", "Facts", "Hash"), rows))


def _verify(made: Json) -> Markup:
    file = f"baton-{made['promotion']}.html"
    head = made["audit"]["head"]
    commands = (
        f"python {VERIFIER} {file}\n"
        f"baton audit export > audit.ndjson\n"
        f"python {VERIFIER} {file} audit.ndjson {head['event']}:{head['hash'][:16]}"
    )
    return section(
        "Verify this without Baton",
        paragraph(
            f"Save the program below as {VERIFIER}; it needs Python and nothing else. Alone, the file shows that it is "
            "as Baton wrote it, that each audit event has the hash of its contents, and that request, gates, evidence "
            "and decisions are those of the events. With an export of the audit chain, it shows that these events are "
            "in the chain, and that the chain passes through the head given here and through any head that you kept "
            "yourself: Baton posts one with each digest. Without such a head, a chain that was computed anew looks sound."
        ),
        lines(commands),
        facts([("Fingerprint", made["fingerprint"])]),
        heading(VERIFIER),
        lines(files("bot").joinpath(VERIFIER).read_text("utf-8")),
    )
