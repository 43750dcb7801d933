"""What a host tells of its own condition: units that failed, its clock, and what programs of ours tell of an app."""

from __future__ import annotations

import glob
import json
import os
import re
from collections.abc import Sequence
from typing import Any

from ansible.module_utils.flask_deploy.host import command, files

PROGRAMS = "/usr/local/lib/flask-deploy"
STARTED = "/etc/systemd/system/*.wants/flask-deploy-*"
# Below these an app or PostgreSQL may have a disk of its own. A file system of the network may hang, an image is full.
BELOW = ("/srv/", "/var/lib/postgresql/")
DISKS = {"btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "xfs", "zfs"}
SECONDS = 60  # that a program may take
SETTLED = 1800  # seconds after a start in which a clock may not be in step yet
SHOWN = ("Id", "Result", "StateChangeTimestamp", "NRestarts")  # of a unit that is not well


def run(*words: str, limit: float = SECONDS, **environment: str) -> tuple[int | None, str, str]:
    """Return (exit code, what a program printed, its errors); 127 where there is no such program."""
    try:
        done = command.attempt(*words, limit=limit, environment={"LC_ALL": "C", **environment})
    except OSError as error:
        return 127, "", str(error)
    return done.code, done.out.decode(errors="replace"), done.said


def text(path: str) -> str:
    """Return a file's text; "" where there is none, or it may not be read."""
    try:
        return (files.read(path) or b"").decode(errors="replace")
    except OSError:
        return ""


def mounted() -> list[str]:
    """Return where disks are mounted below the places of apps and PostgreSQL: proc(5), mounts."""
    rows = [line.split() for line in text("/proc/self/mounts").splitlines()]
    plain = [row[1] for row in rows if len(row) > 2 and row[2] in DISKS and re.fullmatch(r"[\w./:@+-]+", row[1])]
    return sorted({path for path in plain if path.startswith(BELOW)})


def units() -> dict[str, list[dict[str, Any]]]:
    """Return units that failed, and those that systemd starts again and again."""
    return {word: _shown(_listed(word)) for word in ("failed", "auto-restart")}


def _listed(state: str) -> list[str]:
    code, out, said = run(
        "systemctl", "list-units", "--all", "--plain", "--no-legend", "--no-pager", f"--state={state}"
    )
    if code:
        raise OSError(said)
    return [line.split()[0] for line in out.splitlines() if line.split()]


def _shown(names: Sequence[str]) -> list[dict[str, Any]]:
    if not names:
        return []
    wanted = [word for name in SHOWN for word in ("-p", name)]
    known = _told("--timestamp=unix", *wanted, *names)
    return [
        {
            "name": each.get("Id", "?"),
            "result": each.get("Result", ""),
            "since": moment(each.get("StateChangeTimestamp", "")),
            "restarts": int(each.get("NRestarts") or 0),
        }
        for each in known
    ]


def _told(*words: str) -> list[dict[str, str]]:
    blocks = run("systemctl", "show", *words)[1].strip().split("\n\n")
    return [dict(line.partition("=")[::2] for line in block.splitlines()) for block in blocks]


def asleep() -> list[str]:
    """Return the units of ours that a boot starts and that do not run; what only does something once is none."""
    names = sorted({os.path.basename(path) for path in glob.glob(STARTED)})
    known = _told("-p", "Id", "-p", "ActiveState", "-p", "Type", *names) if names else []
    return [each["Id"] for each in known if each.get("ActiveState") == "inactive" and each.get("Type") != "oneshot"]


def moment(stamp: str) -> float | None:
    """Return a time of systemd's, such as @1764356400, in seconds since 1970."""
    number = stamp.removeprefix("@")
    return float(number) if number.isdigit() and int(number) else None


def clock() -> dict[str, bool]:
    """Return whether something sets the clock, and whether it is in step; a container has that of its host."""
    _code, out, _said = run("timedatectl", "show", "-p", "NTP", "-p", "NTPSynchronized")
    known = dict(line.partition("=")[::2] for line in out.splitlines())
    inside, in_step = inside_container(), known.get("NTPSynchronized") == "yes"
    up = float((text("/proc/uptime").split() or ["0"])[0])
    return {
        "kept": inside or known.get("NTP", "yes") == "yes" or in_step,
        "in_step": inside or in_step or "NTPSynchronized" not in known or up < SETTLED,
    }


def inside_container() -> bool:
    return run("systemd-detect-virt", "--container", "--quiet")[0] == 0


def told(program: str, app: str) -> dict[str, Any] | None:
    """Return what a program of ours tells of an app; None where it was not set up here.

    :param program: keep_certificates or keep_backups.
    """
    if not os.path.isdir(f"{PROGRAMS}/{program}"):
        return None
    _code, out, said = run("python3", "-B", "-m", program, "status", app, PYTHONPATH=PROGRAMS)
    try:
        return dict(json.loads(out))
    except ValueError:
        return {"problems": [" ".join(said.split()[-40:]) or f"{program} tells nothing"]}
