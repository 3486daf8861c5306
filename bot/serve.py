"""`baton serve`: the bot, the HTTP side and the workers in one process."""

from __future__ import annotations

import functools
import gc
import logging
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from bot.http.app import build_http
from bot.http.server import HttpServer
from bot.settings import Settings
from bot.slack.app import dispatch
from bot.wiring import Services, build, utc_now
from core import reminders
from core.policy.load import load
from core.policy.schema import Policy
from core.ports import Clock
from core.store import idempotency, migrate
from core.store.database import Database
from core.store.health import AWAY

log = logging.getLogger(__name__)

#: Python lets a busy thread run on for 5 ms whenever another one comes back from the database, a dozen times a click.
SWITCH_SECONDS = 0.001
#: A job that comes late on a busy machine is run late, once; APScheduler would leave it out after a second.
JOBS = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
#: More than there are jobs, so that no number of registries that hang keeps rollouts and alerts waiting; begun as needed.
THREADS = 64


class CannotStart(Exception):
    """Baton cannot start; one sentence says why and what would help."""


class Server:
    """All that `serve` runs, with a start and a stop; the demo and the tests use it too."""

    def __init__(self, settings: Settings, clock: Clock = utc_now) -> None:
        self.settings = settings
        self.database = Database(settings.database_url.get_secret_value())
        self.services: Services = build(settings, read_policy(settings.config), self.database, clock)
        app = self.services.app
        events = functools.partial(dispatch, app) if not settings.socket_mode else None
        self.http = HttpServer(build_http(self.services, events), settings.host, settings.port)
        self.scheduler = BackgroundScheduler(
            timezone="UTC", job_defaults=JOBS, executors={"default": ThreadPoolExecutor(THREADS)}
        )

    def start(self) -> None:
        """Refuse a database that is behind, then start everything; returns once requests are answered."""
        self._refuse_old_database()
        self.http.bind()  # before anything else: two on one address would both answer Slack
        services = self.services
        services.engine.launch(services.deployments.run)
        services.messages.start()
        services.messages.pictures.start()
        services.connection.start()
        threading.Thread(target=services.directory.warm, name="directory", daemon=True).start()
        self._schedule()
        self.http.start()

    def stop(self) -> None:
        """No new clicks, then no new work, then what is in the middle of a step, then the connections."""
        self.services.connection.stop()
        self.http.stop()
        if self.scheduler.running:
            self.scheduler.shutdown(wait=True)
        self.services.rollouts.close()
        self.services.engine.stop()
        self.services.messages.pictures.stop()
        self.services.messages.stop()
        self.services.stop_answering()
        for target in self.services.targets.values():
            target.close()
        for source in self.services.sources.values():
            source.close()
        for feature_store in self.services.features.stores.values():
            feature_store.close()
        self.services.registries.close()
        self.database.dispose()

    def _refuse_old_database(self) -> None:
        before = migrate.current(self.database.engine)
        if migrate.newer(self.database.engine):
            raise CannotStart(
                "The database was migrated by a later release of Baton; run that one, or restore a backup."
            )
        if before != migrate.wanted() or not self.services.engine.is_current():
            state = "is empty" if before is None else "is behind this release"
            raise CannotStart(f"The database {state}; run `baton migrate` first.")

    def _schedule(self) -> None:
        services, now = self.services, self.services.clock
        self._every(2, "messages", services.messages.sweep)
        self._every(2, "pictures", services.messages.pictures.sweep)
        self._every(10, "expiry", lambda: services.promotions.expire_due(now()))
        self._every(2, "alerts", lambda: services.alerts.act(now()))
        self._every(1, "rollouts", lambda: services.rollouts.tick(now()))
        self._every(30, "reviews", lambda: services.desk.certifying.tick(now()))
        self._every(10, "retraining", lambda: services.retraining.tick(now()))
        if services.features.stores:
            self._every(2, "features", lambda: services.features.tick(now()))
        self._every(10, "delegations", lambda: services.desk.delegating.end_due(now()))
        self._every(30, "reminders", lambda: reminders.remind(services.promotions, now()))
        self._every(5, "waiting", services.promotions.start_waiting)
        self._every(60, "rejudge", services.promotions.judge_waiting)
        self._every(20, "digest", lambda: services.boards.due(now()))
        self._every(4, "cards", services.messages.lookout.look)
        self._every(5, "slack", services.connection.check)
        self._every(60, "stuck", lambda: services.deployments.recover_stuck(now()))
        self._every(120, "directory", services.directory.warm)
        self._every(86_400, "prune", lambda: services.engine.prune(now()))
        self._every(3_600, "idempotency", lambda: idempotency.prune(self.database, now()))
        for seconds, name, sweep in services.registries.jobs():
            self._every(seconds, name, sweep)
        self.scheduler.start()

    def _every(self, seconds: int, name: str, act: Callable[[], Any]) -> None:
        self.scheduler.add_job(_logged, "interval", args=(name, act), seconds=seconds, id=name)


def _logged(name: str, act: Callable[[], Any]) -> None:
    try:
        act()
    except AWAY as error:  # once a second and job while it lasts: a line each is enough
        said = str(getattr(error, "orig", None) or type(error).__name__).partition("\n")[0]
        log.warning("the %s job waits for the database (%s)", name, said)
    except Exception:  # the outermost loop of a clock: the next tick tries again
        log.exception("the %s job failed; it is tried again at its next tick", name)


def read_policy(path: Path) -> Policy:
    """The policy file. Raises `CannotStart` when it is not there, `PolicyError` with findings."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise CannotStart(f"There is no policy file {path}; `baton init` writes one, or set BATON_CONFIG.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise CannotStart(
            f"The policy file {path} cannot be read ({type(error).__name__}); mend it, or set BATON_CONFIG."
        ) from None
    return load(text, path.name)


def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT. Raises `CannotStart`, `PolicyError` or `SettingsError` before anything runs."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    sys.setswitchinterval(SWITCH_SECONDS)
    server = Server(settings)
    server.start()
    mode = "Socket Mode" if settings.socket_mode else f"HTTP at {settings.public_url}/slack/events"
    gc.freeze()  # what is there by now stays, so no click waits for it to be looked through
    log.info("Baton is ready on %s; Slack by %s", server.http.url, mode)
    stopping.wait()
    log.info("Stopping")
    server.stop()
