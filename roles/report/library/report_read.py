#!/usr/bin/python
"""Read which releases an app has had on this host, and what nginx logged of its requests."""

from __future__ import annotations

from typing import Any

from ansible.module_utils import report_traffic as traffic
from ansible.module_utils.flask_deploy.host.module import QuietModule
from ansible.module_utils.flask_deploy.release import failures
from ansible.module_utils.flask_deploy.release.places import App
from ansible.module_utils.flask_deploy.release.record import origin

DOCUMENTATION = r"""
module: report_read
short_description: Read which releases an app has had on this host, and what nginx logged of its requests
description: Reads files; changes nothing. On a host where nothing was deployed yet there is nothing.
options:
  app: {type: str, required: true, description: Name of the app.}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Read the last day
  report_read:
    app: shop
"""

RETURN = r"""
releases: {type: list, returned: always, description: "Each release: when it began to serve, from what, by whom."}
failures: {type: list, returned: always, description: "What failed before it served, and why; the newest first."}
traffic: {type: dict, returned: always, description: "Requests of the last day by release."}
"""


def releases(app: App) -> list[dict[str, Any]]:
    """Return an app's releases, the first to serve first; times in seconds since 1970, 0 where it never did."""
    serving, found = app.serving(), []
    for release in sorted(app.known(), key=app.order):
        record, state = app.record(release), app.state(release)
        found.append(
            {
                "id": release,
                "serves": release == serving,
                "state": str(state.get("state", "unknown")),
                "created": record["created"],
                "switched": state.get("switched", 0),
                "by": str(record["by"]),
                "source": origin(record["source"]),
            }
        )
    return found


def failed(app: App) -> list[dict[str, Any]]:
    """Return what failed before it served, the newest first."""
    return [
        {"id": each["id"], "at": each["at"], "by": str(each.get("by") or "unknown"), "reason": str(each.get("reason"))}
        for each in failures.recall(app)
    ]


def read(name: str) -> dict[str, Any]:
    """Return all that is told of an app."""
    try:
        app = App(name)
    except KeyError:  # nginx's user
        return {"releases": [], "failures": [], "traffic": traffic.read(name)}
    return {"releases": releases(app), "failures": failed(app), "traffic": traffic.read(name)}


def main() -> None:
    module = QuietModule(argument_spec={"app": {"type": "str", "required": True}}, supports_check_mode=True)
    try:
        module.exit_json(changed=False, **read(module.params["app"]))
    except OSError as error:
        module.fail_json(msg=f"the app's releases and nginx's log cannot be read: {error}")


if __name__ == "__main__":
    main()
