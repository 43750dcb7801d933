"""Judge what was seen of all hosts, look at names and ports from here, and print what was found."""

from __future__ import annotations

import hashlib
import json
import os
import socket
import ssl
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

sys.path.append(os.path.join(os.path.dirname(os.path.dirname(__file__)), "plugin_utils"))

import health_rules as rules
from health_rules import apps, hosts

SECONDS = 5.0  # that a host may take to answer on a port
UNCOMPARED = "nobody compared the host with the inventory: this run does not use the project's callback plugins"
WAY = "ansible-playbook playbooks/doctor.yml -i inventories/..."


class ActionModule(ActionBase):
    """Print findings; fail nothing: the task behind this one does."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        asked, now = self._task.args, time.time()
        set_up = [
            host for host, known in asked["seen"].items() if known["facts"].get("engine", {}).get("installed", True)
        ]
        addresses = {host: task_vars["hostvars"][host].get("ansible_host", host) for host in set_up}
        found = judged(asked) + reached(asked, addresses)
        found = [rules.named(each, asked["inventory"]) for each in rules.ordered(found)]
        *lines, told = rules.lines(found, now, asked["asked"])
        if asked["format"] == "json":
            answer = {"at": round(now), "hosts": asked["asked"], "findings": rules.data(found)}
            Display().display(json.dumps(answer, indent=2, ensure_ascii=False))
        else:
            Display().display("\n".join(["", *lines, *([""] if lines else []), told]))
        broken = sum(each.severity == rules.BROKEN for each in found)
        return {"changed": False, "broken": broken, "findings": rules.data(found)}


def judged(asked: dict[str, Any]) -> list[rules.Finding]:
    """Return the findings of each host, and those that only show between them."""
    found, told = [], asked["told"]
    statuses = {host: known for host, known in asked["statuses"].items() if "healthy" in known}
    for host, known in asked["seen"].items():
        facts = {**known["facts"], "status": statuses.get(host, {})}
        own = hosts.judge(facts, told) + apps.judge(facts, told) + apps.drift(known["notes"], facts, told)
        own += [
            rules.Finding(rules.NOTE, f"{what} could not be looked at: {why}", what)
            for what, why in known["unseen"].items()
        ]
        own += [] if known["compared"] else [rules.Finding(rules.NOTE, UNCOMPARED, "drift", WAY)]
        found += rules.on(host, own)
    silent = [host for host in asked["asked"] if host not in asked["seen"]]
    return found + apps.together(statuses, silent)


def reached(asked: dict[str, Any], addresses: dict[str, str]) -> list[rules.Finding]:
    """Return findings of what is seen from here, all at once."""
    public = asked["names"]
    with ThreadPoolExecutor(16) as pool:
        answers = pool.map(of_name, public, repeat(int(asked["port"])), repeat(asked["trusted"]))
        names = dict(zip(public, answers, strict=True))
        answers = pool.map(of_host, addresses.values(), repeat(asked["told"]["domain"]))
        known = dict(zip(addresses, answers, strict=True))
    prints = {host: told["facts"].get("fingerprint", "") for host, told in asked["seen"].items()}
    seen = {"names": names, "hosts": {host: told for host, told in known.items() if told}}
    return apps.reach(seen, prints)


def of_name(name: str, port: int, trusted: bool) -> dict[str, Any]:
    """Return how a public name answers: addresses, ports, and why a browser would refuse its certificate.

    :param port: of HTTPS.
    :param trusted: whether its certificate is one that browsers take.
    """
    asked = name.replace("*.", "flask-deploy.", 1)  # any name will do below a wildcard
    known: dict[str, Any] = {"addresses": [], "error": "", "ports": {}, "refused": ""}
    try:
        known["addresses"] = sorted({each[4][0] for each in socket.getaddrinfo(asked, 443, type=socket.SOCK_STREAM)})
    except OSError as error:
        return {**known, "error": error.strerror or str(error)}
    known["ports"] = {each: shut(asked, each) for each in (80, port)}
    if trusted and not known["ports"][port]:
        known["refused"] = served(asked, port, asked, ssl.create_default_context())[1]
    return known


def of_host(address: str, name: str) -> dict[str, Any]:
    """Return how a host answers at the address that Ansible uses; nothing where that is a name of the SSH client's."""
    try:
        socket.getaddrinfo(address, 443)
    except OSError:
        return {}
    unjudged = ssl.create_default_context()
    unjudged.check_hostname, unjudged.verify_mode = False, ssl.CERT_NONE
    ports = {port: shut(address, port) for port in (80, 443)}
    return {"ports": ports, "print": "" if ports[443] else served(address, 443, name, unjudged)[0]}


def shut(address: str, port: int) -> str:
    """Return why a port does not answer; "" where it does."""
    try:
        socket.create_connection((address, port), SECONDS).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def served(address: str, port: int, name: str, context: ssl.SSLContext) -> tuple[str, str]:
    """Return (SHA-256 of the certificate that is served for a name, why it is refused)."""
    try:
        plain = socket.create_connection((address, port), SECONDS)
        with plain, context.wrap_socket(plain, server_hostname=name) as secure:
            return hashlib.sha256(secure.getpeercert(True) or b"").hexdigest(), ""
    except ssl.SSLCertVerificationError as error:
        return "", error.verify_message
    except OSError as error:
        return "", error.strerror or str(error)
