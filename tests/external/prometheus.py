"""A real Prometheus and Alertmanager for tests (Debian's packages), and a toy model service that is scraped."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest


class ToyService:
    """Serves `requests_total` and `errors_total` for each version, which a test sets."""

    def __init__(self) -> None:
        self.requests: dict[str, int] = {}
        self.errors: dict[str, int] = {}
        toy = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                sent = toy.exposition().encode()
                self.send_response(200)
                self.send_header("content-type", "text/plain; version=0.0.4; charset=utf-8")
                self.send_header("content-length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.address = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def exposition(self) -> str:
        lines = []
        for name, counts in (("requests_total", self.requests), ("errors_total", self.errors)):
            lines.append(f"# TYPE {name} counter")
            for version, count in counts.items():
                label = version.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
                lines.append(f'{name}{{version="{label}"}} {count}')
        return "\n".join(lines) + "\n"


@contextmanager
def toy_service() -> Iterator[ToyService]:
    toy = ToyService()
    yield toy
    toy.close()


@contextmanager
def real_prometheus(scraped: str, folder: Path, *options: str, more: str = "") -> Iterator[str]:
    """Its URL, once it is ready; `more` goes into its configuration."""
    config = folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}\n"
        f'scrape_configs: [{{job_name: toy, static_configs: [{{targets: ["{scraped}"]}}]}}]\n{more}'
    )
    told = [f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}", *options]
    with _running("prometheus", folder, *told) as url:
        yield url


@contextmanager
def real_alertmanager(sends_to: str, token: str, folder: Path) -> Iterator[str]:
    """Its URL, once it is ready; it sends at once, and says so when an alert is over."""
    config = folder / "alertmanager.yml"
    config.write_text(
        "route: {receiver: baton, group_by: [alertname], group_wait: 0s, group_interval: 1s, repeat_interval: 2s}\n"
        "receivers:\n- name: baton\n  webhook_configs:\n"
        f"  - {{url: '{sends_to}', http_config: {{authorization: {{credentials: '{token}'}}}}}}\n"
    )
    told = [f"--config.file={config}", f"--storage.path={folder / 'alerts'}", "--cluster.listen-address="]
    with _running("prometheus-alertmanager", folder, *told) as url:
        yield url


@contextmanager
def _running(program: str, folder: Path, *options: str) -> Iterator[str]:
    """Where it is not installed the test fails under CI, and is skipped elsewhere."""
    binary = shutil.which(program)
    if binary is None:
        if os.environ.get("CI"):
            pytest.fail(f"{program} is not installed; .ci/run installs it")
        pytest.skip(f"{program} is not installed (Debian and Ubuntu: apt-get install {program})")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url, written = f"http://127.0.0.1:{port}", folder / f"{program}.log"
    with written.open("wb") as log:
        command = [binary, *options, f"--web.listen-address=127.0.0.1:{port}"]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _await_ready(url, process, written)
        yield url
    finally:
        process.kill()
        process.wait(20)


def _await_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(f"{url}/-/ready", trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    pytest.fail(log.read_text())
