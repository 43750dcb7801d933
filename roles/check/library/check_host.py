#!/usr/bin/python
"""Look at a host before a deploy changes it."""

from __future__ import annotations

import glob
import os
import re

from ansible.module_utils import check_ports as ports
from ansible.module_utils.check_needs import mistakes as unmet_needs
from ansible.module_utils.check_times import senseless_times
from ansible.module_utils.flask_deploy.host import command, engine, files, networks
from ansible.module_utils.flask_deploy.host.module import QuietModule

DOCUMENTATION = r"""
module: check_host
short_description: Look at a host before a deploy changes it
description: Reports what would make a deploy fail or harm something else on the host; changes nothing.
options:
  app: {type: str, required: true, description: Name of the app.}
  domain: {type: str, required: true, description: Its public name.}
  aliases: {type: list, elements: str, default: [], description: Its other names.}
  wsgi: {type: str, required: true, description: What it serves.}
  repository: {type: str, default: "", description: Address of a repository that must be on this host.}
  calendars: {type: dict, default: {}, description: "What comes at times, to these: systemd's own."}
  needs: {type: list, elements: str, default: [], description: Services that it needs beside it.}
  uid: {type: int, default: 10001, description: User id it runs as.}
  sets_up: {type: bool, default: true, description: Whether services are set up before it is released.}
  metrics: {type: dict, default: {}, description: "The address and the first port where its metrics are read."}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Look at the host
  check_host:
    app: shop
    domain: shop.example.com
    wsgi: shop:app
"""

RETURN = r"""
mistakes: {type: list, returned: always, description: One line for each thing to mend.}
keys: {type: bool, returned: always, description: Whether keys that sign tokens of the app are here.}
processors: {type: int, returned: always, description: How many of them gunicorn would count.}
"""

OURS = {"tls", "jwt", "secrets", "release.key"}
# One of them is in /srv/<app> from the first step on, or since a backup was brought back.
PLACES = {"data", "rebuilt.json", "releases", "source.git", "sources.json"}
FREE_BYTES = 1 << 30  # or twice the image, where that is more
FREE_MEMORY = 192 << 20  # bytes; a release starts beside the one that serves
FREE_INODES = 20_000


def _ours(name: str) -> bool:
    """Tell whether a name in /etc/<app> is ours; a killed write leaves one that begins so."""
    return name in OURS or name.startswith(files.PART)


def foreign_directory(app: str) -> list[str]:
    """An app's name must not be that of something else which keeps its settings in /etc."""
    path = f"/etc/{app}"
    if os.path.lexists(path) and not (os.path.isdir(path) and all(map(_ours, os.listdir(path)))):
        return [f"app_name: {path} belongs to something else on this host; choose another, example: {app}-web"]
    return []


def foreign_files(app: str) -> list[str]:
    """Neither must its directory in /srv, nor its file among nginx's sites, be somebody's."""
    mistakes, root, site = [], f"/srv/{app}", f"/etc/nginx/conf.d/{app}.conf"
    names = os.listdir(root) if os.path.isdir(root) else []
    known = {name for name in names if not name.startswith(files.PART)}
    if known and not known & PLACES:
        mistakes.append(f"app_name: {root} belongs to something else on this host; choose another, example: {app}-web")
    text = (files.read(site) or b"").decode(errors="replace")
    if text and f"/srv/{app}/current/" not in text and not os.path.isdir(f"/etc/{app}/tls"):
        mistakes.append(f"app_name: {site} belongs to something else on this host; choose another, example: {app}-web")
    return mistakes


def foreign_network(app: str) -> list[str]:
    """Nor the network that its containers would join: what else is in it would reach them."""
    try:
        whose = networks.stranger(app) if engine.installed() else None
    except engine.EngineError:  # the engine is seen to before anything joins
        return []
    if whose is None:
        return []
    way_out = f"choose another, example: {app}-web, or remove it where nothing needs it: sudo docker network rm {app}"
    return [f"app_name: a docker network {app} is here already, {whose}; {way_out}"]


def other_app(app: str, domain: str, wsgi: str) -> list[str]:
    """The same name must not mean two apps: their sockets and links would be one."""
    record = files.read_json(f"/srv/{app}/current/release.json")
    if record and record.get("domain") not in (None, domain) and record["wsgi"] != wsgi:
        return [f"app_name: {app} is {record['domain']} on this host already; choose another name for {domain}"]
    return []


def overlap(one: str, other: str) -> bool:
    """Tell whether two names of servers share a name; `*.example.com` is every one below it, as nginx reads it."""
    pairs = ((one, other), (other, one))
    return one == other or any(wide.startswith("*.") and name.endswith(wide[1:]) for wide, name in pairs)


def taken_names(app: str, names: list[str]) -> list[str]:
    """Two apps must not claim one public name: nginx would silently serve the first, or the more exact one."""
    mistakes = []
    for path in glob.glob("/etc/nginx/conf.d/*.conf") + sites_of_others():
        other = os.path.basename(path).removesuffix(".conf")
        site = files.read(f"/srv/{other}/current/site.conf")
        text = (site or files.read(path) or b"").decode(errors="replace")
        claimed = {name for line in re.findall(r"server_name\s+([^;]+);", text) for name in line.split()}
        owner = f"belongs to the app {other}" if site else f"belongs to {path}, which is no app's,"
        if other != app or not path.startswith("/etc/nginx/conf.d/"):
            shared = [(name, each) for name in sorted(names) for each in sorted(claimed) if overlap(name, each)]
            told = [name if name == each else f"{name} overlaps with {each}, which" for name, each in shared]
            mistakes += [f"site_domain: {said} {owner} on this host" for said in told]
    return mistakes


def sites_of_others() -> list[str]:
    """Return the files that nginx serves beside conf.d: those that role nginx took over, or has yet to look at."""
    known = files.read_json("/var/lib/flask-deploy/host.json", {})
    if "nginx" in known:
        return known["nginx"].get("sites", [])
    main = files.read("/etc/nginx/nginx.conf") or b""
    return [] if b"/var/lib/flask-deploy/" in main else glob.glob("/etc/nginx/sites-enabled/*")


def image_bytes(app: str) -> int:
    """Return the size of the image that serves; 0 where there is none, or no engine to ask."""
    record = files.read_json(f"/srv/{app}/current/release.json") or {}
    if not record.get("image") or not engine.installed():
        return 0
    try:
        found = engine.inspect("image", record["image"])
    except engine.EngineError:
        return 0
    return found["Size"] if found else 0


def full_disk(app: str) -> list[str]:
    mistakes = []
    for path, needed in ((engine.root(), max(FREE_BYTES, 2 * image_bytes(app))), ("/srv", FREE_BYTES)):
        place = path if os.path.exists(path) else os.path.dirname(path)
        state = os.statvfs(place)
        free = state.f_bavail * state.f_frsize
        if free < needed:
            mistakes.append(f"{path} has {free >> 20} MB free; {needed >> 20} MB are needed")
        if state.f_files and state.f_favail < FREE_INODES:
            mistakes.append(f"{path} has {state.f_favail} free inodes; {FREE_INODES} are needed")
    return mistakes


def unreadable_repository(address: str) -> list[str]:
    """Return what is wrong with a repository that must be here: it is elsewhere, or git does not trust its owner."""
    path = address.removeprefix("file://")
    if not path:
        return []
    if not os.path.isdir(path):
        way_out = f"a directory of your own machine is written alone, build_source: {path}"
        return [f"build_source: there is no {path} on this host, where file:// is read; {way_out}"]
    try:
        said = command.attempt("git", "ls-remote", "-q", "--", address, limit=30, environment={"LC_ALL": "C"}).said
    except FileNotFoundError:  # a deploy installs it
        return []
    owned = re.search(r"dubious ownership in repository at '([^']+)'", said)
    way_out = f"type there: sudo git config --system --add safe.directory {owned[1]}" if owned else ""
    return [f"build_source: {path} is not root's own, so git does not read it; {way_out}"] if owned else []


def full_memory() -> list[str]:
    """Return what is wrong with the memory that is left (proc(5), meminfo)."""
    lines = (files.read("/proc/meminfo") or b"").decode().splitlines()
    known = {line.split(":")[0]: int(line.split()[1]) << 10 for line in lines if line.endswith("kB")}
    free = known.get("MemAvailable", FREE_MEMORY) + known.get("SwapFree", 0)
    if free < FREE_MEMORY:
        return [f"{free >> 20} MB of memory are free; {FREE_MEMORY >> 20} MB are needed to start a release"]
    return []


def main() -> None:
    module = QuietModule(
        argument_spec={
            "app": {"type": "str", "required": True},
            "domain": {"type": "str", "required": True},
            "aliases": {"type": "list", "elements": "str", "default": []},
            "wsgi": {"type": "str", "required": True},
            "repository": {"type": "str", "default": ""},
            "calendars": {"type": "dict", "default": {}},
            "needs": {"type": "list", "elements": "str", "default": []},
            "uid": {"type": "int", "default": 10001},
            "sets_up": {"type": "bool", "default": True},
            "metrics": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    app, domain, wsgi = (module.params[name] for name in ("app", "domain", "wsgi"))
    names = [domain, *module.params["aliases"]]
    mistakes = foreign_directory(app) + foreign_files(app) + other_app(app, domain, wsgi) + taken_names(app, names)
    mistakes += foreign_network(app) + senseless_times(module.params["calendars"])
    mistakes += unmet_needs(app, *(module.params[name] for name in ("uid", "needs", "sets_up")))
    mistakes += unreadable_repository(module.params["repository"]) + full_disk(app) + full_memory()
    mistakes += ports.taken_web() + ports.taken_metrics(**module.params["metrics"])
    seen = {"processors": len(os.sched_getaffinity(0)), "keys": os.path.exists(f"/etc/{app}/jwt/signing")}
    module.exit_json(changed=False, mistakes=mistakes, **seen)


if __name__ == "__main__":
    main()
