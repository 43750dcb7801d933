"""A look at real traffic after a switch: nginx's log, the release's own word, and a request through the public door.

What was asked of the release before is never held against the new one. Times are those of the boot clock: nobody
sets it.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import closing

from ansible.module_utils.flask_deploy.host import files, nginx
from ansible.module_utils.flask_deploy.host.clock import now
from ansible.module_utils.flask_deploy.release import containers
from ansible.module_utils.flask_deploy.release.places import App
from ansible.module_utils.flask_deploy.switch import log
from ansible.module_utils.flask_deploy.switch.tally import Tally, beyond

BEFORE = 60  # seconds before a switch whose requests tell how the release before did
SET = 2  # seconds by which the wall clock may be off between two that read it
KEPT = 5  # seconds in which nginx may ask the release before by a connection that it kept, see the site's upstream
FLUSHED = 3  # seconds within which nginx has written what ended
LOG_DELAY = 1.5  # seconds; nginx's log is flushed each second
PROBE_EVERY = 0.5  # seconds
PROBES = 3  # failures that count, among the last twice as many answers
UNSETTLED = 20  # seconds after its time in which a door's last answers have to be good
PULSE_EVERY = 1  # seconds
PULSE_TIMEOUT = 3  # seconds
PULSE = "/.flask-deploy/waiting"  # see gunicorn.conf.py
LIMITED, CLOSED = "status 429", "status 503"  # said by nginx itself: of its limits, and of the maintenance page
SLOWER_BY = 0.5  # seconds that a median must have grown by, whatever the factor
Rules = dict[str, float]  # what a watch judges by, see there


class Asked:
    """Answers to a question that is asked now and then."""

    def __init__(self, every: float) -> None:
        self.asked = self.failed = 0
        self.last: deque[bool] = deque(maxlen=2 * PROBES)
        self.every, self.next, self.said = every, 0.0, ""

    @property
    def due(self) -> bool:
        return now() >= self.next

    @property
    def good(self) -> bool:
        """Tell whether the last answers were good; before the first none was."""
        return self.asked > 0 and (all(self.last) or (len(self.last) > PROBES and all(list(self.last)[-PROBES:])))

    @property
    def bad(self) -> bool:
        return list(self.last).count(False) >= PROBES

    def told(self, good: bool, said: str) -> None:
        self.asked += 1
        self.failed += not good
        self.last.append(good)
        self.said = said
        self.next = now() + self.every


class Door(Asked):
    """A request through the public door, beside whatever else is looked at."""

    def __init__(self, app: App, release: str, moved: float) -> None:
        super().__init__(PROBE_EVERY)
        record = app.record(release)
        self.domain, self.path = record["domain"], record["health_path"]
        self.socket, self.moved, self.page = app.socket(release), moved, f"{app.root}/maintenance/html"
        self.asking: threading.Thread | None = None

    def ask(self) -> None:
        """Begin to ask where that is due."""
        if self.due and not self.waits:
            closed = os.path.exists(self.page)
            self.asking = threading.Thread(target=self._ask, args=(closed,), daemon=True)
            self.asking.start()

    @property
    def waits(self) -> bool:
        return self.asking is not None and self.asking.is_alive()

    def _ask(self, closed: bool) -> None:
        began = now()
        good, said = _try(lambda: nginx.probe_door(self.domain, self.path))
        by_nginx = said == LIMITED or (said == CLOSED and (closed or os.path.exists(self.page)))
        # Or it may have met the release before, on a connection that nginx kept.
        if not good and (by_nginx or began < self.moved + KEPT):
            good, said = _try(lambda: nginx.probe_socket(self.socket, self.path, self.domain))
        self.told(good, said)


def _try(ask: Callable[[], int]) -> tuple[bool, str]:
    try:
        status = ask()
        return status < 400, f"status {status}"
    except Exception as error:  # whatever a door may answer with
        return False, str(error)


class Pulse(Asked):
    """What a release itself tells of requests that it has not begun to answer; one of an older role tells nothing."""

    def __init__(self, app: App, release: str, moved: float) -> None:
        super().__init__(PULSE_EVERY)
        self.socket, self.domain = app.socket(release), app.record(release)["domain"]
        self.knows = PULSE.encode() in (files.read(app.path(release, "gunicorn.conf.py")) or b"")
        self.moved, self.lost, self.at = moved, 0, 0.0
        self.first: int | None = None
        self.ages: list[float] = []

    def ask(self) -> None:
        if not self.knows or not self.due:
            return None
        try:
            told = nginx.ask_socket(self.socket, PULSE, self.domain, PULSE_TIMEOUT)
            self.ages, lost, self.at = sorted(map(float, told["waiting"])), int(told["lost"]), now()
        except Exception as error:  # whatever an app may answer with
            return self.told(False, str(error))
        self.first = lost if self.first is None else self.first
        self.lost = lost - self.first
        return self.told(True, "")

    def longer(self, limit: float) -> int:
        """Return how many requests that began after the switch wait for longer than so many seconds."""
        since = self.at - self.moved
        return sum(limit < age <= since for age in self.ages) if limit else 0


class Look:
    """All that is seen of a switch, and what it amounts to."""

    def __init__(self, app: App, release: str, before: str | None, rules: Rules, moved: float) -> None:
        self.app, self.rules, self.moved = app.name, rules, moved
        self.slow = min(rules.get("slow", 0), rules["seconds"] / 2)  # what begins in the other half is not known
        self.old, self.new = Tally(before, self.slow), Tally(release)
        self.door, self.pulse = Door(app, release, moved), Pulse(app, release, moved)
        self.container = containers.process(app, release)
        self.read, self.until = moved - BEFORE, now() + rules["seconds"] + UNSETTLED

    def baseline(self, written: log.Log, wall: float) -> None:
        """Count what the release before did shortly before the link moved."""
        for entry in written.before(self.old.release, wall - BEFORE - FLUSHED):
            timely = entry.at is not None and wall - BEFORE <= entry.at <= wall + SET
            if timely and entry.asked(self.app):
                self.old.add(entry)

    def follow(self, written: log.Log) -> None:
        """Count what ended since the last look."""
        last, self.read = self.read, now()
        offset = time.time() - self.read
        for entry in written.entries({self.old.release, self.new.release}):
            if not entry.asked(self.app):
                continue
            began = self._ended(entry, last, offset) - entry.seconds
            if entry.release == self.old.release or (entry.named == "end" and began < self.moved):
                self.old.add(entry)
            elif began >= self.moved - SET:
                certain = entry.named == "answer" or entry.refused or began >= self.moved + KEPT
                self.new.add(entry, doubtful=not certain)

    def _ended(self, entry: log.Entry, last: float, offset: float) -> float:
        """Return when a request ended; what is far from the time of reading tells that the wall clock was set."""
        told = self.read if entry.at is None else entry.at - offset
        return told if last - FLUSHED <= told <= self.read else self.read

    def bad(self, over: bool) -> str | None:
        """Return why the release must not serve on, or None."""
        return self._failing() or self._unheard() or (over and self._slower()) or None

    def _failing(self) -> str | None:
        waiting, lost = self.pulse.longer(self.slow), min(self.new.doubtful, self.pulse.lost)
        asked, failed = self.new.requests + lost + waiting, self.new.failed + lost + waiting
        enough = asked >= self.rules["samples"] or 4 * waiting >= max(12, self.rules["samples"])
        if not enough or not beyond(failed, asked, self.rules["percent"] + self.old.share):
            return None
        did = f"failed or wait for more than {self.slow:g} s" if waiting else "failed"
        return (
            f"{failed} of {asked} requests {did} ({100 * failed / asked:.0f} %), "
            f"{self.old.share:.0f} % with the release before"
        )

    def _unheard(self) -> str | None:
        for asked, what in (self.door, f"{self.door.path} failed"), (self.pulse, "it did not answer"):
            if asked.bad or (now() > self.until and not self.door.good):
                where = "through the public door" if asked is self.door else "through its socket"
                return f"{what} {list(asked.last).count(False)} of {len(asked.last)} times {where}: {asked.said}"
        if self.container and not os.path.exists(f"/proc/{self.container}"):
            return "its container ended"
        return None

    def _slower(self) -> str | None:
        factor, old, new = self.rules.get("slower", 0), self.old.firsts, self.new.firsts
        if not factor or min(old.count, new.count) < self.rules["samples"]:
            return None
        before, after = old.at(0.5), new.at(0.5)
        if after <= factor * before or after - before < SLOWER_BY:
            return None
        return f"half of its answers took longer than {after:.2f} s, {before:.3f} s with the release before"


def watch(
    app: App, release: str, before: str | None, rules: Rules, moved: float, wall: float, since: list[int] | None
) -> dict[str, object]:
    """Look at a release that took over until its time is up or it proves bad.

    :param rules: {"seconds": how long, "percent": share of failures beyond that of the release before, "samples":
        requests it takes to judge by, "slow": seconds after which a request hangs, "slower": factor of the median}.
    :param moved: when the link moved, by the boot clock; `wall`: the same by the wall clock.
    :param since: nginx's log, as log.position told before that.
    :return: {"well": bool, "reason": str or None, "watched": {...}, "before": {...}, "probes", "probes_failed"}.
    """
    look = Look(app, release, before, rules, moved)
    with closing(log.Log(log.LOG, since)) as written:
        look.baseline(written, wall)
        reason = _watch(look, written) if rules["seconds"] else None
    return {
        "well": reason is None,
        "reason": reason,
        "seconds": round(max(0.0, now() - moved), 1),
        "watched": look.new.summary(),
        "before": look.old.summary(),
        "probes": look.door.asked,
        "probes_failed": look.door.failed,
    }


def _watch(look: Look, written: log.Log) -> str | None:
    """Look until the time is up and the door's last answers are good; return why the release must not serve on."""
    while True:
        # A clock before the move's is that of another boot.
        passed = now() - look.moved
        over = not 0 <= passed < look.rules["seconds"] and look.door.good and not look.door.waits
        if over:
            time.sleep(LOG_DELAY)  # for what nginx has not written yet
        look.pulse.ask()
        look.follow(written)
        if not over:
            look.door.ask()
        reason = look.bad(over)
        if reason or over:
            return reason
        time.sleep(0.1)
