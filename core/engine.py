"""The durable engine: DBOS, wired to the registry's own database. Nothing else in Baton knows of DBOS.

What it promises: a workflow enqueued in a transaction exists if and only if the transaction commits; its finished steps
are never run again; one that was under way when its process died is taken over by another process. What it does not:
a step that was under way is run once more, so every step here may be run twice.
"""

from __future__ import annotations

import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

from sqlalchemy import event
from sqlalchemy.engine import URL
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from core.pace import Pacer, slow_down_jobs, take_charge
from core.processes import Processes
from core.store.database import Database, build_engine
from core.store.turns import step_back

log = logging.getLogger(__name__)
T = TypeVar("T")

APPLICATION = "baton"
#: Pinned: work under way is carried on by every later release. A workflow changes only as `deploy.v2` beside it.
VERSION = "1"
QUEUE = "deploys"
WORKFLOW = "deploy.v1"
TOPIC = "wake"
#: Seconds between two looks at the queue while nobody nudges it: what another process enqueued waits so long.
POLL = 1.4
#: Seconds between two looks for a wake-up on SQLite, while a workflow waits for one; PostgreSQL says so itself.
LISTEN = 0.25
KEPT = timedelta(days=30)
#: DBOS reads the dialect from a URL even where it is given an engine, and connects to nothing by it.
PLACEHOLDERS = {"sqlite": "sqlite:///registry", "postgresql": "postgresql://no:body@nowhere/registry"}


class Durable(Protocol):
    """What a workflow may do. Anything else (clock, database, chance) belongs inside a step."""

    def step(self, name: str, act: Callable[[], T]) -> T:
        """Do something whose result, plain JSON, is remembered: a workflow carried on elsewhere gets it back."""

    def wait(self, seconds: float) -> None:
        """Wait so long, or until woken."""


class _Stopped(BaseException):
    """This process is stopping: leave the workflow as it is. Not an `Exception`, so that no workflow handles it."""


class _Lost(BaseException):
    """The database went away under DBOS itself: leave the workflow as it is, for `core.processes` to have begun again."""


class Engine:
    """One for each process. `launch()` only where workflows are to run; `enqueue` and `wake` work without it."""

    def __init__(self, database: Database, poll: float = POLL) -> None:
        self.database = database
        self.executor_id = f"{socket.gethostname()[:60]}-{secrets.token_hex(8)}"
        self._poll = poll
        self._engine = build_engine(_full_url(database), database.turns)
        self._client_lock = threading.Lock()
        self._client: Any = None
        self._processes = Processes(database, self.executor_id, self._under_way, self._resume, self._ended_here)
        self._launched = False
        self._pacers: list[Pacer] = []
        self._stopping = threading.Event()
        self._running: set[str] = set()
        self._ended: set[str] = set()  #: here, however it was; whether the database knows is another matter
        self._all_done = threading.Condition()

    # -- the tables ----------------------------------------------------------------------------------------------

    def migrate(self) -> None:
        """Create or upgrade DBOS's tables; running it twice is harmless. Part of `baton migrate`."""
        _quiet()
        from dbos import DBOS

        DBOS.migrate(_full_url(self.database).render_as_string(hide_password=False))

    def is_current(self) -> bool:
        """True when `migrate` need not run."""
        from dbos._error import DBOSInitializationError

        try:
            self._dbos()._sys_db.verify_migrations()  # there is no public way to ask
        except DBOSInitializationError:
            return False
        return True

    # -- inside the caller's transaction (core.ports.DeploymentQueue) ----------------------------------------------

    def enqueue(self, session: Session, deployment_id: int, model: str) -> None:
        """Start the deployment's workflow if the caller's transaction commits; a second time changes nothing.

        Workflows of one `model` run one after the other.
        """
        session.flush()
        event.listen(session, "after_commit", self._nudge, once=True)
        self._dbos().enqueue_in_transaction(
            session,
            {
                "workflow_name": WORKFLOW,
                "queue_name": QUEUE,
                "workflow_id": workflow_id(deployment_id),
                "queue_partition_key": model,
                "app_version": VERSION,
            },
            deployment_id,
        )

    def wake(self, session: Session, deployment_id: int) -> None:
        """Have the deployment's workflow look at its row again, once the caller's transaction commits."""
        session.flush()
        self._dbos().send_in_transaction(session, workflow_id(deployment_id), "wake", topic=TOPIC)

    # -- running -------------------------------------------------------------------------------------------------

    def launch(self, workflow: Callable[[Durable, int], None]) -> None:
        """Begin to run workflows, first of all those that were under way when their process died.

        Raises `DBOSInitializationError` when the tables are not there.
        """
        _quiet()
        from dbos import DBOS, DBOSPortableJSONSerializer

        dbos = DBOS(
            config={
                "name": APPLICATION,
                "system_database_engine": self._engine,
                "system_database_url": PLACEHOLDERS[self.database.dialect],
                "application_version": VERSION,
                "executor_id": self.executor_id,
                "serializer": DBOSPortableJSONSerializer(),
                "log_level": "WARNING",
                "run_migrations": False,
                "notification_listener_polling_interval_sec": min(self._poll, LISTEN),
                "notification_coalesce_sec": 0.1,  # of streams and events, which nobody uses; a stop waits for one round
                "scheduler_polling_interval_sec": 3600.0,
            }
        )

        @DBOS.workflow(name=WORKFLOW, max_recovery_attempts=None)
        def deploy(deployment_id: int) -> None:
            with self._counted(str(DBOS.workflow_id)):
                workflow(_Steps(self._stopping), deployment_id)
            self._nudge()  # the next one of the same model may begin

        # Registered before the start, or else the first look at the queue comes a second later.
        self._dbos().register_queue(
            QUEUE, partition_concurrency=1, polling_interval_sec=min(self._poll, 1.0), application_name=APPLICATION
        )
        self._processes.enter()
        slow_down_jobs(dbos)
        DBOS.launch()
        self._launched = True
        self._pacers = take_charge(dbos, QUEUE, self._poll)
        self._processes.start()

    def stop(self, timeout: float = 20.0) -> None:
        """Stop running workflows; one that is in the middle of a step gets `timeout` seconds to finish the step.

        Whatever is left is carried on by another process, or by the next start. Closes every connection.
        """
        self._stopping.set()
        if self._launched:
            from dbos import DBOS

            self._wake_waiting()
            until = time.monotonic() + timeout
            with self._all_done:
                self._all_done.wait_for(lambda: not self._running, max(0.0, until - time.monotonic()))
            if self._running:
                log.warning("stopping with workflows in mid-step: %s", ", ".join(sorted(self._running)))
            DBOS.destroy(destroy_registry=True)
            self._processes.leave()
            self._launched = False
        with self._client_lock:
            if self._client is not None:
                self._client.destroy()
                self._client = None
        self._engine.dispose()

    # -- looking after -------------------------------------------------------------------------------------------

    def states(self, deployment_ids: Iterable[int]) -> dict[int, str]:
        """How the workflows of some deployments stand, in DBOS's words; those that there are not are left out.

        Not inside a transaction.
        """
        wanted = {workflow_id(each): each for each in deployment_ids}
        if not wanted:
            return {}
        found = self._dbos().list_workflows(workflow_ids=list(wanted), load_input=False, load_output=False)
        return {wanted[each.workflow_id]: str(each.status) for each in found}

    def prune(self, now: datetime, kept: timedelta = KEPT) -> int:
        """Forget workflows that ended before `now - kept`; returns how many. Once a day is enough."""
        before = (now - kept).astimezone(UTC).isoformat()
        done = 0
        while True:
            found = self._dbos().list_workflows(
                status=["SUCCESS", "ERROR", "CANCELLED"],
                completed_before=before,
                limit=200,
                load_input=False,
                load_output=False,
            )
            old = [each.workflow_id for each in found]
            if not old:
                return done
            self._dbos().delete_workflows(old)
            done += len(old)

    def _nudge(self, _session: Session | None = None) -> None:
        for pacer in self._pacers:
            pacer.nudge()

    def _under_way(self) -> dict[str, str]:
        found = self._dbos().list_workflows(status="PENDING", load_input=False, load_output=False)
        return {each.workflow_id: str(each.executor_id) for each in found}

    def _ended_here(self, forget: set[str]) -> set[str]:
        with self._all_done:
            self._ended -= forget
            return set(self._ended)

    def _resume(self, workflows: list[str]) -> None:
        self._dbos().resume_workflows(workflows, queue_name=QUEUE)
        self._nudge()

    def _dbos(self) -> Any:
        """A client over our own engine. Made late, since importing DBOS takes a while; making it connects nowhere."""
        with self._client_lock:
            if self._client is None:
                _quiet()
                from dbos import DBOSClient, DBOSPortableJSONSerializer

                self._client = DBOSClient(
                    system_database_engine=self._engine,
                    serializer=DBOSPortableJSONSerializer(),
                    application_name=APPLICATION,
                    lazy=True,
                )
            return self._client

    def _counted(self, running: str) -> _Counted:
        return _Counted(self._running, self._ended, self._all_done, running)

    def _wake_waiting(self) -> None:
        from dbos import DBOS

        for each in sorted(self._running):
            try:
                DBOS.send(each, "stop", topic=TOPIC)
            except Exception:  # stopping must go on; the workflow is taken over anyway
                log.warning("could not wake %s to stop it", each, exc_info=True)


class _Steps:
    """`Durable`, by DBOS. No step ever fails for want of the database: it waits until the database is back."""

    def __init__(self, stopping: threading.Event) -> None:
        self._stopping = stopping

    def step(self, name: str, act: Callable[[], T]) -> T:
        from dbos import DBOS

        self._leave_if_stopping()
        step_back()
        try:
            return DBOS.run_step({"name": name}, self._insist, name, act)
        except (OperationalError, InterfaceError) as gone:  # not of the act, which insists: its result was not kept
            self._leave_if_stopping()
            raise _Lost from gone
        except Exception:
            self._leave_if_stopping()  # nobody remembers its result any more: whoever carries on does it once more
            raise

    def wait(self, seconds: float) -> None:
        from dbos import DBOS

        self._leave_if_stopping()
        try:
            DBOS.recv(TOPIC, timeout_seconds=max(0.0, seconds))
        except (OperationalError, InterfaceError) as gone:
            self._leave_if_stopping()
            raise _Lost from gone
        self._leave_if_stopping()

    def _insist(self, name: str, act: Callable[[], T]) -> T:
        pause = 0.2
        while True:
            try:
                return act()
            except (OperationalError, InterfaceError):
                log.warning("%s: the database is not there; trying again", name, exc_info=True)
            if self._stopping.wait(pause):
                raise _Stopped
            pause = min(5.0, pause * 2)

    def _leave_if_stopping(self) -> None:
        if self._stopping.is_set():
            raise _Stopped


class _Counted:
    """Keeps count of the workflows that this process runs now."""

    def __init__(self, running: set[str], ended: set[str], changed: threading.Condition, name: str) -> None:
        self._running, self._ended, self._changed, self._name = running, ended, changed, name

    def __enter__(self) -> None:
        with self._changed:
            self._running.add(self._name)
            self._ended.discard(self._name)

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._running.discard(self._name)
            self._ended.add(self._name)
            self._changed.notify_all()


def workflow_id(deployment_id: int) -> str:
    """The id of a deployment's workflow; a primary key, so that there is never a second one."""
    return f"deploy:D-{deployment_id}"


def _full_url(database: Database) -> URL:
    return database.engine.url


def _quiet() -> None:
    """DBOS logs through our handlers, and only warnings: its INFO advertises."""
    logger = logging.getLogger("dbos")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    logger.setLevel(logging.WARNING)
