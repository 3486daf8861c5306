"""Which registry a model belongs to, by the policy."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from core.policy.schema import Policy, WriteBackMode

#: How many models' answers are kept in memory; a poll asks for each of them.
KEPT = 50_000


def registry_of(policy: Policy, model: str) -> str | None:
    """The registry whose versions of `model` are taken over: the one that the model's entry names.

    Where no entry of `models` names any, the only registry has all models.
    """
    named = any(override.registry for override in policy.models.values())
    if not named:
        return next(iter(policy.registries)) if len(policy.registries) == 1 else None
    return policy.override(model).registry


def remembered(policy: Policy) -> Callable[[str], str | None]:
    """`registry_of` for one policy, which asks each model once."""
    return lru_cache(KEPT)(lambda model: registry_of(policy, model))


def modes(policy: Policy) -> Callable[[str], WriteBackMode | None]:
    """How decisions about a model are written back, by one policy, which asks each model once."""
    return lru_cache(KEPT)(lambda model: policy.override(model).write_back)
