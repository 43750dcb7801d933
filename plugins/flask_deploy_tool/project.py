"""Where things are: the playbooks, ansible-playbook, the user's environments and the vault's password."""

from __future__ import annotations

import locale
import os
import shlex
import shutil
import stat
import sys
from pathlib import Path

from click import ClickException, UsageError

PACKAGE = Path(__file__).parent
INSTALLED = PACKAGE / "project"  # what a wheel carries; in a checkout the playbooks lie where they are
PROJECT = INSTALLED if INSTALLED.exists() else PACKAGE.parents[1]
INVENTORIES = Path("inventories")
BUNDLED = {"example", "local"}  # of a checkout: copied, and the demo's
UTF_8 = ("C.UTF-8", "en_US.UTF-8")  # Linux; macOS
VAULT_OPTIONS = ("--vault-", "--ask-vault-pass", "-J")
READ_AT_MOST = 1 << 20  # bytes of a file of an inventory that are searched for a vault


def ansible_playbook() -> str:
    """Return the program that belongs to this Python, by its name alone where that finds it."""
    beside, found = Path(sys.executable).with_name("ansible-playbook"), shutil.which("ansible-playbook")
    if beside.exists() and not (found and os.path.samefile(found, beside)):
        return str(beside)
    if not found:
        raise ClickException("ansible-playbook is not here: pip install ansible-core")
    return "ansible-playbook"


def own_config() -> bool:
    """Tell whether the user has a configuration of Ansible that is not this project's."""
    if "ANSIBLE_CONFIG" in os.environ:
        return True
    return Path("ansible.cfg").exists() and not at_home()


def at_home() -> bool:
    """Tell whether this directory is the project itself, where a short command finds everything."""
    return Path.cwd() == PROJECT.resolve()


def settings() -> dict[str, str]:
    """Return the environment that lets Ansible find this project from any directory, and nothing more."""
    places = {
        "ANSIBLE_ROLES_PATH": "roles",
        "ANSIBLE_MODULE_UTILS": "plugins/module_utils",
        "ANSIBLE_ACTION_PLUGINS": "plugins/action",
        "ANSIBLE_CALLBACK_PLUGINS": "plugins/callback",
        "ANSIBLE_VARS_PLUGINS": "plugins/vars",
    }
    writable()
    needed = {
        **{name: with_theirs(name, PROJECT / place) for name, place in places.items()},
        "ANSIBLE_HOST_PATTERN_MISMATCH": "error",  # an inventory without hosts must not look deployed
    }
    if own_config():
        readable()
        return {**language(), **needed}
    exported = {name: value for name, value in needed.items() if name in os.environ}
    ours = {} if at_home() else {"ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg")}
    return {**language(), **ours, **exported}


def language() -> dict[str, str]:
    """Return the environment of a UTF-8 locale where this process has none: Ansible refuses to start without one."""
    for name in ("", *UTF_8):
        try:
            locale.setlocale(locale.LC_ALL, name)
        except locale.Error:  # it is not installed here, as one that ssh brought along
            continue
        if locale.getlocale()[1] == "UTF-8":
            return {"LC_ALL": name} if name else {}
    return {}


def readable() -> None:
    """Make sure that Ansible reads the configuration of this directory.

    :raises UsageError: everybody may write here; Ansible would take its own defaults, and look for no vault's password.
    """
    if "ANSIBLE_CONFIG" not in os.environ and Path.cwd().stat().st_mode & stat.S_IWOTH:
        raise UsageError(
            "everybody may write into this directory, so Ansible ignores its ansible.cfg: chmod o-w . "
            "or, where that changes nothing, export ANSIBLE_CONFIG=ansible.cfg"
        )


def writable() -> None:
    """Make sure that Ansible can keep its own files.

    :raises UsageError: it cannot, as in a container whose user has no home.
    """
    place = Path("~/.ansible").expanduser()
    try:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        reason = "" if os.access(place, os.W_OK | os.X_OK) else "Permission denied"
    except OSError as error:
        reason = error.strerror or str(error)
    if reason:
        raise UsageError(f"Ansible keeps files in {place}: {reason}; set HOME to a directory that you may write into")


def with_theirs(name: str, place: Path) -> str:
    """Return our place and those that the user exports; ours is looked in first."""
    theirs = [each for each in os.environ.get(name, "").split(os.pathsep) if each not in ("", str(place))]
    return os.pathsep.join([str(place), *theirs])


def playbook(name: str) -> str:
    """Return the path of a playbook, as short as it may be typed here."""
    return name if at_home() else str(PROJECT / name)


def environments() -> list[str]:
    """Return the names of the environments in this directory."""
    names = [path.name for path in INVENTORIES.glob("*") if path.is_dir() and not path.name.startswith(".")]
    return sorted(set(names) - (BUNDLED if at_home() else set()))


def elsewhere() -> str:
    """Return the directory below or above this one that has environments; "" where there is none."""
    below = sorted(path.parents[2] for path in Path().glob(f"*/{INVENTORIES}/*/group_vars"))
    above = [path for path in (Path(".."), Path("../..")) if any((path / INVENTORIES).glob("*/group_vars"))]
    return str(next(iter([*below, *above]), ""))


def inventory(name: str | None) -> str:
    """Return the inventory of an environment, or of the only one there is."""
    known = environments()
    if name is None and len(known) == 1:
        name = known[0]
    if name is None and known:
        raise UsageError(f"there are several environments; add -e {' or -e '.join(known)}")
    make = "cp -r inventories/example inventories/production" if at_home() else "flask-deploy new ."
    near = "" if known or at_home() else elsewhere()
    if near:
        raise UsageError(f"no environment in this directory; they are in {near}: cd {shlex.quote(near)}")
    if name is None:
        raise UsageError(f"no environment in this directory; make one: {make}")
    if "=" in name:
        raise UsageError(f"-e names an environment; a variable goes behind two dashes: -- -e {name}")
    if "/" in name or name[:1] in ("", ".") or not (INVENTORIES / name).is_dir():
        there = f"there is {', '.join(known)}" if known else f"make one: {make}"
        raise UsageError(f"no environment {INVENTORIES}/{name}; {there}")
    return str(INVENTORIES / name)


def asks_for_vault(place: str, extra: tuple[str, ...], environment: dict[str, str]) -> bool:
    """Tell whether Ansible has to ask for the vault's password: it needs one, finds none, and somebody can type.

    :param extra: arguments for ansible-playbook that the user gave.
    :param environment: what ansible-playbook will find beside this process's own.
    """
    if any(word.startswith(VAULT_OPTIONS) for word in extra) or not vaulted(Path(place)):
        return False
    return not password_is_known(environment) and sys.stdin.isatty()


def vaulted(place: Path) -> bool:
    """Tell whether an inventory holds an encrypted file or value."""
    for path in (path for path in place.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            text = file.read(READ_AT_MOST)
        if text.startswith(b"$ANSIBLE_VAULT;") or b"!vault" in text:
            return True
    return False


def password_is_known(environment: dict[str, str]) -> bool:
    """Ask Ansible's own configuration whether it knows a vault's password, or will ask for one by itself.

    :raises UsageError: it names a file that is not there, as in a fresh clone.
    """
    from ansible.config.manager import ConfigManager  # takes a while; most calls need no vault

    config = ConfigManager(environment.get("ANSIBLE_CONFIG"))
    file = config.get_config_value("DEFAULT_VAULT_PASSWORD_FILE")
    if file and not Path(file).exists():
        raise UsageError(
            f"no file {os.path.relpath(file)} here: write the vault's password into it; "
            "who made this repository keeps a copy where the team keeps passwords"
        )
    return bool(file) or any(map(config.get_config_value, ("DEFAULT_VAULT_IDENTITY_LIST", "DEFAULT_ASK_VAULT_PASS")))
