"""The evidence of a promotion as one page that needs nothing else: drawn from the document of `bot.evidence`, pure.

There is no link in it but to its own parts, nothing is fetched and nothing runs. The document itself is inside, so that
the page alone can be verified.
"""

from __future__ import annotations

import base64
import hashlib
import json
from html import escape
from importlib.resources import files
from typing import Any

from bot.evidence_parts import told, utc, who, words
from bot.markup import Markup, facts, folded, lines, paragraph, section, text

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
dd pre { margin-top: 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; margin: 0 0 .5rem; }
th, td { text-align: left; vertical-align: top; border-bottom: 1px solid #ddd; padding: .3rem .6rem .3rem 0;
  min-width: 4rem; }
th { color: #555; font-weight: 600; white-space: nowrap; }
.whole { white-space: nowrap; }
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
    parts = "".join([_short(made), *told(made), _verify(made)])
    whole = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body><main><h1>{escape(title)}</h1>"
        f"{paragraph(asked['model'], ' ', asked['version'], ' → ', asked['stage'], ': ', words(asked['state']))}"
        f"{paragraph('Made by Baton on ', utc(made['made_at']), '. All times are UTC.', kind='soft')}"
        f'{parts}<details><summary>The data of this page, as JSON</summary><pre id="data">{escape(data(made))}</pre></details>'
        "</main></body></html>"
    )
    return f"{whole}\n<!-- sha256 {hashlib.sha256(whole.encode()).hexdigest()} -->\n"


def data(made: Json) -> str:
    """The document as a file; ASCII only, so that nothing in it can hide or turn what is read."""
    return json.dumps(made, indent=1)


def _short(made: Json) -> Markup:
    """What somebody wants to know who reads no further."""
    asked, champion, events = made["request"], made["champion"], made["audit"]
    subject = f"{asked['model']} {asked['version']}"
    what = (
        f"{subject} back into {asked['stage']}" if asked["kind"] == "rollback" else f"{subject} into {asked['stage']}"
    )
    sound = "sound: everything that was looked at holds" if events["sound"] else "it does NOT verify, see below"
    kind = "good" if events["sound"] else "bad"
    return section(
        "In short",
        facts(
            [
                ("What", f"{what}, instead of {champion['version']}" if champion else what),
                ("Outcome", words(asked["state"]) + (f": {asked['end_reason']}" if asked["end_reason"] else "")),
                ("Asked for by", f"{who(asked['by'])}, {utc(asked['at'])}"),
                ("Gates", _judged(made["gates"])),
                ("Decided by", _decided(made)),
                ("Champion", _reign(made["served"])),
                ("Audit", Markup(f'<span class="{kind}">{text(sound)}</span>')),
            ]
        ),
    )


def _judged(gates: list[Json]) -> str:
    if not gates:
        return "none was judged"
    wrong = [each for each in gates if each["outcome"] != "passed"]
    named = "; ".join(f"{each['gate']} {words(each['outcome'])}{' (advisory)' * each['advisory']}" for each in wrong)
    return f"{len(gates) - len(wrong)} of {len(gates)} passed" + (f"; {named}" if wrong else "")


def _decided(made: Json) -> str:
    said = [
        f"{each['by']['name']} ({', '.join(each['groups']) or 'no group'})"
        + (f" for {each['for']['name']}" if each["for"] else "")
        + (" – a rejection" if each["kind"] == "rejection" else "")
        for each in made["decisions"]
        if not each["void_at"]
    ]
    if made["override"]:
        said.append(f"{made['override']['name']}, who broke the glass")
    if said or not made["approval"]:
        return ", ".join(said) or "nobody had to be asked"
    return "nobody" if made["request"]["ended_at"] else "nobody yet"


def _reign(served: list[Json]) -> str:
    if not served:
        return "never"
    since, last = utc(served[0]["since"]), served[-1]
    return f"from {since} " + (f"until {utc(last['until'])}" if last["until"] else "to this day")


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
            f"Save the program that is folded up below as {VERIFIER}; it needs Python and nothing else. Alone, the file shows that it is "
            "as Baton wrote it, that each audit event has the hash of its contents, and that request, gates, evidence "
            "and decisions are those of the events. With an export of the audit chain, it shows that these events are "
            "in the chain, and that the chain passes through the head given here and through any head that you kept "
            "yourself: Baton posts one with each digest. Without such a head, a chain that was computed anew looks sound."
        ),
        lines(commands),
        facts([("Fingerprint", made["fingerprint"])]),
        folded(VERIFIER, lines(files("bot").joinpath(VERIFIER).read_text("utf-8"))),
    )
