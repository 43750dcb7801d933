"""Why a release did not get ready: the likely cause in its last lines, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ansible.module_utils.flask_deploy.host import files
from ansible.module_utils.flask_deploy.host.untrusted import plain
from ansible.module_utils.flask_deploy.release import advice as advices
from ansible.module_utils.flask_deploy.release import inside, secrets
from ansible.module_utils.flask_deploy.release.advice import About
from ansible.module_utils.flask_deploy.release.places import App
from ansible.module_utils.flask_deploy.release.tracebacks import Cause, causes, without_server

SHOWN = 20  # last lines
WHAT = "what to do"
PARTS = ("what it says of the cause", "its last lines")
PASSWORDS = re.compile(
    r"(\b(?!https?:)[a-z][\w+.-]*://)[^\s'\"]+@|(\bhttps?://)[^\s'\"/@]+:[^\s'\"/]+@"
    r"|((?:host name|resolve host|server on|with base 10:) ['\"])[^\n]*@"
)


def diagnose(release: str, reason: str, said: Sequence[str], about: About, unused: str = "") -> str:
    """Return the message for a release that is not ready.

    :param said: the last lines its container wrote.
    :param unused: what its image says and is not used, which may be the cause.
    """
    return "\n".join([f"release {release} is not ready: {reason}", *explain(reason, said, about, unused)])


def about(app: App, release: str) -> About:
    """Return what is known of a release, for whoever reads what it said."""
    record = app.record(release)
    hints = {name: record["found"].get(name) for name in ("names", "modules")}
    variables = [*files.read_json(app.path(release, "env.json"), {}), *secrets.held(app)[0]]
    listed = {name: told if isinstance(told, list) else [] for name, told in hints.items()}
    return About(
        record["wsgi"], record["domain"], inside.port(record), **listed, variables=variables, secrets=secrets.shown(app)
    )


def explain(reason: str, said: Sequence[str], about: About, unused: str = "") -> list[str]:
    """Return lines below a failure: what was said of its cause, what was said last, and what to do."""
    plainly = [plain(line) for line in said]
    said = [secrets.masked(_without_password(line), about.secrets) for line in plainly]
    last = cause(said)
    shown = [*last.own(), *(f"  {line}" for line in last.words)] if last else _of_memory(said)
    parts = dict(zip(PARTS, (shown, without_server(said)[-SHOWN:]), strict=True))
    lines = []
    for title, held in parts.items():
        if held:
            indent = "  " if held is shown else "    "
            lines += [f"  {title}:", *(f"{indent}{line}" for line in held)]
    lines += [f"  {unused}"] if unused else []
    advice = secrets.masked(_without_password(advise(reason, plainly, about) or ""), about.secrets)
    return [*lines, f"  {WHAT}: {advice}"] if advice else lines


def _without_password(line: str) -> str:
    """Return a line without the passwords of addresses; one with an @ is cut there, and its end taken for a host."""
    return PASSWORDS.sub(lambda match: f"{match[1] or match[2] or match[3]}***@", line)


def cause(said: Sequence[str]) -> Cause | None:
    """Return what the last lines say went wrong last: what an app got over came before that."""
    found = causes(said)
    return found[-1][-1] if found else None


def advise(reason: str, said: Sequence[str], about: About) -> str | None:
    """Return what to do about the last cause, or None where it is none that is known."""
    text = "\n".join(said)
    if advices.KILLED.search(reason):
        return advices.MEMORY
    if advice := _of_port(reason, text, about) or advices.known(reason, about, advices.ANSWERED):
        return advice
    found = causes(said)
    for each in reversed(found[-1] if found else []):
        if advice := advices.of(each, about):
            return advice
    if _of_memory(said) and not found:
        return advices.MEMORY
    return advices.known(reason, about, advices.OTHERWISE)


def _of_memory(said: Sequence[str]) -> list[str]:
    """Return gunicorn's last word of a worker that was killed, which the kernel does where memory ends."""
    return [f"  {line}" for line in said if "SIGKILL! Perhaps out of memory" in line][-1:]


def _of_port(reason: str, text: str, about: About) -> str | None:
    """Return advice on a server of the app's own that listens where nobody asks."""
    found = advices.PORT.search(text)
    if about.port:
        elsewhere = found and found[1] != about.port and "(status 502)" in reason
        return f"it listens on another port: app_server: port:{found[1]}" if elsewhere else None
    if not found and advices.OF_ITS_OWN not in text:
        return None
    return (
        "the app starts a server of its own on a TCP port: keep app.run() below if __name__ == '__main__':, "
        f"or let that one serve: app_server: port:{found[1] if found else 5000}"
    )
