"""The registries of the policy, put together: adapters, sweeps, what their webhooks prove themselves with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from bot.http.metrics import Metrics
from bot.http.registry_metrics import RegistryCollector
from bot.settings import Settings, SettingsError
from bot.slack.blocks.card import Message
from bot.slack.blocks.drift import drift as drift_message
from bot.slack.blocks.drift import notice_to_owner
from core.drifting import Drifts
from core.policy.connections import MLflow, SageMaker
from core.policy.schema import Policy
from core.promotions import Promotions
from core.registration import Registration
from core.registries.mlflow import MLflowRegistry, connect
from core.registries.sagemaker import SageMakerRegistry
from core.store.writing import Claim
from core.syncing import Registries

#: How often it is looked whether anything about a registry is due.
SWEEP_SECONDS = 2


class RegistryRoom:
    """Everything about other registries that the process holds; empty where the policy names none."""

    def __init__(
        self, settings: Settings, promotions: Promotions, registration: Registration, metrics: Metrics
    ) -> None:
        self._settings = settings
        self._policy = promotions.policy
        self._adapters = build_registries(settings, promotions.policy)
        self._use = Registries(promotions, registration, dict(self._adapters), settings.public_url)
        metrics.registry.register(RegistryCollector(promotions.database))

    def secret(self, name: str) -> str:
        """What a registry's webhooks are signed with; "" where it sends none, or there is no such registry."""
        found = self._policy.registries.get(name)
        variable = found.webhook_secret_env if isinstance(found, MLflow) else None
        return (self._settings.secret(variable) or "") if variable else ""

    def hear(self, name: str, delivery: str, model: str) -> bool:
        """A genuine webhook hints at a model; False where that is no news."""
        return self._use.hear(name, delivery, model)

    def jobs(self) -> Iterator[tuple[int, str, Callable[[], object]]]:
        """(seconds, name, sweep) for each registry: a slow one keeps no other waiting."""
        for name in self._adapters:
            yield SWEEP_SECONDS, f"registry-{name}", partial(self._use.sweep, name)

    def close(self) -> None:
        """Let go of the connections."""
        for adapter in self._adapters.values():
            adapter.close()


def build_registries(settings: Settings, policy: Policy) -> dict[str, MLflowRegistry | SageMakerRegistry]:
    """The policy's registries. Raises `SettingsError` naming every secret that is missing or unusable."""
    adapters: dict[str, MLflowRegistry | SageMakerRegistry] = {}
    problems = []
    for name, registry in policy.registries.items():
        if isinstance(registry, SageMaker):
            adapters[name] = SageMakerRegistry(name, registry)
            continue
        try:
            adapters[name] = connect(name, registry, settings.secret)
        except ValueError as error:
            problems.append(str(error))
        variable = registry.webhook_secret_env
        if variable and not settings.secret(variable):
            problems.append(
                f"{variable} is not set; the webhooks of the registry {name} cannot be believed without it."
            )
    if problems:
        raise SettingsError(problems)
    return adapters


def renderers(promotions: Promotions) -> dict[str, Callable[[Claim], Message]]:
    """How the messages about registries are drawn."""
    drifts = Drifts(promotions)
    return {
        "drift": lambda claimed: drift_message(drifts.show(claimed.body["drift"])),
        "registry": lambda claimed: notice_to_owner(claimed.body),
    }
