"""`baton demo`: the main job on this machine, on real parts, in a minute."""

from __future__ import annotations

import signal
import threading
import time
import webbrowser

from bot.demo.setting import ALICE, BOB, DemoFailed, Setting, taken
from bot.demo.tour import history
from bot.demo.tour import tour as play
from bot.local_slack.person import NotThere

PORT = 8765


def demo(tour: bool = False, port: int | None = None, browser: bool = True) -> int:
    """Run the demo until Ctrl-C, or play the tour and end; returns the exit code."""
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:5.1f} s  {line}", flush=True)

    say("starting a local Slack, a hook receiver and Baton …")
    try:
        with Setting(port=_page_port(port, tour)) as setting:
            if tour:
                play(setting, say)
                say("every step was seen to happen")
                return 0
            history(setting, say)
            return _stay(setting, browser)
    except (DemoFailed, NotThere) as error:
        say(f"FAILED: {error}")
        return 1
    except KeyboardInterrupt:
        return 0


def _page_port(asked: int | None, tour: bool) -> int:
    """Where the local Slack's page goes: as asked, else its usual place, else anywhere. Raises `DemoFailed`."""
    if asked:
        if taken(asked):
            raise DemoFailed(f"port {asked} is taken; name another with --port, or none at all.")
        return asked
    return 0 if tour or taken(PORT) else PORT


def _stay(setting: Setting, browser: bool) -> int:
    url = f"{setting.slack.url}/?user={ALICE}&channel=C01PROMO"
    print(
        f"\n  {url}\n\n"
        "  You are Alice. Type:  /promote fraud-detector 7 to production because it finds 3 % more fraud\n"
        f"  Then become Bob and Carol (top left) and approve; then, as Bob ({BOB}):  /rollback fraud-detector because …\n"
        "  Ctrl-C ends it.\n",
        flush=True,
    )
    if browser:
        webbrowser.open(url)
    ending = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.set())
    while not ending.wait(0.5):
        if not setting.alive():
            print("Baton ended by itself; what it said stands above.", flush=True)
            return 1
    print("Stopping …", flush=True)
    return 0
