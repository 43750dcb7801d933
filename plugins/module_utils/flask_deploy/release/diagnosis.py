"""Why a release did not get ready: the likely cause in its last lines, and what to do about it."""

from __future__ import annotations

import re

from ansible.module_utils.flask_deploy.host.untrusted import plain

# Python's last line of a traceback, and gunicorn's words for an app that it cannot load.
CAUSE = re.compile(r"^\S*(Error|Exception)\b|Failed to |\] (ERROR|CRITICAL)\b|No module named")

# What the reason or the last lines hold, and what it means; the first match counts.
ADVICE = [
    (r"killed for want of memory|MemoryError|SIGKILL! Perhaps out of memory", "give it more: app_memory: 1g"),
    (r"No module named '?gunicorn", "the image has no gunicorn: add gunicorn[gevent] to its requirements"),
    (r"No module named '?gevent|gevent worker requires", "the image has no gevent: add gunicorn[gevent]"),
    (r"No module named", "add the module to the app's requirements, or name another one in app_wsgi"),
    (
        r"Failed to find (attribute|application object)|Failed to parse '",
        "app_wsgi names nothing in that module, example: shop:app or shop:create_app()",
    ),
    (r"KeyError: '([A-Z][A-Z0-9_]*)'", "the app misses the variable {0}: set it in app_env or app_secrets"),
    (r"Permission denied|PermissionError", "it runs as app_uid, and may write to /data, /tmp and app_writable alone"),
    (r"Read-only file system", "name the directory that it writes to, example: app_writable: [uploads]"),
    (r"No space left on device", "give it a larger /tmp, example: app_writable: [/tmp:200m]; or the disk is full: df"),
    (r"WORKER TIMEOUT", "a worker was silent for longer than app_timeout seconds: start faster, or raise it"),
    (
        r"Running on http://|Listening at: http://",
        "it listens on a TCP port: let gunicorn serve app_wsgi, or set app_server: port:5000",
    ),
    (r"could not translate host name|Name or service not known|Connection refused", "a service it needs is not there"),
    (r"\(status 404\)", "the app has no such page: set app_health_path to one that answers when it is ready"),
    (r"\(status (301|302|307|308|401|403)\)", "set app_health_path to a page that needs no login"),
    (r"\(status 502\)", "nothing answers on the port that app_server names; the app may listen on another, or not yet"),
    (r"\(status 5\d\d\)", "the app itself fails on that page"),
    (r"timed out", "the page takes more than 5 s to answer"),
    (r"No such file or directory", "it did not open its socket in time: does it start slowly? app_start_timeout: 120"),
]


def diagnose(release: str, reason: str, said: list[str], path: str, unused: str = "") -> str:
    """Return the message for a release that is not ready.

    :param said: the last lines its container wrote.
    :param unused: what its image says and is not used, which may be the cause.
    """
    said = [plain(line) for line in said]
    causes = [line for line in said if CAUSE.search(line) and "HaltServer" not in line]
    parts = {"what it says of the cause": list(dict.fromkeys(causes))[-5:], "its last lines": said[-20:]}
    lines = [f"release {release} is not ready: {reason}"]
    for title, shown in parts.items():
        if shown:
            lines += [f"  {title}:", *(f"    {line}" for line in shown)]
    lines += [f"  {unused}"] if unused else []
    advice = advise("\n".join([reason, *said]))
    return "\n".join([*lines, f"  what to do: {advice}"] if advice else lines)


def advise(text: str) -> str | None:
    """Return what to do about the first known cause in a text, or None."""
    for pattern, advice in ADVICE:
        found = re.search(pattern, text)
        if found:
            return advice.format(*found.groups())
    return None
