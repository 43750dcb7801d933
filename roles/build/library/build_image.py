#!/usr/bin/python
"""Build an app's image on this host, once for each source, base image and set of arguments."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import nullcontext
from typing import Any

from ansible.module_utils import build_advice as advice
from ansible.module_utils import build_bases as bases
from ansible.module_utils import build_kinds as kinds
from ansible.module_utils import build_plan as plans
from ansible.module_utils import build_python as pythons
from ansible.module_utils import build_ready as ready
from ansible.module_utils import build_recipe as recipes
from ansible.module_utils import build_repositories as repositories
from ansible.module_utils import build_run as runs
from ansible.module_utils import build_sources as sources
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
  ready: {type: str, default: "", description: "Image that is taken as it is: its name with a digest or a tag."}
  registry: {type: str, default: "", description: Registry of what it builds on that asks for a password.}
  registry_user: {type: str, default: "", description: Who may pull from it.}
  registry_password: {type: str, default: "", description: With which password.}
  target: {type: str, default: "", description: Stage of a Dockerfile to stop at.}
  ref: {type: str, default: HEAD, description: Branch, tag or commit of the repository.}
  git_key: {type: str, description: Private SSH key that may read the repository.}
  subdir: {type: str, default: "", description: Directory of the repository that holds the app.}
  source_digest: {type: str, description: Digest of a sent source.}
  source_commit: {type: str, default: "", description: Commit that a sent source is a checkout of.}
  source_changes: {type: bool, default: false, description: Whether it differs from that commit.}
  source_archive: {type: path, description: The sent source, a tar file on this host.}
  dockerfile: {type: str, default: Dockerfile, description: Build file in the source.}
  dockerfile_content: {type: str, description: Its text, with a sent source.}
  told: {type: dict, default: {}, description: "Of a sent source, the files that say how to build it: their texts."}
  fallback_dockerfile: {type: str, required: true, description: Text to be filled in where the source has none.}
  steps: {type: str, default: "", description: What its steps have in common.}
  choices: {type: dict, default: {}, description: "How it builds, where it is not as the source says."}
  shown: {type: bool, default: false, description: Whether people were told how it builds.}
  base_image: {type: str, required: true, description: Image the app is built on.}
  base_archive: {type: path, description: That image as a file on this host.}
  base_can_be_sent: {type: bool, default: false, description: Ask for the base image before pulling it.}
  build_args: {type: dict, default: {}, description: More build arguments.}
  secrets: {type: dict, default: {}, description: Environment of the build that stays out of the image.}
  ca: {type: str, default: "", description: PEM text the build must trust.}
  run: {type: str, default: "", description: "Id of the run's owner, as app_lock told: it holds the image."}
  rebuild: {type: bool, default: false, description: Take the base image and all dependencies anew.}
  progress: {type: str, default: "", description: "File to write what the build prints, while it does."}
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
python: {type: str, returned: success, description: "The Python that the app's files ask for."}
said: {type: list, returned: when it builds, description: "What people should know: how it builds, how it went."}
wants: {type: list, returned: always, description: "Files to be sent, source or base; word, that people were told."}
"""


REBUILT = "/srv/{}/rebuilt.json"
REBUILT_KEPT = 20  # sets of inputs


ERRORS = (
    bases.BaseError,
    kinds.KindError,
    repositories.RepositoryError,
    runs.BuildError,
    sources.SourceError,
    engine.EngineError,
    leases.LeaseError,
    OSError,
)


def make(options: dict[str, Any], dry: bool) -> dict[str, Any]:
    """Return what the module answers with."""
    with ready.login(options):
        if options["ready"]:
            return ready.make(options, dry)
        with runs.find_source(options, dry) as source:
            python = pythons.wanted(source.told, options["choices"].get("python", ""))
            dockerfile, steps, said = recipe(options, source)
            if bases.PYTHON in options["base_image"] and "BASE_IMAGE" in dockerfile:
                options = {**options, "base_image": options["base_image"].replace(bases.PYTHON, python.version)}
                said = [python.said, *said]
            try:
                return {**make_of(source, dockerfile, steps, said, options, dry), "python": python.version}
            except bases.BaseError as error:
                asked = f"\n  {python.why} asks for Python {python.version}; build_python chooses another"
                raise bases.BaseError(f"{error}{asked if python.why else ''}") from None


def recipe(options: dict[str, Any], source: runs.Source) -> tuple[str, str, list[str]]:
    """Return (the Dockerfile, the commands of the role's own or "", what to say before it is built)."""
    choices, named = options["choices"], options["dockerfile"]
    if not source.dockerfile and named not in ("Dockerfile", "none"):
        raise sources.SourceError(f"build_dockerfile: the source has no {named}; none takes the role's own")
    if source.dockerfile and named != "none":
        unused = sorted(f"build_{name}" for name, value in choices.items() if value and name != "python")
        said = [f"{', '.join(unused)} change nothing: the source has its own {named}"] if unused else []
        return source.dockerfile, "", said
    if options["target"]:
        raise kinds.KindError("build_target: the role's own Dockerfile is used, and has no stages; remove it")
    plan = plans.plan(source.told, plans.Choices(**choices))
    texts = (options["fallback_dockerfile"], options["steps"], options["app"])
    return *recipes.dockerfile(*texts, plan, options["build_args"]), [plan.said]


def make_of(
    source: runs.Source, dockerfile: str, steps: str, said: list[str], options: dict[str, Any], dry: bool
) -> dict[str, Any]:
    warnings: list[str] = []
    base = bases.find(options, dockerfile, warnings) if not dry else bases.foretell(options, dockerfile)
    if base is None:
        return {"wants": ["base"]}
    more = filter(None, [options["target"]])
    inputs = files.digest(source.record["digest"], dockerfile, base, options["build_args"], *more)[:12]
    digest = generation(options, inputs)
    tag = f"flask-deploy/{options['app']}:{digest}"
    if not dry:
        images.hold(options["app"], digest, options["run"])
    found = engine.inspect("image", tag) if engine.installed() else None
    answer = {"build": digest, "source": source.record, "wants": []}
    if found:
        return {**answer, "image": bases.image_id(tag, found), "changed": False}
    if dry:
        return {**answer, "image": "not built yet", "changed": True, "said": said}
    wants = [] if options["source_archive"] or source.pack else ["source"]
    if wants or (said and not options["shown"]):
        return {"wants": [*wants, "word"], "said": said}
    build(source, tag, dockerfile, steps, options, warnings)
    if options["rebuild"]:
        remember(options["app"], inputs, digest)
    notes = runs.notes(tag) if steps else []
    answer |= {name: lines for name, lines in {"warnings": warnings, "said": notes}.items() if lines}
    return {**answer, "image": bases.image_id(tag, engine.inspect("image", tag)), "changed": True}


def build(
    source: runs.Source, tag: str, dockerfile: str, steps: str, options: dict[str, Any], warnings: list[str]
) -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        archive = options["source_archive"] or f"{folder}/source.tar"
        if not options["source_archive"]:
            source.pack(archive)
        if options["rebuild"]:
            bases.pull_anew(options, dockerfile, warnings)
        runs.build(options, tag, dockerfile, steps, archive, labels(options, source.record))


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


TEXTS = ("ready", "registry", "registry_user", "target", "subdir", "source_commit", "steps", "ca", "run", "progress")
SPEC: dict[str, Any] = {
    "app": {"type": "str", "required": True},
    "repository": {"type": "str"},
    **{name: {"type": "str", "default": ""} for name in TEXTS},
    "registry_password": {"type": "str", "default": "", "no_log": True},
    "ref": {"type": "str", "default": "HEAD"},
    "git_key": {"type": "str", "no_log": True},
    "source_digest": {"type": "str"},
    "source_changes": {"type": "bool", "default": False},
    "source_archive": {"type": "path"},
    "dockerfile": {"type": "str", "default": "Dockerfile"},
    "dockerfile_content": {"type": "str"},
    "told": {"type": "dict", "default": {}},
    "fallback_dockerfile": {"type": "str", "required": True},
    "choices": {"type": "dict", "default": {}},
    "shown": {"type": "bool", "default": False},
    "base_image": {"type": "str", "required": True},
    "base_archive": {"type": "path"},
    "base_can_be_sent": {"type": "bool", "default": False},
    "build_args": {"type": "dict", "default": {}},
    "secrets": {"type": "dict", "default": {}, "no_log": True},
    "rebuild": {"type": "bool", "default": False},
}


def main() -> None:
    module = QuietModule(argument_spec=SPEC, supports_check_mode=True)
    options, dry, began = module.params, module.check_mode, time.monotonic()
    fetched = shutil.which("git") and os.path.isdir(f"/srv/{options['app']}/source.git")
    if dry and options["repository"] and not fetched:
        module.exit_json(changed=True, image="not built yet", build="", source={}, wants=[])
    try:
        # Before the app is locked: another run waits here, and finds what this one has built.
        with nullcontext() if dry else leases.lock(f"{options['app']}.build"):
            answer = make(options, dry)
    except ERRORS as error:
        why = advice.explained(str(error))
        module.fail_json(msg=f"the image was not built: {why}{room.way_out(why)}")
    module.exit_json(**{"changed": False, **answer}, seconds=round(time.monotonic() - began, 2))


if __name__ == "__main__":
    main()
