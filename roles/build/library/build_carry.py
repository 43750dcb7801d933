#!/usr/bin/python
"""Hand an app's image from the host that built it to the others."""

from __future__ import annotations

import os

from ansible.module_utils import build_bases as bases
from ansible.module_utils.flask_deploy.host import command, engine, room
from ansible.module_utils.flask_deploy.host.module import QuietModule
from ansible.module_utils.flask_deploy.release import images
from ansible.module_utils.flask_deploy.switch import lease as leases

DOCUMENTATION = r"""
module: build_carry
short_description: Hand an app's image from the host that built it to the others
description: The action plugin of the same name moves the file between the hosts, through the controller.
options:
  image: {type: str, required: true, description: Image id.}
  tag: {type: str, required: true, description: Name and tag that the image bears on all hosts.}
  state:
    type: str
    required: true
    choices: [looked, saved, loaded]
    description: Look whether it is here, write it to a file, or read it from one.
  archive: {type: path, description: The file on the host, with C(saved) and C(loaded).}
  run: {type: str, default: "", description: "Id of the run's owner, as app_lock told: it holds the image."}
  bytes: {type: int, default: 0, description: "Size of the image, with C(loaded); the action plugin looks for room."}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Look for the image
  build_carry:
    image: sha256:4b3c
    tag: flask-deploy/shop:3f9a0c41d2b7
    state: looked
"""

RETURN = r"""
here: {type: bool, returned: always, description: Whether the image is on this host, under its tag.}
bytes: {type: int, returned: looked and saved, description: Size of the image that is here; of its archive once saved.}
"""


PATIENCE = 1800  # seconds that an image may take on a slow disk


def size(image: str, tag: str) -> int | None:
    """Return the bytes of an image that is here under its tag, or None.

    :raises BaseError: it is for another kind of processor: that of the host that built it.
    """
    found = engine.inspect("image", tag)
    if not found or found["Id"] != image:
        return None
    bases.refuse_foreign(tag, found)
    return found.get("Size", 0)


def here(image: str, tag: str) -> bool:
    return size(image, tag) is not None


def save(tag: str, path: str) -> int:
    """Write an image to a file that belongs to the owner of the file's directory; return its size."""
    folder = os.path.dirname(path)
    owner = os.stat(folder)
    known = engine.inspect("image", tag) or {}
    archive = {"path": folder, "bytes": known.get("Size", 0), "purpose": "the image's archive, at most"}
    if lines := room.lacking([{**archive, "kind": "sent"}]):
        raise engine.EngineError("\n".join(lines))
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        words = (("docker", "save", tag), ("zstd", "-q", "-T0", "-1"))
        command.pipe(*words, error=engine.EngineError, limit=PATIENCE, stdout=file)
    os.chown(path, owner.st_uid, owner.st_gid)
    return os.path.getsize(path)


def load(image: str, tag: str, path: str) -> None:
    with open(path, "rb") as file:
        words = (("zstd", "-q", "-d"), ("docker", "load", "-q"))
        command.pipe(*words, error=engine.EngineError, limit=PATIENCE, stdin=file)
    if not here(image, tag):
        raise engine.EngineError(f"the image that arrived as {tag} is not {image}")


def main() -> None:
    module = QuietModule(
        argument_spec={
            "image": {"type": "str", "required": True},
            "tag": {"type": "str", "required": True},
            "state": {"type": "str", "required": True, "choices": ["looked", "saved", "loaded"]},
            "archive": {"type": "path"},
            "run": {"type": "str", "default": ""},
            "bytes": {"type": "int", "default": 0},
        },
        required_if=[("state", "saved", ["archive"]), ("state", "loaded", ["archive"])],
    )
    image, tag, state, archive = (module.params[name] for name in ("image", "tag", "state", "archive"))
    try:
        if state != "saved":
            images.hold(*tag.removeprefix("flask-deploy/").split(":"), module.params["run"])
        if state == "saved":
            written = save(tag, archive)
        elif state == "loaded":
            load(image, tag, archive)
        known = size(image, tag)
        told = {"here": known is not None, "bytes": written if state == "saved" else known or 0}
        module.exit_json(changed=state == "loaded", **told)
    except (bases.BaseError, engine.EngineError, leases.LeaseError, OSError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
