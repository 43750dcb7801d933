"""make judge: real deploys and rollbacks on the demo's host under load, and the verdict."""

from __future__ import annotations

import argparse
import json
import sys
import time
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass

from bench import demo
from bench.judge import APP, Judge
from bench.noise import noise
from bench.picture import draw
from bench.plan import Plan
from bench.verdict import Verdict

DOMAIN, NAME = "judged.test", "judged"
IN_FLIGHT = 20  # the least at a switch that makes it a trial
SETTLE = 8  # seconds; longer than nginx keeps a connection to an old release
HOGS = """
import os
for _ in range(2 * os.cpu_count()):
    if not os.fork():
        parent = os.getppid()
        while os.getppid() == parent:
            pass
        os._exit(0)
os.read(0, 1)
"""
# nginx before 1.27.4 closes idle client connections at a reload, also those with a request or handshake on its way.
RELOAD_LOSS = "no answer: ", "no connection: ", "handshake: "


@contextmanager
def hogs():
    """Keep the host's processors busy, with twice as many loops; they end with the connection that began them."""
    running = demo.begin(f"exec systemd-run --quiet --collect --pipe python3 -c '{HOGS}'")
    try:
        yield
    finally:
        running.communicate()


def say(*words):
    print(*words, flush=True)  # noqa: T201 - what the command is for


@dataclass
class Trial:
    """An arm as it went.

    :ivar steps: what each switch was: its step, its play's seconds, releases and times.
    :ivar stopped: why there were fewer switches than asked for, or "".
    :ivar disk: megabytes of images, containers and releases on the host, before and after.
    """

    arm: str
    verdict: Verdict
    answers: list
    steps: list
    stopped: str
    disk: tuple = (0, 0)


def trial(arm, count):
    """Run an arm."""
    steps, switches, stopped, before = [], [], "", disk()
    with hogs() if arm == "hogs" else nullcontext(), Judge(demo.address(), DOMAIN, kinds=APP) as load:
        try:
            for step, played, switch in Plan(arm == "reload").steps(count):
                switches.append(switch)
                steps.append({"step": step, "play_seconds": played.seconds, **asdict(switch)})
                say(f"{len(steps):>4} {step:<9}{switch.old} -> {switch.new}  {played.seconds:5.1f} s")
            time.sleep(SETTLE)
        except (demo.RunError, KeyboardInterrupt) as error:
            stopped = f"stopped after {len(steps)} of {count} switches: {str(error) or type(error).__name__}"
    verdict = load.verdict(switches)
    for one, in_flight in zip(steps, verdict.in_flight, strict=True):
        one["in_flight"] = in_flight
    return Trial(arm, verdict, load.seen().answers, steps, stopped, (before, disk()))


def disk():
    """Return the megabytes that grow where a deploy leaves something behind."""
    return int(demo.shell(f"du -smc /var/lib/docker /srv/{NAME} | tail -1 | cut -f1"))


def control():
    """Return the verdict on what must be red: the serving container is stopped, then started."""
    container = f"{NAME}-$(basename $(readlink /srv/{NAME}/current))"
    with Judge(demo.address(), DOMAIN, kinds=APP) as load:
        demo.shell(f"docker stop -t 2 {container} && docker start {container}")
        time.sleep(3)
    return load.verdict([])


def report(trial, red):
    """Return the figures of a run as values that JSON knows."""
    over_http2 = sum(failed for kind, (_count, failed) in trial.verdict.by_kind.items() if kind.startswith("http2"))
    return {
        "arm": trial.arm,
        "switches": len(trial.steps),
        **trial.verdict.as_json(),
        "failed_http2": over_http2,
        "in_flight_least": min(trial.verdict.in_flight, default=0),
        "disk_mb": trial.disk,
        "steps": trial.steps,
        "stopped": trial.stopped,
        "control": {"requests": red.requests, "failed": red.failed},
    }


def faults(trial, red):
    """Return why a run is no proof."""
    lost, least = trial.verdict.failures, min(trial.verdict.in_flight, default=0)
    if trial.arm == "reload":  # nginx's own loss is reported, not held against a switch
        lost = [one for one in lost if one.kind.startswith("http2") or not one.failure.startswith(RELOAD_LOSS)]
    said = [trial.stopped] if trial.stopped else []
    said += [f"{len(lost)} requests failed"] if lost else []
    if least < IN_FLIGHT:
        said.append(f"only {least} requests in flight at a switch, not {IN_FLIGHT}")
    if not red.failed:
        said.append("the control arm is not red: this judge sees nothing")
    return said


def main():
    parser = argparse.ArgumentParser(prog="make judge", description=__doc__)
    parser.add_argument("--switches", type=int, default=20)
    parser.add_argument("--arm", choices=["quiet", "hogs", "reload", "noise"], default="quiet")
    options = parser.parse_args()
    demo.ensure()
    if options.arm == "noise":
        return told(noise(options.switches, hogs, say))
    done = trial(options.arm, options.switches)
    red = control()
    name = "judge" if done.arm == "quiet" else f"judge-{done.arm}"
    build = demo.ROOT / "build"
    (build / f"{name}.json").write_text(json.dumps(report(done, red), indent=1) + "\n")
    title = f"{done.verdict.failed} failed of {done.verdict.requests} requests, {len(done.steps)} switches ({done.arm})"
    (build / f"{name}.svg").write_text(draw(done.answers, [step["began"] for step in done.steps], title))
    say(f"\n{done.arm}, {len(done.steps)} switches: {done.verdict}")
    say(f"disk of the host: {done.disk[0]} MB before, {done.disk[1]} MB after")
    say(f"control (stop, then start): {red.failed} failed of {red.requests}, as it must")
    say(f"build/{name}.json, build/{name}.svg")
    return told(faults(done, red))


def told(said):
    """Say why a run is no proof; return the code that it ends with."""
    for line in said:
        say(f"not shown: {line}")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
