"""(f) App Home, and the digest of 100 channels, with 10, 1,000 and 10,000 promotions pending."""

from __future__ import annotations

import json
import time
from collections import Counter
from statistics import median
from typing import Any

from bench.clicking import wait_until
from bench.databases import Databases
from bench.part_e import Office
from bench.pending import BOB, CHANNELS, POLICY, fill, waits_on_bob
from bench.report import heading, line, p, verdict
from bot.local_slack.cast import ChannelSeed

HOME_MS, DIGEST_SECONDS = 500.0, 10.0


def run(places: Databases, quick: bool) -> None:
    heading(f"(f) Home, and the digest of {CHANNELS} channels")
    rooms = [ChannelSeed(f"C1BENCH{n}", f"bench-{n}", members=(BOB,)) for n in range(CHANNELS)]
    for kind in places.kinds:
        for count in (10, 1_000) if quick else (10, 1_000, 10_000):
            url = places.new(kind)
            fill(url, count)
            with Office(url, places.folder, "http", POLICY, rooms) as office:
                line(f"{kind}, {count:,} pending")
                home(office, count, 5 if quick else 20)
                digest(office, min(count, CHANNELS))


def home(office: Office, count: int, times: int) -> None:
    """From Bob's opening the tab until Slack has what to show there."""
    took = []
    for _ in range(times + 2):
        since, began = time.time(), time.perf_counter()
        office.bob.open_home()
        wait_until(lambda since=since: calls(office, since, "views.publish"), 30, "Home")  # type: ignore[misc]
        took.append((time.perf_counter() - began) * 1000)
    took = took[2:]  # the first ones ask Slack who is who
    asked = calls(office, since)
    drawn = asked[-1]["args"]["view"]
    title = next(each for each in drawn["blocks"] if each["type"] == "header")["text"]["text"]
    assert title == f"Waiting on you ({sum(map(waits_on_bob, range(count))):,})", title
    verdict("Home, from opening to drawn, median", median(took), HOME_MS, "ms")
    size = f"{len(drawn['blocks'])} blocks, {len(json.dumps(drawn)) / 1000:.0f} kB"
    line(f"    p95 {p(took, 95):.0f} ms; Slack calls: {dict(Counter(each['method'] for each in asked))}; {size}")


def digest(office: Office, channels: int) -> None:
    """From wanting it until every channel has it; wanting it once more sends nothing."""
    since, began = time.time(), time.perf_counter()
    sent = office.api("digest")["sent_to"]
    wanted = time.perf_counter() - began
    wait_until(lambda: len(calls(office, since, "chat.postMessage")) >= channels, 60, "the digests")
    took = time.perf_counter() - began
    assert len(sent) == channels, sent
    assert office.api("digest")["sent_to"] == []
    posts = [each["args"] for each in calls(office, since, "chat.postMessage")]
    most = max(Counter(each["channel"] for each in posts).values())
    verdict(f"digest, until all of {channels} channels have it", took, DIGEST_SECONDS, "s")
    verdict("digest, messages in the channel that gets most", most, 1, "")
    longest = max(len(json.dumps(each["blocks"])) for each in posts)
    line(f"    wanted within {wanted * 1000:.0f} ms; {len(posts)} Slack calls; {longest / 1000:.1f} kB at most")


def calls(office: Office, since: float, method: str = "") -> list[dict[str, Any]]:
    """What Baton asked of Slack since then, but for whether it is there."""
    return [
        each
        for each in list(office.slack.web.calls.entries)
        if each["at"] >= since and each["method"] in (method or each["method"],) and each["method"] != "auth.test"
    ]
