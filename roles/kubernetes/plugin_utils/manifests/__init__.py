"""An app's inventory as manifests for Kubernetes: {path: text}, the same for the same inventory."""

from __future__ import annotations

from typing import Any

import yaml

from . import beside, names, readme, refused, stored, web

MARK = "# Written by flask-deploy: playbooks/kubernetes.yml writes it anew.\n"
PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_/")


class Refused(Exception):
    """An inventory that has no form in Kubernetes: one line for each reason."""


class Writer(yaml.SafeDumper):
    """Writes text so that readers of YAML 1.1 and 1.2 take it for the same: in quotes, if it could be anything else."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(writer: Writer, value: str) -> yaml.ScalarNode:
    odd = value[:1] not in PLAIN or value in ("y", "n", "Y", "N")
    style = "|" if "\n" in value else '"' if odd else None
    return writer.represent_scalar("tag:yaml.org,2002:str", value, style=style)


Writer.add_representer(str, _text)


def render(asked: dict[str, Any]) -> dict[str, str]:
    """Return the manifests and a README of an inventory.

    :raises Refused: something of it cannot be exported.
    """
    if lines := refused.mistakes(asked, {**stored.release_files(asked), **stored.variables(asked)}):
        raise Refused("\n".join(lines))
    known = {**asked, "release": names.digest(objects({**asked, "release": ""}))}
    return {readme.FILE: readme.text(known), **{path: MARK + written(each) for path, each in objects(known).items()}}


def written(thing: dict[str, Any]) -> str:
    """Return an object as YAML."""
    return yaml.dump(thing, Dumper=Writer, sort_keys=False, width=110, allow_unicode=True)


def objects(known: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return {path: object}: what must be there before the app, and the app."""
    found = {"1-before/release.yaml": stored.release(known), "1-before/environment.yaml": stored.environment(known)}
    if known["data"]:
        found["1-before/data.yaml"] = stored.claim(known)
    if known["firewall"]:
        found["1-before/network.yaml"] = stored.closed(known)
    if known["command"]:
        found["1-before/command.yaml"] = beside.command(known)
    found |= {
        "2-app/web.yaml": web.deployment(known),
        "2-app/service.yaml": web.service(known),
        "2-app/ingress.yaml": web.ingress(known),
    }
    found |= {f"2-app/process-{name}.yaml": beside.process(known, name) for name in sorted(known["processes"])}
    return found | {f"2-app/job-{name}.yaml": beside.job(known, name) for name in sorted(known["jobs"])}
