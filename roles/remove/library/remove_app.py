#!/usr/bin/python
"""Take an app off this host."""

from __future__ import annotations

import glob
import os

from ansible.module_utils.flask_deploy.host import engine, files, networks, nginx, postgres, systemd, told
from ansible.module_utils.flask_deploy.host.leftovers import Leftovers
from ansible.module_utils.flask_deploy.host.module import QuietModule
from ansible.module_utils.flask_deploy.release import aside, jobs, places
from ansible.module_utils.flask_deploy.switch import lease as leases
from ansible.module_utils.flask_deploy.switch import unit

DOCUMENTATION = r"""
module: remove_app
short_description: Take an app off this host
description:
  - Its site, containers, network, images and releases go. Its data, secrets, keys and certificates stay
    unless they are named; what serves other apps is not touched.
  - What does not go, such as an image that somebody else's container runs, is told; the rest goes nevertheless.
options:
  app: {type: str, required: true, description: Name of the app.}
  data: {type: bool, default: false, description: Remove its data, secrets, keys and certificates too.}
  owner: {type: dict, description: Who holds the app's lock, as app_lock told.}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Take the app off the host
  remove_app:
    app: shop
"""

RETURN = r"""
actions: {type: list, returned: always, description: What was, or would be, removed.}
stays: {type: list, returned: always, description: What is to stay on the host.}
left: {type: list, returned: always, description: "What did not go, or has no backup now, why, and what to type."}
"""

DATA = ("data", "restore", "writable")  # a restore that was cut off has what was there before
ARCHIVE = "/etc/flask-deploy/archive"  # of the host's PostgreSQL, kept with one app's backups
# Of role monitor: an app that is gone does not answer.
WATCHED = ("/etc/flask-deploy/monitor/{app}.*", "/var/lib/flask-deploy/monitor/found/{app}.*")
# And of role metrics: an app that is gone is not measured.
WATCHED += ("/etc/flask-deploy/metrics/{app}.*", "/var/lib/flask-deploy/metrics/textfile/{app}.*")
MONITOR = "flask-deploy-monitor.service"
ENDED = "/var/lib/flask-deploy/archive-ended.json"  # tells the others' status, see keep_archive/places.py
UNSAVED = (
    "PostgreSQL of this host is in no backup from now on: app {0} kept it, and {1} has databases there. To back it up "
    "again, set up an app that has backup_to: ansible-playbook site.yml -i inventories/<of {2}>"
)
BACKUPS = ("backup", "drill", "archive", "archive-drill")
AGAIN = "the same command removes it"
IMAGES = "{{.ID}} {{.Repository}}:{{.Tag}}"


def goes(app: places.App, data: bool) -> list[str]:
    """Return the paths that go, the site's first."""
    if data:
        paths = [app.root, app.etc]
    else:
        inside = sorted(os.listdir(app.root)) if os.path.isdir(app.root) else []
        paths = [f"{app.root}/{name}" for name in inside if name not in DATA]
    texts, links = unit.paths(app, all_kinds=True)
    timed = backup_paths(app) if data else []
    timed += [path for job in jobs.known(app) for path in jobs.paths(app, job)]
    return [
        path
        for path in [app.include, balanced(app), *links, *texts, *timed, *watched(app), *paths]
        if os.path.lexists(path)
    ]


def watched(app: places.App) -> list[str]:
    """Return the paths by which an app is watched and measured."""
    return [path for pattern in WATCHED for path in glob.glob(pattern.format(app=app.name))]


def balanced(app: places.App) -> str:
    """Return the path of what nginx answers balancers with (role balancer)."""
    return app.include.removesuffix(".conf") + "_balanced.conf"


def backup_paths(app: places.App) -> list[str]:
    """Return the paths of an app's backups on this host; the backups themselves lie elsewhere."""
    units = [f"{app.systemd}/flask-deploy-{kind}@{app.name}" for kind in BACKUPS]
    links = [f"{app.systemd}/timers.target.wants/{os.path.basename(unit)}.timer" for unit in units]
    places = [f"/{place}/flask-deploy/backup/{app.name}" for place in ("etc", "var/lib", "var/cache")]
    if keeps_archive(app):
        places.append(ARCHIVE)  # with it PostgreSQL's log goes nowhere; the next app that has backups makes it anew
    return [*links, *(f"{unit}.{kind}" for unit in units for kind in ("timer", "service")), *places]


def keeps_archive(app: places.App) -> bool:
    return files.read_json(f"{ARCHIVE}/settings.json", {}).get("app") == app.name


def left_unsaved(app: places.App, data: bool) -> list[str]:
    """Return the other apps whose databases are in no backup once this app's backups are gone."""
    return [name for name, _uid in postgres.apps() if name != app.name] if data and keeps_archive(app) else []


def _delete(path: str, left: Leftovers) -> None:
    if os.path.isdir(path) and not os.path.islink(path):
        left.remove_tree(path)
    elif os.path.lexists(path):
        left.remove_file(path)


def remove(app: places.App, data: bool, dry: bool, left: Leftovers | None = None) -> list[str]:
    """Remove an app; return what was, or would be, done.

    :param left: Leftovers, of what does not go: the rest goes nevertheless.
    """
    left, before = left or Leftovers(AGAIN), goes(app, data)
    if others := left_unsaved(app, data):
        left.lines.append(UNSAVED.format(app.name, ", ".join(others), others[0]))
        if not dry:
            files.write_json(ENDED, {"app": app.name}, 0o600)
    if dry:
        return [f"removed {path}" for path in before] + remove_from_engine(app, True, left)
    _forget(app, left)
    with left.unless_gone("what starts it again", "systemctl list-jobs"):
        unit.disable(app)
        if data:
            timers = [os.path.basename(path) for path in backup_paths(app) if path.endswith(".timer")]
            systemd.ask("stop", *sorted(set(timers)))
        jobs.remove(app, jobs.known(app), at_once=True)
    done = leave_nginx(app, left) + remove_from_engine(app, False, left)
    for path in goes(app, data):
        _delete(path, left)
    return [f"removed {path}" for path in before if not os.path.lexists(path)] + done


def _forget(app: places.App, left: Leftovers) -> None:
    """Let nobody watch or measure an app any more, before its parts end: each of them would be told of."""
    paths = watched(app)
    for path in paths:
        _delete(path, left)
    if any(path.endswith(".monit") for path in paths):
        with left.unless_gone("what watches it", f"systemctl status {MONITOR}"):
            systemd.ask("try-restart", MONITOR)


def leave_nginx(app: places.App, left: Leftovers) -> list[str]:
    """Let nginx serve an app no more; return what was done where its file had gone, and nginx may not know it."""
    ours = [path for path in (app.include, balanced(app)) if os.path.lexists(path)]
    there, look = bool(ours), "sudo nginx -t; then: sudo systemctl reload nginx"
    with left.unless_gone("its site in nginx", look), told.owed(f"{app.name}.site", there) as due:
        if due:
            with nginx.lock():
                for path in ours:
                    _delete(path, left)
                nginx.reload()
            return [] if there else ["nginx reloaded"]
    return []


def remove_from_engine(app: places.App, dry: bool, left: Leftovers) -> list[str]:
    if not engine.installed():
        return []
    names = sorted([*engine.containers(app.name), *aside.here(app)])
    listed = engine.docker("images", "--no-trunc", "--format", IMAGES, f"flask-deploy/{app.name}").splitlines()
    rows = [line.split() for line in listed]  # by tag: somebody may have given an image another
    images = {image if tag.endswith(":<none>") else tag: image for image, tag in rows}
    inside = networks.users()
    ours = set(networks.of_app(app.name))
    ours |= {app.name} if networks.stranger(app.name) is None and engine.inspect("network", app.name) else set()
    joined = {network: name for name in set(inside) - set(names) for network in inside[name] if network in ours}
    for network in sorted(joined):
        left.add(f"network {network}", f"{joined[network]} is in it", f"sudo docker network inspect {network}")
    going = sorted(ours - set(joined))
    if not dry:
        names = [name for name in names if left.remove_container(name)]
        images = {tag: image for tag, image in sorted(images.items()) if left.remove_image(tag, force=True)}
        going = [name for name in going if left.remove_network(name)]
    counted = [f"removed {len(set(images.values()))} images"] if images else []
    said = [f"removed container {name}" for name in names]
    return said + counted + [f"removed network {name}" for name in going]


def services(app: str) -> list[str]:
    """Return what services beside an app hold of it."""
    held = [f"database {app} of PostgreSQL"] if postgres.has_database(app) else []
    places = {use: f"/etc/tmpfiles.d/flask-deploy-valkey-{app}-{use}.conf" for use in ("queue", "cache")}
    return held + [f"{use} {app}-{use} of Valkey" for use, path in places.items() if os.path.exists(path)]


def main() -> None:
    module = QuietModule(
        argument_spec={
            "app": {"type": "str", "required": True},
            "data": {"type": "bool", "default": False},
            "owner": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    options, dry = module.params, module.check_mode
    app, left = places.App(options["app"]), Leftovers(AGAIN)
    try:
        if options["owner"] and not dry:
            lease = leases.Lease(app.name, options["owner"])
            with lease.held():
                actions = remove(app, options["data"], dry, left)
            lease.release()
        else:
            actions = remove(app, options["data"], dry, left)
    except (engine.EngineError, nginx.SiteError, leases.LeaseError) as error:
        module.fail_json(msg=str(error))
    stays = [path for path in (f"{app.root}/data", app.kept, app.etc) if os.path.exists(path)]
    stays += [] if options["data"] else services(app.name)
    module.exit_json(changed=bool(actions), actions=actions, stays=stays, left=left.lines)


if __name__ == "__main__":
    main()
