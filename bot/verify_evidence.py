"""Checks an evidence file without Baton. It needs Python 3.10 or newer, and nothing else.

python verify_evidence.py FILE.html [AUDIT.ndjson] [EVENT:HASH ...]

FILE is what `baton evidence` wrote, as .html or .json. AUDIT is what `baton audit export` wrote. EVENT:HASH is a head of
the chain as somebody kept it elsewhere, such as in a digest in Slack: an event's number, and how its hash begins.
"""

import hashlib
import html
import json
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

Found = Iterator[tuple[bool, str]]


def sha(value: Any) -> str:
    """Over the canonical JSON: sorted keys, no blanks, UTF-8."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def without(value: dict[str, Any], key: str) -> dict[str, Any]:
    """All but one."""
    return {name: each for name, each in value.items() if name != key}


def read(path: str) -> tuple[Any, bool]:
    """The data of a file, and whether its page is as it was written."""
    with open(path, encoding="utf-8", newline="") as file:
        text = file.read()
    if path.endswith(".json"):
        return json.loads(text), True
    page, _, seal = text.rpartition("\n<!-- sha256 ")
    data = html.unescape(page.partition('<pre id="data">')[2].partition("</pre>")[0])
    return json.loads(data), seal.strip() == hashlib.sha256(page.encode()).hexdigest() + " -->"


def own(file: Any) -> Found:
    """(holds, sentence) of everything that the file can be asked alone."""
    events, kept = file["audit"]["events"], file["evidence"]
    yield (
        sha(without(file, "fingerprint")) == file["fingerprint"],
        f"the data has the fingerprint {file['fingerprint']}",
    )
    wrong = [each["seq"] for each in events if sha(without(each, "hash")) != each["hash"]]
    yield not wrong, f"{len(events)} audit events have the hash of their contents" + f", but {wrong}" * bool(wrong)
    for one, other in pairwise(events):
        if one["seq"] >= other["seq"] or (one["seq"] + 1 == other["seq"] and other["prev_hash"] != one["hash"]):
            yield False, f"event {other['seq']} follows on event {one['seq']}"
    if kept["facts"] is not None:
        yield sha(kept["facts"]) == kept["digest"], "the evidence has the digest that is given for it"
    seen = [each["data"] for each in events if "verdicts" in each["data"]]
    if seen:
        yield seen[-1]["verdicts"] == file["gates"], "the gates are those of the audit events"
        yield seen[-1]["evidence_digest"] == kept["digest"], "the evidence is that of the audit events"
    asked = [each for each in events if each["kind"] in ("requested", "rollback_asked")]
    given = (file["request"]["by"]["actor"], file["request"]["reason"])
    for each in asked:
        yield (each["actor"], each["data"]["reason"]) == given, "the request is that of the audit events"
    told = [(each["kind"], each["actor"]) for each in events if each["kind"] in ("approved", "rejected")]
    said = [({"approval": "approved"}.get(each["kind"], "rejected"), each["by"]["actor"]) for each in file["decisions"]]
    yield told == said, f"the {len(said)} decisions are those of the audit events"
    bound = [each["data"]["evidence_digest"] for each in events if each["kind"] == "approved"]
    shown = [each["evidence_digest"] for each in file["decisions"] if each["kind"] == "approval"]
    yield bound == shown, "each approval is bound to the evidence that the audit events name"


def chain(file: Any, lines: Iterable[str], heads: list[tuple[int, str]]) -> Found:
    """The same of the whole chain, which holds the events of the file and passes through every head."""
    count, last, mine = 0, "0" * 64, {each["seq"]: each for each in file["audit"]["events"]}
    wanted = [(file["audit"]["head"]["event"], file["audit"]["head"]["hash"]), *heads]
    for line in lines:
        event = json.loads(line)
        if (event["seq"], event["prev_hash"]) != (count + 1, last) or sha(without(event, "hash")) != event["hash"]:
            yield False, f"event {event['seq']} of the chain is unchanged and follows on the one before"
            return
        if mine.pop(event["seq"], event) != event:
            yield False, f"event {event['seq']} is in the chain as it is in the file"
        for seq, head in wanted:
            if seq == event["seq"]:
                yield event["hash"].startswith(head), f"the chain's head at event {seq} is {head}"
        count, last = event["seq"], event["hash"]
    yield not mine, "every event of the file is in the chain"
    yield (
        count >= max(seq for seq, _ in wanted),
        f"{count} events of the chain were looked at, which is up to every head",
    )


def main(path: str, *more: str) -> bool:
    """Say of each check whether it holds; true when all do."""
    file, sealed = read(path)
    heads = [(int(each.split(":")[0]), each.split(":")[1]) for each in more if re.fullmatch(r"[0-9]+:[0-9a-f]+", each)]
    found = [(sealed, "the page is as it was written"), *own(file)]
    exports = [each for each in more if each.endswith(".ndjson")]
    for each in exports:
        with open(each, encoding="utf-8") as lines:
            found += chain(file, lines, heads)
    if heads and not exports:
        found.append((False, "a head of the chain is only told by AUDIT.ndjson"))
    for holds, sentence in found:
        print("ok   " if holds else "WRONG", sentence)
    return all(holds for holds, _ in found)


if __name__ == "__main__":
    sys.exit(0 if main(*sys.argv[1:]) else 1)
