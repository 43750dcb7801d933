#!/usr/bin/python
"""Take an app off this host."""

from __future__ import annotations

import os
from contextlib import suppress

from ansible.module_utils import app_engine as engine
from ansible.module_utils import app_files as files
from ansible.module_utils import app_lease as leases
from ansible.module_utils import app_releases as releases
from ansible.module_utils import app_site as site
from ansible.module_utils import app_unit as unit
from ansible.module_utils.app_module import QuietModule

DOCUMENTATION = r"""
module: app_remove
short_description: Take an app off this host
description:
  - Its site, containers, network, images and releases go. Its data, secrets, keys and certificates stay
    unless they are named; what serves other apps is not touched.
options:
  app: {type: str, required: true, description: Name of the app.}
  data: {type: bool, default: false, description: Remove its data, secrets, keys and certificates too.}
  owner: {type: dict, description: Who holds the app's lock, as app_lock told.}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Take the app off the host
  app_remove:
    app: shop
"""

RETURN = r"""
actions: {type: list, returned: always, description: What was, or would be, removed.}
stays: {type: list, returned: always, description: What stays on the host.}
"""

DATA = "data"


def goes(app, data):
    """Return the paths that go, the site's first."""
    if data:
        paths = [app.root, app.etc]
    else:
        inside = sorted(os.listdir(app.root)) if os.path.isdir(app.root) else []
        paths = [f"{app.root}/{name}" for name in inside if name != DATA]
    texts, links = unit.paths(app)
    return [path for path in [app.include, *links, *texts, *paths] if os.path.lexists(path)]


def _delete(path):
    if os.path.isdir(path) and not os.path.islink(path):
        files.remove_tree(path)
    else:
        files.remove(path)


def remove(app, data, dry):
    """Remove an app; return what was, or would be, done."""
    actions = [f"removed {path}" for path in goes(app, data)]
    if not dry:
        unit.disable(app)
    if os.path.lexists(app.include) and not dry:
        with site.lock():
            files.remove(app.include)
            site.reload()
    actions += remove_from_engine(app, dry) if engine.installed() else []
    if not dry:
        for path in goes(app, data):
            _delete(path)
    return actions


def remove_from_engine(app, dry):
    names = sorted(engine.containers(app.name))
    images = engine.docker("images", "--quiet", "--no-trunc", f"flask-deploy/{app.name}").split()
    network = engine.inspect("network", app.name)
    ours = network and (network.get("Labels") or {}).get("flask-deploy.app") == app.name
    if not dry:
        for name in names:
            engine.remove_container(name)
        for image in sorted(set(images)):
            with suppress(engine.EngineError):  # another app's image stands on it
                engine.docker("rmi", "-f", image)
        if ours:
            engine.docker("network", "rm", app.name)
    counted = [f"removed {len(set(images))} images"] if images else []
    return [*(f"removed container {name}" for name in names), *counted, *([f"removed network {app.name}"] * bool(ours))]


def main():
    module = QuietModule(
        argument_spec={
            "app": {"type": "str", "required": True},
            "data": {"type": "bool", "default": False},
            "owner": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    options, dry = module.params, module.check_mode
    app = releases.App(options["app"])
    try:
        if options["owner"] and not dry:
            lease = leases.Lease(app.name, options["owner"])
            with lease.held():
                actions = remove(app, options["data"], dry)
            lease.release()
        else:
            actions = remove(app, options["data"], dry)
    except (engine.EngineError, site.SiteError, leases.LeaseError) as error:
        module.fail_json(msg=str(error))
    stays = [path for path in (f"{app.root}/data", app.etc) if os.path.exists(path)]
    module.exit_json(changed=bool(actions), actions=actions, stays=stays)


if __name__ == "__main__":
    main()
