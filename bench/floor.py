"""The engine alone: an empty workflow. `python -m bench.floor URL N` enqueues N of them one by one, and says in lines of
JSON when each was committed and when it began. With N = 0 it only runs what others enqueue, until its input ends.
"""

from __future__ import annotations

import json
import sys
import threading
import time

from core.engine import Durable, Engine
from core.store.database import Database

#: No deployments of Baton's own have such numbers.
FIRST = 1_000_000


def main(url: str, number: int) -> None:
    database = Database(url)
    engine = Engine(database)
    began: dict[int, float] = {}
    news = threading.Condition()

    def empty(_durable: Durable, deployment: int) -> None:
        with news:
            began[deployment] = time.time()
            news.notify_all()

    engine.launch(empty)
    print(json.dumps("ready"), flush=True)
    for each in range(FIRST, FIRST + number):
        with database.change() as session:
            engine.enqueue(session, each, f"floor-{each}")
        committed = time.time()
        with news:
            news.wait_for(lambda each=each: each in began, 20)  # type: ignore[misc]
        print(json.dumps(began[each] - committed), flush=True)
        time.sleep(0.05)
    for _ in sys.stdin:
        with news:
            print(json.dumps({str(each): at for each, at in began.items()}), flush=True)
    engine.stop()
    database.dispose()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
