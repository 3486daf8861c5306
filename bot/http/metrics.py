"""What Prometheus reads. What the database knows is counted there, so that restarts and replicas change no number."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from core.domain.model import DecisionKind, Kind, State
from core.ports import Clock
from core.store.database import Database
from core.store.health import AWAY, Figures, figures

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """One registry for each process, built in wiring; nothing global."""

    def __init__(self, database: Database, clock: Clock) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call] # they double every series and nobody asks for them
        self.registry = CollectorRegistry()
        self.registry.register(_FromDatabase(database, clock))
        self.slack_errors = Counter(
            "baton_slack_errors",
            "Errors that Slack's Web API answered.",
            ["method", "error"],
            registry=self.registry,
        )
        self.hook_seconds = Histogram(
            "baton_hook_seconds",
            "How long deployment hooks took to answer.",
            ["target", "outcome"],
            buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30),
            registry=self.registry,
        )
        self.http_requests = Counter(
            "baton_http_requests", "HTTP requests answered.", ["method", "route", "status"], registry=self.registry
        )

    def slack_error(self, method: str, error: str) -> None:
        """Slack answered a call with an error."""
        self.slack_errors.labels(method, error).inc()

    def hook(self, target: str, outcome: str, seconds: float) -> None:
        """A deploy target answered a hook, or did not."""
        self.hook_seconds.labels(target, outcome).observe(seconds)

    def http_request(self, method: str, route: str, status: int) -> None:
        """An HTTP request was answered. `route` is a template, never an address."""
        self.http_requests.labels(method, route, str(status)).inc()

    def text(self) -> bytes:
        """Everything, in Prometheus's text format."""
        return generate_latest(self.registry)


class _FromDatabase(Collector):
    """Asks the database at each scrape. When it is away, `baton_database_up` is 0 and the rest is left out."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def describe(self) -> Iterator[Metric]:
        """Nothing ahead of time: registering must not need the database."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Count now."""
        try:
            found = figures(self._database, self._clock())
        except AWAY:
            yield GaugeMetricFamily("baton_database_up", "1 when the database answers.", 0)
            return
        yield GaugeMetricFamily("baton_database_up", "1 when the database answers.", 1)
        yield from _families(found)


def _families(found: Figures) -> Iterator[Metric]:
    requests = CounterMetricFamily("baton_requests", "Promotions and rollbacks asked for.", labels=["kind"])
    for kind in Kind:
        requests.add_metric([kind.value], found.requests.get(kind.value, 0))
    decisions = CounterMetricFamily("baton_decisions", "Approvals and rejections given.", labels=["kind"])
    for decision in DecisionKind:
        decisions.add_metric([decision.value], found.decisions.get(decision.value, 0))
    promotions = GaugeMetricFamily("baton_promotions", "Promotions by the state they are in.", labels=["state"])
    for state in State:
        promotions.add_metric([state.value], found.promotions.get(state.value, 0))
    yield requests
    yield decisions
    yield promotions
    yield GaugeMetricFamily(
        "baton_message_queue_depth", "Slack messages that wait to be written.", found.stale_messages
    )
    yield GaugeMetricFamily(
        "baton_message_oldest_seconds", "How long the oldest of them has waited.", found.oldest_message
    )
    yield GaugeMetricFamily(
        "baton_deployment_queue_depth", "Acts that no deploy target was asked for yet.", found.pending_deployments
    )
    yield GaugeMetricFamily(
        "baton_deployment_oldest_seconds", "How long the oldest of them has waited.", found.oldest_deployment
    )
