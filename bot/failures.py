"""What went wrong, for a terminal: an exit code and sentences."""

from __future__ import annotations

import logging

from bot.client import Declined, Unreachable
from bot.settings import SettingsError
from bot.terminal import safe
from core.domain.errors import BadInput, Refused, Unavailable

REFUSED, USAGE, UNREACHABLE, INTERNAL = 1, 2, 3, 70
log = logging.getLogger(__name__)


def explain(error: Exception) -> tuple[int, *tuple[str, ...]] | None:
    """(exit code, sentences…), or None for what the command line's library handles itself."""
    if _is_clicks_own(error):
        return None
    if isinstance(error, SettingsError):
        return (USAGE, *(safe(problem) for problem in error.problems))
    if isinstance(error, Declined):
        return REFUSED, safe(error)
    if isinstance(error, Unreachable | Unavailable):
        return UNREACHABLE, safe(error)
    if isinstance(error, BadInput):
        return USAGE, safe(error)
    if isinstance(error, Refused):
        return REFUSED, safe(error)
    return _unusual(error)


def _is_clicks_own(error: Exception) -> bool:
    """Usage errors, exits, and a reader that went away."""
    module = type(error).__module__
    return module.startswith(("typer", "click")) or isinstance(error, BrokenPipeError)


def _unusual(error: Exception) -> tuple[int, *tuple[str, ...]]:
    from core.store.health import AWAY

    if isinstance(error, AWAY):
        return UNREACHABLE, "The database does not answer; is BATON_DATABASE_URL right, and is the server running?"
    # Told apart by name: importing where they are made takes longer than most commands.
    if type(error).__name__ in ("AddressTaken", "CannotStart"):
        return REFUSED, safe(error)
    if type(error).__name__ == "PolicyError":
        return (REFUSED, *(safe(line) for line in str(error).splitlines()))
    log.debug("unforeseen", exc_info=error)
    from bot.logs import Redactor

    said = Redactor()(f"{type(error).__name__}: {error}")
    return INTERNAL, f"Something unforeseen happened ({safe(said)[:300]}). Please report it."
