#!/usr/bin/python
"""Build an app's image on this host, once for each source, base image and set of arguments."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from ansible.module_utils import build_bases as bases
from ansible.module_utils import build_repositories as repositories
from ansible.module_utils import build_sources as sources
from ansible.module_utils.flask_deploy.host import command as commands
from ansible.module_utils.flask_deploy.host import engine, files, room
from ansible.module_utils.flask_deploy.host.module import QuietModule
from ansible.module_utils.flask_deploy.release import images
from ansible.module_utils.flask_deploy.switch import lease as leases

DOCUMENTATION = r"""
module: build_image
short_description: Build an app's image on this host
description:
  - The image is tagged with a digest of what it is built from, so the same input is built once.
  - The action plugin of the same name sends a local source or a base image when this module asks for it.
options:
  app: {type: str, required: true, description: Name of the app.}
  repository: {type: str, description: Address of a git repository; without it the source is sent.}
  ref: {type: str, default: HEAD, description: Branch, tag or commit of the repository.}
  git_key: {type: str, description: Private SSH key that may read the repository.}
  subdir: {type: str, default: "", description: Directory of the repository that holds the app.}
  source_digest: {type: str, description: Digest of a sent source.}
  source_commit: {type: str, default: "", description: Commit that a sent source is a checkout of.}
  source_changes: {type: bool, default: false, description: Whether it differs from that commit.}
  source_archive: {type: path, description: The sent source, a tar file on this host.}
  dockerfile: {type: str, default: Dockerfile, description: Build file in the source.}
  dockerfile_content: {type: str, description: Its text, with a sent source.}
  fallback_dockerfile: {type: str, required: true, description: Text used where the source has none.}
  base_image: {type: str, required: true, description: Image the app is built on.}
  base_archive: {type: path, description: That image as a file on this host.}
  base_can_be_sent: {type: bool, default: false, description: Ask for the base image before pulling it.}
  build_args: {type: dict, default: {}, description: More build arguments.}
  ca: {type: str, default: "", description: PEM text the build must trust.}
  run: {type: str, default: "", description: "Id of the run's owner, as app_lock told: it holds the image."}
  rebuild: {type: bool, default: false, description: Take the base image and all dependencies anew.}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Build the image of a repository
  build_image:
    app: shop
    repository: https://git.example.com/shop.git
    fallback_dockerfile: "{{ lookup('file', 'Dockerfile') }}"
    base_image: python:3.13-slim-trixie
"""

RETURN = r"""
image: {type: str, returned: success, description: Id of the image.}
build: {type: str, returned: success, description: Digest of what it was built from.}
source: {type: dict, returned: success, description: Where the code came from.}
wants: {type: list, returned: always, description: Files this module needs to be sent, source or base.}
"""


Pack = Callable[[str], None]  # writes a source to a path
REBUILT = "/srv/{}/rebuilt.json"
UNPACK_PATIENCE = 600  # seconds
REBUILT_KEPT = 20  # sets of inputs


class BuildError(Exception):
    """The source does not unpack."""


ERRORS = (
    BuildError,
    bases.BaseError,
    repositories.RepositoryError,
    sources.SourceError,
    engine.EngineError,
    leases.LeaseError,
    OSError,
)


@contextmanager
def find_source(options: dict[str, Any], dry: bool) -> Iterator[tuple[dict[str, Any], str | None, Pack | None]]:
    """Give (record, dockerfile text or None, function that writes the source as a tar file)."""
    if not options["repository"]:
        record = {"kind": "directory", "digest": options["source_digest"]}
        if options["source_commit"]:
            record |= {"commit": options["source_commit"], "changes": options["source_changes"]}
        yield record, options["dockerfile_content"], None
        return
    with repositories.lent(options["git_key"]) as key:
        repository = repositories.Repository(options["app"], options["repository"], key)
        commit = repository.commit(options["ref"])
        record = {"kind": "git", "repository": options["repository"], "ref": options["ref"], "commit": commit}
        with repositories.Checkout(repository, commit, options["subdir"], options["dockerfile"], dry) as checkout:
            digest, dockerfile = checkout.look()
            yield {**record, "digest": digest}, dockerfile, checkout.pack


def unpack(archive: str, folder: str) -> None:
    """Unpack with new times: BuildKit takes a file of the same size and time for the one it had before.

    By tar itself, which lets nothing leave the folder: the Python of Debian 12 has no such filter.
    """
    # The directories between the files are its own, and the app's user must read them in the image: umask 022.
    words = ("tar", "--extract", "--touch", "--no-same-owner", f"--directory={folder}", f"--file={archive}")
    commands.run(*words, error=BuildError, limit=UNPACK_PATIENCE, called="the source does not unpack")


def build(options: dict[str, Any], tag: str, dockerfile: str, archive: str, labels: dict[str, str]) -> None:
    folder = tempfile.mkdtemp(prefix="flask-deploy-build-", dir="/var/tmp")
    try:
        context = f"{folder}/context"
        os.mkdir(context)
        os.chmod(context, 0o755)
        unpack(archive, context)
        with open(f"{folder}/Dockerfile", "w", encoding="utf-8") as file:
            file.write(dockerfile)
        with open(f"{folder}/ca", "w", encoding="utf-8") as file:
            file.write(options["ca"])
        given = bases.arguments(options, dockerfile)
        engine.docker(
            *("build", "--progress", "plain", "-f", f"{folder}/Dockerfile", "-t", tag),
            *(("--no-cache",) if options["rebuild"] else ()),
            *(part for name, value in labels.items() for part in ("--label", f"{name}={value}")),
            *(part for name, value in given.items() for part in ("--build-arg", f"{name}={value}")),
            *(("--secret", f"id=ca,src={folder}/ca") if options["ca"] else ()),
            context,
            environment={"DOCKER_BUILDKIT": "1"},
            timeout=1800,
        )
    finally:
        shutil.rmtree(folder)


def make(options: dict[str, Any], dry: bool) -> dict[str, Any]:
    """Return what the module answers with."""
    with find_source(options, dry) as (source, dockerfile, write_archive):
        return make_of(source, dockerfile, write_archive, options, dry)


def make_of(
    source: dict[str, Any], dockerfile: str | None, write_archive: Pack | None, options: dict[str, Any], dry: bool
) -> dict[str, Any]:
    said: list[str] = []
    dockerfile = dockerfile or options["fallback_dockerfile"]
    base = bases.find(options, dockerfile, said) if not dry else bases.foretell(options, dockerfile)
    if base is None:
        return {"wants": ["base"]}
    inputs = files.digest(source["digest"], dockerfile, base, options["build_args"])[:12]
    digest = generation(options, inputs)
    tag = f"flask-deploy/{options['app']}:{digest}"
    if not dry:
        images.hold(options["app"], digest, options["run"])
    found = engine.inspect("image", tag) if engine.installed() else None
    answer = {"build": digest, "source": source, "wants": []}
    if found:
        return {**answer, "image": found["Id"], "changed": False}
    if dry:
        return {**answer, "image": "not built yet", "changed": True}
    archive = options["source_archive"]
    if not archive and not write_archive:
        return {"wants": ["source"]}
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        if not archive:
            archive = f"{folder}/source.tar"
            write_archive(archive)
        if options["rebuild"]:
            bases.pull_anew(options, dockerfile, said)
        build(options, tag, dockerfile, archive, labels(options, source))
    if options["rebuild"]:
        remember(options["app"], inputs, digest)
    answer |= {"warnings": said} if said else {}
    return {**answer, "image": bases.image_id(tag, engine.inspect("image", tag)), "changed": True}


def generation(options: dict[str, Any], inputs: str) -> str:
    """Return the digest of a build: that of its inputs, or of the last time they were built anew."""
    if options["rebuild"]:
        return files.digest(inputs, time.time())[:12]
    return files.read_json(REBUILT.format(options["app"]), {}).get(inputs, inputs)


def remember(app: str, inputs: str, digest: str) -> None:
    """Let later runs find what was built anew."""
    path = REBUILT.format(app)
    files.ensure_directory(os.path.dirname(path))
    known = list(files.read_json(path, {}).items())[-REBUILT_KEPT:]
    files.write_json(path, {**dict(known), inputs: digest})


def labels(options: dict[str, Any], source: dict[str, Any]) -> dict[str, str]:
    """Return image labels (OCI image spec, annotations)."""
    commit = source.get("commit", source["digest"])
    return {
        "flask-deploy.app": options["app"],
        "org.opencontainers.image.revision": source["digest"] if source.get("changes") else commit,
        "org.opencontainers.image.source": source.get("repository", ""),
    }


def main() -> None:
    module = QuietModule(
        argument_spec={
            "app": {"type": "str", "required": True},
            "repository": {"type": "str"},
            "ref": {"type": "str", "default": "HEAD"},
            "git_key": {"type": "str", "no_log": True},
            "subdir": {"type": "str", "default": ""},
            "source_digest": {"type": "str"},
            "source_commit": {"type": "str", "default": ""},
            "source_changes": {"type": "bool", "default": False},
            "source_archive": {"type": "path"},
            "dockerfile": {"type": "str", "default": "Dockerfile"},
            "dockerfile_content": {"type": "str"},
            "fallback_dockerfile": {"type": "str", "required": True},
            "base_image": {"type": "str", "required": True},
            "base_archive": {"type": "path"},
            "base_can_be_sent": {"type": "bool", "default": False},
            "build_args": {"type": "dict", "default": {}},
            "ca": {"type": "str", "default": ""},
            "run": {"type": "str", "default": ""},
            "rebuild": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    options, dry, began = module.params, module.check_mode, time.monotonic()
    fetched = shutil.which("git") and os.path.isdir(f"/srv/{options['app']}/source.git")
    if dry and options["repository"] and not fetched:
        module.exit_json(changed=True, image="not built yet", build="", source={}, wants=[])
    try:
        # Before the app is locked: another run waits here, and finds what this one has built.
        with nullcontext() if dry else leases.lock(f"{options['app']}.build"):
            answer = make(options, dry)
    except ERRORS as error:
        module.fail_json(msg=f"the image was not built: {error}{room.way_out(str(error))}")
    module.exit_json(**{"changed": False, **answer}, seconds=round(time.monotonic() - began, 2))


if __name__ == "__main__":
    main()
