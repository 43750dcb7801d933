"""Manifests of platforms: what render.yaml and railway.json start.

https://render.com/docs/blueprint-spec, https://docs.railway.com/reference/config-as-code
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from source_starts.compose import Loader, items, plain
from source_starts.files import Files
from source_starts.shells import unwrapped

RENDER = ("render.yaml", "render.yml")
RAILWAY = re.compile(r"railway(?:\.([\w-]+))?\.(json|toml)")


@dataclass
class Service:
    """A service; its variables are (name, value, whether the platform makes up a secret for it)."""

    name: str
    file: str
    folder: str
    command: str
    release: str
    count: int = 1
    variables: list[tuple[str, str, bool]] = field(default_factory=list)


def services(tree: Files) -> Iterator[Service]:
    """Yield the services that run the app; of a web it is "web"."""
    for file in RENDER:
        told = _read(tree.text(file), "yaml").get("services")
        for about in told[:100] if isinstance(told, list) else []:
            if isinstance(about, dict) and about.get("type") in ("web", "pserv", "worker"):
                yield _of_render(about, file)
    for file in sorted(tree.names):
        if match := RAILWAY.fullmatch(file):
            deploy = dict(items(_read(tree.text(file), match[2]).get("deploy")))
            before = deploy.get("preDeployCommand")
            before = " && ".join(map(plain, before)) if isinstance(before, list) else plain(before)
            yield Service(match[1] or "web", file, "", unwrapped(plain(deploy.get("startCommand"))), before)


def _of_render(about: dict[str, Any], file: str) -> Service:
    rows = about.get("envVars")
    rows = [row for row in rows[:100] if isinstance(row, dict)] if isinstance(rows, list) else []
    count = about.get("numInstances")
    return Service(
        name="web" if about["type"] == "web" else plain(about.get("name")).lower() or "worker",
        file=file,
        folder=plain(about.get("rootDir")).strip("./"),
        command=unwrapped(plain(about.get("startCommand")) or plain(about.get("dockerCommand"))),
        release=plain(about.get("preDeployCommand")),
        count=count if isinstance(count, int) and 0 < count <= 64 else 1,
        variables=[
            (plain(row.get("key")), plain(row.get("value")), row.get("generateValue") is True)
            for row in rows
            if "value" in row or "generateValue" in row
        ],
    )


def _read(text: str, kind: str) -> dict[str, Any]:
    """Return what a file says, nothing where it is broken."""
    try:
        if kind == "toml":
            return tomllib.loads(text)
        told = json.loads(text) if kind == "json" else yaml.load(text, Loader)  # noqa: S506 - a safe one
    except (ValueError, yaml.YAMLError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
