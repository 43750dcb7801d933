"""Keep the signing keys of several hosts in an encrypted file of the inventory, one step of a rotation at a time."""

from __future__ import annotations

import fcntl
import os
import sys
import time
from typing import Any

import ansible.module_utils
import yaml
from ansible import constants
from ansible.errors import AnsibleActionFail
from ansible.parsing.vault import match_encrypt_secret
from ansible.plugins.action import ActionBase

sys.path.append(os.path.join(os.path.dirname(__file__), "..", "plugin_utils"))
ansible.module_utils.__path__.append(os.path.join(os.path.dirname(__file__), *[".."] * 3, "plugins", "module_utils"))

from ansible.module_utils.flask_deploy.host import files
from ansible.module_utils.flask_deploy.keys.pem import PemError, make
from key_vault import VaultError, advance, condemned, gather

LOCK_WAIT = 300  # seconds
VARIABLE = "vault_app_jwt_keys"
HEAD = """\
# Written by playbooks/vault_keys.yml and playbooks/rotate_keys.yml. The first key signs; another private one is next;
# public ones are former.
"""


class ActionModule(ActionBase):
    """``state: gathered`` begins the file with the keys in use, ``advanced`` takes the next step that is due.

    ``file`` is what is written; ``keys`` is what the inventory holds now; ``hosts`` is what tokens_keep told on each. A
    key that is wanted is made here, for ``algorithm``; a dry run forgets it.
    Returns ``pems``, and with ``revoke`` the id in ``revoked``.
    """

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        options = self._task.args
        path = options["file"]
        with _Alone(os.path.dirname(path)):
            try:
                return self._work(path, options)
            except (VaultError, PemError) as error:
                raise AnsibleActionFail(f"signing keys: {error}") from None

    def _work(self, path: str, options: dict[str, Any]) -> dict[str, Any]:
        before, revoked = self._read(path), None
        if options["state"] == "gathered":
            known = before or options.get("keys") or []
            after = gather(known, [host["exported"] for host in options["hosts"]], self._imported(options))
            after = after or [make(options["algorithm"]).text]
        else:
            if before is None or [text.strip() for text in before] != [text.strip() for text in options["keys"]]:
                raise VaultError(
                    f"tokens_keys does not come from {path}, which a rotation writes; "
                    "take your own line out of the inventory after: ansible-playbook playbooks/vault_keys.yml"
                )
            if options.get("revoke"):
                revoked = condemned(before, options["hosts"], options["revoke"])
            after = self._advanced(before, options, revoked)
        changed = after != before
        if changed and not self._task.check_mode:
            self._write(path, after)
        # What holds keys is shown nowhere; what went wrong is.
        return {"changed": changed, "pems": after, "revoked": revoked, "_ansible_no_log": True}

    def _advanced(self, before: list[str], options: dict[str, Any], gone: str | None) -> list[str]:
        rotate, after = bool(options.get("rotate")), float(options.get("rotate_after") or 0)
        keys, wanted = advance(before, options["hosts"], rotate, after, gone)
        if wanted:
            fresh = make(options["algorithm"]).text
            keys, _wanted = advance(before, options["hosts"], rotate, after, gone, fresh)
        return keys

    def _imported(self, options: dict[str, Any]) -> str:
        if not options.get("import"):
            return ""
        with open(os.path.expanduser(options["import"]), encoding="utf-8") as file:
            return file.read()

    def _read(self, path: str) -> list[str] | None:
        """Return the file's keys, or None where there is no file."""
        if not os.path.exists(path):
            return None
        with open(path, "rb") as file:
            text = file.read()
        if text.startswith(b"$ANSIBLE_VAULT"):
            text = self._loader._vault.decrypt(text)
        return [str(key) for key in (yaml.safe_load(text) or {}).get(VARIABLE) or []]

    def _write(self, path: str, keys: list[str]) -> None:
        secrets = self._loader._vault.secrets
        if not secrets:
            raise VaultError("there is no vault password to encrypt them with; add --ask-vault-pass")
        vault_id, secret = match_encrypt_secret(
            secrets, constants.config.get_config_value("DEFAULT_VAULT_ENCRYPT_IDENTITY")
        )
        text = HEAD + yaml.dump({VARIABLE: [_Literal(key) for key in keys]}, Dumper=_Dumper)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        content = self._loader._vault.encrypt(text, secret=secret, vault_id=vault_id)
        files.write(path, content, mode=0o600, uid=os.getuid(), gid=os.getgid())
        os.sync()  # a new directory too survives a power loss of the controller


class _Literal(str):
    """A text of several lines that is written as one."""


class _Dumper(yaml.SafeDumper):
    pass


_Dumper.add_representer(
    _Literal, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style="|")
)


class _Alone:
    """One run at a time writes the inventory's keys."""

    def __init__(self, folder: str) -> None:
        os.makedirs(folder, exist_ok=True)
        self._folder = folder
        self._handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)

    def __enter__(self) -> None:
        end = time.monotonic() + LOCK_WAIT
        while True:
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise AnsibleActionFail(
                        f"signing keys: somebody else works on {self._folder}; who: fuser -v {self._folder}"
                    ) from None
                time.sleep(0.1)

    def __exit__(self, *_: object) -> None:
        os.close(self._handle)
