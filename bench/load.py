"""The load as a process of its own: `python -m bench.load` with its orders on stdin, until stdin ends."""

from __future__ import annotations

import asyncio
import json
import sys

from bench import http1, http2
from bench.clients import Client, Line
from bench.history import Answer, line
from bench.kinds import KINDS
from bench.target import Target

READY = "ready"
STREAMS = 8  # clients that share an HTTP/2 connection


def clients(target, counts, tell, stopping):
    """Return the clients of a load, in its kinds and numbers."""
    made, shared = [], 0
    for name, count in counts.items():
        for _ in range(count):
            kind = KINDS[name]
            if kind.transport == "http2":
                if shared % STREAMS == 0:
                    common = Line(target, http2)
                shared += 1
            made.append(
                Client(common if kind.transport == "http2" else Line(target, http1), name, kind, tell, stopping)
            )
    return made


async def run(orders):
    """Ask until stdin ends; say "ready" once every kind has had an answer."""
    stopping, waiting = asyncio.Event(), set(orders["kinds"])
    loop = asyncio.get_running_loop()

    def tell(entry):
        file.write(line(entry))
        file.flush()
        if isinstance(entry, Answer) and entry.kind in waiting:
            waiting.discard(entry.kind)
            if not waiting:
                print(READY, flush=True)  # noqa: T201 - the parent waits for it

    with open(orders["history"], "w", encoding="utf-8") as file:
        tasks = [
            asyncio.create_task(client.run())
            for client in clients(Target(**orders["target"]), orders["kinds"], tell, stopping)
        ]
        loop.run_in_executor(None, sys.stdin.read).add_done_callback(lambda _: stopping.set())
        await asyncio.gather(*tasks)


if __name__ == "__main__":
    asyncio.run(run(json.loads(sys.stdin.readline())))
