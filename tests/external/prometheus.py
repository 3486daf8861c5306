"""A real Prometheus for tests (Debian package `prometheus`), and a toy model service that it scrapes."""

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
def real_prometheus(scraped: str, folder: Path, *options: str) -> Iterator[str]:
    """Its URL, once it is ready. Where it is not installed the test fails under CI, and is skipped elsewhere."""
    binary = shutil.which("prometheus")
    if binary is None:
        if os.environ.get("CI"):
            pytest.fail("Prometheus is not installed; .ci/run installs it")
        pytest.skip("Prometheus is not installed (Debian and Ubuntu: apt-get install prometheus)")
    config = folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\n"
        f'scrape_configs: [{{job_name: toy, static_configs: [{{targets: ["{scraped}"]}}]}}]\n'
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    told = [
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen([binary, *told, *options], stdout=log, stderr=log)
    try:
        _await_ready(url, process, folder)
        yield url
    finally:
        process.kill()
        process.wait(20)


def _await_ready(url: str, process: subprocess.Popen[bytes], folder: Path) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert process.poll() is None, (folder / "prometheus.log").read_text()
        try:
            if httpx.get(f"{url}/-/ready", trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.05)
    pytest.fail((folder / "prometheus.log").read_text())
