"""An image that somebody else built: pulled from its registry, and known by its digest from then on."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ansible.module_utils import build_advice as advice
from ansible.module_utils import build_bases as bases
from ansible.module_utils import build_run as runs
from ansible.module_utils.flask_deploy.host import engine, files
from ansible.module_utils.flask_deploy.release import images

HUB, HUB_LOGIN = "docker.io", "https://index.docker.io/v1/"  # docker's own registry has another name in its settings
PULL_PATIENCE = 1800  # seconds
NOT_PULLED = "{0} cannot be pulled: {1}\n  what to do: {2}"
NO_HOST = re.compile(r"lookup ([\w.-]+) on \S+: no such host|dial tcp: lookup ([\w.-]+)")
NO_REGISTRY = "the host finds no {0}: correct the registry's name in build_source"
REFUSED = (
    "a registry that asks for a password: build_registry_user, and build_registry_password in the vault; "
    "the registry's own words, on the host that builds: sudo docker pull {0}"
)


def make(options: dict[str, Any], dry: bool) -> dict[str, Any]:
    """Return what module build_image answers with, see there."""
    name, wanted = split(options["ready"])
    if not wanted and dry:  # what a tag means today, its registry alone knows
        return {"build": "", "image": "not built yet", "source": record(name, options["ready"], ""), "changed": True}
    said: list[str] = []
    before = None if dry else engine.inspect("image", options["ready"])
    digest = wanted or resolved(options, said)
    build = files.digest("image", name, digest)[:12]
    tag, exact = f"flask-deploy/{options['app']}:{build}", f"{name}@{digest}"
    answer = {"build": build, "source": record(name, options["ready"], digest), "wants": [], "said": said}
    if not dry:
        images.hold(options["app"], build, options["run"])
    found = engine.inspect("image", tag) if engine.installed() else None
    if dry:
        return {**answer, "image": found["Id"] if found else "not built yet", "changed": not found}
    if not found:
        fresh = pulled(options, exact)
        engine.docker("tag", fresh["Id"], tag)
    for name in () if before else dict.fromkeys((options["ready"], exact)):
        with suppress(engine.EngineError):  # our own name is left: the image goes when its last release does
            engine.docker("rmi", name)
    return {**answer, "image": bases.image_id(tag, engine.inspect("image", tag)), "changed": not found}


def split(ready: str) -> tuple[str, str]:
    """Return (an image's name without its tag, its digest or "")."""
    name, _, digest = ready.partition("@")
    place, slash, last = name.rpartition("/")
    return f"{place}{slash}{last.partition(':')[0]}", digest


def record(name: str, ready: str, digest: str) -> dict[str, Any]:
    """Return where the code came from."""
    return {"kind": "image", "repository": name, "ref": ready.removeprefix(name).lstrip(":@"), "digest": digest}


def resolved(options: dict[str, Any], said: list[str]) -> str:
    """Return the digest that a tag means now; say so."""
    ready, (name, _) = options["ready"], split(options["ready"])
    found = pulled(options, ready, anew=True)
    known = [each.partition("@")[2] for each in found.get("RepoDigests") or [] if split(each)[0] in (name, short(name))]
    if not known:
        raise bases.BaseError(
            f"{ready} has no digest on this host, so it was built here; push it to its registry first"
        )
    said.append(f"{ready} is {name}@{known[0]} now; write that as build_source to deploy the same once more")
    return known[0]


def short(name: str) -> str:
    """Return how the engine calls an image of docker's own registry."""
    return name.removeprefix(f"{HUB}/").removeprefix("library/")


def pulled(options: dict[str, Any], name: str, anew: bool = False) -> dict[str, Any]:
    """Return an image that is pulled where it is not here, or in any case."""
    found = None if anew else engine.inspect("image", name)
    if not found:
        try:
            engine.docker("pull", "-q", name, timeout=PULL_PATIENCE)
        except engine.EngineError as error:
            unknown = NO_HOST.search(str(error))
            told = NO_REGISTRY.format(unknown[1] or unknown[2]) if unknown else advice.of(str(error), advice.PULLS)
            raise bases.BaseError(NOT_PULLED.format(name, error, told or REFUSED.format(name))) from error
        found = engine.inspect("image", name)
    bases.image_id(name, found)
    return found


@contextmanager
def login(options: dict[str, Any]) -> Iterator[None]:
    """Let docker know the registry's password, for all that it pulls meanwhile, for a build too.

    Its settings are as they are, and in another directory as `docker login` would write them, but into memory alone:
    the file is a link to it, so nothing of the password is left, however this process ends.
    """
    user, password = options["registry_user"], options["registry_password"]
    if not user:
        yield
        return
    registry = options["registry"] or options["ready"].partition("/")[0]
    if not set(registry) & set(".:") and registry != "localhost":
        registry = HUB
    known = base64.b64encode(f"{user}:{password}".encode()).decode()
    settings = files.read_json(os.path.expanduser("~/.docker/config.json"), {})
    settings["auths"] = {**(settings.get("auths") or {}), HUB_LOGIN if registry == HUB else registry: {"auth": known}}
    place = tempfile.mkdtemp(prefix="flask-deploy-login-", dir="/run" if os.path.isdir("/run") else None)
    try:
        with runs.lent(json.dumps(settings)) as path:
            os.symlink(str(path), f"{place}/config.json")
            os.environ["DOCKER_CONFIG"] = place
            yield
    finally:
        os.environ.pop("DOCKER_CONFIG", None)
        with suppress(OSError):
            shutil.rmtree(place)
