#!/usr/bin/python
"""Look at whose engine a host has, before role docker changes it; take it over where that was said."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Sequence
from typing import Any

from ansible.module_utils import host_before as before
from ansible.module_utils.flask_deploy.host.module import QuietModule
from ansible.module_utils.host_containers import containers, runs

DOCUMENTATION = r"""
module: host_docker
short_description: Look at whose Docker engine a host has
description:
  - Fails with one line for each thing of others that role docker would break, and changes nothing.
  - With C(docker) in O(adopt) and O(take), keeps copies of what is to be replaced, and lets running containers live
    through the restart of their engine.
options:
  packages: {type: list, elements: str, required: true, description: What role docker installs on a bare host.}
  daemon: {type: dict, required: true, description: What role docker sets in daemon.json.}
  adopt: {type: list, elements: str, default: [], description: What the user said to take over.}
  take: {type: bool, default: false, description: Role docker follows.}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Look at whose engine it is
  host_docker:
    packages: [docker.io]
    daemon: {icc: false}
"""

RETURN = r"""
packages: {type: list, returned: success, description: What is to be installed.}
base: {type: dict, returned: success, description: Keys of daemon.json that were there before.}
yields: {type: list, returned: success, description: Keys that role docker leaves as they were.}
containerd: {type: bool, returned: success, description: Whether containerd's configuration is role docker's.}
told: {type: list, returned: success, description: One line for each thing that others' containers will notice.}
"""

DAEMON = "/etc/docker/daemon.json"
CONTAINERD = "/etc/containerd/config.toml"
OURS = "Managed by Ansible: flask-deploy"
# Keys that role docker has set on every host since it began.
SET = {"builder", "icc", "live-restore", "log-driver", "log-opts", "no-new-privileges", "userland-proxy"}
# Keys that change how containers of others work; ours have their own network and say the rest themselves.
YIELDS = ["icc", "no-new-privileges", "userland-proxy"]
PACKAGED = {"docker-ce": "docker-buildx-plugin", "docker.io": "docker-buildx"}


def daemon() -> dict[str, Any] | None:
    """Return daemon.json, or None where there is none.

    :raises ValueError: it is not JSON.
    """
    text = before.read(DAEMON)
    return None if text is None else json.loads(text or "{}")


def is_ours() -> bool:
    """Tell whether role docker was here before: it wrote that down, or it is from before it did."""
    try:
        keys = set(daemon() or {})
    except ValueError:
        return False
    return "docker" in before.record() or (OURS in (before.read(CONTAINERD) or "") and keys >= SET)


# -- what nothing takes over -----------------------------------------------------------------


def engine(packages: list[str]) -> tuple[list[str], list[str]]:
    """Return (packages to install, mistakes): a supported engine that is there stays."""
    found = before.installed("docker-ce", "docker.io", "podman-docker", "docker-buildx-plugin", "docker-buildx")
    mistakes = []
    if "podman-docker" in found:
        mistakes.append("podman-docker stands in for docker here; type there: sudo apt remove podman-docker")
    if "docker-ce" in found:
        if before.run("docker", "buildx", "version")[0]:
            mistakes.append("docker-ce lacks its builder; type there: sudo apt install docker-buildx-plugin")
        return [], mistakes
    program = shutil.which("dockerd") or shutil.which("/snap/bin/docker")
    if program and before.run("dpkg", "--search", os.path.realpath(program))[0]:
        mistakes.append(
            f"{program} was not installed by apt; supported are Debian's docker.io and docker.com's docker-ce"
        )
    return packages, mistakes or before.removed_by(packages)


def conflicts(wanted: dict[str, Any]) -> list[str]:
    """Return lines for what dockerd or nginx could not start beside: options of the unit, a swarm, published ports."""
    _code, said = before.run("systemctl", "show", "docker.service", "--property=ExecStart")
    flags = {flag.replace("log-opt", "log-opts") for flag in re.findall(r" --([a-z-]+)", said)}
    twice = sorted(flags & set(wanted))
    mistakes = []
    if twice:
        mistakes.append(
            f"docker.service is started with {', '.join(twice)}, which role docker sets in daemon.json; dockerd "
            "refuses both. Take them out of the unit: sudo systemctl edit docker.service"
        )
    if not runs():
        return mistakes
    code, said = before.run("docker", "info", "--format", "{{.Swarm.LocalNodeState}}")
    if not code and said.strip() == "active" and wanted.get("live-restore"):
        mistakes.append("the host is in a swarm, which excludes live restore; deploy to a host of its own")
    for port in (80, 443):
        _code, said = before.run("docker", "ps", "--filter", f"publish={port}/tcp", "--format", "{{.Names}}")
        mistakes += [
            f"port {port} is published by the container {name}; publish another one, and let nginx ask it there"
            for name in said.split()
        ]
    return mistakes


# -- what can be taken over ------------------------------------------------------------------


def others(found: dict[str, Any] | None, names: Sequence[str]) -> list[str]:
    """Return one line for each thing of others that role docker would replace or restart."""
    lines = []
    if found:
        lines.append(f"{DAEMON} is not ours and would be replaced; it sets {', '.join(sorted(found))}")
    if names:
        lines.append(
            f"containers of others are here: {', '.join(names)}; the engine would restart, and what it starts anew "
            "would have other defaults (icc, log-driver, no-new-privileges, userland-proxy)"
        )
    return lines


def changes(found: dict[str, Any], wanted: dict[str, Any], yields: Sequence[str]) -> list[str]:
    """Return a line for each key of theirs that role docker overrides, and one for what it leaves."""
    lines = [
        f"{DAEMON}: {key} was {json.dumps(found[key])} and is {json.dumps(wanted[key])} now; "
        "docker_daemon_options sets it otherwise"
        for key in sorted(found.keys() & wanted.keys())
        if found[key] != wanted[key] and key not in yields
    ]
    if yields:
        lines.append(f"{', '.join(yields)} stay as they were, for containers of others")
    return lines


def kept(found: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the keys of theirs that stay; options of a log driver are of no use to another one."""
    gone = {"log-opts"} if "log-driver" in wanted else set()
    return {key: value for key, value in found.items() if key not in gone}


def hold(found: dict[str, Any]) -> None:
    """Let running containers live through the restart that follows (live restore, by a reload).

    :raises OSError: the engine does not take it.
    """
    if before.run("docker", "info", "--format", "{{.LiveRestoreEnabled}}")[1].strip() == "true":
        return
    text = before.read(DAEMON)
    before.write(DAEMON, json.dumps({**found, "live-restore": True}, indent=2) + "\n")
    before.run("systemctl", "reload", "docker.service")
    for _ in range(20):
        code, said = before.run("docker", "info", "--format", "{{.LiveRestoreEnabled}}")
        if not code and said.strip() == "true":
            return
        before.run("sleep", "0.5")
    if text is None:
        os.unlink(DAEMON)
    else:
        before.write(DAEMON, text)
    raise OSError(f"the engine does not take live restore by a reload: {said.strip()}")


def take(found: dict[str, Any] | None, names: Sequence[str], wanted: dict[str, Any]) -> list[str]:
    """Keep copies, hold the containers and write down that the engine is ours; return the copies."""
    copies = [before.keep_copy(DAEMON)] if found is not None else []
    if names and runs():
        before.open_directory(os.path.dirname(DAEMON))
        hold(found or {})
    before.remember("docker", {"base": kept(found or {}, wanted), "yields": YIELDS if names else []})
    return [copy for copy in copies if copy]


def main() -> None:
    module = QuietModule(
        argument_spec={
            "packages": {"type": "list", "elements": "str", "required": True},
            "daemon": {"type": "dict", "required": True},
            "adopt": {"type": "list", "elements": "str", "default": []},
            "take": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    wanted, changed, told = module.params["daemon"], False, []
    packages, mistakes = engine(module.params["packages"])
    mistakes += conflicts(wanted)
    containerd = before.read(CONTAINERD)
    answer = {
        "packages": packages,
        "containerd": containerd is None or OURS in containerd or (bool(packages) and before.shipped(CONTAINERD)),
        **{"base": {}, "yields": [], **before.record().get("docker", {})},
    }
    if not is_ours():
        try:
            found = daemon()
        except ValueError as error:
            module.fail_json(msg=f"{DAEMON} is not JSON: {error}; mend it, or remove it")
        names = containers()
        lines = others(found, names)
        if lines and "docker" not in module.params["adopt"]:
            mistakes += [*lines, before.WAY_OUT.format("docker")]
        elif not mistakes:
            answer |= {"base": kept(found or {}, wanted), "yields": YIELDS if names else []}
            told = changes(found or {}, wanted, answer["yields"]) if lines else []
        if not mistakes and module.params["take"] and not module.check_mode:
            try:
                changed = bool(take(found, names, wanted))
            except OSError as error:
                module.fail_json(msg=f"nothing was changed: {error}")
    if mistakes:
        module.fail_json(msg="\n".join(["nothing was changed; to be mended:", *(f"  {line}" for line in mistakes)]))
    module.exit_json(changed=changed, told=told, **answer)


if __name__ == "__main__":
    main()
