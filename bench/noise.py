"""The noise arm of `make judge`: healthy deploys on a busy host whose app always fails a little, and the alarms.

Twice as many busy loops as processors, and 1 % of answers are 500, before and after: whatever the watch takes back is a
false alarm. They are counted; nothing is timed.
"""

from __future__ import annotations

import json
import time

from bench import demo
from bench.judge import APP, Judge

DOMAIN, NAME = "judged.test", "judged"
NOISE = {"FAILING_PERCENT": "1"}
WATCH = 10  # seconds, as is the default
TAKEN_BACK = "does not serve"


def noise(count, hogs, say):
    """Deploy so many times; return why that is no proof, and write build/judge-noise.json.

    :param hogs: a context in which the host is busy.
    """
    play = lambda turn: demo.play("playbooks/app.yml", app_env={**NOISE, "TURN": turn}, app_watch_seconds=WATCH)  # noqa: E731
    began, seen = int(time.time()), []
    play(f"{began} before")
    with hogs(), Judge(demo.address(), DOMAIN, kinds=APP):
        for number in range(count):
            seen.append({**deploy(play, f"{began} {number}"), **watched()})
            say(line(number, seen[-1]))
    alarms = [each for each in seen if each["alarm"]]
    figures = {"switches": count, "alarms": len(alarms), "most_slower": slower(seen), "seen": seen}
    (demo.ROOT / "build/judge-noise.json").write_text(json.dumps(figures, indent=1) + "\n")
    say(f"\n{len(alarms)} false alarms in {count} healthy deploys; build/judge-noise.json")
    say(f"a median was at most {figures['most_slower']} times that of the release before")
    failed = sum(each["failed"] for each in seen)
    return [f"{len(alarms)} false alarms"] * bool(alarms) + ["no request failed: there was no noise"] * (not failed)


def deploy(play, turn):
    """Deploy; return whether the watch took it back, and what the run said.

    :raises demo.RunError: it failed for another reason.
    """
    try:
        play(turn)
    except demo.RunError as error:
        if TAKEN_BACK not in str(error):
            raise
        return {"alarm": True, "said": str(error)[-2000:]}
    return {"alarm": False, "said": ""}


def watched():
    """Return what the newest switch's watch saw."""
    told = json.loads(demo.shell(f"cat $(ls -t /srv/{NAME}/releases/*/switch.json | head -1)"))["watch"]
    new, old = told["watched"], told["before"]
    return {
        **{name: new[name] for name in ("requests", "failed", "p50", "p99")},
        **{f"{name}_before": old[name] for name in ("requests", "failed", "p50", "p99")},
        **{name: told[name] for name in ("probes", "probes_failed")},
    }


def slower(seen):
    """Return the largest factor by which a median rose."""
    rises = [each["p50"] / each["p50_before"] for each in seen if each["p50"] and each["p50_before"]]
    return round(max(rises), 2) if rises else None


def line(number, seen):
    what = "FALSE ALARM" if seen["alarm"] else "well"
    return (
        f"{number + 1:>4} {what:<12}{seen['failed']} of {seen['requests']} failed, before {seen['failed_before']} of "
        f"{seen['requests_before']}; median {seen['p50_before']} -> {seen['p50']} s; door {seen['probes_failed']} of "
        f"{seen['probes']} failed"
    )
