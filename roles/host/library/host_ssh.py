#!/usr/bin/python
"""Harden the host's sshd, in a way that brings the old settings back unless a new connection confirms it."""

from __future__ import annotations

import itertools
import os
import pwd
import socket
import stat
import time
from typing import Any

from ansible.module_utils import host_before as before
from ansible.module_utils.flask_deploy.host import connection, files, trial
from ansible.module_utils.flask_deploy.host.module import QuietModule

DOCUMENTATION = r"""
module: host_ssh
short_description: Harden the host's sshd
description:
  - C(try) writes a drop-in that only takes away what sshd allows today, and lets systemd take it back after 30 seconds.
  - C(confirm) keeps it. It must come by a new connection.
options:
  step: {type: str, choices: [try, confirm], required: true, description: What is to be done.}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Harden SSH
  host_ssh:
    step: try
"""

RETURN = r"""
told: {type: list, returned: success, description: One line for each thing that is left open, or whom it shuts out.}
trial: {type: bool, returned: success, description: Whether the change waits for its confirmation.}
"""

MAIN = "/etc/ssh/sshd_config"
DROP_IN = "/etc/ssh/sshd_config.d/10-flask-deploy.conf"
BACK = f"{trial.PLACE}/ssh-back.conf"
SHADOW = "/etc/shadow"
HEAD = "# Managed by Ansible: flask-deploy. What a file of yours with an earlier name sets, wins.\n"
RELOAD = "systemctl try-reload-or-restart ssh.service"
TRIES = 4  # a client may offer four keys
GRACE = 30  # seconds to log in
# ssh-audit's list for OpenSSH 9.2 and 10.0; curve25519 alone is for clients that know nothing of quantum computers.
ALGORITHMS = {
    "KexAlgorithms": "mlkem768x25519-sha256 sntrup761x25519-sha512 sntrup761x25519-sha512@openssh.com "
    "curve25519-sha256 curve25519-sha256@libssh.org",
    "Ciphers": "chacha20-poly1305@openssh.com aes256-gcm@openssh.com aes256-ctr aes192-ctr aes128-gcm@openssh.com "
    "aes128-ctr",
    "MACs": "hmac-sha2-512-etm@openssh.com hmac-sha2-256-etm@openssh.com umac-128-etm@openssh.com",
    "HostKeyAlgorithms": "ssh-ed25519 ssh-ed25519-cert-v01@openssh.com rsa-sha2-512 rsa-sha2-512-cert-v01@openssh.com "
    "rsa-sha2-256 rsa-sha2-256-cert-v01@openssh.com",
}
ROOT = {
    "yes": "prohibit-password",
    "without-password": "prohibit-password",
}  # sshd -T's words, and what becomes of them
PASSWORDS = ("PasswordAuthentication", "KbdInteractiveAuthentication")
FORWARDING = ("AllowTcpForwarding", "AllowStreamLocalForwarding", "AllowAgentForwarding")


def effective(who: connection.Connection | None = None) -> dict[str, str]:
    """Return sshd's settings as they are now, for a connection: {keyword in small letters: value}.

    :raises TrialError: there is no sshd, or its settings are wrong already.
    """
    match = ("-C", f"user={who.user},host={who.client},addr={who.client}") if who else ()
    code, said = before.run(connection.SSHD, "-T", *match)
    if code:
        raise trial.TrialError(f"sshd refuses its own settings: {' '.join(said.split())[:300]}; look at: sudo sshd -t")
    return dict(line.partition(" ")[::2] for line in said.splitlines())


def wanted(now: dict[str, str], theirs: dict[str, str], user: str, keys: bool, there: str = "") -> str:
    """Return the drop-in. It allows nothing that is not allowed now, so a second run makes the same of what it left.

    :param now: settings for everybody.
    :param theirs: settings for the user who connects.
    :param keys: whether that user has keys; else passwords stay where they are taken now.
    :param there: the drop-in of before: what it leaves to other users stays theirs.
    """
    lines = [f"{word} no" for word in PASSWORDS if keys or now.get(word.lower()) == "no"]
    if keys or now["permitrootlogin"] != "yes":
        lines.append(f"PermitRootLogin {ROOT.get(now['permitrootlogin'], now['permitrootlogin'])}")
    lines += [
        f"MaxAuthTries {min(TRIES, int(now['maxauthtries']))}",
        f"LoginGraceTime {min(GRACE, int(now['logingracetime']) or GRACE)}",
        "PermitEmptyPasswords no",
        *(f"{word} no" for word in ("X11Forwarding", "PermitTunnel", "GatewayPorts", *FORWARDING)),
    ]
    for word, names in ALGORITHMS.items():
        known = now[word.lower()].split(",")
        kept = [name for name in names.split() if name in known] or known
        lines.append(f"{word} {','.join(kept)}")
    blocks = left(there)
    if user:
        blocks[user] = [f"    {word} {theirs[word.lower()]}" for word in FORWARDING if theirs[word.lower()] != "no"]
    for name in sorted(name for name, own in blocks.items() if own):
        lines += [f"Match User {name}", *blocks[name]]
    return HEAD + "\n".join(lines) + "\n"


def left(text: str) -> dict[str, list[str]]:
    """Return {user: lines} of what a drop-in of ours leaves to users who deployed before."""
    blocks = text.split("\nMatch User ")[1:] if text.startswith(HEAD) else []
    named = (block.partition("\n")[::2] for block in blocks)
    return {name: [line for line in own.splitlines() if line.strip().startswith(FORWARDING)] for name, own in named}


def has_keys(user: str, settings: dict[str, str]) -> bool:
    """Tell whether a user can log in by a key; a command that knows keys is believed to know one."""
    if settings.get("authorizedkeyscommand", "none") != "none":
        return True
    try:
        account = pwd.getpwnam(user)
    except KeyError:
        return False
    for pattern in settings.get("authorizedkeysfile", ".ssh/authorized_keys").split():
        path = pattern.replace("%h", account.pw_dir).replace("%u", user).replace("%%", "%")
        if any(map(is_key, first_lines(os.path.join(account.pw_dir, path)))):
            return True
    return False


def is_key(line: str) -> bool:
    """Tell whether a line holds a public key, with or without options before it (sshd(8), AUTHORIZED_KEYS)."""
    words = [] if line.lstrip().startswith("#") else line.split()
    kinds = ("ssh-", "ecdsa-", "sk-")
    return any(kind.startswith(kinds) and key.startswith("AAAA") for kind, key in itertools.pairwise(words))


def first_lines(path: str) -> list[str]:
    """Return the lines of what a user may have put there: of a file alone, and not more than a mebibyte."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return []
    with open(handle, "rb") as file:
        regular = stat.S_ISREG(os.fstat(handle).st_mode)
        return (file.read(1 << 20) or b"").decode(errors="replace").splitlines() if regular else []


def shut_out(settings: dict[str, str]) -> list[str]:
    """Return the users who have a password and no key: they cannot log in by SSH any more."""
    entries = [line.split(":") for line in (before.read(SHADOW) or "").splitlines()]
    with_password = {entry[0] for entry in entries if len(entry) > 1 and entry[1][:1] not in ("", "!", "*")}
    return sorted(name for name in with_password if not has_keys(name, settings))


def attempt(text: str) -> None:
    """Let sshd have a drop-in for a while.

    :raises TrialError: sshd refuses it, does not read it, or nothing would take it back.
    """
    words = [line.split() for line in (before.read(MAIN) or "").splitlines()]
    if not any(line[:1] == ["Include"] and "/etc/ssh/sshd_config.d/*.conf" in line for line in words):
        raise trial.TrialError(f"{MAIN} lacks its line: Include /etc/ssh/sshd_config.d/*.conf; put it at the top")
    old = files.read(DROP_IN)
    files.ensure_directory(trial.PLACE, 0o700)
    if old is not None:
        files.write(BACK, old)
    restore = f"rm -f {DROP_IN}" if old is None else f"cp {BACK} {DROP_IN}"
    trial.begin("ssh", f"{restore}; {RELOAD}", {"connection": connection.current()})
    files.write(DROP_IN, text.encode())
    code, said = before.run(connection.SSHD, "-t")
    if code:
        files.remove(DROP_IN) if old is None else files.write(DROP_IN, old)
        trial.give_up("ssh")
        raise trial.TrialError(f"sshd refuses the settings: {' '.join(said.split())[:300]}")
    before.run(*RELOAD.split())
    wait()


def wait() -> None:
    """Wait until sshd, which a reload starts anew, answers again; what comes too early would be refused."""
    now = connection.current()
    end = time.monotonic() + 5
    while now and time.monotonic() < end:
        try:
            with socket.create_connection(("127.0.0.1", now.port), 1) as asked:
                asked.settimeout(1)
                if asked.recv(4) == b"SSH-":
                    return
        except OSError:
            pass  # it listens at other addresses, or does not yet
        time.sleep(0.2)


def run(step: str, dry: bool) -> dict[str, Any]:
    """Take a step; return what the module says."""
    now = connection.current()
    if step == "confirm":
        trial.judge("ssh", now)
        trial.confirm("ssh")
        return {"changed": True, "trial": False, "told": []}
    everybody = effective()
    theirs = effective(now) if now else everybody
    keys = bool(now) and has_keys(now.user, theirs)
    told = []
    if not keys and any(everybody.get(word.lower()) == "yes" for word in PASSWORDS):
        told = [f"SSH takes passwords on: {now.user if now else 'nobody'} has no key there; ssh-copy-id puts one there"]
    elif everybody.get("passwordauthentication") == "yes":
        told = [f"{name} has a password and no key, and cannot log in by SSH any more" for name in shut_out(everybody)]
    old = files.read(DROP_IN, b"")
    text = wanted(everybody, theirs, now.user if now else "", keys, old.decode(errors="replace"))
    changed = old != text.encode()
    if changed and not dry:
        attempt(text)
    return {"changed": changed, "trial": changed and not dry, "told": told}


def main() -> None:
    module = QuietModule(
        argument_spec={"step": {"type": "str", "choices": ["try", "confirm"], "required": True}},
        supports_check_mode=True,
    )
    try:
        result = run(module.params["step"], module.check_mode)
    except trial.TrialError as error:
        module.fail_json(msg=f"SSH is as it was: {error}")
    for line in result["told"]:
        module.warn(line)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
