"""What was seen of a host becomes findings: of a good one none, of each thing that is wrong one line with a way out."""

from __future__ import annotations

import copy
import json

import health_rules as rules
import pytest
from health_rules import apps, hosts

from tests.conftest import ROOT

NOW = 1_800_000_000.0
HOUR, DAY, GB = 3600, 86400, 1 << 30
TOLD = {
    **{"app": "shop", "owner": "shop", "backup": True, "domain": "shop.example.com"},
    **{"host_firewall": False, "host_updates": False, "host_ports": {"metrics": {"port": "9100-9101"}}},
}
WEB = {
    **{"name": "shop-3f9a0c41d2b7", "image": "sha256:1", "app": "shop", "runs": True, "since": NOW - DAY},
    **{"policy": "unless-stopped", "memory": 512 << 20, "pids": 256, "cpus": 1.5, "killed": 0, "published": []},
}
STRANGER = {**WEB, "name": "old", "image": "redis:7", "app": "", "policy": "no"}
GOOD = {
    "now": NOW,
    "disks": [
        {
            **{"path": "/", "used": 10 * GB, "free": 30 * GB, "read_only": False},
            **{"inodes_used": 100_000, "inodes_free": 900_000},
        },
        {"path": "/run", "used": 1 << 20, "free": 99 << 20, "inodes_used": 9, "inodes_free": 900, "read_only": False},
    ],
    "memory": {"total": 4 * GB, "free": 2 * GB},
    "limits": {"open files": [2000, 2**63 - 1], "connections of nginx": [20, 4096], "connections of nobody": [0, 0]},
    "units": {"failed": [], "auto-restart": []},
    "packages": {"security": [], "asked": NOW - HOUR, "broken": [], "held": []},
    "reboot": None,
    "clock": {"kept": True, "in_step": True},
    "apparmor": {"kernel": True, "docker": True},
    "accounts": {"root": [], "open": [], "enter": [], "shell": [], "sudo": []},
    "sshd": "",
    "engine": {"installed": True, "adopted": False, "error": "", "containers": [WEB]},
    "listening": [
        {"protocol": "tcp", "port": 22, "program": "sshd", "pid": "1", "unit": "ssh.service"},
        {"protocol": "tcp", "port": 22, "program": "systemd", "pid": "1", "unit": ""},
        {"protocol": "tcp", "port": 2222, "program": "sshd", "pid": "1", "unit": "ssh.service"},
        {"protocol": "tcp", "port": 443, "program": "nginx", "pid": "2", "unit": "nginx.service"},
        {"protocol": "udp", "port": 68, "program": "?", "pid": "", "unit": ""},
        {"protocol": "udp", "port": 41234, "program": "systemd-timesyn", "pid": "3", "unit": ""},
        {"protocol": "tcp", "port": 9101, "program": "exporter", "pid": "4", "unit": "exporter.service"},
    ],
    "sites": {"adopted": False, "strangers": [], "left_out": [], "refused": ""},
    "certificate": {"days_left": 60, "problems": []},
    "backup": {"lines": ["backup: good"], "problems": []},
    "release": {"id": "3f9a0c41d2b7", "container": {"memory": "512m", "pids": 256, "cpus": 1.5}},
    "fingerprint": "aa",
    "changed": {
        **{"/etc/nginx/nginx.conf": {"at": NOW - 2 * HOUR, "digest": "aa"}, "/etc/gone": None},
        "/etc/a.service": {"at": NOW - DAY, "digest": "bb"},
    },
    "status": {"release": "3f9a0c41d2b7", "healthy": True, "remarks": []},
}


def judge(facts, told=TOLD, notes=()):
    return hosts.judge(facts, told) + apps.judge(facts, told) + apps.drift(list(notes), facts, told)


def changed(path, value):
    """Return the facts of a good host with another value at a path of keys."""
    facts = copy.deepcopy(GOOD)
    *way, last = path.split("/")
    place = facts
    for key in way:
        place = place[int(key) if isinstance(place, list) else key]
    place[int(last) if isinstance(place, list) else last] = value
    return facts


def disk(**more):
    return {**GOOD["disks"][0], **more}


def test_a_good_host_has_nothing():
    assert judge(GOOD) == []
    assert rules.lines([], NOW, ["web1"]) == ["nothing found on 1 host"]


def test_what_could_not_be_looked_at_is_no_finding():
    assert judge({"now": NOW}, {**TOLD, "backup": False}) == [
        rules.Finding(rules.BROKEN, "nobody looks after certificates here", "/etc/shop/tls", rules.SETUP)
    ]


FAILED = {"name": "apt-daily.service", "result": "exit-code", "since": NOW - HOUR, "restarts": 0}
WRONG = [
    # path, value, severity, what, command
    ("disks/0", disk(free=GB), "broken", "/ is 91% full, 1 024 MB left", None),
    ("disks/0", disk(used=40 * GB, free=6 * GB), "soon", "/ is 87% full, 6 144 MB left", "sudo du -x -d 2 /"),
    ("disks/0", disk(used=97 * GB, free=3 * GB), "broken", "/ is 97% full", "sudo du -x -d 2 /"),
    ("disks/0", disk(free=GB - 1), "broken", "/ is 91% full, 1 023 MB left", "sudo du"),
    ("disks/0", disk(path="/boot/efi", used=GB, free=GB - 1), None, "", ""),
    ("disks/0", disk(inodes_used=980_000, inodes_free=20_000), "broken", "/ is 98% out of inodes", "--inodes"),
    ("disks/0", disk(inodes_used=30_000, inodes_free=19_999), "broken", "19 999 inodes left", "--inodes"),
    ("disks/0", disk(inodes_used=0, inodes_free=0), None, "", ""),
    ("disks/0", disk(read_only=True), "broken", "/ can only be read", "dmesg"),
    ("disks/1", {**GOOD["disks"][1], "free": 1000}, "broken", "/run is 100% full", "sudo du"),
    ("memory", {"total": 4 * GB, "free": 200 << 20}, "soon", "200 MB of memory are free", "ps aux"),
    ("memory", {"total": 4 * GB, "free": 191 << 20}, "broken", "191 MB of memory are free", "ps aux"),
    ("memory", {"total": GB, "free": 193 << 20}, None, "", ""),
    ("limits/open files", [86, 100], "soon", "86 of 100 open files are in use", "ss -s"),
    ("limits/connections of nginx", [3900, 4096], "broken", "3900 of 4096 connections of nginx", "ss -s"),
    (
        "units/failed",
        [FAILED],
        "broken",
        "apt-daily.service failed (exit-code)",
        "journalctl -n 50 -u apt-daily.service",
    ),
    ("units/failed", [{**FAILED, "name": "srv.mount"}], "broken", "srv.mount failed", "systemctl status srv.mount"),
    ("units/auto-restart", [{**FAILED, "restarts": 7}], "broken", "started again and again, 7 times", "journalctl"),
    ("packages/security", ["openssl"], "soon", "1 security update waits: openssl", "sudo apt upgrade"),
    ("packages/security", list("abcd"), "soon", "4 security updates wait: a, b, c and 1 more", "sudo apt upgrade"),
    ("packages/asked", NOW - 8 * DAY, "soon", "Debian was not asked for updates", "sudo apt update"),
    ("packages/asked", NOW + 8 * DAY, "soon", "Debian was not asked for updates", "sudo apt update"),
    ("packages/asked", NOW - 6 * DAY, None, "", ""),
    ("packages/asked", None, "soon", "nobody ever asked Debian for updates", "sudo apt update"),
    ("packages/broken", ["nginx"], "broken", "dpkg was interrupted in nginx", "sudo dpkg --configure -a"),
    ("packages/held", ["nginx"], "note", "packages are held back from updates: nginx", "sudo apt-mark unhold nginx"),
    ("reboot", {"since": NOW - DAY, "packages": ["libc6"]}, "soon", "waits for a reboot for libc6", "sudo reboot"),
    ("clock", {"kept": False}, "soon", "nothing sets the clock", "sudo timedatectl set-ntp true"),
    ("clock/in_step", False, "soon", "the clock is not in step with any time server", "timedatectl timesync-status"),
    ("apparmor/docker", False, "soon", "containers run without AppArmor", "sudo systemctl restart docker"),
    ("apparmor/kernel", False, "note", "the kernel has no AppArmor", "cat /sys/kernel/security/lsm"),
    ("accounts/enter", ["www-data"], "note", "www-data, a user of the system, can log in", "last www-data"),
    ("accounts/shell", ["games"], "note", "games, a user of the system, has a shell", "/usr/sbin/nologin games"),
    ("accounts/sudo", ["eve"], "note", "the user eve becomes root without a password", "sudo -l -U eve"),
    ("accounts/root", ["toor"], "broken", "the user toor has root's id 0", "getent passwd toor"),
    ("accounts/open", ["ada"], "broken", "the user ada has no password and needs none", "sudo passwd --lock ada"),
    ("sshd", "line 3: Bad option", "broken", "sshd refuses its settings, and does not start again", "sudo sshd -t"),
    ("engine/error", "no answer", "broken", "the Docker engine does not answer: no answer", "restart docker"),
    ("engine/containers/0/runs", False, "broken", "which is to serve, does not run", "playbooks/app.yml"),
    ("engine/containers/0/policy", "no", "broken", "does not start with the engine", "--restart unless-stopped"),
    ("engine/containers/0/memory", 0, "soon", "another limit of memory than its release: 0, not 512 MB", "restart.yml"),
    ("engine/containers/0/pids", 0, "soon", "another limit of pids", "restart.yml"),
    ("engine/containers/0/cpus", 0.5, "soon", "another limit of cpus than its release: 0.5, not 1.5", "restart.yml"),
    ("engine/containers/0/killed", 2, "soon", "ended a process of shop-3f9a0c41d2b7 2 times", "docker stats"),
    ("engine/containers", [], "broken", "shop-3f9a0c41d2b7, which is to serve, is not here", "playbooks/app.yml"),
    ("engine/containers", [WEB, STRANGER], "note", "the container old (redis:7) is no app's, and runs", "inspect old"),
    (
        "engine/containers",
        [WEB, {**STRANGER, "published": ["6379"]}],
        "soon",
        "runs, and publishes port 6379",
        "docker inspect old",
    ),
    ("engine/containers", [WEB, {**STRANGER, "runs": False}], None, "", ""),
    ("engine/containers", [WEB, {**STRANGER, "runs": False, "policy": "always"}], "note", "would start with", "old"),
    (
        "listening/5",
        {"protocol": "tcp", "port": 8080, "program": "python3", "pid": "9", "unit": ""},
        "soon",
        "python3, which is no service, listens on tcp port 8080",
        "sudo ss -Hltunp sport = :8080",
    ),
    (
        "listening/5",
        {"protocol": "udp", "port": 53, "program": "dnsmasq", "pid": "9", "unit": "dnsmasq.service"},
        "soon",
        "dnsmasq of dnsmasq.service listens on udp port 53",
        "systemctl status dnsmasq.service",
    ),
    ("listening/6/port", 9102, "soon", "exporter of exporter.service listens on tcp port 9102", "systemctl status"),
    ("sites/refused", "unknown directive", "broken", "nginx refuses its configuration: unknown", "sudo nginx -t"),
    (
        "sites/left_out",
        ["/etc/nginx/conf.d/a.conf.left-out"],
        "broken",
        "left out: /etc/nginx/conf.d/a.conf",
        "journalctl",
    ),
    ("sites/strangers", ["/etc/nginx/conf.d/a.conf"], "soon", "/etc/nginx/conf.d/a.conf is no app's", "sudo cat"),
    ("certificate", None, "broken", "nobody looks after certificates here", "site.yml"),
    (
        "certificate",
        {"days_left": 20, "problems": ["expires at noon"]},
        "soon",
        "certificate: expires at noon",
        "journal",
    ),
    ("certificate", {"days_left": 2, "problems": ["expires at noon"]}, "broken", "certificate: expires at", "journal"),
    (
        "certificate",
        {"days_left": 20, "problems": ["the last try: no"]},
        "soon",
        "certificate: the last try",
        "journal",
    ),
    ("certificate", {"days_left": -1, "problems": ["expired at noon"]}, "broken", "certificate: expired", "journal"),
    ("certificate", {"days_left": None, "problems": ["damaged"]}, "broken", "certificate: damaged", "journal"),
    ("backup", None, "broken", "backups are not set up here", "site.yml --tags backup"),
    ("backup/problems", ["the backup is late, x"], "broken", "backups: the backup is late", "flask-deploy-backup@shop"),
    ("backup/problems", ["the drill of x failed: y"], "broken", "backups: the drill", "flask-deploy-drill@shop"),
    *(
        ("backup", {"keeper": keeper, "problems": [said]}, "broken", f"backups: {said}", f" -u flask-deploy-{unit}")
        for keeper, said, unit in (
            ("blog", "the backup of PostgreSQL of 2026-12-05 03:00 UTC failed: x", "archive@blog"),
            ("blog", "the drill of PostgreSQL is late, x", "archive-drill@blog"),
            ("shop", "the archive of PostgreSQL is late: x", "archive@shop"),
            ("blog", "PostgreSQL let go of 2 parts of its log", "archive@blog"),
            ("blog", "the backup of 2026-12-05 03:00 UTC failed: x", "backup@shop"),
            ("", "the drill of PostgreSQL of 2026-12-05 05:00 UTC failed: x", "archive-drill@shop"),
        )
    ),
    (
        "backup/problems",
        ["PostgreSQL of this host is in no backup since app blog was removed; type: ansible-playbook s.yml"],
        "broken",
        "backups: PostgreSQL of this host is in no backup since app blog was removed",
        "ansible-playbook s.yml",
    ),
    ("backup/problems", ["it was cut off; the next one mends that"], "soon", "backups: it was cut off", "backup@shop"),
    ("status", {"release": None}, "broken", "shop has no release that serves", "site.yml"),
    (
        "status/remarks",
        ["/ answers 500; why: sudo docker logs --tail 50 shop-3f"],
        "broken",
        "/ answers 500",
        "sudo docker logs --tail 50 shop-3f",
    ),
    (
        "status/remarks",
        ["job purge failed (code 1); its log: sudo journalctl -n 50 -u flask-deploy-job-shop-purge.service"],
        "broken",
        "job purge failed (code 1)",
        "sudo journalctl -n 50 -u flask-deploy-job-shop-purge.service",
    ),
    (
        "status/remarks",
        ["visitors see the maintenance page; to show it: ansible-playbook playbooks/maintenance.yml -e x=off"],
        "note",
        "visitors see the maintenance page",
        "ansible-playbook playbooks/maintenance.yml -e x=off",
    ),
    ("status/remarks", ["a switch is under way or was cut off; x: ansible-playbook y"], "soon", "a switch is", "y"),
    ("status/remarks", ["worker is left and should not run; x: ansible-playbook y"], "soon", "worker is left", "y"),
    (
        "status/remarks",
        ["it was killed 3 times, last with code 137, and started again: sudo journalctl -u flask-deploy-keep@shop"],
        "soon",
        "it was killed 3 times, last with code 137, and started again",
        "sudo journalctl -u flask-deploy-keep@shop",
    ),
    ("status/remarks", ["something without a command"], "broken", "something without a command", ""),
]


@pytest.mark.parametrize(("path", "value", "severity", "what", "command"), WRONG, ids=lambda value: str(value)[:40])
def test_what_is_wrong_is_one_finding_with_a_command(path, value, severity, what, command):
    found = judge(changed(path, value))
    if severity is None:
        assert found == []
        return
    if command is None:  # of a disk that is on an edge
        severity, found = "soon", found[:1]
    assert [each.severity for each in found] == [severity], found
    assert what in found[0].what and (command or "") in found[0].type
    assert found[0].where and "\n" not in rules.line(found[0], NOW)


def test_a_host_that_was_not_set_up_has_one_finding():
    facts = changed("engine", {"installed": False, "error": "", "containers": []})
    notes = [{"role": "docker", "task": "Install", "packages": ["docker.io"]}]
    assert [each.what for each in judge(facts, notes=notes)] == ["there is no Docker engine; the host is not set up"]


@pytest.mark.parametrize(
    ("path", "value", "told", "severity"),
    [
        ("listening/5/program", "python3", {"host_firewall": True}, "note"),
        ("packages/security", ["a"], {"host_updates": True}, "soon"),
        ("backup", None, {"backup": False}, None),
        ("backup", {"problems": ["late"]}, {"backup": False}, None),
    ],
)
def test_the_inventory_decides_what_is_a_finding(path, value, told, severity):
    found = judge(changed(path, value), {**TOLD, **told})
    assert [each.severity for each in found] == ([severity] if severity else [])
    assert [each.type for each in found if path == "packages/security"] in ([], ["sudo unattended-upgrade"])


def test_what_was_taken_over_is_nobody_s_mistake():
    facts = changed("engine/containers", [WEB, {**STRANGER, "published": ["6379"]}])
    facts["engine"]["adopted"] = facts["sites"]["adopted"] = True
    facts["sites"]["strangers"] = ["/etc/nginx/conf.d/old.conf"]
    assert judge(facts) == []


@pytest.mark.parametrize(
    ("words", "number"), [("512m", 512 << 20), ("1g", GB), ("1.5GB", 3 << 29), ("64k", 65536), ("7", 7)]
)
def test_sizes_are_docker_s(words, number):
    assert apps.size(words) == number


def note(role="nginx", task="Configure", **more):
    return {"role": role, "task": task, **more}


def unit(active="active", enabled="enabled"):
    return note(unit={"name": "nginx.service", "active": active, "enabled": enabled})


@pytest.mark.parametrize(
    ("given", "severity", "what", "command"),
    [
        (note(paths=["/etc/nginx/nginx.conf"]), "soon", "nginx.conf is not as the inventory says", "--tags nginx"),
        (note(paths=["/etc/gone"]), "soon", "/etc/gone is missing", "--tags nginx"),
        (note("app", paths=["/srv/shop/x"]), "soon", "/srv/shop/x is not as the inventory says", "playbooks/app.yml"),
        (unit("inactive"), "broken", "nginx.service is inactive", "sudo systemctl start nginx.service"),
        (unit("", ""), "broken", "nginx.service is not there", "sudo systemctl start"),
        (unit("active", "disabled"), "soon", "does not start with the host", "sudo systemctl enable nginx.service"),
        (unit("active", "masked"), "soon", "nginx.service is masked", "sudo systemctl enable nginx.service"),
        (unit(), "soon", "nginx.service is not as the inventory says", "--tags nginx"),
        (note(packages=["brotli"]), "broken", "packages are missing: brotli", "--tags nginx"),
        (note("app", undeployed="app_env: +A"), "note", "not deployed yet: app_env: +A", "--check --diff"),
        (note("host"), "soon", "role host would change something: Configure", "--tags host"),
        (note("host", "Set the firewall"), "broken", "the firewall is not loaded, or not as", "--tags host"),
        (note("backup", "Keep backups", paths=[]), "soon", "what makes backups is not as", "--tags backup"),
        (note(failed="it broke\nbadly"), "soon", "a run would stop in role nginx: it broke badly", "--tags nginx"),
        (note("check", failed="x"), "soon", "a run would stop in role check: x", "playbooks/check.yml"),
    ],
)
def test_what_differs_is_a_finding(given, severity, what, command):
    (found,) = judge(GOOD, notes=[given])
    assert found.severity == severity and what in found.what and command in found.type


@pytest.mark.parametrize(
    ("kept", "told"),
    [
        ({"/etc/a.service": "bb", "/etc/gone": "cc"}, ["/etc/gone is missing, or of another kind"]),
        ({"/etc/a.service": "cc", "/etc/nginx/nginx.conf": "aa"}, ["/etc/a.service is not as the inventory says"]),
        ({"/etc/a.service": "bb"}, ["/etc/a.service is not as the inventory says"]),
    ],
)
def test_of_a_directory_that_is_copied_the_files_that_differ_are_told(kept, told):
    assert [each.what for each in judge(GOOD, notes=[note(kept=kept)])] == told


def test_where_no_release_serves_the_role_of_the_app_has_nothing_to_compare():
    facts = {**GOOD, "release": {}, "status": {}}
    assert judge(facts, notes=[note("app", failed="File not found: release.json")]) == []


def test_a_container_that_would_be_started_is_judged_by_its_own_rule():
    given = note("app", paths=[], actions=["container shop-3f9a0c41d2b7"])
    assert judge(GOOD, notes=[given]) == []
    assert len(judge(changed("engine/containers/0/runs", False), notes=[given])) == 1


def test_tasks_that_are_told_in_words_exist():
    texts = "".join(path.read_text() for path in ROOT.glob("roles/*/tasks/*.yml"))
    assert [name for name in apps.TASKS if f"- name: {name}\n" not in texts] == []


def test_since_when_a_file_differs_is_told():
    (found,) = judge(GOOD, notes=[note(paths=["/etc/nginx/nginx.conf"])])
    assert ", since 2 h; type: ansible-playbook site.yml" in rules.line(found, NOW)


def test_a_role_that_stops_for_several_causes_has_a_line_for_each_but_for_what_other_rules_judge():
    failed = "nothing was changed; to be mended:\n  port 80 is held\n  /srv has 9 MB free; 1024 MB are needed\n  b"
    found = judge(GOOD, notes=[note("check", failed=failed)])
    assert [each.what for each in found] == [
        f"a run would stop in role check: {why}" for why in ("port 80 is held", "b")
    ]


def name(addresses=("192.0.2.1",), error="", ports=None, refused=""):
    return {"addresses": list(addresses), "error": error, "ports": ports or {80: "", 443: ""}, "refused": refused}


@pytest.mark.parametrize(
    ("seen", "whats"),
    [
        ({"names": {"a": name()}, "hosts": {"w": {"ports": {80: "", 443: ""}, "print": "aa"}}}, []),
        ({"names": {"a": name([], "no such name")}}, ["a has no address that is found from here: no such name"]),
        (
            {"names": {"a": name(ports={80: "refused", 443: ""})}},
            ["a (192.0.2.1) does not answer from here on port 80 (refused)"],
        ),
        ({"names": {"a": name(refused="expired")}}, ["browsers refuse the certificate of a: expired"]),
        (
            {"hosts": {"w": {"ports": {80: "", 443: "refused"}, "print": ""}}},
            ["port 443 (refused) does not answer from here"],
        ),
        ({"names": {"a": name()}, "hosts": {"w": {"ports": {80: "", 443: "closed"}, "print": ""}}}, []),
        (
            {"hosts": {"w": {"ports": {80: "", 443: ""}, "print": "bb"}}},
            ["nginx serves another certificate than the newest one"],
        ),
    ],
)
def test_names_and_ports_as_seen_from_the_controller(seen, whats):
    found = apps.reach(seen, {"w": "aa"})
    assert [each.what for each in found] == whats
    assert all(each.severity == "broken" and each.type for each in found)


def test_hosts_are_compared_and_a_silent_one_is_told():
    statuses = {"w1": {"release": "a"}, "w2": {"release": "b"}}
    assert [each.what for each in apps.together(statuses, ["w3"])] == [
        "nobody could look: see the error",
        "hosts serve different releases: a on w1, b on w2",
    ]
    assert apps.together({"w1": {"release": "a"}, "w2": {"release": "a"}}, []) == []


def test_the_worst_comes_first_each_once_and_all_are_counted():
    made = [
        rules.Finding("note", "n"),
        rules.Finding("broken", "b", type="sudo x", host="w"),
        rules.Finding("soon", "s"),
    ]
    said = rules.lines([*made, made[0]], NOW, ["w", "v"])
    assert said == ["broken w: b; type there: sudo x", "soon   s", "note   n", "1 broken, 1 soon, 1 note on 2 hosts"]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(5, "5 s"), (90, "1 min"), (7200, "2 h"), (30 * HOUR, "30 h"), (3 * DAY, "3 days"), (-4, "0 s")],
)
def test_spans_are_in_their_largest_unit(seconds, said):
    assert rules.span(seconds) == said


def test_as_json_a_finding_has_all_that_its_line_has():
    made = rules.Finding("broken", "b", "/etc/x", "ansible-playbook site.yml -i inventories/...", NOW, "w")
    (told,) = rules.data([rules.named(made, "inventories/production")])
    assert json.loads(json.dumps(told)) == {
        **{"severity": "broken", "host": "w", "what": "b", "where": "/etc/x", "since": NOW, "place": "controller"},
        "type": "ansible-playbook site.yml -i inventories/production",
    }
