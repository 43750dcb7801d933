#!/usr/bin/python
"""Prepare a release of an app on this host, or let it serve."""

from __future__ import annotations

import time

from ansible.module_utils import app_engine as engine
from ansible.module_utils import app_files as files
from ansible.module_utils import app_releases as releases
from ansible.module_utils import app_site as site
from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = r"""
module: app_release
short_description: Prepare a release of an app on this host, or let it serve
description:
  - A release is a directory below /srv/<app>/releases; the link `current` names the one that serves.
  - C(prepared) writes the directory, starts its container beside the serving one and waits until it answers.
  - C(restored) starts a release that served before, from its own record and without a build.
  - C(serving) moves the link, drains and stops the release before it, and removes releases beyond the kept number.
options:
  app: {type: str, required: true, description: Name of the app.}
  state: {type: str, required: true, choices: [prepared, restored, serving], description: How far to go.}
  release: {type: str, description: Release id; with C(restored) the one before is the default.}
  reject: {type: bool, default: false, description: Mark the release that stops serving as one not to deploy again.}
  accept_rejected: {type: bool, default: false, description: Let a release serve that was rolled back from.}
  uid: {type: int, required: true, description: User id the app runs as.}
  domain: {type: str, description: Public name, asked for by the gates.}
  health_path: {type: str, description: Path that answers below 400 when the app is ready.}
  start_timeout: {type: int, default: 60, description: Seconds the app has to get ready.}
  drain_timeout: {type: int, default: 30, description: Seconds requests in flight have to finish.}
  keep: {type: int, default: 5, description: Releases kept.}
  image: {type: str, description: Image id, with C(prepared).}
  build: {type: str, description: Digest of what the image was built from.}
  source: {type: dict, description: Where the code came from, for the record.}
  by: {type: str, description: Who deploys, for the record.}
  wsgi: {type: str, description: What gunicorn serves.}
  static: {type: str, description: Directory of public files in the image.}
  container: {type: dict, description: Limits of the container.}
  files: {type: dict, description: File name to content, below the release directory.}
  environment: {type: dict, description: Environment that belongs to the release.}
  secrets: {type: dict, description: Secret environment, kept outside releases.}
  secret_files: {type: dict, description: Secret files, kept outside releases.}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Let the prepared release serve
  app_release:
    app: shop
    state: serving
    release: 3f9a0c41d2b7
    uid: 10001
"""

RETURN = r"""
release: {type: str, returned: always, description: Id of the release.}
previous: {type: str, returned: always, description: Id of the release that served before.}
actions: {type: list, returned: always, description: What was, or would be, done.}
seconds: {type: float, returned: always, description: How long that took.}
"""


def text(values):
    """Return an environment: strings as they are, other values as JSON."""
    return {
        name: value if isinstance(value, str) else files.canonical(value).decode()
        for name, value in (values or {}).items()
    }


def release_id(app, options, environment, secret, dry):
    """Return the id that all inputs of a release decide; of secrets it tells only whether they changed."""
    inputs = [options[name] for name in ("build", "wsgi", "static", "container", "files", "uid")]
    hidden = files.keyed_digest(app.digest_key(dry), [secret, options["secret_files"] or {}])
    return files.digest(inputs, environment, hidden)[:12]


def prepare(app, options, dry):
    environment, secret = text(options["environment"]), text(options["secrets"])
    actions = app.ensure_places(dry)
    release = release_id(app, options, environment, secret, dry)
    refuse_rejected(app, release, options)
    actions += app.ensure_secrets(secret, text(options["secret_files"]), dry)
    serving = app.serving()
    rows = app.release_files(options["files"], environment)
    record = {
        "id": release,
        "app": app.name,
        "domain": options["domain"],
        "health_path": options["health_path"],
        "start_timeout": options["start_timeout"],
        "build": options["build"],
        "image": options["image"],
        "source": options["source"],
        "by": options["by"],
        "created": time.time(),
        "wsgi": options["wsgi"],
        "static": {"path": options["static"]},
        "container": options["container"],
    }
    if release not in app.known():
        actions.append(f"release {release}")
        if not dry:
            app.write_release(release, rows, record)
        repaired = []
    else:
        repaired = app.repair_release(release, rows, record, dry)
    site_repaired = app.path(release, "site.conf") in repaired and release == serving
    if app.ensure_include(dry) or site_repaired:
        repaired.append(app.include)
    actions += repaired
    if not dry:
        actions += start(app, release, options, app.include in repaired)
    elif engine.installed() and release in app.known() and not running(app, release):
        actions.append(f"container {app.container(release)}")
    return release, actions, difference(app, serving, rows)


def refuse_rejected(app, release, options):
    """A release that was rolled back from comes back only when that is said."""
    state = app.state(release)
    if state.get("state") == "rejected" and not options["accept_rejected"]:
        at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(state["since"]))
        raise releases.ReleaseError(
            f"release {release} was rolled back from at {at}; change what was wrong with it, "
            "or let it serve again: -e app_accept_rejected=true"
        )


def restore(app, options, dry):
    """Get a release that served before ready to serve again: its own image, files and gates."""
    possible = app.targets()
    wanted = options["release"] or next(iter(app.targets(rejected=False)), None)
    if wanted not in possible:
        listed = "".join(f"\n    {app.describe(release)}" for release in possible) or " none"
        raise releases.ReleaseError(f"cannot roll back to {wanted or 'a release before'}; possible are:{listed}")
    refuse_rejected(app, wanted, options)
    record = app.record(wanted)
    if dry:
        return wanted, [f"container {app.container(wanted)}"]
    gates = {name: record[name] for name in ("domain", "health_path", "start_timeout")}
    text = (files.read(app.path(wanted, "site.conf")) or b"").decode()
    return wanted, start(app, wanted, {**gates, "files": {"site.conf": text}}, False)


def running(app, release):
    return engine.containers(app.name).get(app.container(release)) == "running"


def start(app, release, options, reload):
    """Start a release and hold it at the gates; a release that never served goes away if it fails."""
    actions = []
    try:
        if app.ensure_running(release, app.record(release)):
            actions.append(f"container {app.container(release)}")
        app.wait_ready(release, options["domain"], options["health_path"], options["start_timeout"])
        site.test_staged(app.name, options["files"]["site.conf"].encode())
    except (releases.ReleaseError, site.SiteError, engine.EngineError) as error:
        if release != app.serving():
            app.discard(release, str(error))
        raise
    if reload and release == app.serving():
        with site.lock():
            site.reload()
        actions.append("nginx reloaded")
    return actions


def difference(app, serving, rows):
    """Return Ansible's diff of a release's readable files against the serving release's."""
    shown = []
    for name, content, mode, *_owner in rows:
        before = (files.read(app.path(serving, name), b"") if serving else b"").decode()
        if mode & 0o044 and before != content.decode():
            shown.append({"before_header": name, "after_header": name, "before": before, "after": content.decode()})
    return shown


def serve(app, options, dry):
    release = options["release"]
    if release not in app.known() and not dry:
        raise releases.ReleaseError(f"there is no release {release}; known are: {', '.join(app.known()) or 'none'}")
    actions = app.reconcile(dry)
    if app.serving() != release:
        actions.append(f"current -> {release}")
        if not dry:
            app.switch(release, "rejected" if options["reject"] else "retired")
    if dry:
        return actions
    stop_timeout = options["drain_timeout"] + 10
    actions += [f"stopped {name}" for name in app.retire(options["drain_timeout"], stop_timeout)]
    actions += [f"removed {gone}" for gone in app.prune(options["keep"])]
    return actions


def main():
    module = AnsibleModule(
        argument_spec={
            "app": {"type": "str", "required": True},
            "state": {"type": "str", "required": True, "choices": ["prepared", "restored", "serving"]},
            "release": {"type": "str"},
            "reject": {"type": "bool", "default": False},
            "accept_rejected": {"type": "bool", "default": False},
            "uid": {"type": "int", "required": True},
            "domain": {"type": "str"},
            "health_path": {"type": "str"},
            "start_timeout": {"type": "int", "default": 60},
            "drain_timeout": {"type": "int", "default": 30},
            "keep": {"type": "int", "default": 5},
            "image": {"type": "str"},
            "build": {"type": "str"},
            "source": {"type": "dict"},
            "by": {"type": "str"},
            "wsgi": {"type": "str"},
            "static": {"type": "str"},
            "container": {"type": "dict"},
            "files": {"type": "dict"},
            "environment": {"type": "dict"},
            "secrets": {"type": "dict", "no_log": True},
            "secret_files": {"type": "dict", "no_log": True},
        },
        required_if=[
            ("state", "prepared", ("domain", "health_path", "image", "build", "wsgi", "files", "container")),
            ("state", "serving", ("release",)),
        ],
        supports_check_mode=True,
    )
    options, dry, began = module.params, module.check_mode, time.monotonic()
    app = releases.App(options["app"], options["uid"])
    previous, diff = app.serving(), []
    try:
        if options["state"] == "prepared":
            release, actions, diff = prepare(app, options, dry)
        elif options["state"] == "restored":
            release, actions = restore(app, options, dry)
        else:
            release, actions = options["release"], serve(app, options, dry)
    except (releases.ReleaseError, site.SiteError, engine.EngineError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=bool(actions),
        release=release,
        previous=previous,
        actions=actions,
        diff=diff,
        seconds=round(time.monotonic() - began, 2),
    )


if __name__ == "__main__":
    main()
