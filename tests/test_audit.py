"""What tools found on a host is read as it stands, and what is left without a reason is told."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.action import check_inventory
from ansible.template import Templar, trust_as_template

from bench import audit, demo, findings, own_host, public
from tests.conftest import ROOT

SAID = ROOT / "tests/audited"  # what the tools printed on Debian, shortened


def said(name):
    return (SAID / name).read_text()


def test_each_setting_that_lynis_names_is_a_finding():
    report = findings.lynis(said("lynis.dat"))
    assert report.score == "58 of 100, 1 warnings, 13 suggestions"
    assert report.left.keys() == {
        *("LYNIS", "BOOT-5264", "AUTH-9286", "PKGS-7392", "NETW-3200", "FILE-7524"),
        *("KRNL-6000:dev.tty.ldisc_autoload", "KRNL-6000:kernel.kptr_restrict", "KRNL-6000:kernel.yama.ptrace_scope"),
        *("SSH-7408:AllowTcpForwarding", "SSH-7408:MaxAuthTries"),
    }
    assert report.left["SSH-7408:MaxAuthTries"] == "6, not 3"
    assert report.left["KRNL-6000:kernel.yama.ptrace_scope"] == "0, not 1|2|3"


def test_algorithms_that_ssh_audit_does_not_call_good_are_findings():
    report = findings.ssh_audit(said("ssh-audit.json"))
    assert report.score == "2 algorithms fail, 2 warn"
    assert list(report.left) == [
        *("ecdh-sha2-nistp256", "diffie-hellman-group14-sha256", "umac-64@openssh.com", "hmac-sha1")
    ]
    assert report.left["hmac-sha1"] == "mac: using broken SHA-1 hash algorithm; using encrypt-and-MAC mode"


def test_a_grade_and_what_testssl_does_not_praise_are_read():
    report = findings.testssl(said("testssl.json"))
    assert report.score == "A, 96 points"
    assert report.left.keys() == {"engine_problem", "cert_notAfter", "cert_revocation", "HSTS", "LUCKY13"}


def test_of_two_certificates_one_may_be_wrong():
    text = said("testssl.json").replace('"HSTS"', '"HSTS <cert#1>"')
    text = text.replace("[", '[{"id": "HSTS <cert#2>", "severity": "OK", "finding": "offered"},', 1)
    text = text.rstrip("]\n") + ', {"id": "HSTS <cert#3>", "severity": "OK", "finding": "offered"}]'
    assert findings.testssl(text).left["HSTS"] == "not offered"


def test_warnings_of_docker_bench_are_findings():
    report = findings.docker_bench(said("docker-bench.txt"))
    assert report.score == "19 of 117 checks, 3 warnings"
    assert report.left == {
        "1.1.1": "Ensure a separate partition for containers has been created (Automated)",
        "2.2": "Ensure network traffic is restricted between containers on the default bridge (Scored)",
        "5.4": "Ensure that Linux kernel capabilities are restricted within containers (Automated)",
    }


@pytest.mark.parametrize("read", [findings.lynis, findings.ssh_audit, findings.testssl, findings.docker_bench])
@pytest.mark.parametrize("text", ["", "[]", "cannot connect to 127.0.0.1 port 22"])
def test_a_tool_that_did_not_finish_found_nothing_good(read, text):
    with pytest.raises(findings.UnreadableError):
        read(text)


def test_a_page_says_why():
    page = "## lynis\n\n| Finding | Why |\n|---|---|\n| `A-1`, `A-2:x` | asks `b` | it stays |\n\n"
    page += "## testssl\n\n| `A-1` | no |\n"
    assert findings.reasons(page) == {"lynis": {"A-1": "it stays", "A-2:x": "it stays"}, "testssl": {"A-1": "no"}}


def seen(**left):
    after = {name: findings.Report("1", dict.fromkeys(left.get(name, []), "title")) for name in audit.TOOLS}
    return {"before": {**after, "testssl": None, "lynis": findings.Report("0", {"A": "a", "B": "b"})}, "after": after}


def test_what_is_left_with_a_reason_is_listed_and_ends_well(capsys):
    assert not audit.show(
        seen(lynis=["B"], testssl=["C"]), {"lynis": {"B": "why"}, "testssl": {"C": "why", "D": "why"}}
    )
    printed = capsys.readouterr().out
    assert "lynis: 1 findings gone, 1 left" in printed and "not found, but with a reason: D" in printed
    assert [line.split() for line in printed.splitlines() if "testssl  " in line] == [["testssl", "-", "1"]]


def test_what_is_left_without_a_reason_is_named_and_ends_with_an_error(capsys):
    assert audit.show(seen(lynis=["B"]), {"testssl": {"B": "of another tool"}})
    assert "title  <- no reason" in capsys.readouterr().out


def test_a_tool_that_found_nothing_to_look_at_afterwards_ends_with_an_error(capsys):
    found = seen()
    found["after"]["testssl"] = None
    assert audit.show(found, {})
    assert "nothing to look at for: testssl" in capsys.readouterr().out


def test_each_command_is_one_that_a_shell_reads():
    for command in (audit.INSTALL, audit.CERTIFICATE, *(tool.command for tool in audit.TOOLS.values())):
        assert subprocess.run(["sh", "-nc", command], check=False).returncode == 0


def test_a_tool_without_a_subject_has_no_report():
    printed = {
        audit.TOOLS["lynis"].command: said("lynis.dat"),
        audit.TOOLS["ssh-audit"].command: said("ssh-audit.json"),
    }
    found = audit.audit(lambda command: printed.get(command, ""))
    assert [name for name, report in found.items() if report] == ["lynis", "ssh-audit"]


def test_the_page_has_a_reason_in_each_row_of_each_tool():
    found = findings.reasons(audit.PAGE.read_text())
    assert audit.TOOLS.keys() - found.keys() == {"ssh-audit"}
    assert not found.keys() - audit.TOOLS.keys()
    assert all(len(why) > 15 for rows in found.values() for why in rows.values())


def mistakes(monkeypatch, **values):
    """Return what the check says of the inventory of a benchmark's own host, without a host."""
    monkeypatch.setattr(check_inventory, "check_outside", lambda *values: [])
    ours = own_host.inventory("audit", "f", "/c")["vars"] | {"build_base_image_archive": __file__}  # not made yet
    known = yaml.safe_load((ROOT / "bench/app.yml").read_text()) | ours | values
    known = {name: trust_as_template(value) if isinstance(value, str) else value for name, value in known.items()}
    known |= {"groups": {"web": ["audit"]}, "inventory_dir": str(ROOT / "inventories/local")}
    plugin = object.__new__(check_inventory.ActionModule)
    plugin._templar = Templar(DataLoader(), variables=known)
    return plugin._check_inventory(known)[1]


def test_the_check_has_nothing_against_what_is_audited(monkeypatch, tmp_path):
    printed = []
    given = audit.certificate(lambda command, text: printed.append(text), tmp_path)
    assert mistakes(monkeypatch, **audit.WORDS, **given) == []
    assert printed == [(tmp_path / "ca.pem").read_bytes()]
    (tmp_path / "leaf.pem").write_bytes(printed[0])
    assert mistakes(monkeypatch, **audit.WORDS, **given)


def test_an_audit_looks_before_and_after_and_keeps_what_it_saw(monkeypatch, tmp_path, capsys):
    files = ("lynis.dat", "ssh-audit.json", "testssl.json", "docker-bench.txt")
    printed = dict(zip((tool.command for tool in audit.TOOLS.values()), map(said, files), strict=True))
    later, played = list(printed)[2:], []

    @contextmanager
    def standing(name, keep):
        yield (
            lambda command, given=b"": "" if command in later and not played else printed.get(command, ""),
            lambda book, **values: played.append((book, values)),
        )

    (tmp_path / "build/audit").mkdir(parents=True)
    subprocess.run(["git", "init", "-q", tmp_path], check=True)
    subprocess.run(
        ["git", "-C", tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a", "--allow-empty"],
        check=True,
    )
    monkeypatch.setattr(public, "fetch", lambda name, app: tmp_path)
    monkeypatch.setattr(own_host, "standing", standing)
    monkeypatch.setattr(demo, "ROOT", tmp_path)
    monkeypatch.setattr(audit, "PAGE", tmp_path / "page.md")
    (tmp_path / "page.md").write_text("")
    monkeypatch.setattr(sys, "argv", ["audit"])
    assert audit.main()
    seen = json.loads((tmp_path / "build/bench-audit.json").read_text())
    assert [book for book, _ in played] == ["site.yml"]
    assert [name for name, report in seen["before"].items() if report] == ["lynis", "ssh-audit"]
    assert seen["after"]["testssl"]["score"] == "A, 96 points"
    assert "23 left without a reason in page.md" in capsys.readouterr().out
