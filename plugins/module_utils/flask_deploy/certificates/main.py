"""python3 -m keep_certificates keep|status [APP...]: for the apps of this host, or for some of them.

keep: self-signed and ACME certificates are renewed when a third of their life is left.
  --settings reads an app's settings from standard input, as role nginx writes them, and keeps them for the timer.
  --no-ask leaves the CA alone, --renew gets a new certificate and key now, --foretell only tells whether it would
  change something. One line of JSON for each app.
  Exit code: 0; 1 when something was refused; 75 when a CA gave none (the timer tries again).
status: one line of JSON for each app. Exit code: 1 when one needs attention.
"""

from __future__ import annotations

import argparse
import glob
import json
import os
import sys
from typing import Any

from ansible.module_utils.flask_deploy.certificates import store
from ansible.module_utils.flask_deploy.certificates.keeper import Keeper, Refused
from ansible.module_utils.flask_deploy.host import files, locks

LOCK = f"{locks.RUN}/certificates.lock"
PATIENCE = 900  # seconds; a run asks a CA for each of the host's apps
DAMAGED = "{} is damaged; what makes it anew: ansible-playbook site.yml --tags nginx"
REFUSED, TRY_AGAIN = 1, 75  # EX_TEMPFAIL of sysexits.h


def path(app: str, name: str = "settings.json") -> str:
    return f"{store.ETC}/{app}/tls/{name}"


def say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")


def received(app: str, arguments: argparse.Namespace) -> tuple[dict[str, Any], list[bytes]]:
    """Return (settings, pair) from standard input; its ``ca`` and ``provided`` are texts in PEM."""
    sent = json.load(sys.stdin)
    if not arguments.foretell:
        store.directory(os.path.dirname(path(app)))
    if sent["ca"] and not arguments.foretell:
        store.write(path(app, "ca.pem"), sent["ca"].encode(), 0o644)
    given = [part.encode() for part in sent.pop("provided") or []]
    return {**sent, "ca": bool(sent["ca"])}, given


def keep(app: str, arguments: argparse.Namespace) -> int:
    settings, given = received(app, arguments) if arguments.settings else (files.read_json(path(app), {}), None)
    if not settings:
        say(app=app, changed=False, error=DAMAGED.format(path(app)))
        return REFUSED
    keeper = Keeper(settings)
    if arguments.foretell:
        say(app=app, changed=keeper.foretell(given))
        return 0
    try:
        result = keeper.keep(given, ask=not arguments.no_ask, renew=arguments.renew)
    except (Refused, store.StoreError, locks.LockError) as error:
        say(app=app, changed=False, error=str(error))
        return REFUSED
    if arguments.settings:
        store.write(path(app), json.dumps(settings, indent=2).encode(), 0o600)
    say(app=app, **result)
    return TRY_AGAIN if result["error"] else 0


def status(app: str, _arguments: argparse.Namespace) -> int:
    settings = files.read_json(path(app), {})
    found = Keeper(settings).status() if settings else {"days_left": None, "problems": [DAMAGED.format(path(app))]}
    say(**{**found, "app": app})
    return 1 if found["problems"] else 0


def main() -> int:
    parser = argparse.ArgumentParser(prog="keep_certificates", description=__doc__)
    parser.add_argument("command", choices=["keep", "status"])
    parser.add_argument("apps", nargs="*")
    for option in ("settings", "no-ask", "renew", "foretell"):
        parser.add_argument(f"--{option}", action="store_true")
    arguments = parser.parse_args()
    known = sorted(found.split(os.sep)[-3] for found in glob.glob(path("*")))
    apps = arguments.apps or known
    try:
        with locks.locked(LOCK, PATIENCE):
            codes = [{"keep": keep, "status": status}[arguments.command](app, arguments) for app in apps]
    except locks.LockError as error:
        for app in apps:
            say(app=app, changed=False, error=str(error), days_left=None, problems=[str(error)])
        return REFUSED
    return REFUSED if REFUSED in codes else max(codes, default=0)


if __name__ == "__main__":
    sys.exit(main())
