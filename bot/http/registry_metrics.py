"""Other registries in Prometheus's words; counted in the database, so every process tells the same."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from core.store import drifts, registries
from core.store.database import Database
from core.store.health import AWAY


class RegistryCollector(Collector):
    """Asks the database at each scrape; says nothing where it is away or there is no registry."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def describe(self) -> Iterator[Metric]:
        """Nothing ahead of time: registering must not need the database."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Count now."""
        try:
            with self._database.read() as session:
                found, moved = registries.figures(session), drifts.open_count(session)
        except AWAY:
            return
        if found:
            yield from _families(found)
            yield GaugeMetricFamily("baton_registry_drifts", "What was moved past Baton and is not settled.", moved)


def _families(found: list[registries.RegistryFigures]) -> Iterator[Metric]:
    up = GaugeMetricFamily("baton_registry_up", "1 when the registry answered last.", labels=["registry"])
    polled = GaugeMetricFamily(
        "baton_registry_polled_timestamp_seconds", "When the registry answered last.", labels=["registry"]
    )
    waiting = GaugeMetricFamily(
        "baton_registry_versions_waiting", "Versions that were seen and are not registered yet.", labels=["registry"]
    )
    pending = GaugeMetricFamily(
        "baton_registry_write_backs_pending", "Decisions that the registry was not told yet.", labels=["registry"]
    )
    trouble = GaugeMetricFamily(
        "baton_registry_trouble",
        "1, with the sentence, while the registry does not answer.",
        labels=["registry", "said"],
    )
    for each in found:
        up.add_metric([each.name], 0 if each.trouble else 1)
        polled.add_metric([each.name], each.polled_at.timestamp() if each.polled_at else 0)
        waiting.add_metric([each.name], each.waiting)
        pending.add_metric([each.name], each.pending)
        if each.trouble:
            trouble.add_metric([each.name, each.trouble], 1)
    yield from (up, polled, waiting, pending, trouble)
