"""(g) What an auditor asks for, in a database with a million audit events: who served when, and an evidence file."""

from __future__ import annotations

import http.client
import json
import random
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from statistics import median
from urllib.parse import quote, urlencode

from sqlalchemy import text

from bench.clicking import APPROVERS, CHANNEL, signed
from bench.databases import Databases, careless
from bench.filling import MODELS, fill
from bench.report import heading, line, p, verdict
from bench.world import World, now
from core.domain.model import Actor, Measurement
from core.engine import Engine
from core.registration import Registration
from core.store import audit, registry
from core.store import promotions as store
from core.tokens import Tokens

GOAL = 50.0
CI = Actor("token", "ci", "ci")
BASE = datetime(2020, 1, 1, tzinfo=UTC)
#: The n-th champion ever took over in the n-th minute.
MINUTE = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', '2020-01-01', ({}) || ' minutes') || '000'",
    "postgresql": "TIMESTAMPTZ '2020-01-01 00:00+00' + ({}) * INTERVAL '1 minute'",
}


def run(places: Databases, quick: bool) -> None:
    promotions, times = (2_000, 50) if quick else (200_000, 1_000)
    heading(f"(g) who served when, and evidence files, with {5 * promotions:,} audit events")
    for kind in places.kinds:
        url = places.new(kind)
        began = time.monotonic()
        fill(url, promotions, promotions)
        reign(url, promotions)
        line(f"{kind}: filled within {time.monotonic() - began:.0f} s")
        world = World(url, places.folder, ["small"], quorum=2)
        large = asked(world)
        with world:
            office = Office(world, promotions)
            verdict_of(f"{kind}: GET …/stages/production?at=", office.many(office.stage, times))
            verdict_of(f"{kind}: GET /champions?at= (50 of {MODELS:,})", office.many(office.champions, times // 4))
            verdict_of(f"{kind}: /promote at MODEL TIME, in Slack", office.many(office.command, times // 4))
            for name, number in (("small", world.numbers[0]), ("200 events, 200 metrics", large), ("the oldest", 1)):
                office.evidence(name, number)


def reign(url: str, promotions: int) -> None:
    """Each champion serves until the next one of its model takes over, instead of for no time at all."""
    database = careless(url)
    since, until = (MINUTE[database.dialect].format(each) for each in ("id", f"id + {MODELS}"))
    with database.engine.begin() as connection:
        last = f"CASE WHEN id <= {promotions - MODELS} THEN {until} END"
        connection.execute(text(f"UPDATE champions SET since = {since}, until = {last}"))
        if database.dialect == "postgresql":
            connection.execute(text("ANALYZE champions"))
    database.dispose()


def asked(world: World) -> int:
    """A promotion of a version with 200 metrics to which 200 things have happened."""
    database = careless(world.url)
    engine = Engine(database)
    with database.read() as session:
        version = registry.version(session, "small", "new")
    metrics = tuple(Measurement(f"metric_{n}", n / 200, samples=1000) for n in range(199))
    large = replace(version, model="large", measurements=(*version.measurements, *metrics))
    Registration(database, now).register(CI, large)
    use = world.decisions(database, engine).promotions
    view = use.request(CI, "large", "new", "production", "bench")
    with database.change() as session:
        subject = audit.Subject.of(store.row(session, view.id))
        for n in range(198):
            audit.append(session, now(), CI, "noted", subject, {"reason": f"something that happened, number {n}"})
    engine.stop()
    database.dispose()
    return view.id


class Office:
    """An auditor with a token, and with a person's account in Slack."""

    def __init__(self, world: World, promotions: int) -> None:
        database = careless(world.url)
        self.token = Tokens(database, now).create(CI, "auditor", ["read"])[1]
        database.dispose()
        self.connection = http.client.HTTPConnection("127.0.0.1", world.port, timeout=60)
        self.chance = random.Random(7)
        self.last = promotions

    def many(self, ask: Callable[[], None], times: int) -> list[float]:
        for _ in range(5):
            ask()
        took = []
        for _ in range(times):
            began = time.perf_counter()
            ask()
            took.append(time.perf_counter() - began)
        return took

    def moment(self) -> str:
        return (BASE + timedelta(minutes=self.chance.uniform(MODELS + 1, self.last))).isoformat()

    def model(self) -> str:
        return f"model-{self.chance.randrange(MODELS)}"

    def stage(self) -> None:
        found = json.loads(self.get(f"/models/{self.model()}/stages/production?at={quote(self.moment())}"))
        assert found["version"]
        assert len(found["approved_by"]) == 2

    def champions(self) -> None:
        assert len(json.loads(self.get(f"/champions?at={quote(self.moment())}"))["items"]) == 50

    def command(self) -> None:
        body = urlencode(
            {
                "command": "/promote", "text": f"at {self.model()} {self.moment()} production", "user_id": APPROVERS[0],
                "user_name": "auditor", "channel_id": CHANNEL, "team_id": "T0LOCAL", "trigger_id": "1.1.bench",
                "response_url": "http://127.0.0.1:9/nobody", "api_app_id": "A0BATON",
            }
        ).encode()  # fmt: skip
        self.connection.request("POST", "/slack/events", body, signed(body))
        said = self.connection.getresponse().read().decode()
        assert "production: v" in said, said[:300]

    def evidence(self, name: str, number: int) -> None:
        for ending in ("html", "json"):
            took, size = [], 0
            for _ in range(5):
                began = time.perf_counter()
                size = len(self.get(f"/promotions/P-{number}/evidence?format={ending}"))
                took.append(time.perf_counter() - began)
            line(f"evidence file, {name}: {ending} {size / 1000:6.1f} kB, median {median(took) * 1000:7.1f} ms")

    def get(self, path: str) -> bytes:
        self.connection.request("GET", f"/api/v1{path}", headers={"Authorization": f"Bearer {self.token}"})
        answer = self.connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body[:300]
        return body


def verdict_of(what: str, took: list[float]) -> None:
    best, half, most = (each * 1000 for each in (min(took), p(took, 50), p(took, 99)))
    line(f"{what}: best {best:.1f} ms, p50 {half:.1f} ms, p99 {most:.1f} ms, of {len(took)}")
    verdict("p99", most, GOAL, "ms")
