"""The demo's setting: the local Slack, a hook receiver, and Baton itself as a child process that knows of neither."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from bot.demo.receiver import Receiver
from bot.local_slack.person import Person
from bot.local_slack.server import LocalSlack

HERE = Path(__file__).parent
ALICE, BOB, CAROL, DAVE, MALLORY = "U01ALICE", "U02BOB", "U03CAROL", "U04DAVE", "U05MALLORY"
CHANNEL = "#ml-promotions"


class DemoFailed(Exception):
    """Something did not happen; the message says what was awaited."""


class Setting:
    """Everything the demo needs, in a folder of its own that goes with it."""

    def __init__(self, port: int = 0) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="baton-demo-")
        self.folder = Path(self._folder.name)
        secret = f"whsec_{secrets.token_urlsafe(24).replace('-', 'A').replace('_', 'B')}"
        self.receiver = Receiver(secret)
        self.slack = LocalSlack(manifest=manifest_path(), port=port)
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self._secret = secret
        self._alert_token = secrets.token_urlsafe(16)
        self._token = ""
        self._baton: subprocess.Popen[bytes] | None = None
        self.people: dict[str, Person] = {}

    def __enter__(self) -> Setting:
        self.receiver.start()
        self.slack.start()
        policy = (HERE / "baton.yml").read_text(encoding="utf-8").replace("HOOK_URL", self.receiver.url)
        (self.folder / "baton.yml").write_text(policy, encoding="utf-8")
        self.run("migrate")
        self._token = _token(self.run("token", "create", "demo", "--scope", "admin"))
        self._start_baton()
        return self

    def __exit__(self, *_: object) -> None:
        for person in self.people.values():
            person.close()
        if self._baton is not None:
            self._baton.terminate()
            try:
                self._baton.wait(25)
            except subprocess.TimeoutExpired:
                self._baton.kill()
                self._baton.wait()
        self.slack.stop()
        self.receiver.stop()
        self._folder.cleanup()

    @property
    def environment(self) -> dict[str, str]:
        """What Baton is told: only what it would be told of a real workspace."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("BATON_", "SLACK_"))}
        return kept | {
            "BATON_DATABASE_URL": f"sqlite:///{self.folder / 'baton.db'}",
            "BATON_CONFIG": str(self.folder / "baton.yml"),
            "BATON_PORT": str(self._port),
            "BATON_URL": self.url,
            "BATON_TOKEN": self._token,
            "BATON_LOG_LEVEL": "warning",
            "SLACK_API_URL": self.slack.api_url,
            "SLACK_BOT_TOKEN": self.slack.bot_token,
            "SLACK_APP_TOKEN": self.slack.app_token,
            "SLACK_SIGNING_SECRET": self.slack.signing_secret,
            "HOOK_SECRET": self._secret,
            "ALERT_TOKEN": self._alert_token,
        }

    def run(self, *arguments: str) -> str:
        """Run `baton` with these arguments; its output. Raises `DemoFailed`."""
        command = [sys.executable, "-m", "bot", *arguments]
        done = subprocess.run(
            command, env=self.environment, cwd=self.folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise DemoFailed(f"baton {' '.join(arguments)} ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout

    def api(self, method: str, path: str, **body: Any) -> Any:
        """One call of Baton's API."""
        answer = httpx.request(
            method,
            f"{self.url}/api/v1{path}",
            json=body or None,
            headers={"authorization": f"Bearer {self._token}"},
            timeout=20,
            trust_env=False,
        )
        if answer.status_code >= 400:
            raise DemoFailed(f"{method} {path}: {answer.text}")
        return answer.json()

    def alert(self, **labels: str) -> None:
        """What Alertmanager sends when something fires."""
        fires = {
            "status": "firing",
            "labels": labels,
            "annotations": {"summary": "false alarms doubled since 02:40"},
            "startsAt": datetime.now(UTC).isoformat(),
            "generatorURL": "http://prometheus.example.com/graph",
            "fingerprint": secrets.token_hex(8),
        }
        answer = httpx.post(
            f"{self.url}/api/v1/alerts/alertmanager",
            json={"version": "4", "status": "firing", "alerts": [fires]},
            headers={"authorization": f"Bearer {self._alert_token}"},
            timeout=20,
            trust_env=False,
        )
        if answer.status_code != 200:
            raise DemoFailed(f"the alert was not taken: {answer.text}")

    def person(self, user: str) -> Person:
        """Somebody at the local Slack."""
        if user not in self.people:
            self.people[user] = Person(self.slack.url, user)
        return self.people[user]

    def register_models(self) -> list[str]:
        """Register every recorded version, by the API, oldest first; their names."""
        names = []
        for path in sorted(recorded_models().glob("*.json"), key=lambda path: (path.stem.rsplit("-", 1)[0], path.stem)):
            body = json.loads(path.read_text(encoding="utf-8"))
            model = body.pop("model")
            self.api("POST", f"/models/{model}/versions", **body)
            names.append(f"{model} {body['version']}")
        return names

    def _start_baton(self) -> None:
        self._baton = subprocess.Popen([sys.executable, "-m", "bot", "serve"], env=self.environment, cwd=self.folder)
        until = time.monotonic() + 30
        while time.monotonic() < until:
            if self._baton.poll() is not None:
                raise DemoFailed("baton serve ended before it was ready; what it said stands above.")
            try:
                if httpx.get(f"{self.url}/readyz", timeout=2, trust_env=False).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.1)
        raise DemoFailed("baton serve was not ready within 30 s.")

    def alive(self) -> bool:
        """False once Baton has ended."""
        return self._baton is not None and self._baton.poll() is None


def _token(output: str) -> str:
    """The token in what `baton token create` printed, which is the only time that it is shown."""
    found = re.search(r"baton_[A-Za-z0-9_-]{20,}", output)
    if found is None:
        raise DemoFailed("baton token create printed no token.")
    return found[0]


def manifest_path() -> Path:
    """The Slack app's manifest: beside the code in a checkout, inside the package when installed."""
    return _first(HERE.parents[1] / "manifest.yml", HERE.parent / "slack" / "manifest.yml")


def recorded_models() -> Path:
    """The recorded metrics of the example models."""
    return _first(HERE.parents[1] / "examples" / "recorded", HERE / "recorded")


def _first(*paths: Path) -> Path:
    for path in paths:
        if path.exists():
            return path
    raise DemoFailed(f"{paths[0].name} is neither in the checkout nor in the package.")


def taken(port: int) -> bool:
    """True when somebody listens on a port of this machine."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
