"""How lines reach people: mail, and addresses on the web that take messages."""

from __future__ import annotations

import base64
import http.client
import json
import smtplib
import ssl
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import Any

PATIENCE = 10  # seconds
LONGEST = 1900  # characters; Discord takes 2,000, ntfy 4,096
AGENT = "flask-deploy"
# What HTTP servers say of a text that they do not take; 403 is that of a filter in front of one.
REFUSED = (400, 403, 406, 413, 415, 422)


def targets(settings: dict[str, Any]) -> list[str]:
    """Return whom an app's settings tell: "<kind> <address>"."""
    mail = [f"mail {' '.join(settings['mail'])}"] if settings["mail"] else []
    return mail + [f"{kind} {address}" for kind, address in sorted(settings["webhooks"].items())]


def send(target: str, settings: dict[str, Any], lines: list[str]) -> None:
    """Send lines to one target, as one message.

    :raises OSError, smtplib.SMTPException: it was not taken.
    """
    kind, _, address = target.partition(" ")
    body = [one_line(f"{settings['host']}: {line}") for line in lines]
    if kind == "mail":
        _mail(settings, address.split(), body)
    else:
        _post(address, *BODIES[kind](short(body)))


def one_line(text: str) -> str:
    """Return a text as one line that everybody can take: a program may have printed anything."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())


def refuses(error: Exception) -> bool:
    """Tell whether another text may get through: this one was refused, or no message can be made of it."""
    if isinstance(error, urllib.error.HTTPError):
        return error.code in REFUSED
    if isinstance(error, smtplib.SMTPDataError):
        return error.smtp_code >= 500
    return not isinstance(error, OSError | http.client.HTTPException)


def short(lines: list[str]) -> str:
    """Return lines as one text that every receiver takes; of many the newest."""
    kept, size = [], 0
    for line in reversed(lines):
        size += len(line[:LONGEST]) + 1
        if kept and size > LONGEST:
            break
        kept.append(line[:LONGEST])
    left = len(lines) - len(kept)
    return "\n".join([*([f"{left} older lines are left out"] if left else []), *reversed(kept)])


def _json(**what: str) -> tuple[bytes, str]:
    return json.dumps(what).encode(), "application/json"


BODIES = {
    "ntfy": lambda text: (text.encode(), "text/plain; charset=utf-8"),
    "slack": lambda text: _json(text=text),
    "discord": lambda text: _json(content=text),
}


def _post(address: str, body: bytes | None, kind: str = "") -> None:
    request = urllib.request.Request(*_open(address), headers={"User-Agent": AGENT})  # noqa: S310 - the check saw it
    if kind:
        request.add_header("Content-Type", kind)
    parts = urllib.parse.urlsplit(address)
    if "@" in parts.netloc:
        word = urllib.parse.unquote(parts.netloc.rpartition("@")[0])
        request.add_header("Authorization", f"Basic {base64.b64encode(word.encode()).decode()}")
    with urllib.request.urlopen(request, data=body, timeout=PATIENCE) as answer:  # noqa: S310
        answer.read(1 << 16)


def _open(address: str) -> tuple[str]:
    """Return an address without a user and a password in it."""
    parts = urllib.parse.urlsplit(address)
    return (urllib.parse.urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])),)


def _mail(settings: dict[str, Any], people: list[str], lines: list[str]) -> None:
    server = urllib.parse.urlsplit(settings["smtp"])
    user, password = (urllib.parse.unquote(word or "") for word in (server.username, server.password))
    message = EmailMessage()
    message["From"] = user if "@" in user else people[0]
    message["To"] = ", ".join(people)
    message["Subject"] = lines[0][:150] + (f" (and {len(lines) - 1} more)" if len(lines) > 1 else "")
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Message-ID"] = make_msgid(domain=message["From"].rpartition("@")[2])  # without it, DNS is asked for one
    message.set_content("\n\n".join(lines) + "\n")
    context = ssl.create_default_context()
    if server.scheme == "smtps":
        connection: smtplib.SMTP = smtplib.SMTP_SSL(
            server.hostname or "", server.port or 465, timeout=PATIENCE, context=context
        )
    else:
        connection = smtplib.SMTP(server.hostname or "", server.port or (587 if user else 25), timeout=PATIENCE)
    with connection:
        if user and server.scheme != "smtps":
            connection.starttls(context=context)
        if user:
            connection.login(user, password)
        connection.send_message(message)


def ping(address: str) -> None:
    """Say "I am alive".

    :raises OSError: nobody took it.
    """
    _post(address, None)


def plain(error: Exception, target: str) -> str:
    """Return an error without the address that it names: who knows that may send messages."""
    return " ".join(str(error).replace(target.partition(" ")[2], "the address").split())[:200]
