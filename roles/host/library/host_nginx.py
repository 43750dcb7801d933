#!/usr/bin/python
"""Look at whose nginx a host has, before role nginx changes it; take it over where that was said."""

from __future__ import annotations

import glob
import os
import re
import tempfile
from collections.abc import Iterable, Sequence

from ansible.module_utils import host_before as before
from ansible.module_utils.flask_deploy.host import locks
from ansible.module_utils.flask_deploy.host.module import QuietModule

DOCUMENTATION = r"""
module: host_nginx
short_description: Look at whose nginx a host has
description:
  - Fails with one line for each thing of others that role nginx would break, and changes nothing.
  - With C(nginx) in O(adopt) and O(take), keeps a copy of what is to be replaced.
  - With O(take), it is changed too where a run before wrote nginx.conf and nginx was not reloaded since.
options:
  packages: {type: list, elements: str, required: true, description: What role nginx installs.}
  conf: {type: str, required: true, description: What role nginx makes of nginx.conf; tested with the sites of others.}
  adopt: {type: list, elements: str, default: [], description: What the user said to take over.}
  take: {type: bool, default: false, description: Role nginx follows.}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Look at whose nginx it is
  host_nginx:
    packages: [nginx]
    conf: "{{ lookup('ansible.builtin.template', 'nginx.conf.j2') }}"
"""

RETURN = r"""
sites: {type: list, returned: success, description: Files of others that nginx is to serve on.}
told: {type: list, returned: success, description: One line for each thing that others' visitors will notice.}
"""

CONF = "/etc/nginx"
OWED = f"{locks.RUN}/nginx.conf.owed"  # role nginx writes it before nginx.conf, and removes it after the reload
OURS = "# Managed by Ansible: flask-deploy"
# Of every nginx.conf that role nginx ever wrote.
MARKS = ("/var/lib/flask-deploy/acme", "map $realpath_root $release")
# What a file defines that is included for all sites; settings of nginx.conf itself are ours.
DEFINES = re.compile(r"(?m)^\s*(server|upstream|map|geo|split_clients)\b[^;{}]*\{")
ASIDE = ".left-out"  # by the guard before nginx starts
INCLUDE = "include /etc/nginx/conf.d/*.conf;"


def is_ours() -> bool:
    """Tell whether role nginx was here before: it wrote that down, or it is from before it did."""
    text = before.read(f"{CONF}/nginx.conf") or ""
    return "nginx" in before.record() or any(mark in text for mark in MARKS)


def included() -> list[str]:
    """Return the files with sites that nginx.conf includes now, but for those in conf.d, which ours includes too."""
    text = re.sub(r"(?m)(^|\s)#.*", "", before.read(f"{CONF}/nginx.conf") or "")
    found = []
    for pattern in re.findall(r"\binclude\s+[\"']?([^;\"']+?)[\"']?\s*;", text):
        for path in sorted(glob.glob(os.path.join(CONF, pattern))):
            part = path.startswith(f"{CONF}/conf.d/") and path.endswith(".conf")
            if not part and DEFINES.search(before.read(path) or "") and not before.shipped(os.path.realpath(path)):
                found.append(path)
    return found


def taken() -> list[str]:
    """Return the files of sites that were taken over and are still there, and what joined them."""
    known = before.record().get("nginx", {}).get("sites", [])
    there = [path for path in known if os.path.exists(path) or os.path.exists(path + ASIDE)]
    if any("/sites-enabled/" in path for path in known):
        there += [path for path in sorted(glob.glob(f"{CONF}/sites-enabled/*")) if path not in there]
    return [path for path in there if not path.endswith(ASIDE) and not before.shipped(os.path.realpath(path))]


def fragments() -> list[str]:
    """Return the files in conf.d that are no app's."""
    paths = sorted(glob.glob(f"{CONF}/conf.d/*.conf"))
    return [path for path in paths if not (before.read(path) or "").startswith(OURS) and not of_an_app(path)]


def of_an_app(path: str) -> bool:
    return os.path.isdir(f"/etc/{os.path.basename(path).removesuffix('.conf')}/tls")


def main_file() -> str | None:
    """Return nginx.conf where somebody changed it."""
    path = f"{CONF}/nginx.conf"
    return path if os.path.exists(path) and not before.shipped(path) else None


def short(paths: Iterable[str]) -> str:
    return ", ".join(path.removeprefix(f"{CONF}/") for path in paths)


def others(sites: Sequence[str], parts: Sequence[str], main: str | None) -> list[str]:
    """Return one line for each thing of others that role nginx would end, or change."""
    lines = []
    if main:
        lines.append(f"{main} was changed by somebody and would be replaced")
    if sites:
        lines.append(f"sites of others in {CONF} would no longer be served: {short(sites)}")
    if parts:
        lines.append(f"sites or settings of others in {CONF} would be under role nginx's settings: {short(parts)}")
    return lines


# -- taking over -----------------------------------------------------------------------------


def left_behind(main: str | None) -> list[str]:
    """Return lines for what nginx.conf does and ours cannot: other protocols than HTTP, sites in the file itself."""
    text = re.sub(r"#.*", "", before.read(main) or "") if main else ""
    found = sorted(set(re.findall(r"\b(stream|mail|server|upstream)\b[^;{}]*\{", text)))
    way_out = dict.fromkeys(("stream", "mail"), "deploy to a host of its own")
    return [
        f"{main} has a block {name}, which cannot be taken over; "
        + way_out.get(name, f"move it to a file in {CONF}/conf.d")
        for name in found
    ]


def with_sites(conf: str, sites: Iterable[str]) -> str:
    """Return role nginx's nginx.conf with sites of others."""
    missing = [site for site in sites if f'"{site[:-1]}[' not in conf]
    return conf.replace(INCLUDE, "\n    ".join([INCLUDE, *(f'include "{site}";' for site in missing)]))


def refused(conf: str, sites: Iterable[str]) -> list[str]:
    """Return a line where nginx would not start with others' sites beside ours; beside nginx.conf, for their sakes:
    what they include is looked for where that file is."""
    if before.run("nginx", "-v")[0]:
        return []
    with tempfile.NamedTemporaryFile("w", dir=CONF, prefix=".flask-deploy-", encoding="utf-8") as staged:
        staged.write(with_sites(conf, sites))
        staged.flush()
        code, said = before.run("nginx", "-t", "-q", "-c", staged.name)
    if not code:
        return []
    words = " ".join(re.sub(r"\S*/\.flask-deploy-\w+", f"{CONF}/nginx.conf", said).split())
    return [f"others' sites do not work beside role nginx's nginx.conf: {words[:500]}; change them, and try again"]


def told_of(sites: Sequence[str], parts: Sequence[str], main: str | None) -> list[str]:
    """Return a line for each thing that others' visitors, or their owner, will notice."""
    lines = [f"sites of others are served on: {short([*sites, *parts])}"] if sites or parts else []
    if main:
        lines.append(f"{main} is replaced; what it set for all sites holds no more, and a copy lies beside it")
    for path in [*sites, *parts]:
        text = re.sub(r"#.*", "", before.read(path) or "")
        names = re.findall(r"\bserver_name\s+([^;]*);", text)
        if len(re.findall(r"\bserver\s*\{", text)) > len(names) or "_" in " ".join(names).split():
            lines.append(f"{short([path])} answered for names that no site claims; those get no answer now")
    return lines


def main() -> None:
    module = QuietModule(
        argument_spec={
            "packages": {"type": "list", "elements": "str", "required": True},
            "conf": {"type": "str", "required": True},
            "adopt": {"type": "list", "elements": "str", "default": []},
            "take": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    adopted, told, changed = "nginx" in module.params["adopt"], [], False
    mistakes, sites = before.removed_by(module.params["packages"]), []
    if is_ours():
        sites = taken()
    else:
        sites, parts, main = included(), fragments(), main_file()
        lines = others(sites, parts, main)
        if lines and not adopted:
            mistakes += [*lines, before.WAY_OUT.format("nginx")]
        elif lines:
            mistakes += left_behind(main) + refused(module.params["conf"], sites)
            told = told_of(sites, parts, main)
        if not mistakes and module.params["take"] and not module.check_mode:
            changed = bool(main and before.keep_copy(main))
            before.remember("nginx", {"sites": sites})
    changed |= module.params["take"] and not module.check_mode and os.path.exists(OWED)
    if mistakes:
        module.fail_json(msg="\n".join(["nothing was changed; to be mended:", *(f"  {line}" for line in mistakes)]))
    module.exit_json(changed=changed, sites=sites, told=told)


if __name__ == "__main__":
    main()
