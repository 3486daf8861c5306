"""What the HTTP side needs of the rest; `bot.wiring` builds it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from bot.http.metrics import Metrics
from core.bundles import Bundles
from core.domain.model import Actor, Blocker
from core.domain.views import PromotionView
from core.policy.alerting import Alert
from core.policy.schema import Policy
from core.ports import Clock
from core.store.database import Database
from core.targets.standard_webhooks import Secret
from core.tokens import Tokens

#: Slack's requests, handled elsewhere: (method, headers, body) -> (status, headers, body).
SlackEvents = Callable[[str, Mapping[str, str], bytes], tuple[int, Mapping[str, str], bytes]]


class Asking(Protocol):
    """Promotions, as far as the API goes."""

    def request(self, actor: Actor, model: str, version: str, stage: str, reason: str = "") -> PromotionView: ...  # noqa: D102
    def cancel(self, actor: Actor, promotion_id: int, reason: str = "") -> PromotionView: ...  # noqa: D102
    def why(self, model: str, version: str, stage: str) -> list[Blocker]: ...  # noqa: D102


class Undoing(Protocol):
    """Rollbacks, as far as the API goes."""

    def request(  # noqa: D102
        self, actor: Actor, model: str, stage: str | None, to_version: str | None, reason: str
    ) -> PromotionView: ...


class Hearing(Protocol):
    """Alerts, as far as their webhook goes."""

    def heard(self, source: str, alerts: Sequence[Alert], now: datetime) -> int: ...  # noqa: D102


class HearingRegistries(Protocol):
    """Other registries, as far as their webhooks go."""

    def secret(self, name: str) -> str: ...  # noqa: D102
    def hear(self, name: str, delivery: str, model: str) -> bool: ...  # noqa: D102


class Services(Protocol):
    """The parts that the HTTP side calls; read-only to it."""

    @property
    def policy(self) -> Policy: ...  # noqa: D102
    @property
    def database(self) -> Database: ...  # noqa: D102
    @property
    def clock(self) -> Clock: ...  # noqa: D102
    @property
    def promotions(self) -> Asking: ...  # noqa: D102
    @property
    def rollbacks(self) -> Undoing: ...  # noqa: D102
    @property
    def bundles(self) -> Bundles: ...  # noqa: D102
    @property
    def deployments(self) -> Any: ...  # noqa: D102
    @property
    def alerts(self) -> Hearing: ...  # noqa: D102
    @property
    def registries(self) -> HearingRegistries: ...  # noqa: D102
    @property
    def tokens(self) -> Tokens: ...  # noqa: D102
    @property
    def metrics(self) -> Metrics: ...  # noqa: D102
    def alert_secret(self, name: str) -> str: ...  # noqa: D102
    def slack_ready(self) -> str: ...  # noqa: D102
    def digest(self) -> dict[str, Any]: ...  # noqa: D102
    def send_digest(self) -> list[str]: ...  # noqa: D102
    def target_secrets(self, name: str) -> tuple[Secret, ...]: ...  # noqa: D102
