"""What an image is built on: looked for, loaded or pulled."""

from __future__ import annotations

import os
from typing import Any

from ansible.module_utils import build_advice as advice
from ansible.module_utils import build_dockerfiles as dockerfiles
from ansible.module_utils.flask_deploy.host import engine

PYTHON = "{python}"  # stands in an image's name for the version that an app asks for
NO_IMAGE = "{0} cannot be pulled, and is not on this host: {1}\n  what to do: {2}"
LOOK = (
    "see why, on the host that builds: sudo docker pull {0}; a registry that asks for a password: "
    "build_registry, build_registry_user, and build_registry_password in the vault; without a registry: "
    "build_base_image_archive, or sudo docker load there"
)
FOREIGN = (
    "{0} is for {1} and this host is {2}\n"
    "  what to do: an image that is ready, or a base image, must be for {2}: docker buildx build --platform linux/{2}, "
    "docker pull --platform linux/{2}; in a Dockerfile of the app's own, take --platform out of its last FROM"
)


class BaseError(Exception):
    """A base image cannot be had; the message says what to type."""


def find(options: dict[str, Any], dockerfile: str, said: list[str] | None = None) -> str | None:
    """Return the id of the base image, loaded or pulled where it is missing; None asks for it to be sent.

    :param said: takes lines for people.
    """
    if "BASE_IMAGE" not in dockerfile:
        return ""
    name = options["base_image"]
    found = None if options["rebuild"] else engine.inspect("image", name)
    if not found and options["base_archive"]:
        engine.docker("load", "-q", "-i", options["base_archive"])
        found = engine.inspect("image", name)
        if not found:
            raise BaseError(f"build_base_image_archive holds no image {name}")
    elif not found and options["base_can_be_sent"]:
        return None
    elif not found:
        pull(name, said=said)
        found = engine.inspect("image", name)
    return image_id(name, found)


def foretell(options: dict[str, Any], dockerfile: str) -> str:
    found = engine.inspect("image", options["base_image"]) if engine.installed() else None
    return found["Id"] if found and "BASE_IMAGE" in dockerfile else ""


def pull(name: str, target: str = "", said: list[str] | None = None) -> None:
    """Pull an image; where that fails and one of that name is here, it is used, which is said.

    :param target: platform, where it is not this host's.
    """
    try:
        engine.docker("pull", "-q", *(("--platform", target) if target else ()), name)
    except engine.EngineError as error:
        if not engine.inspect("image", name):
            known = advice.of(str(error), advice.PULLS)
            raise BaseError(NO_IMAGE.format(name, error, known or LOOK.format(name))) from error
        if said is not None:
            said.append(f"{name} cannot be pulled; the build uses the one that is on the host. {error}")


def pull_anew(options: dict[str, Any], dockerfile: str, said: list[str]) -> None:
    """Pull what a Dockerfile builds on, but for what cannot change and the base image that is looked at by itself.

    Not by `docker build --pull`: that fails for an image that is on the host alone.
    """
    for name, target in dockerfiles.images(dockerfile, arguments(options, dockerfile)):
        if "@" not in name and not ("BASE_IMAGE" in dockerfile and name == options["base_image"]):
            pull(name, target, said)


def arguments(options: dict[str, Any], dockerfile: str) -> dict[str, Any]:
    """Return the arguments of a build."""
    base = {"BASE_IMAGE": options["base_image"]} if "BASE_IMAGE" in dockerfile else {}
    return {**options["build_args"], **base}


def image_id(name: str, found: dict[str, Any] | None) -> str:
    """Return the id of an image that was loaded, pulled or built just now: by now somebody may have removed it."""
    if not found:
        raise BaseError(f"image {name} is not there, though it was a moment ago; run the same command again")
    refuse_foreign(name, found)
    return found["Id"]


def refuse_foreign(name: str, found: dict[str, Any]) -> None:
    """An image for another kind of processor does not start; docker says so in words that nobody understands."""
    here, there = dockerfiles.PLATFORMS.get(os.uname().machine), found.get("Architecture")
    if here and there and there != here.partition("/")[0]:
        raise BaseError(FOREIGN.format(name, there, here))
