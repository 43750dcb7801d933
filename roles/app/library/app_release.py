#!/usr/bin/python
"""Bring a release of an app on this host one step further."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import Any

from ansible.module_utils.flask_deploy.host import engine, nginx, systemd
from ansible.module_utils.flask_deploy.host.module import QuietModule
from ansible.module_utils.flask_deploy.release import containers, places, processes, static
from ansible.module_utils.flask_deploy.switch import again, concluding, discarding, steps
from ansible.module_utils.flask_deploy.switch import lease as leases

DOCUMENTATION = r"""
module: app_release
short_description: Bring a release of an app on this host one step further
description:
  - A release is a directory below /srv/<app>/releases; the link `current` names the one that serves.
  - C(written) writes the directory and nothing else.
  - C(commanded) runs the release command in a container of its own.
  - C(prepared) writes the directory, starts its container beside the serving one and waits until it answers.
  - C(renewed) prepares the serving release once more under another id, from its own record, with the secrets of now.
  - C(restored) starts a release that served before, from its own record and without a build.
  - C(discarded) takes away what this run prepared or restored, where another host refuses it; no release may be named.
  - C(switched) begins to move traffic, in a unit on the host that goes back by itself unless it is confirmed.
  - C(watched) waits until that unit has looked at the traffic, and tells what it saw.
  - C(tried) lets that unit start the processes beside the web, where all hosts are well; C(watched) waits for that too.
  - C(confirmed) confirms the switch, or takes it back, and waits for nothing else.
  - C(retired) does the same where it was not done, drains and stops the release before it, and clears up.
  - The action plugin of the same name says what becomes of the deploy where a host is lost.
options:
  app: {type: str, required: true, description: Name of the app.}
  state:
    type: str
    required: true
    choices:
      [written, commanded, prepared, renewed, restored, discarded, switched, watched, tried, confirmed, retired]
    description: How far to go.
  owner: {type: dict, description: Who holds the app's lock, as app_lock told; without it no lock is looked at.}
  release: {type: str, description: Release id; with C(restored) the one before is the default.}
  release_key: {type: str, description: Key of secret digests that the app's hosts share, in base64.}
  reason: {type: str, default: another host refused it, description: "Why, with C(discarded)."}
  reject: {type: bool, default: false, description: Mark the release that stops serving as one not to deploy again.}
  accept_rejected: {type: bool, default: false, description: Let a release serve that was rolled back from.}
  accept_schema_ahead: {type: bool, default: false, description: Go back to code that ran with another schema.}
  uid: {type: int, required: true, description: User id the app runs as.}
  domain: {type: str, description: Public name, asked for by the gates.}
  health_path: {type: str, description: Path that answers below 400 when the app is ready.}
  start_timeout: {type: int, default: 60, description: Seconds the app has to get ready.}
  drain_timeout: {type: int, default: 30, description: Seconds requests in flight have to finish.}
  first: {type: bool, default: false, description: "Whether this host has what one host has."}
  shares: {type: bool, default: false, description: "Whether its hosts share a database, and claim in it what one has."}
  keep: {type: int, default: 5, description: Releases kept.}
  image: {type: str, description: Image id, with C(prepared).}
  build: {type: str, description: Digest of what the image was built from.}
  source: {type: dict, description: Where the code came from, for the record.}
  by: {type: str, description: Who deploys, for the record.}
  wsgi: {type: str, description: What gunicorn serves.}
  static: {type: str, description: Directory of public files in the image.}
  container: {type: dict, description: Limits of the container.}
  files: {type: dict, description: File name to content, below the release directory.}
  processes: {type: dict, description: "Name to command, count, limits of a process beside the web."}
  environment: {type: dict, description: Environment that belongs to the release.}
  secrets: {type: dict, description: Secret environment, kept outside releases.}
  secret_files: {type: dict, description: Secret files, kept outside releases.}
  placed: {type: dict, description: "Path in the container to content, kept in the release."}
  command: {type: str, description: Release command, with C(commanded).}
  schema_command: {type: str, description: Command that tells the database's schema; derived where it is known.}
  command_timeout: {type: int, default: 600, description: Seconds the release command may take.}
  commanded: {type: dict, description: Outcome of the release command on the host that ran it.}
  watch: {type: dict, description: "seconds, percent, samples, slow and slower of the watch, with C(switched)."}
  confirm: {type: int, default: 30, description: Seconds after the watch within which a switch must be confirmed.}
  switch: {type: str, description: "Id of the switch, with C(watched), C(confirmed) and C(retired)."}
  outcomes: {type: dict, default: {}, description: Host name to what C(watched) told there.}
  steps: {type: dict, default: {}, description: Step to seconds, for the record.}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Switch to the prepared release
  app_release:
    app: shop
    state: switched
    release: 3f9a0c41d2b7
    uid: 10001
    watch: {seconds: 10, percent: 5, samples: 20, slow: 5, slower: 10}
"""

RETURN = r"""
release: {type: str, returned: always, description: Id of the release.}
previous: {type: str, returned: always, description: Id of the release that served before.}
actions: {type: list, returned: always, description: What was, or would be, done.}
seconds: {type: float, returned: always, description: How long that took.}
switch: {type: str, returned: switched, description: Id of the switch, or null where nothing moves.}
command: {type: dict, returned: commanded, description: "Outcome of the release command, schema before and after."}
plan: {type: list, returned: "prepared, renewed, restored", description: What changes against the one that serves.}
processes: {type: bool, returned: "prepared, renewed, restored", description: Whether it has any beside its web.}
said: {type: list, returned: restored, description: What is to be known of that release.}
well: {type: bool, returned: watched, description: Whether the release may serve on here.}
reason: {type: str, returned: watched and confirmed, description: Why it may not.}
reject: {type: bool, returned: watched, description: Whether the release itself is at fault.}
seen: {type: dict, returned: watched, description: Requests, failures and latency of both releases.}
record: {type: dict, returned: retired, description: The deploy in one record, also in the release as deploy.json.}
summary: {type: list, returned: retired, description: That record in lines for people.}
"""

TEXTS = ("release", "domain", "health_path", "image", "build", "by", "wsgi", "static")
COMMANDS = ("command", "schema_command", "switch")
NUMBERS = {"start_timeout": 60, "drain_timeout": 30, "keep": 5, "command_timeout": 600, "confirm": 30}
FLAGS = ("first", "shares", "reject", "accept_rejected", "accept_schema_ahead")
MAPS = ("owner", "source", "container", "files", "processes", "environment", "commanded", "watch")
STATES = ["written", "commanded", "prepared", "renewed", "restored", "discarded", "switched", "watched"]
STATES += ["tried", "confirmed", "retired"]
WHOLE = ("domain", "health_path", "image", "build", "wsgi", "files", "container")
ERRORS = (
    places.ReleaseError,
    containers.NotReady,
    nginx.SiteError,
    static.StaticError,
    engine.EngineError,
    systemd.UnitError,
    leases.LeaseError,
    OSError,
)


def arguments() -> dict[str, Any]:
    return {
        "app": {"type": "str", "required": True},
        "state": {"type": "str", "required": True, "choices": STATES},
        "uid": {"type": "int", "required": True},
        **{name: {"type": "str"} for name in (*TEXTS, *COMMANDS)},
        **{name: {"type": "int", "default": default} for name, default in NUMBERS.items()},
        **{name: {"type": "bool", "default": False} for name in FLAGS},
        **{name: {"type": "dict"} for name in MAPS},
        **{name: {"type": "dict", "default": {}} for name in ("outcomes", "steps")},
        "reason": {"type": "str", "default": "another host refused it"},
        "release_key": {"type": "str", "no_log": True},
        "secrets": {"type": "dict", "no_log": True},
        "secret_files": {"type": "dict", "no_log": True},
        "placed": {"type": "dict", "no_log": True},
    }


def step(app: places.App, options: dict[str, Any], dry: bool) -> dict[str, Any]:
    """Do what a state asks for; return what the module answers with."""
    state, release = options["state"], options["release"]
    if state in ("written", "prepared"):
        release, actions, planned = (steps.write if state == "written" else steps.prepare)(app, options, dry)
        twice = state == "written" and dry  # who prepares it tells the same
        shown = {"diff": [] if twice else planned["diff"], "plan": planned["lines"]}
        return {"release": release, "actions": actions, "processes": processes.any_of(app, release), **shown}
    if state == "commanded":
        done, ran = ({}, False) if dry else steps.command(app, options)
        return {"release": release, "actions": [f"ran {done['command']}"] if ran else [], "command": done}
    if state == "renewed":
        release, actions, planned = again.renew(app, options, dry)
        told = {"diff": planned["diff"], "plan": planned["lines"]}
        return {"release": release, "actions": actions, "processes": processes.any_of(app, release), **told}
    if state == "restored":
        release, actions, planned, said = steps.restore(app, options, dry)
        told = {"diff": planned["diff"], "plan": planned["lines"], "said": said}
        return {"release": release, "actions": actions, "processes": processes.any_of(app, release), **told}
    if state == "discarded":
        return {"release": release, "actions": discarding.discarded(app, options, dry)}
    if state == "switched":
        begun, actions = steps.begin_switch(app, options, dry)
        return {"release": release, "actions": actions, "switch": begun}
    if state == "watched" and dry:
        return {"release": release, "actions": [], "well": True, "reason": None, "reject": False, "seen": None}
    if state == "watched":
        told = concluding.watched(app, release, options["switch"], (options["watch"] or {}).get("seconds", 0))
        return {"release": release, "actions": [], **told}
    if state == "tried":
        concluding.tried(app, options)
        return {"release": release, "actions": []}
    if state == "confirmed":
        return {"release": release, "actions": [], "reason": None if dry else concluding.confirmed(app, options)}
    actions, record, summary = concluding.retired(app, options, dry)
    return {"release": release, "actions": actions, "record": record, "summary": summary}


def main() -> None:
    module = QuietModule(
        argument_spec=arguments(),
        required_if=[
            ("state", "written", WHOLE),
            ("state", "prepared", WHOLE),
            ("state", "commanded", ("release",)),
            ("state", "renewed", ("release_key",)),
            ("state", "switched", ("release", "watch")),
            ("state", "watched", ("release",)),
            ("state", "tried", ("release",)),
            ("state", "confirmed", ("release",)),
            ("state", "retired", ("release",)),
        ],
        supports_check_mode=True,
    )
    options, dry, began = module.params, module.check_mode, time.monotonic()
    app = places.App(options["app"], options["uid"])
    previous = app.serving()
    lease = leases.Lease(app.name, options["owner"]) if options["owner"] and not dry else None
    try:
        with lease.held() if lease else nullcontext():
            answer = step(app, options, dry)
    except ERRORS as error:
        if lease:
            lease.release()
        module.fail_json(msg=str(error))
    if lease and options["state"] in ("discarded", "retired"):
        lease.release()
    seconds = round(time.monotonic() - began, 2)
    module.exit_json(**{"changed": bool(answer["actions"]), "previous": previous, "seconds": seconds, **answer})


if __name__ == "__main__":
    main()
