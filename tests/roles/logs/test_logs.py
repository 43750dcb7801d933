"""What an app printed is read back from the journal, of all hosts, and said in plain lines."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleActionFail
from ansible.module_utils.flask_deploy.release import jobs, places, processes
from ansible.modules import logs_read
from ansible.plugins.action import logs_show

from tests.deploys import deploy

ASKED = {"app": "shop", "since": "1 hour ago", "grep": "", "process": "", "release": "", "lines": 3}
SECOND = 1_000_000


def entry(at, text, **fields):
    return {"__REALTIME_TIMESTAMP": str(at * SECOND), "MESSAGE": text, "FLASK_DEPLOY_RELEASE": "3f9a0c41d2b7", **fields}


@pytest.fixture
def journal(tmp_path, monkeypatch):
    """Put a journalctl into the path that prints entries, the newest first, and remembers what it was asked."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "journalctl"

    def holding(*entries, says="", then=""):
        (tmp_path / "entries").write_text("".join(f"{json.dumps(each)}\n" for each in entries[::-1]))
        lines = [
            f'printf "%s\\n" "$@" > {tmp_path}/asked',
            f"cat {tmp_path}/entries",
            f"echo {shlex.quote(says)} >&2" if says else ":",
            then,
        ]
        program.write_text("\n".join(["#!/bin/sh", *lines]))
        program.chmod(0o755)
        return lambda: (tmp_path / "asked").read_text().splitlines()

    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    return holding


def read(**asked):
    return logs_read.read({**ASKED, **asked})


def test_the_newest_lines_are_read_the_oldest_of_them_first(journal):
    asked = journal(*(entry(number, f"line {number}") for number in range(5)))
    assert read() == [[number * SECOND, "web", "3f9a0c41d2b7", f"line {number}"] for number in (2, 3, 4)]
    assert asked()[-2:] == ["--since=1 hour ago", "FLASK_DEPLOY_APP=shop"]


def test_what_is_asked_for_is_asked_of_the_journal(journal):
    asked = journal(entry(1, "x", FLASK_DEPLOY_PROCESS="worker"))
    assert read(grep="-x y", process="worker", release="3f9a0c41d2b7")[0][1] == "worker"
    assert asked()[-4:] == [
        *("--grep=-x y", "FLASK_DEPLOY_APP=shop", "FLASK_DEPLOY_RELEASE=3f9a0c41d2b7", "FLASK_DEPLOY_PROCESS=worker")
    ]


@pytest.mark.parametrize("lines", [0, -5])
def test_a_number_that_would_be_all_lines_is_refused(journal, lines):
    journal(entry(1, "x"))
    with pytest.raises(
        logs_read.JournalError, match=f"logs_lines: {lines} is not 1 or more; example: -e logs_lines=500"
    ):
        read(lines=lines)


def test_the_web_is_what_has_no_process(journal):
    asked = journal(entry(1, "of web"), entry(2, "of worker", FLASK_DEPLOY_PROCESS="worker"))
    assert [row[3] for row in read(process="web")] == ["of web"]
    assert asked()[-1] == "FLASK_DEPLOY_APP=shop"


def test_a_line_obeys_no_terminal_and_has_its_length(journal):
    journal(entry(1, "\x1b[31mred\ttab\n"), entry(2, list(b"\xff\x00bytes")), entry(3, "x" * 9000), entry(4, None))
    texts = [row[3] for row in read(lines=9)]
    assert texts[0] == "?[31mred    tab" and texts[1] == "\ufffd?bytes" and len(texts) == 3
    assert len(texts[2]) == logs_read.LONGEST


def test_a_journal_without_end_is_read_no_further_than_asked(journal, monkeypatch):
    monkeypatch.setattr(logs_read, "LIMIT", 20)
    journal(*(entry(number, "x") for number in range(3)), then='while cat "${0%/*}/../entries"; do :; done')
    assert len(read()) == 3


def test_a_journal_that_hangs_is_given_up(journal, monkeypatch):
    monkeypatch.setattr(logs_read, "LIMIT", 0.5)
    journal(then="exec sleep 60")
    with pytest.raises(logs_read.JournalError, match=r"the journal was not read in 0\.5 s"):
        read()


@pytest.mark.parametrize(
    ("says", "said"),
    [
        ("Failed to parse timestamp: soon", "logs_since: Failed to parse timestamp: soon; example: -e logs_since="),
        ('Bad pattern "(": missing )', 'logs_grep: Bad pattern "(": missing ); example: -e logs_grep='),
        ("No space", "journalctl: No space"),
    ],
)
def test_what_the_journal_refuses_is_said_with_its_variable(journal, says, said):
    journal(says=says, then="exit 1")
    with pytest.raises(logs_read.JournalError) as error:
        read()
    assert str(error.value).startswith(said)


def test_a_warning_costs_no_line(journal):
    journal(entry(1, "x"), says="system.journal is truncated, ignoring file.", then="exit 1")
    assert len(read()) == 1
    journal(says="system.journal is truncated, ignoring file.")
    assert read() == []


def test_lines_of_all_hosts_are_merged_by_time():
    told = {
        "web1": [[SECOND, "web", "3f9a0c41d2b7", "one"], [3 * SECOND + 5000, "worker", "", "three"]],
        "web22": [[2 * SECOND, "web", "aaaaaaaaaaaa", "two"]],
    }
    assert logs_show.merged(told, 9) == [
        "1970-01-01 00:00:01.000 web1  web    3f9a0c41d2b7 one",
        "1970-01-01 00:00:02.000 web22 web    aaaaaaaaaaaa two",
        "1970-01-01 00:00:03.005 web1  worker -            three",
    ]
    assert [line.split()[-1] for line in logs_show.merged(told, 2)] == ["two", "three"]


KNOWN = {"releases": ["bbbbbbbbbbbb", "aaaaaaaaaaaa"], "processes": ["web", "worker"]}
NOTHING = "shop printed nothing since 1 hour ago{}; further back: -e logs_since=yesterday"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"grep": "x y"}, [NOTHING.format(" with logs_grep: x y")]),
        ({"process": "worker", "release": "aaaaaaaaaaaa"}, None),
    ],
)
def test_no_line_is_said_and_what_there_is_not(asked, said):
    assert logs_show.merged({"web1": []}, 5) == []
    lines = logs_show.nothing({**ASKED, **asked}, KNOWN)
    assert lines == said if said else len(lines) == 1


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"process": "mailer"}, "logs_process: shop has no process mailer; it has: web, worker"),
        (
            {"release": "cccccccccccc"},
            "logs_release: shop has no release cccccccccccc; the newest are: bbbbbbbbbbbb, aaaaaaaaaaaa",
        ),
    ],
)
def test_what_will_never_print_is_refused_and_not_followed(asked, said):
    with pytest.raises(AnsibleActionFail) as refused:
        logs_show.nothing({**ASKED, **asked}, KNOWN)
    assert str(refused.value) == said


def test_an_app_that_is_not_deployed_is_said_so():
    assert logs_show.nothing(ASKED, logs_show.together({"web1": {}})) == [
        NOTHING.format(""),
        "shop has no release on these hosts; deploy it first, or correct app_name",
    ]


def test_what_the_hosts_know_is_told_once():
    one, two = {"releases": ["b", "a"], "processes": ["web"]}, {"releases": ["b"], "processes": ["web", "worker"]}
    assert logs_show.together({"web1": one, "web2": two}) == {"releases": ["b", "a"], "processes": ["web", "worker"]}


def test_the_releases_and_processes_of_a_host_are_known(app):
    assert logs_read.known(app) == {"releases": [], "processes": []}
    web = {"memory": "64m", "cpus": 0, "pids": 16}
    workers = processes.wanted({"worker": {"command": "celery worker"}}, web)
    first = deploy(app, processes=workers)
    second = deploy(app, build="b2")
    Path(app.systemd, jobs.unit(app, "send_mail")).touch()
    assert logs_read.known(app) == {
        "releases": [second, first],
        "processes": ["web", "worker", "job-send_mail", "command", "schema"],
    }


def test_a_host_without_nginx_s_user_knows_nothing(monkeypatch):
    def unknown(name):
        raise KeyError(name)

    monkeypatch.setattr(places, "pwd", SimpleNamespace(getpwnam=unknown))
    assert logs_read.view("shop") is None


def test_what_to_type_to_follow_is_said_for_each_host():
    hosts = [
        {"inventory_hostname": "web1"},
        {"inventory_hostname": "web2", "ansible_host": "192.0.2.7", "ansible_user": "deploy", "ansible_port": 2222},
    ]
    command = "sudo journalctl --follow --output=cat FLASK_DEPLOY_APP=shop FLASK_DEPLOY_PROCESS=worker"
    assert logs_show.follow({**ASKED, "process": "worker"}, hosts) == [
        f"to follow: ssh {where} '{command}'" for where in ("web1", "-p 2222 deploy@192.0.2.7")
    ]
