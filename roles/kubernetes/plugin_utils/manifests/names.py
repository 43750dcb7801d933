"""Names, quantities and words as the API of Kubernetes takes them."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
UNITS = {"k": "Ki", "m": "Mi", "g": "Gi"}  # docker counts in powers of two, and says so in one letter
MANAGED = "flask-deploy"
DIGEST = 12  # digits of a release's id


def label(*parts: str, most: int = 63) -> str:
    """Return words as one name (RFC 1123); a digest keeps apart what would be cut to the same."""
    text = "-".join(parts)
    name = text.replace("_", "-")
    if LABEL.fullmatch(name) and len(name) <= most:
        return name
    end = hashlib.sha256(text.encode()).hexdigest()[:6]
    return f"{name[: most - 7].rstrip('-')}-{end}"


def size(value: str) -> str:
    """Return a size of docker's as a quantity."""
    return f"{value[:-1]}{UNITS[value[-1]]}"


def plain(words: list[str]) -> list[str]:
    """Return words of a command so that none of them is expanded: $(NAME) stands for a variable there, $$ for $."""
    return [word.replace("$", "$$") for word in words]


def labels(app: str, part: str) -> dict[str, str]:
    """Return what names a part of an app."""
    return {
        "app.kubernetes.io/name": app,
        "app.kubernetes.io/component": part,
        "app.kubernetes.io/managed-by": MANAGED,
    }


def thing(version: str, kind: str, known: dict[str, Any], name: str, part: str, **rest: Any) -> dict[str, Any]:
    """Return an object of the API; what `rest` holds stands beside its metadata."""
    metadata = {"name": name, "namespace": known["namespace"], "labels": labels(known["app"], part)}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}


def digest(objects: dict[str, Any]) -> str:
    """Return a release's id: whatever else is in its objects is another release."""
    return hashlib.sha256(json.dumps(objects, sort_keys=True).encode()).hexdigest()[:DIGEST]
