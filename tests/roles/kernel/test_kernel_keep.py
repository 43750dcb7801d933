"""A kernel is closed to what nobody needs; what somebody else set stays, and a second run changes nothing."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from ansible.modules import kernel_keep as kernel

OF_DOCKER = {"ip_forward", "forwarding", "rp_filter", "bridge-nf-call-iptables", "bridge-nf-call-ip6tables"}
HAS = {
    "net/ipv4/conf/all/accept_redirects": "1",
    "net/ipv4/conf/eth0/accept_redirects": "1",
    "net/ipv4/conf/all/send_redirects": "1",
    "net/ipv4/tcp_syncookies": "1",
    "net/ipv4/ip_forward": "1",
    "kernel/kptr_restrict": "0",
    "kernel/yama/ptrace_scope": "0",
    "kernel/core_pattern": "core",
    "fs/suid_dumpable": "0",
}


@pytest.fixture
def host(tmp_path, monkeypatch):
    """A host whose kernel is a directory, and whose programs answer as is said."""
    said = {"systemd-detect-virt": (1, ""), "dpkg-query": (0, "installed chrony\n"), "systemctl": (0, "")}
    monkeypatch.setattr(kernel, "run", lambda program, *_: said[program])
    monkeypatch.setattr(kernel, "ROOT", str(tmp_path / "sys"))
    monkeypatch.setattr(kernel, "FILE", str(tmp_path / "sysctl.d/60-flask-deploy.conf"))
    monkeypatch.setattr(kernel, "OTHERS", (str(tmp_path / "sysctl.conf"), str(tmp_path / "sysctl.d/*.conf")))
    monkeypatch.setattr(kernel.files, "write", lambda path, content: Path(path).write_bytes(content))
    for path, value in HAS.items():
        (tmp_path / "sys" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "sys" / path).write_text(f"{value}\n")
    (tmp_path / "sysctl.d").mkdir()
    return type("Host", (), {"place": tmp_path, "said": said})


def keep(dry=False, **more):
    words = {"settings": True, "core_dumps": False, "clock": True, "apparmor": False}
    return kernel.keep({**words, **more}, dry)


def now(host):
    return {path: (host.place / "sys" / path).read_text().strip() for path in HAS}


CLOSED = {
    **HAS,
    **{path: "0" for path in HAS if path.endswith("_redirects")},
    **{"kernel/kptr_restrict": "1", "kernel/yama/ptrace_scope": "1", "kernel/core_pattern": "|/bin/false"},
}


def test_it_is_closed_once_and_a_second_run_changes_nothing(host):
    assert keep()["changed"]
    assert now(host) == CLOSED
    before = (host.place / "sysctl.d/60-flask-deploy.conf").stat().st_mtime_ns
    assert keep() == {"changed": False, "told": [], "packages": [], "unit": "", "dest": ""}
    assert (host.place / "sysctl.d/60-flask-deploy.conf").stat().st_mtime_ns == before


def test_a_dry_run_tells_and_changes_nothing(host):
    assert keep(dry=True)["changed"]
    assert now(host) == HAS and not list((host.place / "sysctl.d").iterdir())


def test_each_setting_has_a_reason(host):
    keep()
    lines = Path(kernel.FILE).read_text().splitlines()
    assert lines[0].startswith("# Managed by Ansible: flask-deploy.")
    blocks = re.split(r"^# ", "\n".join(lines[1:]), flags=re.MULTILINE)[1:]
    assert len(blocks) == len(kernel.NETWORK) + len(kernel.KERNEL) + len(kernel.DUMPS)
    assert all(re.fullmatch(r".{10,}\.\n(-[\w.*]+ = \S+\n?)+", block) for block in blocks), blocks


def test_what_docker_and_databases_need_is_not_touched():
    """Forwarding, bridges, filters of ways; memory, shared memory, huge pages."""
    paths = [path for part in (kernel.NETWORK, kernel.KERNEL, kernel.DUMPS) for each in part.values() for path in each]
    assert {path.rpartition("/")[2] for path in paths} & OF_DOCKER == set()
    assert [path for path in paths if path.startswith(("vm/", "kernel/shm", "kernel/sem", "net/bridge"))] == []


def test_what_somebody_changed_is_set_back_and_told_before(host):
    keep()
    (host.place / "sys/kernel/kptr_restrict").write_text("0\n")
    assert keep(dry=True) == {"changed": True, "told": [], "packages": [], "unit": "", "dest": ""}
    assert keep()["changed"] and now(host) == CLOSED
    Path(kernel.FILE).write_text("# by hand\n")
    assert keep(dry=True)["dest"] == kernel.FILE
    assert keep()["changed"] and not keep()["changed"]


@pytest.mark.parametrize(
    ("line", "stays"),
    [
        ("kernel.yama.ptrace_scope = 2", "kernel/yama/ptrace_scope"),
        (" - kernel/yama/ptrace_scope=2", "kernel/yama/ptrace_scope"),
        ("net.ipv4.conf.eth0.accept_redirects = 1", "net/ipv4/conf/eth0/accept_redirects"),
        ("net.ipv4.conf.*.send_redirects = 1", "net/ipv4/conf/all/send_redirects"),
        ("kernel.core_pattern=/var/cores/%e", "kernel/core_pattern"),
    ],
)
def test_what_a_file_of_somebody_sets_stays(host, line, stays):
    (host.place / "sysctl.d/10-mine.conf").write_text(f"; mine\n# kernel.kptr_restrict = 0\n\n{line}\n")
    keep()
    assert now(host) == {**CLOSED, stays: HAS[stays]}
    assert not keep()["changed"]


def test_an_interface_with_a_dot_in_its_name_is_read_as_sysctl_does():
    assert kernel.path_of("net.ipv4.conf.eth0/1.send_redirects") == "net/ipv4/conf/eth0.1/send_redirects"
    assert kernel.path_of("net/ipv4/conf/eth0.1/send_redirects") == "net/ipv4/conf/eth0.1/send_redirects"


def test_a_container_sets_its_network_alone_and_has_no_clock_of_its_own(host):
    host.said["systemd-detect-virt"] = (0, "")
    host.said["dpkg-query"] = (1, "")
    assert (keep(apparmor=True)["packages"], keep()["unit"]) == ([], "")
    assert now(host) == {**CLOSED, **{path: HAS[path] for path in HAS if not path.startswith("net/")}}
    assert "kernel." not in Path(kernel.FILE).read_text()


def test_where_nobody_tells_whether_it_is_a_container_the_machine_is_left_alone(host):
    """A kernel's own settings would be those of all that share it."""
    host.said["systemd-detect-virt"] = (127, "")
    keep()
    assert now(host) == {**CLOSED, **{path: HAS[path] for path in HAS if not path.startswith("net/")}}


def test_core_dumps_and_settings_are_words_of_their_own(host):
    keep(settings=False)
    assert now(host) == {**HAS, "kernel/core_pattern": "|/bin/false"}
    keep(settings=False, core_dumps=True)
    assert not Path(kernel.FILE).exists()


@pytest.mark.skipif(os.geteuid() == 0 and not os.path.exists("/proc/sys/kernel/ngroups_max"), reason="needs /proc")
def test_what_a_kernel_does_not_take_is_told_and_changes_nothing(host, monkeypatch):
    (host.place / "sys/kernel/kptr_restrict").unlink()
    (host.place / "sys/kernel/kptr_restrict").symlink_to("/proc/sys/kernel/ngroups_max")
    keep()
    assert keep() == {
        **{"changed": False, "packages": [], "unit": "", "dest": ""},
        "told": ["the kernel does not take kernel/kptr_restrict = 1"],
    }


@pytest.mark.parametrize(
    ("packages", "runs", "wanted"),
    [
        ("", 0, (["systemd-timesyncd"], "systemd-timesyncd.service")),
        ("installed chrony\n", 0, ([], "")),
        ("installed chrony\nnot-installed systemd-timesyncd\n", 3, ([], "chrony.service")),
        ("installed systemd-timesyncd\n", 3, ([], "systemd-timesyncd.service")),
        ("config-files ntpsec\n", 0, (["systemd-timesyncd"], "systemd-timesyncd.service")),
    ],
)
def test_whatever_keeps_the_clock_stays_and_runs(host, packages, runs, wanted):
    """Debian's packages conflict: installing one would remove the other."""
    host.said["dpkg-query"], host.said["systemctl"] = (0, packages), (runs, "")
    told = keep()
    assert (told["packages"], told["unit"]) == wanted
    assert keep(clock=False)["unit"] == "" and keep(clock=False)["packages"] == []


@pytest.mark.parametrize(
    ("enabled", "parser", "wanted"), [("Y", False, ["apparmor"]), ("Y", True, []), ("N", False, []), (None, False, [])]
)
def test_profiles_can_be_loaded_where_the_kernel_has_apparmor(monkeypatch, enabled, parser, wanted):
    monkeypatch.setattr(kernel.files, "read", lambda path: enabled and f"{enabled}\n".encode())
    monkeypatch.setattr(kernel.os.path, "exists", lambda path: parser)
    assert kernel.apparmor() == wanted


def test_this_kernel_knows_each_setting():
    """On the machine of the tests; what a kernel was built without is no error."""
    paths = [path for part in (kernel.NETWORK, kernel.DUMPS) for each in part.values() for path in each]
    assert [path for path in paths if not kernel.glob(f"/proc/sys/{path}") and "ipv6" not in path] == []


def test_sysctl_reads_the_file(host, tmp_path):
    keep()
    said = subprocess.run(["sysctl", "--dry-run", "-p", kernel.FILE], capture_output=True, text=True, check=False)
    if "unrecognized" in said.stderr or "invalid" in said.stderr:
        pytest.skip("this sysctl makes no dry run")
    assert "net.ipv4.tcp_syncookies = 1" in said.stdout, said
