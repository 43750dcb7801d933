"""What bench.fleet_model is made of: deploys to stand-in hosts of molecule/many, timed task by task.

The hosts are containers of this machine, whose engine is a stand-in: systemd, sshd, nginx and the roles are real. Their
work is done by the same processors as the controller's, and so counts as busy.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path

from bench import demo, fleet
from bench.deploys import say

MANY = demo.ROOT / "molecule/many"
FEW, MORE = 3, 25
WATCH = 5  # app_watch_seconds of these hosts
STEPS = {  # tasks of roles/app that are steps of their own; what else runs on all hosts is before them
    "Carry the image to the hosts that lack it": "load",
    "Prepare the release": "prepare",
    "Switch to the release": "switch",
    "Watch it serve": "watch",
    "Hear from all hosts once more": "hear",
    "Confirm it on all hosts, or take it back on all": "confirm",
    "Retire the release before": "retire",
}
PARTS = ("before", "prepare", "switch", "watch", "hear", "confirm", "retire", "whole")
LINE = re.compile(r"(?:TASK \[(?:[^\]]* : )?([^\]]*)\]|PLAY RECAP) \*+")
TICK = os.sysconf("SC_CLK_TCK")
PAUSE = 0.5  # seconds between two looks at memory


def run(known, forks=None):
    """Measure both fleets; print how far off the model is, write build/bench-fleet.json, and return new constants."""
    forks = forks or known["forks"]
    few, more = (measure(hosts, forks) for hosts in (FEW, MORE))
    found = constants(known, few, forks)
    (demo.ROOT / "build").mkdir(exist_ok=True)
    written = {"few": few, "more": more, "constants": found}
    (demo.ROOT / "build/bench-fleet.json").write_text(json.dumps(written, indent=1) + "\n")
    for line in verdict(found, (few, more)):
        say(line)
    return found


def measure(hosts, forks):
    """Deploy to so many hosts; return {"hosts", seconds by part, "tasks", "busy": CPU seconds by part, "memory"}."""
    with standing(hosts, forks) as (inventory, environment):
        play("molecule/many/converge.yml", inventory, environment)
        return {"hosts": hosts, **play("playbooks/app.yml", inventory, environment, NUMBER=str(time.time()))}


@contextmanager
def standing(hosts, forks):
    """Start stand-in hosts; give their inventory and the environment of runs for them."""
    with tempfile.TemporaryDirectory(prefix="bench-fleet-") as place:
        told = {"molecule_ephemeral_directory": place, "molecule_instance_config": f"{place}/instances.yml"}
        environment = {
            **os.environ,
            **demo.COUNTS,
            "HOSTS": str(hosts),
            "ANSIBLE_FORKS": str(forks),
            "MOLECULE_INSTANCE_CONFIG": told["molecule_instance_config"],
            "MOLECULE_PROJECT_DIRECTORY": str(demo.ROOT),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        try:
            _ansible(MANY / "create.yml", "-e", json.dumps(told), environment=environment)
            yield str(MANY / "inventory"), environment
        finally:
            _ansible(MANY.parent / "shared/destroy.yml", "-e", json.dumps(told), environment=environment)


def _ansible(book, *words, environment):
    command = ["ansible-playbook", book, *words]
    subprocess.run(command, cwd=demo.ROOT, env=environment, stdout=subprocess.DEVNULL, check=True)


def play(book, inventory, environment, **app_env):
    """Run a playbook; return its seconds and CPU seconds by part, how many tasks each part had, and its memory.

    :raises demo.RunError: it failed.
    """
    words = ["ansible-playbook", book, "-i", inventory, "-e", json.dumps({"app_env": app_env})]
    run = subprocess.Popen(
        words, cwd=demo.ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    peak = [0.0]
    looking = threading.Thread(target=_look, args=(run, peak), daemon=True)
    looking.start()
    began, lines, marks = time.monotonic(), [], []
    for line in run.stdout:
        lines.append(line)
        if found := LINE.match(line):
            marks.append((found[1], time.monotonic(), busy()))
    if run.wait():
        raise demo.RunError(f"{book} failed:\n{''.join(lines)[-4000:]}")
    return {**parts(marks), "whole": time.monotonic() - began, "memory": peak[0]}


def parts(marks):
    """Return seconds by part of a run, and "tasks" and "busy" by part.

    :param marks: (task, or None at the end; time; CPU seconds of the machine) as each task began.
    """
    seconds, tasks, work = defaultdict(float), defaultdict(int), defaultdict(float)
    for (task, began, before), (_next, ended, after) in itertools.pairwise(marks):
        part = STEPS.get(task, "before")
        seconds[part] += ended - began
        tasks[part] += 1
        work[part] += after - before
    return {**seconds, "tasks": dict(tasks), "busy": dict(work)}


def constants(known, few, forks):
    """Return the model's constants as a deploy to few hosts, all in one turn, has them."""
    steps = {}
    for name, step in known["steps"].items():
        tasks = few["tasks"].get(name, 0)
        if not tasks:
            steps[name] = step
            continue
        waits = WATCH if name == "watch" else 0.0  # the host's own time is no work
        each = max(0.1, (few[name] - waits) / tasks)
        steps[name] = {"tasks": tasks, "seconds": each, "busy": few["busy"][name] / tasks / few["hosts"]}
    per_fork = (few["memory"] - known["memory"]["main"]) / few["hosts"]
    return {
        **known,
        "from": f"a deploy to {few['hosts']} stand-in hosts",
        "cores": os.cpu_count(),
        "forks": forks,
        "watch": WATCH,
        "steps": steps,
        "memory": {**known["memory"], "fork": per_fork},
    }


def verdict(known, fleets):
    """Return lines that say how far off the model is."""
    lines = [f"{'seconds':<12}{'hosts':>8}{'model':>10}{'measured':>10}{'ratio':>8}"]
    for seconds in fleets:
        model = fleet.deploy(seconds["hosts"], known, carried=0.0)
        for name in PARTS:
            if seconds.get(name):
                modelled, seen = model[name], seconds[name]
                lines.append(f"{name:<12}{seconds['hosts']:>8}{modelled:>10.1f}{seen:>10.1f}{modelled / seen:>8.2f}")
    return lines


def busy():
    """Return the CPU seconds that this machine has worked since it started (proc(5), stat)."""
    user, nice, system, _idle, _wait, irq, softirq, *_ = map(int, Path("/proc/stat").read_text().split()[1:9])
    return (user + nice + system + irq + softirq) / TICK


def _look(run, peak):
    while run.poll() is None:
        peak[0] = max(peak[0], resident(run.pid))
        time.sleep(PAUSE)


def resident(pid):
    """Return the megabytes of a process and all below it; what several of them share counts once (PSS)."""
    children = defaultdict(list)
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        children[int(fields[1])].append(int(path.parent.name))
    left, total = [pid], 0
    while left:
        one = left.pop()
        left += children[one]
        try:
            told = Path(f"/proc/{one}/smaps_rollup").read_text()
        except OSError:
            continue
        total += int((re.search(r"^Pss: +(\d+) kB$", told, re.MULTILINE) or [0, 0])[1])
    return total / 1024
