"""Each verb on a real server: in a pipe, on a terminal, and by the line that it prints."""

from __future__ import annotations

import re

import pytest

DEPLOYS = "/home/deploy/shop/deploy"
# What is typed, and what it must say. In their order: what one verb leaves is what the next one finds.
VERBS = {
    "check": "",
    "plan": "",
    "status": "ok 200",
    "releases": " live ",
    "logs --lines 50": "shop opens",
    "run flask db current": "(head)",
    "restart": "",
    "maintenance on --message 'Back at noon.'": "visitors see the maintenance page",
    "maintenance off": "visitors see the app",
    "inspect ..": "app_wsgi: shop:create_app()",
    "shell": "sudo /srv/app/run",
    "deploy": "https://app.test",
    "setup": "https://app.test",
}
ERASE = "\r\033[K"
COLORS = re.compile(r"\033\[[0-9;?]*[A-Za-z]")


def plain(seen):
    """Return what stays on a terminal, without colours."""
    return COLORS.sub("", seen.replace(ERASE, "\n")).replace("\r\n", "\n")


@pytest.mark.parametrize("typed", VERBS)
def test_a_verb_says_the_same_in_a_pipe_on_a_terminal_and_by_its_line(desk, typed):
    verb, _, words = typed.partition(" ")
    where = "" if verb == "inspect" else "-e production "
    piped = desk.must(f"flask-deploy {verb} {where}{words}", place=DEPLOYS)
    line, _, said = piped.partition("\n")
    assert "ansible-playbook " in line and VERBS[typed] in said, piped
    assert "\033" not in piped and "\r" not in piped, "a pipe gets plain lines"
    terminal = desk.terminal(f"flask-deploy {verb} {where}{words}", place=DEPLOYS)
    assert terminal.end() == 0, terminal.seen
    assert VERBS[typed] in plain(terminal.seen)
    assert VERBS[typed] in desk.must(line, place=DEPLOYS)
