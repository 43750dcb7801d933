"""Take jobs from the queue one by one. Who renames a job has it; each is done once unless a worker is killed in it."""

from __future__ import annotations

import os
import signal
import sys
import time

from shop import QUEUE

SECONDS = 0.4  # of a job
stopping = []


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *of: stopping.append(1))  # the job in hand is ended first
    me = f"{os.environ['APP_RELEASE']} {os.uname().nodename}"
    while not stopping:
        if not any(take(number, me) for number in sorted(os.listdir(QUEUE / "waiting")) if not stopping):
            time.sleep(SECONDS)


def take(number: str, me: str) -> bool:
    try:
        os.rename(QUEUE / "waiting" / number, QUEUE / "begun" / number)
    except FileNotFoundError:  # another worker was quicker
        return False
    with open(QUEUE / "begun" / number, "a", encoding="utf-8") as job:
        time.sleep(SECONDS)
        job.write(f"{me}\n")
    os.rename(QUEUE / "begun" / number, QUEUE / "done" / number)
    return True


if os.environ.get("WORKERS") == "end":
    sys.exit("the workers of this release end at once")
for name in ("waiting", "begun", "done"):
    (QUEUE / name).mkdir(parents=True, exist_ok=True)
main()
