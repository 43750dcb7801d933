"""A repository of one's own: its files, from few answers. Nothing that is there is overwritten."""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from configparser import ConfigParser
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from textwrap import indent

import yaml
from click import UsageError

from . import __version__, project

TEMPLATES = project.PACKAGE / "templates"
CI = {".github/workflows/flask-deploy.yml": "github.yml", ".gitlab-ci.yml": "gitlab-ci.yml"}  # below the top
PASSWORD = ".vault-password"  # noqa: S105
FIRST_UID = 10001  # roles/app/defaults/main.yml
GIT_PATIENCE = 20  # seconds


@dataclass(frozen=True)
class Answers:
    """What a new environment needs to be told."""

    domain: str
    host: str
    source: str
    wsgi: str
    app: str | None = None


def top(place: Path) -> Path:
    """Return the top of the git repository that a directory lies in, or will; itself where there is none."""
    there = next(each for each in (place, *place.parents) if each.is_dir())
    command = ["git", "-C", str(there), "rev-parse", "--show-toplevel"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=GIT_PATIENCE)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return place
    return Path(found.stdout.rstrip("\n")) if found.returncode == 0 else place


def missing(place: Path, names: list[str]) -> list[str]:
    """Return the environments that are not there yet."""
    return [name for name in names if not (place / "inventories" / name).exists()]


@contextmanager
def alone(place: Path) -> Iterator[None]:
    """Wait until nobody else makes anything in a directory, and keep others waiting."""
    place.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def setting(name: str, value: object) -> str:
    """Return a line of YAML."""
    return yaml.safe_dump({name: value}, width=1000, allow_unicode=True)


def source(given: str, place: Path, inventory: Path) -> str:
    """Return a source as an inventory names it: a directory by its way from there, so that all clones find it."""
    if not Path(given).is_dir():
        return given
    base = os.path.relpath(place.resolve() / inventory, place.resolve())
    way = os.path.relpath(Path(given).resolve(), place.resolve() / base)
    return f"{{{{ inventory_dir }}}}/{way}"


def environment(place: Path, name: str, answers: Answers) -> dict[str, str]:
    """Return the files of an environment, with the lines that a user must write and no others."""
    user, _, host = answers.host.rpartition("@")
    user = user or login(host)
    known = {"ansible_user": user} if user else None
    files = {
        "hosts.yml": yaml.safe_dump({"web": {"hosts": {host: known}}}).replace(" null", ""),
        "group_vars/web/site.yml": setting("site_domain", answers.domain),
        "group_vars/web/build.yml": setting("build_source", source(answers.source, place, Path("inventories", name))),
        "group_vars/web/app.yml": setting("app_wsgi", answers.wsgi)
        + 'app_secrets:\n  SECRET_KEY: "{{ vault_app_secret_key }}"\n',
        "group_vars/web/nginx.yml": setting("nginx_certificate", "selfsigned"),
    }
    if answers.app:
        files["group_vars/web/app.yml"] = (
            setting("app_name", answers.app) + uid(place) + files["group_vars/web/app.yml"]
        )
    return {path: f"---\n{text}" for path, text in files.items()}


def uid(place: Path) -> str:
    """Return the line of a user id that no other app of this repository has; none where there is no other."""
    taken = [path.read_text() for path in place.glob("inventories/*/group_vars/web/app.yml")]
    if not taken:
        return ""
    found = [int(number) for text in taken for number in re.findall(r"^app_uid: (\d+)", text, re.MULTILINE)]
    return setting("app_uid", max([FIRST_UID, *found]) + 1)


def login(host: str) -> str:
    """Return the user whom ssh logs in as here: CI and the team have other names. "" where there is no ssh."""
    command = ["ssh", "-G", "--", host]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=GIT_PATIENCE)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return ""
    return next((line.removeprefix("user ") for line in said.stdout.splitlines() if line.startswith("user ")), "")


def write_environment(place: Path, name: str, answers: Answers, password: str) -> None:
    """Write an environment as a whole: one that was cut off leaves nothing that looks complete."""
    files = environment(place, name, answers)
    files["group_vars/web/vault.yml"] = encrypted(f"---\nvault_app_secret_key: {secrets.token_hex(32)}\n", password)
    begun = place / "inventories" / f".{name}.new"
    shutil.rmtree(begun, ignore_errors=True)
    for path, text in files.items():
        (begun / path).parent.mkdir(parents=True, exist_ok=True)
        (begun / path).write_text(text)
    begun.rename(place / "inventories" / name)


def encrypted(text: str, password: str) -> str:
    """Return a text as ansible-vault would keep it."""
    from ansible.parsing.vault import VaultLib, VaultSecret  # takes a while

    return VaultLib([("default", VaultSecret(password.encode()))]).encrypt(text).decode()


def password(place: Path) -> str:
    """Return the vault's password, made the first time.

    :raises UsageError: its file is empty; or there are vaults already, and their password is elsewhere.
    """
    path = place / PASSWORD
    if path.exists():
        known = path.read_text().strip()
        if not known:
            raise UsageError(f"{path} is empty: write the vault's password into it, or delete it")
        return known
    if any(project.vaulted(each) for each in place.glob("inventories/*/")):
        raise UsageError(f"there are vaults in {place / 'inventories'}; put their password into {path} first")
    place.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    made = secrets.token_urlsafe(32)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"{made}\n")
    return made


def kept_out(place: Path) -> None:
    """Make sure that git will not take the password.

    :raises UsageError: a .gitignore is there, and would let it in.
    """
    path = place / ".gitignore"
    if path.exists() and PASSWORD not in path.read_text():
        raise UsageError(f"add the line /{PASSWORD} to {path} first: the vault's password must stay out of git")


def files(place: Path, name: str, domain: str) -> dict[Path, str]:
    """Return what a repository needs beside its environments.

    :param name: the environment that CI deploys.
    """
    above = top(place.resolve())
    directory = os.path.relpath(place.resolve(), above)
    plan = os.path.normpath(os.path.join(directory, "plan.txt"))
    marks = {"ENVIRONMENT": name, "DIRECTORY": directory, "DOMAIN": domain, "PLAN": plan}
    template = {path.name: path.read_text() for path in TEMPLATES.iterdir()}

    def filled(which: str) -> str:
        text = re.sub("( *)@PREPARE@\n", lambda found: indent(template["prepare.sh"], found[1]), template[which])
        for mark, value in marks.items():
            text = text.replace(f"@{mark}@", value)
        return text

    return {
        place / ".gitignore": filled("gitignore"),
        place / "README.md": filled("README.md"),
        place / "requirements.txt": pin(),
        place / "ansible.cfg": config(),
        **{above / path: filled(which) for path, which in CI.items()},
    }


def write(path: Path, text: str) -> bool:
    """Write a file unless there is one; tell whether it was written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x") as file:
            file.write(text)
    except FileExistsError:
        return False
    return True


def config() -> str:
    """Return a configuration of Ansible: what this project recommends, and where the vault's password is."""
    parser = ConfigParser(interpolation=None, inline_comment_prefixes=None)
    parser.read(project.PROJECT / "ansible.cfg")
    places = ("roles_path", "module_utils", "action_plugins", "callback_plugins", "vars_plugins")
    for path in places:  # the tool knows where they are
        parser.remove_option("defaults", path)
    parser["defaults"]["vault_password_file"] = PASSWORD
    lines = [f"\n[{part}]\n" + "".join(f"{k} = {v}\n" for k, v in parser[part].items()) for part in parser.sections()]
    return "; for ansible-vault too; the rest is what flask-deploy recommends" + "\n" + "".join(lines).lstrip("\n")


def pin() -> str:
    """Return a line for pip that installs this version from where it came: an index, a repository or a directory."""
    try:
        came = json.loads(metadata.distribution("flask-deploy").read_text("direct_url.json") or "null")
    except metadata.PackageNotFoundError:
        came = {"url": project.PROJECT.resolve().as_uri()}
    if came is None:
        return f"flask-deploy=={__version__}\n"
    if "vcs_info" in came:
        return f"flask-deploy @ {came['vcs_info']['vcs']}+{came['url']}@{came['vcs_info']['commit_id']}\n"
    return f"flask-deploy @ {came['url']}\n"
