"""How many requests of an app's visitors failed or were slow in the last minutes, from nginx's log."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.flask_deploy.host import files
from ansible.module_utils.flask_deploy.release.places import App
from ansible.module_utils.flask_deploy.switch import log
from ansible.module_utils.flask_deploy.switch.tally import Tally

SPAN = 300  # seconds that are judged together
FEWEST = 5  # requests that failed, or were slow; fewer may be chance
SLOW = 10  # percent of requests that are slow
LOOK = "type there: sudo grep '\"status\":5' /var/log/nginx/access.log | tail"


def look(limits: dict[str, float], now: float, path: str) -> dict[str, dict[str, int]]:
    """Count what was logged since the last look; return {app: what its requests of the span came to}.

    :param limits: {app: seconds to the first byte from which an answer counts as slow}.
    :param path: of a file with what was counted before.
    """
    known = files.read_json(path, {})
    owners = {release: app for app in limits for release in App(app).known()}
    tallies = {app: Tally(None, limit) for app, limit in limits.items()}
    read = log.Log(log.LOG, known.get("position") or log.position(log.LOG))
    for entry in read.entries(owners):
        app = owners[entry.release]
        if entry.asked(app):  # one that is down is told once, not by the answers to the host's own questions as well
            tallies[app].add(entry)
    parts, summed = {}, {}
    for app, tally in tallies.items():
        counts = {"at": now, "requests": tally.requests, "failed": tally.failed, "slow": tally.slow}
        parts[app] = [*_fresh(known, app, now), counts]
        summed[app] = {name: sum(part[name] for part in parts[app]) for name in ("requests", "failed", "slow")}
    files.write_json(path, {"position": read.reached(), "parts": parts}, 0o600)
    read.close()
    return summed


def _fresh(known: dict[str, Any], app: str, now: float) -> list[dict[str, Any]]:
    return [part for part in known.get("parts", {}).get(app, []) if now - SPAN < part["at"] <= now]


def errors(app: str, counted: dict[str, int], told: dict[str, Any]) -> dict[str, str]:
    """Return what is wrong with the share of requests that failed.

    :param told: the app's settings: ``errors`` in percent; 0 for any.
    """
    share = _share(counted, "failed")
    if not 0 < told["errors"] <= share or counted["failed"] < FEWEST:
        return {}
    return {"errors": f"{app}: {share:.0f} % {_asked(counted)} failed; {LOOK}"}


def slow(app: str, counted: dict[str, int], told: dict[str, Any]) -> dict[str, str]:
    """Return what is wrong with the share of requests that waited for their answer.

    :param told: the app's settings: ``slow`` in seconds; 0 for any.
    """
    share = _share(counted, "slow")
    if not told["slow"] or share < SLOW or counted["slow"] < FEWEST:
        return {}
    return {"slow": f"{app}: {share:.0f} % {_asked(counted)} waited {told['slow']} s or longer for their answer"}


def _share(counted: dict[str, int], name: str) -> float:
    return 100 * counted[name] / (counted["requests"] or 1)


def _asked(counted: dict[str, int]) -> str:
    return f"of {counted['requests']} requests in {SPAN // 60} minutes"


JUDGES = {"errors": errors, "slow": slow}
