"""What restic says where it fails, in words of the person who set it up: the cause, and what to do."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from typing import Any

MISSING = re.compile(
    r"unable to open config file: (?!.*(denied|refused|timeout))(?s:.*)(no such file|does not exist|key does not exist)"
    r"|Is there a repository at the following location"
)
GONE = re.compile("no such file", re.IGNORECASE)
LONGEST = 300  # characters of what restic said
CAUSES = (
    (
        "wrong password",
        "backup_password does not open the repository at {to}",
        "give it the password that the repository was made with, or let backup_to name an empty place",
    ),
    (
        "no space left|disk quota exceeded|quotaexceeded|insufficient storage|storage ?full|SSH_FX_FAILURE",
        "the target {to} is full",
        "make room there, or lower backup_keep and back up again; earlier backups are whole",
    ),
    (
        "already locked",
        "another run has the repository at {to} locked",
        "wait for its end; a lock of a run that was killed goes by itself within 30 minutes",
    ),
    (
        "host key verification failed|host key is known",
        "the SSH server of {to} has another host key than backup_host_key",
        "compare it with: ssh-keyscan <its name>; then set backup_host_key",
    ),
    (
        r"permission denied \(|too many authentication failures|load key",
        "the SSH server of {to} does not take backup_ssh_key",
        "add its public key to ~/.ssh/authorized_keys there",
    ),
    (
        "requesttimetooskewed|request time and the .* time is too large|certificate .*(expired|not yet valid)",
        "the clock of this host is wrong, so {to} refuses it",
        "type on the host: sudo timedatectl set-ntp true",
    ),
    (
        "invalidaccesskeyid|signaturedoesnotmatch|access ?denied|no credentials found",
        "the credentials in backup_env are not taken by {to}",
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in backup_env",
    ),
    (  # of OpenSSH's server, PerSourcePenalties of sshd_config(5)
        r"kex_exchange_identification|connection (closed|reset) by \S+ port \d",
        "the SSH server of {to} ends each connection at once, as it does for some time after logins that failed",
        "see its journal: sudo journalctl -u ssh; the next run tries again",
    ),
    ("nosuchbucket|bucket does not exist", "the bucket of {to} does not exist", "make it, then back up again"),
    (
        "connection refused|no such host|no route to host|timed? ?out|could not resolve|unreachable|broken pipe"
        "|connection reset|connection closed|unexpected eof|server unexpectedly closed",
        "the target {to} does not answer",
        "see that it is up and can be reached from this host; the next run tries again",
    ),
    (
        "ciphertext verification|invalid data returned|does not match id|hash does not match|contains errors"
        "|not contained in index|is not (?:an )?available|pack .* (?:missing|damaged|error)|file verification failed"
        "|size could not be found|unexpected pack|blob .* not found|content.*invalid|decryption|verify.*fail",
        "the repository at {to} is damaged",
        "let backup_to name an empty place for new backups, and see what is whole: restic check --read-data",
    ),
    ("permission denied|operation not permitted|read-only file system", "{to} may not be written to", "mend its mode"),
    (
        "no such file|does not exist",
        "the repository at {to} is not whole, or went while it was used",
        "see that its disk is mounted, and back up again",
    ),
)


def explain(
    said: str, to: str, did: str, causes: Iterable[tuple[str, str, str]] = CAUSES, program: str = "restic"
) -> str:
    """Return in one line why a program failed, what to do, and what it said itself.

    :param did: the program's command.
    :param causes: (what it says, the cause, what to do).
    """
    words = " ".join(said.split())
    own = words if len(words) <= LONGEST else f"{words[:80]} ... {words[-LONGEST + 80 :]}"
    for pattern, cause, step in causes:
        if re.search(pattern, words, re.IGNORECASE):
            return f"{cause.format(to=to)}; {step.format(to=to)} ({program} {did}: {own})"
    return f"{program} {did} failed: {own}"


def unread(errors: Iterable[bytes], paths: Iterable[str]) -> list[str]:
    """Return what restic could not read, and why; an app that is busy removes files meanwhile, which are left out.

    :param errors: lines that restic wrote: JSON, and words for people.
    :param paths: what it was told to save. None of that may go.
    """
    found, named = {}, False
    for line in errors:
        told = json.loads(line) if line.startswith(b"{") else {}
        if told.get("message_type") == "error":
            named, path, why = True, told.get("item") or "a file", _why(told.get("error"))
            if path in paths or not (GONE.search(why) if why else _went(path)):
                found[path] = f"{path} could not be read" + (f" ({why})" if why else "")
    return list(found.values()) if named else ["restic could not read some files, and does not name them"]


def _why(error: Any) -> str:
    """Return what the kernel said; restic 0.14 tells {"Err": 13} or {}, and 0.18 {"message": "open /a: ..."}."""
    told = error if isinstance(error, dict) else {"message": error or ""}
    return os.strerror(told["Err"]).lower() if "Err" in told else str(told.get("message", "")).rpartition(": ")[2]


def _went(path: str) -> bool:
    """Tell whether nothing has this path any more; a disk that cannot be read does not say that."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False
