"""What a host says to the services that an app needs beside it, before anything changes."""

from __future__ import annotations

import os

from ansible.module_utils.flask_deploy.host import account, postgres

SET_UP = (
    "app_needs: {0} is not set up for {1} on this host yet; once, type: ansible-playbook site.yml -i inventories/..."
)


def mistakes(app: str, uid: int, needs: list[str], sets_up: bool) -> list[str]:
    """Return one line for each thing that stands in the way.

    :param sets_up: whether the run that asks sets services up before it releases the app.
    """
    if not needs:
        return []
    lines = list(filter(None, [account.taken(app, uid)]))
    if "postgres" in needs:
        lines += filter(None, [postgres.foreign()])
    ready = {"postgres": postgres.lets_in(app, uid), "valkey": has_valkey(app)}
    missing = [] if sets_up or lines else [need for need in needs if not ready[need]]
    return lines + [SET_UP.format(need, app) for need in missing]


def has_valkey(app: str) -> bool:
    """Tell whether an instance of the app has a place."""
    return any(os.path.exists(f"/etc/tmpfiles.d/flask-deploy-valkey-{app}-{use}.conf") for use in ("queue", "cache"))
