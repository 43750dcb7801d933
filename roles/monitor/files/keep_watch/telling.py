"""What was told to whom: each thing once when it goes wrong, and once when it is good again."""

from __future__ import annotations

import os
import re
import sys
import time
from typing import Any

from ansible.module_utils.flask_deploy.host import condition, files, locks

from . import looking, sending

SPARE = f"{locks.RUN}/monitor-record.json"  # of what was told, while the disk takes nothing
PID = "/run/flask-deploy-monitor.pid"  # of monit
LOCKS = {name: f"{locks.RUN}/monitor-{name}.lock" for name in ("record", "tell")}
HOST = "host"  # what is not one app's; no app has that name
HOUR = 3600
TURN = 30  # seconds to wait while another run sends
MOST = 200  # lines that wait for one target
INSTEAD = "one message could not be sent ({}); type there: sudo journalctl -n 50 -u flask-deploy-monitor"
SETTLED = 300  # seconds after its start in which monit has judged everything anew
# What a program printed is indented, and takes nobody in.
STATUS = re.compile(r"^[A-Z][\w ]* '(\S+)'\n  status +(.+?) *$", re.MULTILINE)
# By the last word of a key that monit judges itself.
ADVICE = {
    "nginx": "nginx does not run; type there: sudo systemctl status nginx",
    "docker": "the Docker engine does not run; type there: sudo systemctl status docker",
    "postgres": "PostgreSQL does not answer; type there: sudo systemctl status 'postgresql*'",
    "valkey": "Valkey does not answer; type there: systemctl --failed",
    "memory": "memory is short: {said}; type there: ps aux --sort=-rss | head",
    "disk": "{place} is nearly full: {said}; type there: df -h {place}",
    "inodes": "{place} has nearly no inodes left: {said}; type there: df -i {place}",
    "look": "the watch cannot look at this host: {said}; type there: sudo /usr/local/lib/flask-deploy/watch look",
}


def _record() -> dict[str, Any]:
    known = files.read_json(SPARE) or files.read_json(f"{looking.WORK}/record.json", {})
    return {"open": {}, "queue": {}, "sent": {}, **known}


def _write(known: dict[str, Any]) -> None:
    """Write down what was told, in memory while the disk takes nothing: that it is full is what somebody must hear."""
    try:
        files.ensure_directory(looking.WORK, 0o700)
        files.write_json(f"{looking.WORK}/record.json", known, 0o600)
    except OSError:
        files.write_json(SPARE, known, 0o600)
    else:
        if os.path.exists(SPARE):
            files.remove(SPARE)


def words(key: str, said: str) -> str:
    """Return what is wrong, in words, of a key that monit judges itself.

    :param said: monit's own words.
    """
    _host, what, *place = key.split(".", 2)
    return ADVICE.get(what, "{said}").format(said=sending.one_line(said), place=place[0] if place else "")


def note(key: str, items: dict[str, str], now: float | None = None) -> None:
    """Queue what is new of a key, and what is good again; what was told before is not told again."""
    now = time.time() if now is None else now
    with locks.locked(LOCKS["record"]):
        known = _record()
        first, before = key not in known["open"], known["open"].get(key, {})
        event = key.endswith(f".{looking.EVENTS}")
        new = [items[item] for item in items if item not in before]
        gone = [told for item, told in before.items() if item not in items]
        lines = new + ([] if event else [_good(told, now) for told in gone])
        since = {item: before.get(item, {"since": now, "text": text}) for item, text in items.items()}
        known["open"][key] = since
        if lines and not (first and event):
            _queue(known, key, lines)
        _write(known)


def begin() -> None:
    """Let what happened before a host was watched be told to nobody."""
    known = _record()["open"]
    for key in (f"{app}.{looking.EVENTS}" for app in looking.settings()):
        if key not in known:
            note(key, looking.items(key))


def _good(told: dict[str, Any], now: float) -> str:
    seconds, said = now - told["since"], told["text"].partition("; type there: ")[0]
    after = f"{seconds / 60:.0f} min" if seconds < 2 * HOUR else f"{seconds / HOUR:.0f} h"
    return f"good again after {after}: {said}" if seconds >= 0 else f"good again: {said}"  # the clock went back


def _queue(known: dict[str, Any], key: str, lines: list[str]) -> None:
    apps = looking.settings()
    owner = key.partition(".")[0]
    told = apps.values() if owner == HOST else [apps[owner]] if owner in apps else []
    for target in {name for each in told for name in sending.targets(each)}:
        known["queue"][target] = [*known["queue"].get(target, []), *lines][-MOST:]


def tell(now: float | None = None) -> None:
    """Send what waits; what nobody takes, or what came too often, waits on."""
    now = time.time() if now is None else now
    try:
        with locks.locked(LOCKS["tell"], TURN):
            known, apps = _record(), looking.settings()
            known_targets = {name: each for each in apps.values() for name in sending.targets(each)}
            for target, lines in known["queue"].items():
                recent = [at for at in known["sent"].get(target, []) if now - HOUR < at <= now]
                settings = known_targets.get(target)
                if settings is None:
                    _sent(target, len(lines), [])
                while settings and lines and len(recent) < settings["limit"]:
                    done = _send(target, settings, lines)
                    if not done:
                        break
                    lines, recent = lines[done:], [*recent, now]
                    _sent(target, done, recent)
    except locks.LockError:  # a receiver hangs; the next run sends
        return


def _send(target: str, settings: dict[str, Any], lines: list[str]) -> int:
    """Send lines, or the first of them if they are refused together; return how many are done with.

    In place of one that is refused alone a short line is sent. If that is refused too, it is the address that is wrong.
    """
    part = lines
    said, refused = _tried(target, settings, part)
    while refused and len(part) > 1:
        part = part[: len(part) // 2]
        said, refused = _tried(target, settings, part)
    if not said:
        return len(part)
    kind = target.partition(" ")[0]
    if refused and not _tried(target, settings, [INSTEAD.format(said)])[0]:
        sys.stderr.write(f"{kind}: refused, and never sent: {said}: {sending.one_line(part[0])}\n")
        return 1
    sys.stderr.write(f"{kind}: {len(lines)} lines wait: {said}\n")
    return 0


def _tried(target: str, settings: dict[str, Any], lines: list[str]) -> tuple[str, bool]:
    """Send lines; return (why that cannot be, whether another text may get through), or ("", False) if it can."""
    try:
        sending.send(target, settings, lines)
    except Exception as error:  # whatever a receiver may do
        return sending.plain(error, target) or type(error).__name__, sending.refuses(error)
    return "", False


def _sent(target: str, number: int, times: list[float]) -> None:
    with locks.locked(LOCKS["record"]):
        known = _record()
        known["queue"][target] = known["queue"].get(target, [])[number:]
        known["sent"][target] = times
        for name in [name for name, lines in known["queue"].items() if not lines]:
            del known["queue"][name]
        _write(known)


def settle(now: float | None = None) -> None:
    """Once after each start of monit, note what got well while it was away: it tells of changes that it sees alone."""
    now = time.time() if now is None else now
    began = os.stat(PID).st_mtime if os.path.exists(PID) else now
    known = _record()
    if began > now:  # the clock went back
        os.utime(PID, (now, now))
    if now - began < SETTLED or known.get("settled") == began:
        return
    judged = states()
    for key, items in known["open"].items():
        if os.path.exists(looking.found(key)):
            note(key, looking.items(key), now)
        elif items and judged.get(key) == "OK":
            note(key, {}, now)
    with locks.locked(LOCKS["record"]):
        known = _record()
        known["open"] = {key: told for key, told in known["open"].items() if not judged or key in judged}
        _write({**known, "settled": began})


def states() -> dict[str, str]:
    """Return {key: monit's word for how it is}; its summary would cut long keys."""
    _code, out, _said = condition.run("monit", "-c", f"{looking.ETC}/monitrc", "-B", "status")
    return dict(STATUS.findall(out))
