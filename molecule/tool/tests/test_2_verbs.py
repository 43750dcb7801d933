"""Each verb on a real server: in a pipe, on a terminal, and by the line that it prints."""

from __future__ import annotations

import re

import pytest
import yaml

DEPLOYS = "/home/deploy/shop/deploy"
# What is typed, and what it must say. In their order: what one verb leaves is what the next one finds.
VERBS = {
    "check": "nothing is wrong",
    "plan": "dry run: ",
    "setup": "https://app.test",
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
    "backup": ", snapshot ",
}
# Written before the table, so that `setup` makes ready what `status` looks for and `backup` needs.
BACKUPS = {"backup_to": "/mnt/backup/app", "backup_password": "of-the-tests-5f0c5f0c"}
ERASE = "\r\033[K"
COLORS = re.compile(r"\033\[[0-9;?]*[A-Za-z]")


def plain(seen):
    """Return what stays on a terminal, without colours."""
    return COLORS.sub("", seen.replace(ERASE, "\n")).replace("\r\n", "\n")


@pytest.fixture(scope="module", autouse=True)
def backed_up(desk):
    """Have the app's data in a backup, in a directory of the server."""
    desk.put(yaml.safe_dump(BACKUPS), "shop/deploy/inventories/production/group_vars/web/backup.yml")
    desk.must("git add --all && (git diff --cached --quiet || git commit --quiet --message Backups)", place=DEPLOYS)


@pytest.mark.parametrize("typed", VERBS)
def test_a_verb_says_the_same_in_a_pipe_on_a_terminal_and_by_its_line(desk, typed):
    verb, _, words = typed.partition(" ")
    where = "" if verb == "inspect" else "-e production "
    says_the_same(desk, f"flask-deploy {verb} {where}{words}", VERBS[typed])


def test_restore_refuses_and_then_takes_the_word_that_it_asks_for(desk, get):
    before = get("https://app.test/").body
    code, said = desk.type("flask-deploy restore app -e production", place=DEPLOYS)
    over = re.search(r"If that is meant, type: (--over app-since-\S+)", said)
    assert code == 2 and over, said
    says_the_same(desk, f"flask-deploy restore -e production app {over[1]}", "shop.db: ")
    assert get("https://app.test/").body == before


def says_the_same(desk, typed, text):
    """Type a command in a pipe and on a terminal, and the line that it prints."""
    piped = desk.must(typed, place=DEPLOYS)
    line, _, said = piped.partition("\n")
    assert "ansible-playbook " in line and text in said, piped
    assert "\033" not in piped and "\r" not in piped, "a pipe gets plain lines"
    terminal = desk.terminal(typed, place=DEPLOYS)
    assert terminal.end() == 0, terminal.seen
    assert text in plain(terminal.seen)
    assert text in desk.must(line, place=DEPLOYS)
