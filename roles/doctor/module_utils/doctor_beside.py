"""What runs on a host beside and around an app: containers, ports, sites, and what programs of ours tell."""

from __future__ import annotations

import base64
import contextlib
import glob
import hashlib
import json
import os
import re
from datetime import datetime
from typing import Any

from ansible.module_utils.flask_deploy.host import engine, files
from ansible.module_utils.flask_deploy.host.condition import run, text
from ansible.module_utils.flask_deploy.release.places import App

CONF = "/etc/nginx"
OURS = "# Managed by Ansible: flask-deploy"
ASIDE = ".left-out"  # a site that the guard took away before nginx started
LABEL = "flask-deploy.app"
RECORD = "/var/lib/flask-deploy/host.json"  # of what was taken over
LOCAL = re.compile(r"^\[?(127\.|::1\b|::ffff:127\.)|%lo$")


def containers() -> dict[str, Any]:
    """Return the engine's containers that run, or that it would start; {"error"} where it does not answer."""
    others = bool(files.read_json(RECORD, {}).get("docker", {}).get("yields"))
    told = {"installed": engine.installed(), "adopted": others, "error": "", "containers": []}
    if not told["installed"]:
        return told
    if run("systemctl", "is-active", "--quiet", "docker.service")[0]:  # to ask its socket would start it
        return {**told, "error": "docker.service does not run"}
    code, out, said = run("docker", "ps", "--all", "--quiet")
    if not code and out.split():
        code, out, said = run("docker", "container", "inspect", *out.split())
    if code:
        return {**told, "error": " ".join(said.split())[:300]}
    return {**told, "containers": [_container(each) for each in json.loads(out or "[]")]}


def _container(told: dict[str, Any]) -> dict[str, Any]:
    state, limits, labels = told["State"], told["HostConfig"], told["Config"].get("Labels") or {}
    published = {end["HostPort"] for ends in (limits.get("PortBindings") or {}).values() for end in ends or []}
    return {
        "name": told["Name"].lstrip("/"),
        "image": told["Config"].get("Image", ""),
        "app": labels.get(LABEL, ""),
        "runs": state["Running"],
        "since": stamp(state["StartedAt"]),
        "policy": limits["RestartPolicy"]["Name"],
        "memory": limits.get("Memory") or 0,
        "pids": limits.get("PidsLimit") or 0,
        "cpus": (limits.get("NanoCpus") or 0) / 1e9,
        "killed": killed(state["Pid"]) if state["Running"] else int(state.get("OOMKilled", False)),
        "published": sorted(published - {""}),
    }


def stamp(words: str) -> float | None:
    """Return a time of the engine's in seconds since 1970; nanoseconds are more than Python reads."""
    try:
        return datetime.fromisoformat(re.sub(r"\.\d+", "", words).replace("Z", "+00:00")).timestamp()
    except ValueError:
        return None


def killed(pid: int) -> int:
    """Return how often the kernel killed a process of a container for its memory: cgroups(7), both versions."""
    for line in text(f"/proc/{pid}/cgroup").splitlines():
        _number, kinds, path = line.split(":", 2)
        if kinds in ("", "memory"):
            folder = f"/sys/fs/cgroup{'/memory' if kinds else ''}{path}"
            told = text(f"{folder}/memory.oom_control") + text(f"{folder}/memory.events")
            found = re.search(r"^oom_kill (\d+)$", told, re.MULTILINE)
            if found:
                return int(found[1])
    return 0


def listening() -> list[dict[str, Any]]:
    """Return what listens beyond the host itself, each port of a program once."""
    found = {}
    for line in run("ss", "-Hltunp")[1].splitlines():
        words = line.split()
        address, _, port = words[4].rpartition(":") if len(words) > 4 else ("", "", "")
        holder = re.search(r'\("([^"]+)",pid=(\d+)', line)
        if port.isdigit() and not LOCAL.search(address):
            name, pid = holder.groups() if holder else ("?", "")
            found[words[0], int(port), name] = {"protocol": words[0], "port": int(port), "program": name, "pid": pid}
    return [{**each, "unit": unit_of(each["pid"])} for each in found.values()]


def unit_of(pid: str) -> str:
    """Return the service that a process belongs to; "" where somebody began it by hand."""
    group = text(f"/proc/{pid}/cgroup") if pid else ""
    found = re.search(r"/system\.slice/(?:.*/)?((?!sshd?[.@]|cron\.)[^/\s]+\.service)$", group, re.MULTILINE)
    return found[1] if found else ""


def sites() -> dict[str, Any]:
    """Return files in conf.d that are no app's, sites that were left out, and why nginx refuses its configuration."""
    taken = files.read_json(RECORD, {}).get("nginx", {}).get("sites", [])
    paths = sorted(glob.glob(f"{CONF}/conf.d/*.conf"))
    code, _out, said = run("nginx", "-t", "-q")
    return {
        "adopted": bool(taken),
        "strangers": [path for path in paths if path not in taken and not _is_ours(path)],
        "left_out": sorted(glob.glob(f"{CONF}/*/*{ASIDE}")),
        "refused": " ".join(said.split())[:300] if code not in (0, 127) else "",
    }


def _is_ours(path: str) -> bool:
    name = os.path.basename(path).removesuffix(".conf")
    return text(path).startswith(OURS) or os.path.isdir(f"/etc/{name}/tls")


def release(name: str) -> dict[str, Any]:
    """Return the release that serves: its id, and the limits that its container was made with."""
    with contextlib.suppress(KeyError, OSError):  # without nginx's user there was no deploy
        app = App(name)
        serving = app.serving()
        return {"id": serving, "container": app.record(serving)["container"]} if serving else {}
    return {}


def fingerprint(owner: str) -> str:
    """Return the SHA-256 of the certificate that is to be served; "" where there is none."""
    chain = text(f"/etc/{owner}/tls/current/fullchain.pem")
    first = re.search(r"-----BEGIN CERTIFICATE-----(.*?)-----END", chain, re.DOTALL)
    return hashlib.sha256(base64.b64decode(first[1])).hexdigest() if first else ""
