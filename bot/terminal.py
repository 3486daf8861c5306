"""Text for terminals: safe, aligned, human. Everything that came from outside passes `safe`."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.policy.whatif import Judged

Json = dict[str, Any]
#: Marks that turn the direction of the text around them, or hide it; shown instead of obeyed.
_HIDDEN = frozenset("\u061c\u200b\u200e\u200f\u2028\u2029\u2060\ufeff") | {
    chr(code) for code in (*range(0x202A, 0x202F), *range(0x2066, 0x206A), *range(0xE0000, 0xE0080))
}


def safe(text: object) -> str:
    """`text` on one line, with control characters and direction marks spelled out, so that it can forge nothing."""
    return "".join(_spelled(char) if _harmful(char) else char for char in str(text))


def _harmful(char: str) -> bool:
    return char in _HIDDEN or unicodedata.category(char) in ("Cc", "Cs", "Co")


def _spelled(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")


def width(text: str) -> int:
    """How many columns `text` takes."""
    return sum(
        0 if unicodedata.combining(char) or char == "\u200d" else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def clip(text: str, columns: int) -> str:
    """`text` in at most so many columns."""
    if width(text) <= columns:
        return text
    kept = ""
    for char in text:
        if width(kept + char) > columns - 1:
            break
        kept += char
    return f"{kept}…"


def table(head: Sequence[str], rows: Sequence[Sequence[object]], widest: int = 48) -> str:
    """Aligned columns, two blanks between, no lines."""
    cells = [[clip(safe(cell), widest) for cell in row] for row in (head, *rows)]
    widths = [max(width(row[column]) for row in cells) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell + " " * (widths[column] - width(cell)) for column, cell in enumerate(row)).rstrip()
        for row in cells
    )


def ago(text: str | None, now: datetime | None = None) -> str:
    """How long ago a moment of the API was, roughly; of what is still to come, to the nearest."""
    if not text:
        return ""
    seconds = int(((now or datetime.now(UTC)) - datetime.fromisoformat(text)).total_seconds())
    ahead, seconds = seconds < 0, abs(seconds)
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"in {(seconds + size // 2) // size} {unit}" if ahead else f"{seconds // size} {unit} ago"
    return "now"


def number(value: float | None) -> str:
    """A measured number as people read it."""
    return "–" if value is None else f"{value:.6g}"


def promotion_line(found: Json) -> str:
    """`P-12: fraud-detector 7 → production is awaiting approval.`"""
    state = str(found["state"]).replace("_", " ")
    return safe(f"{found['id']}: {found['model']} {found['version']} → {found['stage']} is {state}.")


def promotion(found: Json) -> str:
    """A promotion, whole, as `baton show` prints it."""
    lines = [promotion_line(found)]
    if found["kind"] == "rollback":
        lines.append("A rollback.")
    lines.append(f"Asked for by {safe(found['requester']['name'])}, {ago(found['created_at'])}.")
    if found["reason"]:
        lines.append(f"Reason: {safe(found['reason'])}")
    if found["end_reason"]:
        lines.append(f"Ended {ago(found['ended_at'])}: {safe(found['end_reason'])}")
    elif found["expires_at"]:
        lines.append(f"Expires {ago(found['expires_at'])}.")
    if found["approvals"]:
        lines.append(safe(found["approvals"]["sentence"]))
    if found["gates"]:
        lines += ["", gates(found)]
    if found.get("members"):
        lines += ["", members(found)]
    if found["decisions"]:
        given = [(each["name"], each["kind"], ago(each["at"]), each["reason"]) for each in found["decisions"]]
        lines += ["", table(("WHO", "DECISION", "WHEN", "REASON"), given)]
    if found["deployments"]:
        rows = [
            (each["id"], each["action"], each["target"] or "none", each["state"], each["message"])
            for each in found["deployments"]
        ]
        lines += ["", table(("DEPLOYMENT", "ACTION", "TARGET", "STATE", "MESSAGE"), rows)]
    return "\n".join(lines)


def members(found: Json) -> str:
    """The members of a bundle, in the order of their deployment."""
    rows = [
        (each["model"], each["champion"] or "nobody", "unchanged" if each["unchanged"] else each["version"])
        for each in found["members"]
    ]
    return table(("MEMBER", "NOW", "CANDIDATE"), rows)


def gates(found: Json) -> str:
    """The gates of a promotion, candidate beside champion."""
    rows = [
        (
            each["gate"],
            number(each["candidate"]),
            number(each["champion"]),
            each["outcome"] + (" (advisory)" if each["advisory"] else ""),
        )
        for each in found["gates"]
    ]
    return table(("GATE", "CANDIDATE", "CHAMPION", "OUTCOME"), rows)


def promotions(found: Sequence[Json]) -> str:
    """A list of promotions."""
    rows = [
        (
            each["id"],
            each["model"],
            each["version"],
            each["stage"],
            each["state"].replace("_", " "),
            each["requester"]["name"],
            ago(each["created_at"]),
        )
        for each in found
    ]
    return table(("ID", "MODEL", "VERSION", "STAGE", "STATE", "ASKED BY", "WHEN"), rows)


def judged(found: Judged) -> str:
    """`P-12 fraud-detector 7 → production: was deployed 2026-11-20; would have gone ahead.`"""
    title = f"{found.promotion} {found.model} {found.version} → {found.stage}"
    return safe(f"{title}: {found.happened}; {found.would}")


def differing(different: int, count: int) -> str:
    """How many of the past promotions a changed policy would have decided otherwise."""
    return f"{different:,} of {'1 promotion' if count == 1 else f'{count:,} promotions'} would differ."


def outcomes(told: Sequence[Judged], count: int) -> str:
    """The same as JSON, with those that differ and those that no policy judges."""
    listed = {
        "judged": count,
        "differ": [asdict(each) for each in told if each.differs],
        "unjudged": [asdict(each) for each in told if each.unjudged],
    }
    return json.dumps(listed, indent=2)


def measured(model: str, version: str, answer: Json) -> str:
    """What was said of a version once more."""
    count = len(answer["metrics"])
    what = "1 measurement" if count == 1 else f"{count:,} measurements"
    return safe(f"{what} of {model} {version} kept; what the version was registered with stays as it is.")


def blockers(found: Sequence[Json]) -> str:
    """What stands in the way, and what would clear it."""
    lines = []
    for each in found:
        lines.append(f"{'✗' if each['blocking'] else '✓'} {safe(each['sentence'])}")
        if each["blocking"] and each["clears"]:
            lines.append(f"    {safe(each['clears'])}")
    return "\n".join(lines)


def champions(about: Json) -> str:
    """What serves each stage of a model."""
    if not about["champions"]:
        return f"{safe(about['name'])} has no champion in any stage yet; its newest version is {safe(about['newest'])}."
    rows = [(stage, each["version"], ago(each["since"])) for stage, each in about["champions"].items()]
    return f"{safe(about['name'])}, newest version {safe(about['newest'])}\n\n" + table(
        ("STAGE", "CHAMPION", "SINCE"), rows
    )


def served(found: Sequence[Json]) -> str:
    """Who served each stage at a moment, and by whose word."""
    return "\n\n".join("\n".join(_reign(each)) for each in found)


def _reign(found: Json) -> list[str]:
    until = f"until {found['until']}" if found["until"] else "to this day"
    rollback = "a rollback " if found["kind"] == "rollback" else ""
    lines = [
        safe(f"{found['stage']}: {found['model']} {found['version']}, from {found['since']} {until}."),
        safe(f"  By {found['promotion']}, {rollback}asked for by {found['requested_by']['name']}."),
        safe(f"  {_word(found)}"),
    ]
    if found["override"]:
        lines.append(safe(f"  Glass broken by {found['override']['name']}: {found['override']['reason']}"))
    if found["ended_by"]:
        lines.append(f"  Replaced by {found['ended_by']}.")
    return [*lines, safe(f"  Artifact {found['digest'] or 'without a digest'}.")]


def _word(found: Json) -> str:
    if not found["approved_by"]:
        return "Nobody had approved." if found["override"] else "Nobody had to approve."
    named = (
        each["name"] + (f" for {each['for']['name']}" if each["for"] else "") + f" ({', '.join(each['groups'])})"
        for each in found["approved_by"]
    )
    return f"Approved by {', '.join(named)}."


def sent(answer: Json) -> str:
    """Where a digest was posted."""
    channels = ", ".join(safe(each) for each in answer["sent_to"])
    return f"Posted to {channels}." if channels else "Every channel has had today's digest already."


def digest(found: Json) -> str:
    """Every channel's digest, as plain text."""
    if not found["channels"]:
        return "The policy names no channel, so there is no digest."
    return "\n\n".join(
        "\n".join([safe(each["channel"]), *(f"  {safe(line)}" for line in str(each["text"]).splitlines())])
        for each in found["channels"]
    )
