"""A firewall that is tried, kept or taken back; and those of others, which stay in charge."""

from __future__ import annotations

import json
import subprocess
from types import SimpleNamespace

import pytest
from ansible.module_utils import host_before as before
from ansible.module_utils import host_firewalls as firewalls
from ansible.module_utils.flask_deploy.host import command, connection, files, trial
from ansible.modules import host_firewall

from tests.host import Unprivileged

OFF = "; or leave it in charge, open ports 80 and 443 there, and set host_firewall: false"
PARAMS = {"ssh_from": [], "ssh_rate": 30, "ports": {}, "egress": {}}
FIRST, SECOND = (
    connection.Connection("192.0.2.1", 40_000, 22, "deploy"),
    connection.Connection("192.0.2.1", 40_001, 22, "deploy"),
)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Return a host whose commands answer as told, and whose kernel has the rules that were loaded last."""
    known = SimpleNamespace(answers={}, calls=[], table=None, root=tmp_path, connection=FIRST)

    def run(*command, timeout=60):
        line = " ".join(command)
        known.calls.append(line)
        if line.startswith("nft --file"):
            known.table = files.read(command[2]).decode().partition("delete table inet flask_deploy\n")[2] or None
            return 0, ""
        if line.startswith("nft --stateless --terse list table"):
            return (0, known.table) if known.table else (1, "No such file or directory")
        if line.startswith(("systemd-run", "nft --check")) and not any(map(line.startswith, known.answers)):
            return 0, ""
        return next((said for begin, said in known.answers.items() if line.startswith(begin)), (127, ""))

    def attempt(*command, limit):
        code, said = run(*command)
        return SimpleNamespace(code=code, said=said, out=said.encode())

    monkeypatch.setattr(before, "run", run)
    monkeypatch.setattr(command, "attempt", attempt)
    monkeypatch.setattr(files, "os", Unprivileged())
    monkeypatch.setattr(connection, "current", lambda pid=None: known.connection)
    for module, name in ((trial, "PLACE"), *((host_firewall, name) for name in ("RULES", "STATE", "TRIED", "BACK"))):
        monkeypatch.setattr(module, name, f"{tmp_path}{getattr(module, name)}")
    known.answers["/usr/sbin/sshd -T"] = (0, "port 22\nlistenaddress 0.0.0.0:22\nlistenaddress [::]:22\n")
    (tmp_path / "run").mkdir()
    return known


def step(name, dry=False, **more):
    return host_firewall.run({**PARAMS, "step": name, **more}, dry)


def take_back(machine):
    """Do what systemd does when the time is up."""
    line = next(call for call in reversed(machine.calls) if call.startswith("systemd-run"))
    script, record = line.partition(" sh -c ")[2].rsplit(" ", 1)
    script = script.replace("nft --file", "cp -t " + str(machine.root / "run"))
    return subprocess.run(["sh", "-c", script, record], check=False, capture_output=True).returncode


# -- a trial ---------------------------------------------------------------------------------


def test_rules_are_on_the_disk_once_a_new_connection_confirmed_them(machine):
    assert step("try") == {"changed": True, "trial": True, "told": []}
    assert machine.table and not (machine.root / "etc/nftables.d").exists()
    machine.connection = SECOND
    assert step("confirm")["changed"]
    assert "policy drop" in (machine.root / "etc/nftables.d/flask-deploy.nft").read_text()
    assert "systemctl stop flask-deploy-firewall-back.timer" in machine.calls
    assert step("try") == {"changed": False, "trial": False, "told": []}
    assert take_back(machine) != 0, "what is confirmed stays"


def test_the_clock_runs_before_the_rules_are_loaded(machine):
    step("try")
    begun = [call.split()[0] for call in machine.calls if call.startswith(("systemd-run", "nft --file"))]
    assert begun == ["systemd-run", "nft"]
    assert "--on-active=30" in next(call for call in machine.calls if call.startswith("systemd-run"))


def test_what_nobody_confirms_is_taken_back_and_cannot_be_confirmed_then(machine):
    step("try")
    assert take_back(machine) == 0
    assert (machine.root / "run/firewall-back.nft").read_text() == host_firewall.NONE
    machine.connection = SECOND
    with pytest.raises(trial.TrialError, match="was not confirmed within 30 s and was taken back"):
        step("confirm")
    assert not (machine.root / "etc/nftables.d").exists()


def test_the_way_back_leads_to_the_rules_that_were_there(machine):
    step("try")
    machine.connection = SECOND
    step("confirm")
    kept = (machine.root / "etc/nftables.d/flask-deploy.nft").read_text()
    step("try", ports={"api": {"port": 9000}})
    take_back(machine)
    assert (machine.root / "run/firewall-back.nft").read_text() == kept


def test_the_connection_that_loaded_them_confirms_nothing(machine):
    step("try")
    with pytest.raises(trial.TrialError, match="the connection is the old one"):
        step("confirm")
    assert take_back(machine) == 0


def test_rules_that_nft_refuses_change_nothing(machine):
    machine.answers["nft --check"] = (1, "/run/x:1:1: Error: syntax\nerror")
    with pytest.raises(trial.TrialError, match="nft refuses the rules: /run/x:1:1: Error: syntax error"):
        step("try")
    assert machine.table is None and not any(call.startswith("systemd-run") for call in machine.calls)


def test_without_a_way_back_nothing_is_loaded(machine):
    machine.answers["systemd-run"] = (1, "Failed to connect to bus")
    with pytest.raises(trial.TrialError, match="so it was not made: Failed to connect to bus"):
        step("try")
    assert machine.table is None


def test_one_run_tries_at_a_time(machine):
    machine.answers["systemctl is-active --quiet flask-deploy-firewall-back.timer"] = (0, "")
    with pytest.raises(trial.TrialError, match="another run is trying a change of its firewall"):
        step("try")
    assert machine.table is None


def test_a_table_that_somebody_changed_is_set_again(machine):
    step("try")
    machine.connection = SECOND
    step("confirm")
    machine.table += "tcp dport 5555 accept"
    assert step("try")["changed"]
    machine.table = None
    assert step("try")["changed"]


def test_a_dry_run_foretells_and_changes_nothing(machine):
    assert step("try", dry=True) == {"changed": True, "trial": False, "told": []}
    assert machine.table is None and not list((machine.root / "run").iterdir())


def test_a_host_without_a_port_of_ssh_gets_no_firewall(machine):
    machine.answers["/usr/sbin/sshd -T"] = (127, "")
    machine.connection = None
    with pytest.raises(trial.TrialError, match="no port of sshd was found"):
        step("try")


# -- ssh -------------------------------------------------------------------------------------


def test_the_ports_of_ssh_are_those_it_listens_at_and_the_one_in_use(machine):
    machine.answers["/usr/sbin/sshd -T"] = (0, "port 22\nlistenaddress 0.0.0.0:2222\nlistenaddress [::]:22\n")
    machine.answers["systemctl show ssh.socket"] = (0, "Listen=[::]:2022 (Stream)\nActiveState=active\n")
    machine.connection = FIRST._replace(port=8022)
    assert connection.ports() == {22, 2222, 2022, 8022}


def test_the_connection_is_found_behind_sudo(tmp_path, monkeypatch):
    monkeypatch.setattr(connection, "PROC", str(tmp_path))
    for pid, parent, known in (
        (30, 20, b"PATH=/bin"),
        (20, 10, b"USER=deploy\0SSH_CONNECTION=192.0.2.1 40000 192.0.2.9 22"),
        (10, 1, b""),
    ):
        (tmp_path / str(pid)).mkdir()
        (tmp_path / str(pid) / "environ").write_bytes(known)
        (tmp_path / str(pid) / "status").write_text(f"Name:\tx\nPPid:\t{parent}\n")
    assert connection.current(30) == FIRST
    assert connection.current(10) is None


# -- firewalls of others ---------------------------------------------------------------------


def rule(table, chain, verdict, family="inet"):
    return {"rule": {"family": family, "table": table, "chain": chain, "expr": [{"counter": {}}, {verdict: None}]}}


def base(table, name, policy, hook="input", family="inet"):
    return {"chain": {"family": family, "table": table, "name": name, "hook": hook, "policy": policy}}


def nft(machine, *parts):
    machine.answers["nft --json"] = (0, json.dumps({"nftables": [{"metainfo": {}}, *parts]}))


@pytest.mark.parametrize(
    ("parts", "tables"),
    [
        ([], []),
        ([base("filter", "input", "drop")], ["inet filter"]),
        ([base("filter", "input", "accept"), rule("filter", "input", "drop")], ["inet filter"]),
        ([base("filter", "input", "accept"), rule("filter", "input", "accept")], []),
        (
            [
                base("fw", "in", "accept"),
                {"chain": {"family": "inet", "table": "fw", "name": "tail"}},
                rule("fw", "tail", "reject"),
            ],
            ["inet fw"],
        ),
        (
            [
                base("filter", "FORWARD", "drop", "forward", "ip"),
                base("filter", "INPUT", "accept", family="ip"),
                rule("filter", "FORWARD", "drop", "ip"),
            ],
            [],
        ),
        (
            [base("filter", "INPUT", "accept", family="ip"), rule("filter", "DOCKER-ISOLATION-STAGE-2", "drop", "ip")],
            [],
        ),
        ([base("f2b-table", "f2b-chain", "accept"), rule("f2b-table", "f2b-chain", "reject")], []),
        ([base("filter", "INPUT", "accept", family="ip"), rule("filter", "ts-input", "drop", "ip")], []),
        ([base("flask_deploy", "input", "drop")], []),
    ],
)
def test_tables_of_others_that_filter_what_comes_in_are_found(machine, parts, tables):
    nft(machine, *parts)
    assert firewalls.filtering() == tables


@pytest.mark.parametrize(
    ("command", "answer", "begin"),
    [
        (
            "systemctl is-active --quiet firewalld.service",
            (0, ""),
            "firewalld is active; type there: sudo systemctl disable",
        ),
        ("ufw status", (0, "Status: active\n"), "ufw is active; type there: sudo ufw disable"),
        ("iptables-legacy -S INPUT", (0, "-P INPUT DROP\n"), "iptables-legacy filters what comes in; type there"),
    ],
)
def test_a_firewall_that_is_there_stays_in_charge(machine, command, answer, begin):
    assert firewalls.others() == []
    machine.answers[command] = answer
    (line,) = firewalls.others()
    assert line.startswith(begin) and line.endswith(OFF)


def test_what_would_be_closed_is_named_before(machine):
    machine.answers["ss -Hltunp"] = (
        0,
        'tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=1,fd=3))\n'
        'tcp LISTEN 0 128 127.0.0.1:6379 0.0.0.0:* users:(("redis",pid=2,fd=3))\n'
        'tcp LISTEN 0 128 *:5432 *:* users:(("postgres",pid=2,fd=3))\n'
        'tcp LISTEN 0 128 [::]:443 [::]:* users:(("nginx",pid=2,fd=3))\n'
        'udp UNCONN 0 0 0.0.0.0%eth0:68 0.0.0.0:* users:(("dhclient",pid=2,fd=3))\n'
        "tcp LISTEN 0 128 0.0.0.0:7005 0.0.0.0:*\n",
    )
    machine.answers["systemctl is-active --quiet docker.service"] = (0, "")
    machine.answers["docker ps"] = (0, "api 0.0.0.0:9000->80/tcp, :::9000->80/tcp\ndb 127.0.0.1:3306->3306/tcp\n")
    (line,) = step("look", ports={"game": {"port": "7000-7010"}})["told"]
    assert line.startswith("the firewall closes 5432/tcp (postgres), 9000/tcp (container api); open what others need")


APP = {
    "ports": {"metrics": {"port": 9100, "from": ["10.0.0.9"]}, "game": {"port": "7000"}},
    "egress": {"database": {"to": ["10.0.0.5"], "port": 5432}},
    "ssh_from": ["192.0.2.0/24"],
}
BOTH = "; if the environment of another app on this server needs it, write the same in both"


def confirmed(machine, **more):
    machine.connection = FIRST
    step("try", **more)
    machine.connection = SECOND
    step("confirm", **more)


def test_what_another_environment_would_change_is_told_before(machine):
    confirmed(machine, **APP)
    same = {**APP, "ports": {**APP["ports"], "game": {"port": [7000], "protocol": "tcp"}, "more": {"port": 8000}}}
    assert step("look", **APP)["told"] == step("look", **same)["told"] == []
    assert step("look", egress={"database": {"to": ["10.0.0.6"], "port": 5432}})["told"] == [
        f'the firewall takes back host_ports: game: {{"port": "7000"}}{BOTH}',
        f'the firewall takes back host_ports: metrics: {{"from": ["10.0.0.9"], "port": 9100}}{BOTH}',
        'the firewall changes host_egress: database: {"port": 5432, "to": ["10.0.0.5"]} to '
        f'{{"to": ["10.0.0.6"], "port": 5432}}{BOTH}',
        f'the firewall changes host_ssh_from: ["192.0.2.0/24"] to []{BOTH}',
    ]


def test_what_an_earlier_version_opened_is_known_from_the_next_run_on(machine):
    confirmed(machine, **APP)
    state = machine.root / "var/lib/flask-deploy/firewall.json"
    state.write_text(json.dumps({"loaded": json.loads(state.read_text())["loaded"]}))
    assert step("look")["told"] == []
    assert step("try", dry=True, **APP) == step("try", **APP) == {"changed": False, "trial": False, "told": []}
    assert len(step("look")["told"]) == 4


def test_once_it_is_there_nothing_is_told(machine):
    step("try")
    machine.connection = SECOND
    step("confirm")
    machine.answers["ss -Hltunp"] = (0, 'tcp LISTEN 0 128 *:5432 *:* users:(("postgres",pid=2,fd=3))\n')
    assert step("look")["told"] == []
