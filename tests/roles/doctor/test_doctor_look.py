"""What is seen of a host: of this machine, and of what programs and files of others say."""

from __future__ import annotations

import hashlib
import os
import socket
from pathlib import Path

import pytest
from ansible.module_utils import doctor_beside as beside
from ansible.module_utils import doctor_host as itself
from ansible.module_utils.flask_deploy.host import condition
from ansible.modules import doctor_look


def test_this_machine_is_looked_at_and_what_cannot_be_seen_hides_nothing(monkeypatch):
    monkeypatch.setattr(itself, "packages", lambda: {"security": [], "asked": None, "broken": [], "held": []})
    monkeypatch.setattr(condition, "units", lambda: 1 / 0)
    facts, unseen = doctor_look.look(
        {"app": "shop", "certificate": "shop", "backup": False, "paths": ["/etc/hosts", "/nowhere"]}
    )
    assert unseen == {"units": "ZeroDivisionError: division by zero"}
    root = facts["disks"][0]
    assert root["path"] == "/" and root["used"] > 0 and root["free"] > 0 and not root["read_only"]
    assert 0 < facts["memory"]["free"] <= facts["memory"]["total"] + (64 << 30)
    assert facts["limits"]["open files"][0] > 0
    assert facts["changed"]["/etc/hosts"]["at"] == os.stat("/etc/hosts").st_mtime
    assert facts["changed"]["/etc/hosts"]["digest"] == hashlib.sha256(Path("/etc/hosts").read_bytes()).hexdigest()
    assert facts["changed"]["/nowhere"] is None
    assert facts["release"] == {} and facts["fingerprint"] == "" and facts["certificate"] is None
    assert facts["backup"] == {}, "no backups are wanted"


def test_a_file_system_is_told_once():
    assert len(itself.disks(["/etc", "/etc/apt", "/nowhere"])) == 1


@pytest.fixture
def says(tmp_path, monkeypatch):
    """Let programs say something, with an exit code."""
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    def say(**programs):
        for name, (text, code) in programs.items():
            path = tmp_path / name.replace("_", "-")
            path.write_text(f"#!/bin/sh\ncat <<'END'\n{text}\nEND\nexit {code}\n")
            path.chmod(0o755)

    return say


UPGRADE = """\
Inst bash [5.2] (5.3 Debian:13.2/stable [amd64])
Inst openssl [3.5.1] (3.5.4 Debian-Security:13/stable-security [amd64])
Inst libssl3 [3.5.1] (3.5.4 Debian:13.2/stable, Debian-Security:13/stable-security [amd64]) []
Conf openssl (3.5.4 Debian-Security:13/stable-security [amd64])"""
AUDIT = """\
The following packages are only half configured, probably due to problems
configuring them the first time.
 nginx                small, powerful, scalable web/proxy server

The following packages are missing the md5sums control file in the
database, they need to be reinstalled:
 tool                 a package of somebody else's"""


def test_packages_are_told_as_apt_and_dpkg_tell_them(says, monkeypatch, tmp_path):
    says(apt_get=(UPGRADE, 0), dpkg=(AUDIT, 1), apt_mark=("linux-image-amd64\nnginx", 0))
    monkeypatch.setattr(itself, "LISTS", str(tmp_path / "lists"))
    assert itself.packages() == {
        "security": ["libssl3", "openssl"],
        "asked": None,
        "broken": ["nginx"],
        "held": ["linux-image-amd64", "nginx"],
    }


def test_when_debian_was_asked_is_not_the_time_of_its_lists(monkeypatch, tmp_path):
    (tmp_path / "lists_trixie_InRelease").touch()
    os.utime(tmp_path / "lists_trixie_InRelease", (1, 1))
    (tmp_path / "stamp").touch()
    os.utime(tmp_path / "stamp", (2000, 2000))
    os.utime(tmp_path, (1000, 1000))
    monkeypatch.setattr(itself, "LISTS", str(tmp_path))
    monkeypatch.setattr(itself, "STAMP", str(tmp_path / "stamp"))
    assert itself.asked() == 2000


SHOWN = """\
Id=backup.service
Result=exit-code
StateChangeTimestamp=@1764356400
NRestarts=0

Id=srv.mount
Result=timeout
StateChangeTimestamp="""


def test_units_that_failed_are_told_with_their_time(monkeypatch):
    answers = {
        "list-units": (0, "backup.service loaded failed failed Backup\nsrv.mount loaded failed", ""),
        "show": (0, SHOWN, ""),
    }
    monkeypatch.setattr(condition, "run", lambda _name, verb, *words: answers[verb])
    assert condition.units()["failed"] == [
        {"name": "backup.service", "result": "exit-code", "since": 1764356400.0, "restarts": 0},
        {"name": "srv.mount", "result": "timeout", "since": None, "restarts": 0},
    ]


def test_units_of_ours_that_a_boot_starts_and_that_do_not_run_are_told(monkeypatch, tmp_path):
    states = {"timer.timer": "inactive", "up.service": "active", "once.service": "inactive", "dead.service": "inactive"}
    (tmp_path / "a.wants").mkdir()
    for name in [f"flask-deploy-{name}" for name in states] + ["other.service"]:
        (tmp_path / "a.wants" / name).touch()

    def show(*words):
        names = [word for word in words if "." in word]
        assert "other.service" not in names
        kinds = {"flask-deploy-once.service": "Type=oneshot\n", "flask-deploy-timer.timer": ""}
        blocks = [
            f"{kinds.get(name, 'Type=simple' + chr(10))}Id={name}\nActiveState={states[name[13:]]}\n" for name in names
        ]
        return 0, "\n".join(blocks), ""

    monkeypatch.setattr(condition, "STARTED", f"{tmp_path}/*.wants/flask-deploy-*")
    monkeypatch.setattr(condition, "run", show)
    assert condition.asleep() == ["flask-deploy-dead.service", "flask-deploy-timer.timer"]
    monkeypatch.setattr(condition, "STARTED", f"{tmp_path}/none/*")
    assert condition.asleep() == []


def test_where_systemd_does_not_answer_nobody_says_that_all_is_well(monkeypatch):
    monkeypatch.setattr(condition, "run", lambda *words: (1, "", "Failed to connect to bus"))
    with pytest.raises(OSError, match="Failed to connect"):
        condition.units()


PEOPLE = {
    "/etc/passwd": """\
root:x:0:0::/root:/bin/bash
toor:x:0:0::/root:/bin/sh
daemon:x:1:1::/:/usr/sbin/nologin
sync:x:4:65534::/bin:/bin/sync
games:x:5:60::/usr/games:/bin/sh
www-data:x:33:33::/var/www:/bin/bash
git:x:998:998::/srv/git:/bin/bash
postgres:x:112:120::/var/lib/postgresql:/bin/bash
ada:x:1000:1000::/home/ada:/bin/bash
broken line""",
    "/etc/shadow": "root:$y$1:1::::::\nada::1::::::\ngames:!:1::::::\nwww-data:$y$2:1::::::\npostgres:!*:1::::::\n",
    "/etc/shells": "# shells\n/bin/sh\n/bin/bash\n",
    "/srv/git/.ssh/authorized_keys": "ssh-ed25519 AAAA\n",
}
SUDOERS = """{"Defaults": [
    {"Options": [{"env_reset": true}]},
    {"Binding": [{"username": "eve"}], "Options": [{"authenticate": false}]},
    {"Binding": [{"username": "bob"}], "Options": [{"insults": true}]}],
  "User_Specs": [
    {"User_List": [{"username": "deploy"}, {"username": "ops"}], "Cmnd_Specs": [
        {"Options": [{"authenticate": false}, {"setenv": true}], "Commands": [{"command": "ALL"}]}]},
    {"User_List": [{"username": "backup"}], "Cmnd_Specs": [
        {"Options": [{"authenticate": false}], "Commands": [{"command": "/usr/bin/rsync"}]}]},
    {"User_List": [{"usergroup": "wheel"}, {"usergroup": "nobodys-group"}], "Cmnd_Specs": [
        {"Options": [{"authenticate": false}], "Commands": [{"command": "ALL"}]}]},
    {"User_List": [{"username": "root"}, {"usergroup": "sudo"}], "Cmnd_Specs": [
        {"Options": [{"setenv": true}], "Commands": [{"command": "ALL"}]}]}]}"""


@pytest.fixture
def many(monkeypatch):
    """Let a host have many accounts; return what program answers what."""
    answers = {"cvtsudoers": (0, SUDOERS, "")}
    monkeypatch.setattr(itself, "text", lambda path: PEOPLE.get(path, ""))
    monkeypatch.setattr(itself, "run", lambda program, *_: answers[program])
    monkeypatch.setattr(itself.connection, "current", lambda: itself.connection.Connection("a", 1, 22, "deploy"))

    def group(name):
        members = {"wheel": ["ann", "deploy"]}[name]
        return type("Group", (), {"gr_mem": members})

    monkeypatch.setattr(itself.grp, "getgrnam", group)
    return answers


def test_accounts_that_may_more_than_they_should_are_told(many):
    assert itself.accounts() == {
        "root": ["toor"],
        "open": ["ada"],
        "enter": ["www-data", "git"],
        "shell": ["games", "www-data", "git"],
        "sudo": ["ann", "eve", "ops"],
    }


@pytest.mark.parametrize("answer", [(127, "", "no such program"), (1, "", "syntax error")])
def test_a_host_without_sudo_has_nobody_who_uses_it(many, answer):
    many["cvtsudoers"] = answer
    assert itself.accounts()["sudo"] == []


CLOCKS = [
    ("NTP=yes\nNTPSynchronized=yes", 9000, 1, {"kept": True, "in_step": True}),
    ("NTP=yes\nNTPSynchronized=no", 9000, 1, {"kept": True, "in_step": False}),
    ("NTP=yes\nNTPSynchronized=no", 60, 1, {"kept": True, "in_step": True}),
    ("NTP=no\nNTPSynchronized=no", 9000, 1, {"kept": False, "in_step": False}),
    ("NTP=no\nNTPSynchronized=yes", 9000, 1, {"kept": True, "in_step": True}),
    ("NTP=no\nNTPSynchronized=no", 9000, 0, {"kept": True, "in_step": True}),
    ("", 9000, 1, {"kept": True, "in_step": True}),
]


@pytest.mark.parametrize(("said", "up", "inside", "told"), CLOCKS)
def test_a_clock_that_is_not_in_step_is_told_once_it_had_time(monkeypatch, said, up, inside, told):
    """A container has the clock of its host."""
    answers = {"timedatectl": (0, said, ""), "systemd-detect-virt": (inside, "", "")}
    monkeypatch.setattr(condition, "run", lambda program, *_: answers[program])
    monkeypatch.setattr(condition, "text", lambda path: f"{up}.5 100.0")
    assert condition.clock() == told


def test_the_profile_of_containers_is_looked_for(monkeypatch):
    texts = {"/sys/module/apparmor/parameters/enabled": "Y\n"}
    texts["/sys/kernel/security/apparmor/profiles"] = "man (enforce)\ndocker-default (enforce)\n"
    monkeypatch.setattr(itself, "text", lambda path: texts.get(path, ""))
    monkeypatch.setattr(condition, "inside_container", lambda: False)
    assert itself.apparmor() == {"kernel": True, "docker": True}
    texts["/sys/kernel/security/apparmor/profiles"] = "docker-default (complain)\n"
    assert itself.apparmor() == {"kernel": True, "docker": False}
    texts.clear()
    assert itself.apparmor() == {"kernel": False, "docker": False}
    monkeypatch.setattr(condition, "inside_container", lambda: True)
    assert itself.apparmor() is None


def test_what_listens_for_others_is_told_once_and_not_what_is_the_host_s_own(says):
    lines = """\
tcp LISTEN 0 511 0.0.0.0:443 0.0.0.0:* users:(("nginx",pid=7,fd=9),("nginx",pid=6,fd=9))
tcp LISTEN 0 511 [::]:443 [::]:* users:(("nginx",pid=7,fd=9))
tcp LISTEN 0 5 127.0.0.1:631 0.0.0.0:* users:(("cupsd",pid=8,fd=7))
tcp LISTEN 0 5 [::1]:631 [::]:* users:(("cupsd",pid=8,fd=7))
udp UNCONN 0 0 127.0.0.53%lo:53 0.0.0.0:* users:(("systemd-resolve",pid=9,fd=1))
tcp LISTEN 0 5 *:9999 *:*"""
    says(ss=(lines, 0))
    assert [(each["protocol"], each["port"], each["program"]) for each in beside.listening()] == [
        ("tcp", 443, "nginx"),
        ("tcp", 9999, "?"),
    ]


def test_a_real_socket_is_seen():
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = server.getsockname()[1]
        assert [each["port"] for each in beside.listening() if each["port"] == port] == [port]


CONTAINER = {
    "Name": "/old",
    "Config": {"Image": "redis:7", "Labels": None},
    "State": {"Running": False, "Pid": 0, "StartedAt": "2026-11-28T18:00:00.123456789Z", "OOMKilled": True},
    "HostConfig": {
        **{"RestartPolicy": {"Name": "always"}, "Memory": 0, "PidsLimit": None, "NanoCpus": 1_500_000_000},
        "PortBindings": {"6379/tcp": [{"HostPort": "6379"}, {"HostPort": ""}], "80/tcp": None},
    },
}


def test_a_container_is_told_as_the_rules_need_it():
    told = beside._container(CONTAINER)
    assert told == {
        **{"name": "old", "image": "redis:7", "app": "", "runs": False, "since": 1795888800.0, "policy": "always"},
        **{"memory": 0, "pids": 0, "cpus": 1.5, "killed": 1, "published": ["6379"]},
    }


@pytest.mark.parametrize(
    ("groups", "counter"),
    [
        ("0::/system.slice/docker-1.scope\n", "memory.events"),
        ("4:memory:/docker/1\n1:name=systemd:/docker/1\n", "memory.oom_control"),
    ],
)
def test_processes_that_the_kernel_ended_for_memory_are_counted(monkeypatch, groups, counter):
    def text(path):
        if path == "/proc/7/cgroup":
            return groups
        return "oom_kill_disable 0\noom_kill 3\n" if path.endswith(counter) else ""

    monkeypatch.setattr(beside, "text", text)
    assert beside.killed(7) == 3


@pytest.mark.parametrize(
    ("group", "unit"),
    [
        ("0::/system.slice/redis.service", "redis.service"),
        ("0::/docker/abc/system.slice/redis.service", "redis.service"),
        ("0::/system.slice/ssh.service", ""),
        ("0::/system.slice/cron.service", ""),
        ("0::/user.slice/user-1000.slice/session-4.scope", ""),
    ],
)
def test_a_program_s_unit_is_its_own(monkeypatch, group, unit):
    monkeypatch.setattr(beside, "text", lambda path: f"{group}\n")
    assert beside.unit_of("7") == unit


def test_sites_of_nobody_and_those_left_out(monkeypatch, tmp_path, says):
    says(nginx=("", 0))
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/shop.conf").write_text(f"{beside.OURS}\ninclude x;\n")
    (tmp_path / "conf.d/old.conf").write_text("server {}\n")
    (tmp_path / "conf.d/bad.conf.left-out").write_text("server {\n")
    monkeypatch.setattr(beside, "CONF", str(tmp_path))
    assert beside.sites() == {
        **{"adopted": False, "refused": ""},
        "strangers": [f"{tmp_path}/conf.d/old.conf"],
        "left_out": [f"{tmp_path}/conf.d/bad.conf.left-out"],
    }


def test_what_a_program_of_ours_tells_without_json_is_a_problem(monkeypatch, tmp_path, says):
    (tmp_path / "keep_backups").mkdir()
    monkeypatch.setattr(condition, "PROGRAMS", str(tmp_path))
    says(python3=('{"problems": ["late"]}', 1))
    assert condition.told("keep_backups", "shop") == {"problems": ["late"]}
    says(python3=("Traceback: it is damaged", 1))
    assert condition.told("keep_backups", "shop")["problems"] == ["Traceback: it is damaged"]
    assert condition.told("keep_certificates", "shop") is None
