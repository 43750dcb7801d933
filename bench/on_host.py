"""The part of make bench that runs on the host: load one side, and tell what its processes took.

It reads one JSON object from stdin and prints one. It takes no package beside Python's own.

- in: `roots`, a shell command that prints the ids of the side's first processes; `load`, the command of the load;
  `warm`, the same for a moment, before anything is counted; `beside`, a command that runs all the while, or "".
- out: `said`, what the load printed; `code`, its end; `cpu`, processor seconds of the side; `pss`, its bytes of memory,
  shared pages divided among those that share them; `others`, the share of all processors that neither the side nor its
  load took; `flat`, whether all of them were in one group of the processor.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

PROC = Path("/proc")
FLAT = Path("/sys/fs/cgroup/cpu/cgroup.procs")  # cgroup v1: groups that compete there make p99 many times worse
TICK = os.sysconf("SC_CLK_TCK")
ENDS = 30  # seconds that a command may take beyond its own end


def main():
    print(json.dumps(measure(**json.load(sys.stdin))))  # noqa: T201 - what it is for


def measure(roots, load, warm, seconds, beside=""):
    """Return what one load of one side took, as this module says."""
    side = [int(line) for line in shell(roots, ENDS).stdout.split()]
    if not side:
        raise SystemExit(f"no process of this side runs: {roots}")
    gathered = [gather(process) for process in [os.getpid(), *tree(side)]]
    with running(beside):
        shell(warm, ENDS)
        before = ticks(tree(side)), own(), busy(), time.monotonic()
        done = shell(load, seconds + ENDS)
        after = ticks(tree(side)), own(), busy(), time.monotonic()
    cpu, loads, all_of_them, took = (last - first for first, last in zip(before, after, strict=True))
    others = max(0, all_of_them - cpu - loads) / (took * os.cpu_count())
    return {
        "said": done.stdout + done.stderr,
        "code": done.returncode,
        "cpu": cpu,
        "pss": pss(tree(side)),
        "others": others,
        "flat": all(gathered),
    }


def shell(command, seconds):
    return subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=seconds, check=False)


@contextmanager
def running(command):
    """Run a command all the while, with all that it starts; its end is no fault."""
    if not command:
        yield
        return
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
    beside = subprocess.Popen(["sh", "-c", command], start_new_session=True, **quiet)
    try:
        time.sleep(1)  # its connections open
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(beside.pid, signal.SIGKILL)
        beside.wait()


def tree(roots):
    """Return the ids of these processes and of all below them."""
    children = {}
    for place in PROC.glob("[0-9]*"):
        with suppress(OSError):
            children.setdefault(int(stat(place.name)[1]), []).append(int(place.name))
    found, ahead = [], list(roots)
    while ahead:
        found.append(ahead.pop())
        ahead += children.get(found[-1], [])
    return found


def stat(process):
    """Return the fields of /proc/<id>/stat from the state on: the name before them may hold anything (proc(5))."""
    return (PROC / str(process) / "stat").read_text().rpartition(")")[2].split()


def ticks(processes):
    """Return their processor seconds, with those of children that ended: a worker may be replaced meanwhile."""
    total = 0
    for process in processes:
        with suppress(OSError):
            total += sum(map(int, stat(process)[11:15]))
    return total / TICK


def own():
    """Return processor seconds of what this program ran."""
    parts = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(part.ru_utime + part.ru_stime for part in parts)


def busy():
    """Return processor seconds of all processes of the machine, interrupts left out."""
    return sum(map(int, (PROC / "stat").read_text().split("\n")[0].split()[1:4])) / TICK


def pss(processes):
    """Return the bytes that these processes hold, each shared page divided among those that share it."""
    total = 0
    for process in processes:
        with suppress(OSError):
            lines = (PROC / str(process) / "smaps_rollup").read_text().splitlines()
            total += sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    return total


def gather(process):
    """Put a process where all that is measured competes alike; return whether it is there."""
    try:
        FLAT.write_text(str(process))
    except ProcessLookupError:
        return True  # it ended
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
