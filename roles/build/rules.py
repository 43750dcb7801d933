"""Which values of role build's variables can work."""

from __future__ import annotations

import difflib
import fcntl
import hashlib
import json
import os
import re
import subprocess
from collections.abc import Callable
from typing import Any

from inventory_check.values import PATH, asks_for_passphrase, each, environment, existing_file, pattern

LOGGED = "an address with a password or token in it would be logged; use build_git_key, or a deploy key on the host"
PAGE = re.compile(r"(https?://[^/\s]+/[^/\s]+/[^/\s]+)/(?:-/)?(?:tree|blob|src/branch)/([^/\s]+)(?:/(\S+?))?/?")
WITHOUT_SCHEME = re.compile(r"(?:[\w-]+\.)+[a-z]{2,}/[\w.-]+/[\w./-]+", re.ASCII)
READY = "image:"  # begins a source that is an image
IMAGE = re.compile(
    r"([a-z0-9.-]+(:[0-9]{1,5})?/)?[a-z0-9]+(([._]|__|-+|/)[a-z0-9]+)*(@sha256:[0-9a-f]{64}|:[A-Za-z0-9_][\w.-]{0,127})",
    re.ASCII,
)
BUILT = "git_key registry subdir target python dependencies extras groups requirements packages"
BUILT += " image_packages command secrets args"  # settings that mean nothing where nothing is built


def source(value: str) -> str | None:
    if value.startswith(READY):
        return ready(value)
    if "://" in value:
        return address(value)
    if value.startswith("-") or "::" in value or any(c.isspace() for c in value):
        return f"{value!r} is neither a directory nor a repository; example: https://git.example.com/shop.git"
    if os.path.isdir(os.path.expanduser(value)) or re.match(r"[\w.-]+(@[\w.-]*)?:", value):
        return None
    if WITHOUT_SCHEME.fullmatch(value):
        return f"{value!r} is an address without its beginning; write build_source: https://{value}"
    return f'{value} is not a directory on the controller; example: "{{{{ inventory_dir }}}}/../../../shop"'


def ready(value: str) -> str | None:
    name = value.removeprefix(READY)
    example = f"example: image:registry.example.com/shop@sha256:{'0' * 12}…"
    if not IMAGE.fullmatch(name):
        return f"{value!r} is not an image with its digest or tag; {example}"
    return None


def address(value: str) -> str | None:
    """Judge a URL; one that may hold a password is not shown."""
    scheme, _, rest = value.partition("://")
    user, has_user, host = rest.partition("/")[0].rpartition("@")
    plain = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]*)(:[0-9]+)?", host)
    if ":" in user or (has_user and scheme.lower() in ("http", "https")) or (not plain and "@" in rest):
        return LOGGED
    if page := PAGE.fullmatch(value):
        inside = f", build_subdir: {page[3]}" if page[3] and "/blob/" not in value else ""
        return f"{value!r} is a page of it; write build_source: {page[1]}, build_ref: {page[2]}{inside}"
    if scheme not in ("https", "http", "ssh", "git", "file"):
        return f"{scheme}:// is not an address that git knows; example: ssh://git@git.example.com/shop.git"
    if not plain or any(c.isspace() for c in value):
        return f"{value!r} is not an address; example: https://git.example.com/shop.git"
    return None


def git_ref(value: str) -> str | None:
    valid = re.fullmatch(r"(?![-/.])(?!.*(\.\.|@\{|//|\.lock$))[^\x00-\x20~^:?*\[\\]+", value)
    return None if valid else f"{value!r} is not a branch, tag or commit; example: main"


def git_key(value: str) -> str | None:
    fits = not value or ("PRIVATE KEY-----" in value and not asks_for_passphrase(value))
    return None if fits else "is not a private key without a passphrase; make one: ssh-keygen -t ed25519 -N '' -f key"


def dockerfile(value: str) -> str | None:
    if value.lower() in ("false", "no", "off", "never"):
        return "none is the word that sets the source's own Dockerfile aside; write build_dockerfile: none"
    return pattern(PATH, "build_dockerfile: Dockerfile")(value)


def python(value: str) -> str | None:
    if value == "3.1":
        return 'YAML makes 3.1 of 3.10 without quotes; write build_python: "3.10"'
    return pattern(re.compile(r"(3\.[1-9][0-9])?", re.ASCII), 'build_python: "3.12" (3.10 or newer)')(value)


def build_arguments(values: dict[str, Any]) -> str | None:
    wrong = environment(values)
    for name, value in {} if wrong else values.items():
        if not isinstance(value, str):
            return f'{name} is a list or map, and a build argument is text; example: {name}: "a,b"'
    return wrong


def requirement(value: str) -> str | None:
    if re.search(r"://[^/\s]*:[^/\s]*@", value):
        return "an address with a password in it would stay in the image"
    valid = re.fullmatch(r"[A-Za-z0-9][^\x00-\x1f\x7f]*", value)
    return None if valid else f"{value!r} is not a requirement; example: psycopg[binary]>=3"


def secrets(values: dict[str, Any]) -> str | None:
    wrong = environment(values)
    short = next((name for name, value in values.items() if len(str(value)) < SECRET_LENGTH), None)
    if not wrong and short:
        wrong = (
            f"{short} is shorter than {SECRET_LENGTH} characters, so hiding it would hide other words; use build_args"
        )
    return wrong


SECRET_LENGTH = 8
REGISTRY = re.compile(r"([a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?)?")
BASE_IMAGE = re.compile(r"[a-z0-9]([\w./:@-]|\{python\})*")
PACKAGE = pattern(re.compile(r"[a-z0-9][a-z0-9.+-]+"), "libpq5")
NAMED = pattern(re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*"), "production")
CHECKS = {
    "build_source": source,
    "build_ref": git_ref,
    "build_git_key": git_key,
    "build_registry": pattern(REGISTRY, "build_registry: registry.example.com"),
    "build_registry_user": pattern(re.compile(r"[^\s:\x00-\x1f\x7f]*"), "build_registry_user: deploy"),
    "build_registry_password": lambda value: (
        "holds a line's end; remove it" if "\n" in value or "\r" in value else None
    ),
    "build_target": pattern(re.compile(r"([A-Za-z][A-Za-z0-9_.-]*)?"), "build_target: production"),
    "build_subdir": pattern(PATH, "build_subdir: backend"),
    "build_dockerfile": dockerfile,
    "build_python": python,
    "build_base_image": pattern(BASE_IMAGE, "build_base_image: python:3.13-slim-trixie"),
    "build_base_image_archive": lambda value: None if "{python}" in value else existing_file(value),
    "build_dependencies": pattern(re.compile(r"(?![-/.])(?!.*(^|/)\.\.(/|$))[\w./+-]*"), "requirements/prod.txt"),
    "build_extras": each(NAMED),
    "build_groups": each(NAMED),
    "build_requirements": each(requirement),
    "build_packages": each(PACKAGE),
    "build_image_packages": each(PACKAGE),
    "build_command": lambda value: None,
    "build_secrets": secrets,
    "build_args": build_arguments,
    "build_ca_file": existing_file,
}
# Shown where a variable has no default that could serve as an example.
EXAMPLES = {
    "build_source": "https://git.example.com/shop.git",
    "build_args": {"VERSION": "1.2"},
    "build_registry": "registry.example.com",
    "build_registry_user": "deploy",
    "build_registry_password": "{{ vault_registry_password }}",
    "build_target": "production",
    "build_dependencies": "requirements/prod.txt",
    "build_extras": ["postgres"],
    "build_groups": ["production"],
    "build_python": "3.12",
    "build_packages": ["libmagic-dev"],
    "build_image_packages": ["git", "libpq5"],
    "build_command": "flask --app shop translate compile",
    "build_secrets": {"PIP_INDEX_URL": "https://me:5f0c5f0c@index.example.com/simple"},
    "build_requirements": ["psycopg[binary]>=3"],
}


def check_together(values: dict[str, Any], hosts: list[str]) -> list[str]:
    """Return mistakes that only show when variables are seen together."""
    user, password = (bool(values[f"build_registry_{part}"]) for part in ("user", "password"))
    mistakes = []
    if user != password:
        mistakes.append("build_registry_user: and build_registry_password belong together; write both, or none")
    if values["build_source"].startswith(READY):
        unused = [f"build_{name}" for name in BUILT.split() if values[f"build_{name}"]]
        return mistakes + [f"{name}: means nothing for an image that is ready; remove it" for name in unused]
    if user != bool(values["build_registry"]):
        example = "example: build_registry: registry.example.com"
        mistakes.append(f"build_registry: and build_registry_user belong together, where an app is built; {example}")
    return mistakes + check_built(values)


def check_built(values: dict[str, Any]) -> list[str]:
    """Return such mistakes of what is built."""
    if values["build_python"] and "{python}" not in values["build_base_image"]:
        image = values["build_base_image"]
        return [f"build_python: it chooses nothing of {image}; write build_base_image: registry/python:{{python}}-slim"]
    folder = os.path.expanduser(values["build_source"])
    if os.path.isdir(folder) and values["build_ref"] != "HEAD":
        return [
            f"build_ref: {folder} is a directory, which is deployed as it is; check it out there, and remove build_ref"
        ]
    if os.path.isdir(folder) and not os.path.isdir(os.path.join(folder, values["build_subdir"])):
        there = [each.name for each in os.scandir(folder) if each.is_dir()]
        near = difflib.get_close_matches(values["build_subdir"], there, 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        return [f"build_subdir: there is no directory {values['build_subdir']} in {folder} on the controller{hint}"]
    return []


def warnings(values: dict[str, Any], hosts: list[str], processors: int) -> list[str]:
    """Return a line where others on the way could change the code; the id of a commit tells what it must be."""
    scheme, _, rest = values["build_source"].partition("://")
    if scheme not in ("http", "git") or re.fullmatch("[0-9a-f]{40}", values["build_ref"]):
        return []
    return [f"build_source: {scheme}:// lets others on the way read and change the code; write https://{rest}"]


def check_outside(values: dict[str, Any], place: str | None) -> list[str]:
    """Return a mistake where a repository that answers the controller does not have the wanted branch or tag."""
    address, ref = values.get("build_source", ""), values.get("build_ref", "HEAD")
    if (
        "://" not in address
        or address.startswith("file:")
        or values.get("build_git_key")
        or re.fullmatch("[0-9a-f]{7,40}", ref)
    ):
        return []
    return once(place, f"{address} {ref}", lambda: ask(address, ref))


def once(place: str | None, question: str, answer: Callable[[], list[str]]) -> list[str]:
    """Return an answer that the hosts of a run share, each of which is checked by a process of its own.

    :param place: a directory that lasts as long as the run; None asks anew.
    """
    if not place:
        return answer()
    path = os.path.join(place, f"asked-{hashlib.sha256(question.encode()).hexdigest()}")
    with open(path, "a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        known = file.read()
        if not known:
            known = json.dumps(answer())
            file.write(known)
        return json.loads(known)


def ask(address: str, ref: str) -> list[str]:
    environment = {
        **os.environ,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=5",
    }
    try:
        done = subprocess.run(
            ["git", "ls-remote", "--", address, ref], capture_output=True, env=environment, timeout=15, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [f"build_ref: {address} has no branch or tag {ref!r}"] if done.returncode == 0 and not done.stdout else []
