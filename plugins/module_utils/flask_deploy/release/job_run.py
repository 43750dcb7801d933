"""A run of a job: where hosts share a database, by the one that claimed it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

from ansible.module_utils.flask_deploy.host import engine, files, process
from ansible.module_utils.flask_deploy.release import aside, claims, jobs
from ansible.module_utils.flask_deploy.release.places import App, ReleaseError

WAIT = claims.HELD + 2 * claims.PATIENCE  # seconds: a host that has died holds its claim no longer


def begin(app: App, job: str) -> int:
    """Run a job, as the release that serves has it, unless another host does; that it began is written down.

    :return: its exit code.
    :raises ReleaseError: it cannot begin, or was ended as another host may run it.
    """
    release = aside.release_of(app)
    told = jobs.defined(app, release).get(job)
    if told is None:  # its timer goes with the end of the deploy that is under way
        sys.stdout.write(f"release {release} has no job {job}\n")
        return 0
    claim = claims.of(app, release, f"job {job}") if told["hosts"] == "one" else None
    if claim and not _claimed(claim, told["at"]):
        return 0
    if told["hosts"] == "one" and not claim and app.shares() and not app.is_first():
        sys.stdout.write(f"release {release} knows no database in which hosts could claim it: the first host runs it\n")
        return 0
    files.ensure_directory(f"{app.root}/jobs")
    files.write_json(jobs.record_of(app, job), {"release": release, "began": time.time(), "run": _run()})
    what, words = f"job-{job}", aside.split(told["command"])
    if claim:
        aside.sweep(app, what)
        return _held(claim, aside.arguments(app, release, what, words, told["memory"]))
    return aside.become(app, release, what, words, memory=told["memory"])


def _run() -> str:
    """Return systemd's id of this run: systemd.exec(5)."""
    return os.environ.get("INVOCATION_ID", "")


def _claimed(claim: claims.Claim, at: str) -> bool:
    """Take the claim of a job; return whether this host runs it.

    A time of its timer is had by one host. While another one still runs it for an earlier time, this one waits, for as
    long as a dead one would hold it. What somebody starts by hand has no time, and does not wait.

    :raises ReleaseError: the database does not say who has it, or what was started by hand runs elsewhere.
    """
    timed, end = bool(os.environ.get("TRIGGER_UNIT")), time.monotonic() + WAIT
    due = claims.latest(at, time.time()) if timed else 0
    while True:
        try:
            own, host = claim.take(due, once=timed)
        except claims.Unknown:
            if time.monotonic() >= end:
                raise
            time.sleep(1)
            continue
        if own:
            return True
        if not timed:
            raise ReleaseError(f"{host} runs {claim.name} just now; start it when that has ended")
        if not host or time.monotonic() >= end:
            sys.stdout.write(f"{host} still runs it\n" if host else "another host has run it, or does\n")
            return False
        time.sleep(1)


def _held(claim: claims.Claim, words: list[str]) -> int:
    """Run docker's client while a claim is held, and end its container before another host may take it over.

    :return: exit code.
    :raises ReleaseError: it was ended.
    """
    renewed = time.monotonic()
    if not claim.renew():  # the engine may have been slow since it was taken
        raise ReleaseError("the job was not begun: another host has taken it over")
    child = process.Process(["docker", *words], stdout=sys.stdout.buffer, errors=sys.stderr.buffer)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # systemd tells docker's client as well, and that tells the job
    while True:
        with suppress(subprocess.TimeoutExpired):
            code = child.popen.wait(claims.RENEW)
            with suppress(claims.Unknown):
                claim.give()
            return code if code >= 0 else 128 - code
        asked, lost = time.monotonic(), "another host has taken it over"
        try:
            if claim.renew():
                renewed = asked
                continue
        except claims.Unknown as error:
            if asked - renewed < claims.LOST:
                continue
            lost = str(error)
        engine.remove(words[2])
        child.end()
        raise ReleaseError(f"the job was ended: {lost}")


def end(app: App, job: str, result: str, code: str) -> None:
    """Write down how a job ended, and end what is left of it.

    :param result: systemd's word, such as "success" (systemd.exec(5), SERVICE_RESULT).
    :param code: exit code or signal.
    """
    record = files.read_json(jobs.record_of(app, job), {})
    if record and "ended" not in record and record.get("run", _run()) == _run():
        files.write_json(jobs.record_of(app, job), {**record, "ended": time.time(), "result": result, "code": code})
    with suppress(engine.EngineError):  # one that is away removes it as it comes back, or the next run does
        engine.remove(*(name for name, each in aside.here(app).items() if each["what"] == f"job-{job}"))
