"""What an app keeps to itself on its hosts, outside of releases: its secrets, and the key of their digests."""

from __future__ import annotations

import base64
import os
import re
import secrets
from collections.abc import Sequence
from urllib.parse import unquote

from ansible.module_utils.flask_deploy.host import files
from ansible.module_utils.flask_deploy.release.places import App, ReleaseError

LEAST = 32  # bytes of the key; one that is shorter was cut short
KEY = "release.key"  # of the host, and in a restarted release that which it was made with

SHORTEST = 4  # characters of a secret; a shorter one is part of any text
PASSWORD = re.compile(r"\b[a-z][\w+.-]*://[^\s:/@]*:(\S+)@")


def digest_key(app: App, dry: bool = False) -> bytes:
    """Return the key of this app's secret digests, made where there is none or half of one.

    It never leaves the app's hosts.
    """
    path = f"{app.etc}/{KEY}"
    key = files.read(path)
    if key is None or len(key) < LEAST:
        key = secrets.token_bytes(LEAST)
        if not dry:
            files.write(path, key, 0o400)
    return key


def ensure_digest_key(app: App, key: str | None, dry: bool = False) -> list[str]:
    """Keep the key that the app's hosts share (base64), so that a release has one id on all of them.

    :raises ReleaseError: it is shorter than a key is.
    """
    if key is None:
        return []
    path, whole = f"{app.etc}/{KEY}", base64.b64decode(key)
    if len(whole) < LEAST:
        raise ReleaseError(f"{path} of the first host is cut short; type there: sudo rm {path}, then deploy again")
    return [path] if files.ensure_file(path, whole, 0o400, dry=dry) else []


def keep_renewed(app: App, release: str, key: str) -> None:
    """Keep in a restarted release the key (base64) that its id was made with: it is the host's once that serves."""
    files.write(app.path(release, KEY), base64.b64decode(key), 0o400)


def renewed(app: App) -> str | None:
    """Return the key (base64) that what serves was made with, where it was restarted."""
    key = files.read(app.path(app.serving() or "", KEY)) or b""
    return base64.b64encode(key).decode() if len(key) >= LEAST else None


def ensure(app: App, environment: dict[str, str], contents: dict[str, str], dry: bool = False) -> list[str]:
    """Keep exactly these secrets where the app reads them; return the files that changed or would."""
    folder = f"{app.etc}/secrets"
    wanted = {name: text.encode() for name, text in contents.items()}
    wanted["env.json"] = files.canonical(environment)
    changed = [
        name
        for name, content in wanted.items()
        if files.ensure_file(f"{folder}/{name}", content, 0o400, app.uid, app.gid, dry=dry)
    ]
    stray = set(os.listdir(folder)) - set(wanted) if os.path.isdir(folder) else set()
    for name in stray:
        if not dry:
            files.remove(f"{folder}/{name}")
    return [f"{folder}/{name}" for name in [*changed, *sorted(stray)]]


def held(app: App) -> tuple[dict[str, str], dict[str, str]]:
    """Return the app's secrets on this host: (environment, files)."""
    folder = f"{app.etc}/secrets"
    names = [name for name in os.listdir(folder) if name != "env.json"] if os.path.isdir(folder) else []
    contents = {name: (files.read(f"{folder}/{name}") or b"").decode(errors="replace") for name in names}
    return files.read_json(f"{folder}/env.json", {}), contents


def shown(app: App) -> list[str]:
    """Return the app's secrets as a message may show them.

    That is without the newline of a file, by line, as repr does, and the password of an address alone.
    """
    environment, contents = held(app)
    whole = [str(each).strip() for each in (*environment.values(), *contents.values())]
    lines = {line.strip() for each in whole for line in (each, *each.splitlines())}
    lines |= {word for line in lines for match in PASSWORD.finditer(line) for word in (match[1], unquote(match[1]))}
    forms = {form for line in lines for form in (line, repr(line)[1:-1], repr(f"{line}'\"")[1:-4])}
    return [form for form in forms if len(form) >= SHORTEST]


def masked(text: str, known: Sequence[str]) -> str:
    """Return a text with *** in place of each secret.

    :param known: what `shown` returned.
    """
    for secret in sorted(known, key=len, reverse=True):  # one may begin with another
        text = text.replace(secret, "***")
    return text
