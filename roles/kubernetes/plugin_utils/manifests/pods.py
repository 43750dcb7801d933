"""What the pods of an app have and may do: as the containers of a release have on a host, each with its own limits."""

from __future__ import annotations

import posixpath
from typing import Any

from ansible.module_utils.flask_deploy.release import writable

from . import names

RELEASE, SECRETS, KEYS, DATA = "/release", "/run/secrets", "/run/jwt", "/data"
LOCKED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
EXEC = ["python3", f"{RELEASE}/exec.py"]
KEPT = "writable"  # in the claim, beside data: what app_writable and Flask's instance folder keep
WITHOUT = "-I"  # of Python: nothing of the image is imported


def template(known: dict[str, Any], part: str, containers: list[dict[str, Any]], **rest: Any) -> dict[str, Any]:
    """Return a pod of an app.

    :param rest: what its kind says too, such as restartPolicy.
    """
    uid = known["uid"]
    spec = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,  # or a service named flask gives each app FLASK_PORT
        "shareProcessNamespace": True,  # so that process 1 takes in what others leave, as docker's --init does
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": uid,
            "runAsGroup": uid,
            "fsGroup": uid,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **rest,
        "initContainers": [prepares(known, part)],
        "containers": containers,
        "volumes": volumes(known, part),
    }
    if not places(known) and not public(known, part):
        del spec["initContainers"]
    return {"metadata": {"labels": names.labels(known["app"], part)}, "spec": spec}


def runs(known: dict[str, Any], name: str, words: list[str], limits: dict[str, Any], **rest: Any) -> dict[str, Any]:
    """Return a container on the app's image that runs a command; words that are empty leave the image its own."""
    command = {"command": names.plain(words)} if words else {}
    return {
        "name": name,
        "image": known["image"],
        **command,
        "envFrom": environment(known),
        "resources": resources(limits),
        "securityContext": LOCKED,
        **rest,
        "volumeMounts": mounts(known),
    }


def environment(known: dict[str, Any]) -> list[dict[str, Any]]:
    """Return where variables come from; what comes later wins, as secrets do on a host."""
    found = [{"configMapRef": {"name": f"{known['app']}-env-{known['release']}"}}]
    return found + ([{"secretRef": {"name": f"{known['app']}-env"}}] if secret_names(known) else [])


def secret_names(known: dict[str, Any]) -> list[str]:
    """Return the variables that a Secret has to give: those of app_secrets, and the addresses of services."""
    return sorted({*known["secrets"], *known["needs"]})


def resources(limits: dict[str, Any]) -> dict[str, Any]:
    """Return limits as requests too, so that a node has what they promise."""
    found = {"memory": names.size(limits["memory"])}
    if limits["cpus"]:
        found["cpu"] = f"{round(limits['cpus'] * 1000)}m"
    return {"requests": dict(found), "limits": dict(found)}


def public(known: dict[str, Any], part: str) -> bool:
    """Tell whether a pod serves public files of its image."""
    return part == "web" and bool(known["static"])


def prepares(known: dict[str, Any], part: str) -> dict[str, Any]:
    """Return the container that runs first: it copies what the image has of public files, and of kept directories."""
    words = ["--static", known["static"]] if public(known, part) else []
    for place in places(known):
        words += [place.target, f"/kept/{KEPT}/{place.kept}"]
    made = [{"name": "static", "mountPath": "/static"}] if public(known, part) else []
    return {
        "name": "prepare",
        "image": known["image"],
        "command": ["python3", WITHOUT, f"{RELEASE}/prepare.py", *names.plain(words)],
        "resources": resources(known),
        "securityContext": LOCKED,
        "volumeMounts": [
            {"name": "release", "mountPath": RELEASE, "readOnly": True},
            {"name": "data", "mountPath": "/kept"},
            *made,
        ],
    }


def written(known: dict[str, Any]) -> list[writable.Place]:
    """Return where an app may write beside /data and /tmp, by the rules of a host."""
    folder = known["workdir"]
    found = {"workdir": folder, "instance": posixpath.join(folder, "instance"), "volumes": []}
    return writable.places({"container": {"writable": " ".join(known["writable"])}, "found": found})


def places(known: dict[str, Any]) -> list[writable.Place]:
    """Return those of them that are kept."""
    return [place for place in written(known) if place.kept]


def mounts(known: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what a container of an app sees."""
    found = [
        {"name": "release", "mountPath": RELEASE, "readOnly": True},
        {"name": "run", "mountPath": f"{RELEASE}/run"},
        {"name": "secrets", "mountPath": SECRETS, "readOnly": True},
        {"name": "keys", "mountPath": KEYS, "readOnly": True},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the container's own
        {"name": "data", "mountPath": DATA, "subPath": "data"},
    ]
    for number, place in enumerate(written(known)):
        kept = {"name": "data", "mountPath": place.target, "subPath": f"{KEPT}/{place.kept}"}
        found.append(kept if place.kept else {"name": f"memory-{number}", "mountPath": place.target})
    for number, path in enumerate(sorted(known["files"])):
        target = posixpath.normpath(posixpath.join(known["workdir"], path))
        found.append({"name": "files", "mountPath": target, "subPath": f"file-{number}", "readOnly": True})
    return found


def volumes(known: dict[str, Any], part: str) -> list[dict[str, Any]]:
    """Return the volumes behind these."""
    app = known["app"]
    own = {"name": f"{app}-{known['release']}", "items": [{"key": "env.json", "path": "env.json"}]}
    secrets = [{"secret": {"name": f"{app}-files"}}] if known["secret_files"] else []
    claim = {"persistentVolumeClaim": {"claimName": f"{app}-data"}} if known["data"] else {"emptyDir": {}}
    found = [
        {"name": "release", "configMap": {"name": f"{app}-{known['release']}", "defaultMode": 0o444}},
        {"name": "run", "emptyDir": {}},
        {"name": "secrets", "projected": {"defaultMode": 0o440, "sources": [{"configMap": own}, *secrets]}},
        {"name": "keys", "secret": {"secretName": f"{app}-jwt", "optional": not known["keys"], "defaultMode": 0o440}},
        {"name": "tmp", "emptyDir": _tmp(known)},
        {"name": "data", **claim},
    ]
    for number, place in enumerate(written(known)):
        if not place.kept:
            found.append({"name": f"memory-{number}", "emptyDir": _memory(place.size)})
    if known["files"]:
        found.append({"name": "files", "secret": {"secretName": f"{app}-placed", "defaultMode": 0o440}})
    if public(known, part):
        found.append({"name": "static", "emptyDir": {}})
    return found


def _memory(size: str) -> dict[str, Any]:
    return {"medium": "Memory", "sizeLimit": names.size(size)}


def _tmp(known: dict[str, Any]) -> dict[str, Any]:
    """Return /tmp: in memory, or on disk where that would take more than a quarter of the app's, as on a host."""
    sizes = (word.partition(":")[2] for word in known["writable"] if word.partition(":")[0] == writable.TMP)
    size = next((size for size in sizes if size and size != "memory"), "")
    if size and 4 * writable.in_bytes(size) > writable.in_bytes(known["memory"]):
        return {"sizeLimit": names.size(size)}
    return _memory(size or writable.SIZE)
