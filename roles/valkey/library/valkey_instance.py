#!/usr/bin/python
"""Give an app an instance of Valkey on this host."""

from __future__ import annotations

import os
import socket
import time

from ansible.module_utils.flask_deploy.host import account, command, files, locks, systemd, told
from ansible.module_utils.flask_deploy.host.module import QuietModule

DOCUMENTATION = r"""
module: valkey_instance
short_description: Give an app an instance of Valkey on this host
description:
  - C(looked) remembers, before apt installs Valkey, whether the package's own instance is somebody's.
  - C(present) writes the files of the app's instance and starts it. Files that it does not start with are put back.
  - C(absent) ends all instances of an app and removes what they hold, and the app's name in /etc/passwd.
options:
  state: {type: str, required: true, choices: [looked, present, absent], description: How far to go.}
  word: {type: str, required: true, description: "What Debian calls it: valkey or redis."}
  app: {type: str, description: Name of the app.}
  uid: {type: int, description: "User id the app runs as, and its group."}
  instance: {type: str, description: Name of the instance.}
  files: {type: dict, description: "Its configuration, what is laid over its unit, and its place in /run."}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Look whether Valkey is here
  valkey_instance:
    state: looked
    word: valkey
"""

RETURN = r"""
actions: {type: list, returned: always, description: "What was, or would be, done."}
"""

RECORD = "/var/lib/flask-deploy/valkey.json"  # {"ours": whether the package came with us}
USES = ("queue", "cache")
HEAD = b"# Of role valkey of flask-deploy."
START = 120  # seconds; a queue reads its log first
FOREIGN = "app_needs: {} is on this host already, and flask-deploy did not write it, so it is left alone; move it away"


class ValkeyError(Exception):
    """Valkey does not do what it should; the message is for the person who deploys."""


class Instance:
    """The files and the unit of an instance."""

    def __init__(self, word: str, name: str) -> None:
        self.name = name
        self.unit = f"{word}-server@{name}.service"
        self.socket = f"/run/valkey-{name}/valkey.sock"
        self.paths = {
            "conf": f"/etc/{word}/{word}-{name}.conf",
            "unit": f"/etc/systemd/system/{self.unit}.d/flask-deploy.conf",
            "place": f"/etc/tmpfiles.d/flask-deploy-valkey-{name}.conf",
        }

    def ensure(self, texts: dict[str, str], dry: bool) -> list[str]:
        """Let the instance run with these files; return what was, or would be, done.

        :raises ValkeyError: one is somebody else's, or it does not start with them.
        """
        wanted = {self.paths[what]: text.encode() for what, text in texts.items()}
        before = {path: files.read(path) for path in wanted}
        if others := [path for path, text in before.items() if text and HEAD not in text]:
            raise ValkeyError(FOREIGN.format(others[0]))
        changed = [path for path, content in wanted.items() if files.ensure_file(path, content, dry=True)]
        if dry:
            return changed
        with told.owed(f"valkey-{self.name}", bool(changed)) as due:
            return changed + self.write({path: wanted[path] for path in changed}, before, due)

    def write(self, texts: dict[str, bytes], before: dict[str, bytes | None], due: bool) -> list[str]:
        """Write files that differ and let them take effect; return what was done.

        :param before: {path: content}; what the instance does not start with is put back.
        """
        files.ensure_directory(os.path.dirname(self.paths["unit"]))
        for path, content in texts.items():
            files.ensure_file(path, content)
        try:
            return self.take_effect(due)
        except ValkeyError:
            for path in texts:
                files.write(path, before[path]) if before[path] else files.remove(path)
            systemd.ask("daemon-reload")
            systemd.ask("restart", self.unit, limit=START)
            raise

    def take_effect(self, changed: bool) -> list[str]:
        if changed:
            self.run("systemd-tmpfiles", "--create", self.paths["place"])
            systemd.ask("daemon-reload")
        done = []
        if systemd.ask("is-enabled", self.unit).strip() != "enabled":
            self.run("systemctl", "enable", "--quiet", self.unit)
            done.append(f"{self.unit} enabled")
        if changed or not self.answers():
            self.run("systemctl", "restart", self.unit)
            end = time.monotonic() + START
            while not self.answers():
                if time.monotonic() > end or systemd.ask("is-active", self.unit).strip() == "failed":
                    raise ValkeyError(f"{self.unit} does not answer; why: sudo journalctl -u {self.unit}")
                time.sleep(0.2)
            done.append(f"{self.unit} started")
        return done

    def run(self, *words: str) -> None:
        command.run(*words, error=ValkeyError, limit=START)

    def answers(self) -> bool:
        """Tell whether it answers a PING (valkey.io, protocol specification)."""
        try:
            with socket.socket(socket.AF_UNIX) as door:
                door.settimeout(5)
                door.connect(self.socket)
                door.sendall(b"PING\r\n")
                return door.recv(64).startswith(b"+PONG")
        except OSError:
            return False


def look(word: str, dry: bool) -> list[str]:
    """Remember whether the package was here before us."""
    if os.path.exists(RECORD):
        return []
    if not dry:
        files.ensure_directory(os.path.dirname(RECORD))
        files.write_json(RECORD, {"ours": not os.path.exists(f"/usr/bin/{word}-server")})
    return [RECORD]


def silence(word: str, dry: bool) -> list[str]:
    """Let the package's own instance, which listens on a port, rest where it came with us."""
    unit = f"{word}-server.service"
    if not (files.read_json(RECORD) or {}).get("ours") or systemd.ask("is-enabled", unit).strip() != "enabled":
        return []
    if not dry:
        systemd.ask("disable", "--now", unit)
    return [f"{unit} disabled"]


def take_away(word: str, app: str, dry: bool) -> list[str]:
    """End the instances of an app and remove what they hold; return what was, or would be, done."""
    instances = [Instance(word, f"{app}-{use}") for use in USES]
    there = [each for each in instances if any(os.path.lexists(path) for path in each.paths.values())]
    for each in [] if dry else there:
        systemd.ask("disable", "--now", each.unit, limit=START)
        for path in filter(os.path.lexists, each.paths.values()):
            files.remove(path)
        for folder in (f"/var/lib/{word}/{each.name}", os.path.dirname(each.socket)):
            files.remove_tree(folder)
    if there and not dry:
        systemd.ask("daemon-reload")
    return [f"removed {each.unit}" for each in there] + ([] if dry else account.remove(app))


def main() -> None:
    module = QuietModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": ["looked", "present", "absent"]},
            "word": {"type": "str", "required": True},
            "app": {"type": "str"},
            "uid": {"type": "int"},
            "instance": {"type": "str"},
            "files": {"type": "dict"},
        },
        required_if=[("state", "absent", ("app",)), ("state", "present", ("app", "uid", "instance", "files"))],
        supports_check_mode=True,
    )
    options, dry = module.params, module.check_mode
    try:
        with locks.locked(f"{locks.RUN}/valkey.lock"):
            if options["state"] == "absent":
                actions = take_away(options["word"], options["app"], dry)
                module.exit_json(changed=bool(actions), actions=actions)
            actions = look(options["word"], dry)
            if options["state"] == "present":
                actions += silence(options["word"], dry) + account.ensure(options["app"], options["uid"], dry)
                actions += Instance(options["word"], options["instance"]).ensure(options["files"], dry)
    except (ValkeyError, account.AccountError, systemd.UnitError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=bool(actions), actions=actions)


if __name__ == "__main__":
    main()
