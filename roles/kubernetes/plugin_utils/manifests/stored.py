"""What pods read, keep and reach: the files of a release, its environment, the claim for /data, and networks."""

from __future__ import annotations

import ipaddress
import json
import math
from typing import Any

from . import names, pods, web

LEAST_WORKERS = 2  # of gunicorn: one serves while one is replaced
BASE = {
    "HOME": "/tmp",  # noqa: S108 - the container's own
    "FLASK_SKIP_DOTENV": "1",
    "APP_DATA_DIR": pods.DATA,
    "APP_SECRETS_DIR": pods.SECRETS,
    "JWT_KEY_DIR": pods.KEYS,
}
HOST = "host"  # of host_egress: the host itself
EVERYWHERE = ("0.0.0.0/0", "::/0")


def release_files(known: dict[str, Any]) -> dict[str, str]:
    """Return the files of a release, as a host has them, and those of nginx beside it."""
    settings = {**known["gunicorn"], "workers": workers(known)}
    return {
        **known["programs"],
        "gunicorn.json": f"{json.dumps(settings, indent=4, sort_keys=True)}\n",
        "env.json": "{}\n",  # variables come from a ConfigMap and a Secret
        "nginx.conf": web.main_file(known),
        "site.conf": web.site(known),
    }


def workers(known: dict[str, Any]) -> int:
    """Return gunicorn's workers: where none are said, as many as app_cpus has, for a pod sees all that its node has."""
    return known["gunicorn"]["workers"] or max(LEAST_WORKERS, math.ceil(known["cpus"]))


def variables(known: dict[str, Any]) -> dict[str, str]:
    """Return the environment of a release that is no secret."""
    own = web.own_port(known)
    served = {"PORT": own, "FLASK_APP": known["wsgi"]} if own else {}
    several = {"FLASK_JWT_HOSTS": str(known["hosts"])} if known["hosts"] > 1 else {}
    return {**BASE, **served, **several, **{name: str(value) for name, value in known["env"].items()}}


def release(known: dict[str, Any]) -> dict[str, Any]:
    """Return the files of a release; one that is under its digest never changes, so an undone rollout finds its own."""
    record = {"id": known["release"], "wsgi": known["wsgi"]}
    data = {**release_files(known), "release.json": f"{json.dumps(record)}\n"}
    name = f"{known['app']}-{known['release']}"
    return names.thing("v1", "ConfigMap", known, name, "release", immutable=True, data=data)


def environment(known: dict[str, Any]) -> dict[str, Any]:
    name = f"{known['app']}-env-{known['release']}"
    return names.thing("v1", "ConfigMap", known, name, "release", immutable=True, data=variables(known))


def claim(known: dict[str, Any]) -> dict[str, Any]:
    """Return the claim for what an app keeps: its web, workers and jobs write there at once, on whatever node."""
    storage = {"requests": {"storage": names.size(known["data"])}}
    spec = {"accessModes": ["ReadWriteMany"], "resources": storage}
    return names.thing("v1", "PersistentVolumeClaim", known, f"{known['app']}-data", "data", spec=spec)


def closed(known: dict[str, Any]) -> dict[str, Any]:
    """Return the policy that closes private networks to an app, but for DNS and what host_egress opens."""
    dns = [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]
    internet = [{"ipBlock": {"cidr": each, "except": _within(each, known["closed"])}} for each in EVERYWHERE]
    spec = {
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": known["app"]}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"ports": [{"protocol": "TCP", "port": web.ports(known)[0]}]}],
        "egress": [{"ports": dns}, {"to": internet}, *(_opened(each) for each in opened(known).values())],
    }
    return names.thing("networking.k8s.io/v1", "NetworkPolicy", known, known["app"], "network", spec=spec)


def opened(known: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return what host_egress opens beyond the host itself, which a pod does not have."""
    targets = {name: [to for to in each["to"] if to != HOST] for name, each in known["egress"].items()}
    return {name: {**known["egress"][name], "to": to} for name, to in sorted(targets.items()) if to}


def _within(whole: str, networks: list[str]) -> list[str]:
    version = ipaddress.ip_network(whole).version
    parsed = [ipaddress.ip_network(each) for each in networks]
    return [str(each) for each in parsed if each.version == version]


def _opened(entry: dict[str, Any]) -> dict[str, Any]:
    peers = [{"ipBlock": {"cidr": str(ipaddress.ip_network(each))}} for each in entry["to"]]
    if "port" not in entry:
        return {"to": peers}
    given = entry["port"] if isinstance(entry["port"], list) else [entry["port"]]
    protocol = entry.get("protocol", "tcp").upper()
    return {"to": peers, "ports": [{"protocol": protocol, **_port(str(each))} for each in given]}


def _port(text: str) -> dict[str, int]:
    first, _, last = text.partition("-")
    return {"port": int(first), **({"endPort": int(last)} if last else {})}
