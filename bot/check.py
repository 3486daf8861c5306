"""`baton check`: is everything set up as it must be? One finding a line, each with what would mend it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from bot.check_manifest import check_manifest
from bot.direct import refuse_missing_file
from bot.settings import Settings, SettingsError, environment
from core.domain.errors import Refused
from core.engine import Engine
from core.policy.findings import Finding, PolicyError
from core.policy.load import load_file, missing_secrets
from core.policy.schema import Policy
from core.store.database import Database
from core.store.health import AWAY, trouble

ENV_FILE = Path(".env")
PATIENCE_SECONDS = 15


def check(online: bool = False, environ: Mapping[str, str] | None = None) -> list[Finding]:
    """Everything that is wrong, as far as it can be told; nothing is changed. With `online`, Slack is asked too."""
    try:
        given = environment(environ)
    except SettingsError as wrong:
        return [_of_variable(problem) for problem in wrong.problems]
    found: list[Finding] = []
    settings = _settings(environ, found)
    config = settings.config if settings else Path(given.get("BATON_CONFIG", "").strip() or "baton.yml")
    policy = _policy(config, given, found)
    found += check_manifest()
    if settings is None:
        return found
    found += _database(settings)
    if online and policy is not None and settings.slack_bot_token is not None:
        from bot.check_online import check_online

        found += check_online(settings, policy)
    return found


def _settings(environ: Mapping[str, str] | None, found: list[Finding]) -> Settings | None:
    """The settings, with or without Slack's secrets; None when others are wrong too."""
    try:
        return Settings.load(environ, slack=True)
    except SettingsError as wrong:
        found += [_of_variable(problem) for problem in wrong.problems]
    try:
        return Settings.load(environ)
    except SettingsError:
        return None


def _of_variable(problem: str) -> Finding:
    """A sentence about a variable, with the place that the variable has in the `.env` file, if any."""
    what, _, remedy = problem.rstrip(".").partition("; ")
    name = re.match(r"[A-Z_]+", problem)
    if name and name[0] not in os.environ and ENV_FILE.is_file():
        lines = ENV_FILE.read_text("utf-8", "replace").splitlines()
        for number, line in enumerate(lines, 1):
            if re.match(rf"\s*(export\s+)?{name[0]}\s*=", line):
                return Finding(str(ENV_FILE), number, "", what, remedy)
    return Finding("environment", 1, "", what, remedy)


def _policy(config: Path, given: Mapping[str, str], found: list[Finding]) -> Policy | None:
    try:
        policy = load_file(config)
    except PolicyError as wrong:
        found += wrong.findings
        return None
    found += missing_secrets(policy, given)
    return policy


def _database(settings: Settings) -> Iterable[Finding]:
    def wrong(problem: str, remedy: str) -> list[Finding]:
        return [Finding("database", 1, "", problem.rstrip("."), remedy)]

    url = settings.database_url.get_secret_value()
    try:
        refuse_missing_file(url)
    except Refused:
        return wrong("there is no database yet", "run baton migrate")
    database = Database(url)
    try:
        problem = trouble(database, PATIENCE_SECONDS)
        if "migrate" in problem:
            return wrong("its tables are not those of this release", "run baton migrate")
        if problem:
            return wrong(problem, "start the server, or mend BATON_DATABASE_URL")
        if not _engine_is_current(database):
            return wrong("the tables of its workflows are not those of this release", "run baton migrate")
    finally:
        database.dispose()
    return []


def _engine_is_current(database: Database) -> bool:
    engine = Engine(database)
    try:
        return engine.is_current()
    except AWAY:
        return False
    finally:
        engine.stop()
