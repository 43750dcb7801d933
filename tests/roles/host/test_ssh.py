"""SSH with keys alone: what sshd allows only shrinks, and who connects is never shut out."""

from __future__ import annotations

import os
import subprocess
from types import SimpleNamespace

import pytest
from ansible.module_utils import host_before as before
from ansible.module_utils.flask_deploy.host import command, connection, files, trial
from ansible.modules import host_ssh

from tests.host import Unprivileged

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIH0aX9qTn0pS6cDkYw3n9m0Y9qkQm2b0v5o7n6xw0abc me@example.com\n"
FIRST = connection.Connection("192.0.2.1", 40_000, 22, "deploy")
NOW = {
    "permitrootlogin": "yes",
    "passwordauthentication": "yes",
    "maxauthtries": "6",
    "logingracetime": "120",
    "allowtcpforwarding": "yes",
    "allowstreamlocalforwarding": "yes",
    "allowagentforwarding": "yes",
    "authorizedkeyscommand": "none",
    "authorizedkeysfile": ".ssh/authorized_keys .ssh/authorized_keys2",
    "kexalgorithms": "mlkem768x25519-sha256,curve25519-sha256,ecdh-sha2-nistp256",
    "ciphers": "chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes128-ctr",
    "macs": "umac-64@openssh.com,hmac-sha2-256-etm@openssh.com",
    "hostkeyalgorithms": "ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512",
}


def as_read(text):
    """Return what sshd -T would say with a drop-in, for everybody."""
    known = dict(line.split(" ", 1) for line in text.partition("Match")[0].splitlines()[1:])
    return {**NOW, **{word.lower(): value for word, value in known.items()}}


@pytest.fixture
def machine(tmp_path, monkeypatch):
    known = SimpleNamespace(settings=dict(NOW), refuses=False, calls=[], connection=FIRST, root=tmp_path)

    def run(*words, timeout=60):
        known.calls.append(" ".join(words))
        if words[1] == "-T":
            return 0, "".join(f"{word} {value}\n" for word, value in known.settings.items())
        return (255, "line 3: Bad configuration option: x") if known.refuses and words[1] == "-t" else (0, "")

    def attempt(*words, limit):
        known.calls.append(" ".join(words))
        return SimpleNamespace(code=1 if "is-active" in words else 0, said="", out=b"")

    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    monkeypatch.setattr(before, "run", run)
    monkeypatch.setattr(command, "attempt", attempt)
    monkeypatch.setattr(files, "os", Unprivileged())
    monkeypatch.setattr(connection, "current", lambda pid=None: known.connection)
    monkeypatch.setattr(host_ssh, "wait", lambda: None)
    monkeypatch.setattr(host_ssh.pwd, "getpwnam", lambda name: SimpleNamespace(pw_dir=str(home)))
    for module, names in ((trial, ("PLACE",)), (host_ssh, ("MAIN", "DROP_IN", "BACK", "SHADOW"))):
        for name in names:
            monkeypatch.setattr(module, name, f"{tmp_path}{getattr(module, name)}")
    for folder in ("run", "etc/ssh/sshd_config.d"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/ssh/sshd_config").write_text("Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\n")
    known.keys, known.drop_in = home / ".ssh/authorized_keys", tmp_path / "etc/ssh/sshd_config.d/10-flask-deploy.conf"
    known.keys.write_text(KEY)
    return known


def test_what_is_written_takes_away_and_gives_nothing(machine):
    text = host_ssh.wanted(NOW, NOW, "deploy", keys=True)
    known = as_read(text)
    assert (known["passwordauthentication"], known["permitrootlogin"]) == ("no", "prohibit-password")
    assert (known["maxauthtries"], known["logingracetime"], known["allowtcpforwarding"]) == ("4", "30", "no")
    assert known["kexalgorithms"] == "mlkem768x25519-sha256,curve25519-sha256"
    assert known["macs"] == "hmac-sha2-256-etm@openssh.com"
    assert known["hostkeyalgorithms"] == "ssh-ed25519,rsa-sha2-512"
    own = [f"    {word} yes\n" for word in ("AllowTcpForwarding", "AllowStreamLocalForwarding", "AllowAgentForwarding")]
    assert text.endswith("".join(["Match User deploy\n", *own]))


@pytest.mark.parametrize(
    ("strict", "line"),
    [
        ({"permitrootlogin": "no"}, "PermitRootLogin no"),
        ({"maxauthtries": "2"}, "MaxAuthTries 2"),
        ({"logingracetime": "10"}, "LoginGraceTime 10"),
        ({"logingracetime": "0"}, "LoginGraceTime 30"),
        ({"ciphers": "aes256-gcm@openssh.com"}, "Ciphers aes256-gcm@openssh.com"),
        ({"macs": "hmac-sha2-512"}, "MACs hmac-sha2-512"),
    ],
)
def test_what_is_stricter_already_stays(strict, line):
    assert line in host_ssh.wanted({**NOW, **strict}, NOW, "deploy", keys=True).splitlines()


def test_forwarding_that_somebody_forbade_stays_forbidden():
    text = host_ssh.wanted(NOW, {**NOW, **{word.lower(): "no" for word in host_ssh.FORWARDING}}, "deploy", keys=True)
    assert "Match" not in text


def test_a_second_time_makes_the_same():
    text = host_ssh.wanted(NOW, NOW, "deploy", keys=True)
    assert (
        host_ssh.wanted(
            as_read(text), {**as_read(text), **{w.lower(): "yes" for w in host_ssh.FORWARDING}}, "deploy", True
        )
        == text
    )


@pytest.mark.parametrize("keys", ["", "# " + KEY, "\n"])
def test_passwords_stay_where_the_user_who_connects_has_no_key(machine, keys):
    machine.keys.write_text(keys)
    said = host_ssh.run("try", False)
    assert said["told"] == ["SSH takes passwords on: deploy has no key there; ssh-copy-id puts one there"]
    assert "PasswordAuthentication" not in machine.drop_in.read_text()
    assert "PermitRootLogin" not in machine.drop_in.read_text()


def second_run(machine, user, **forwarding):
    """Run again, as that user, on what the drop-in of before makes of sshd; return (what is told, the new drop-in)."""
    machine.connection = FIRST._replace(user=user) if user else None
    machine.settings = {
        **as_read(machine.drop_in.read_text()),
        **{word.lower(): "no" for word in host_ssh.FORWARDING},
        **forwarding,
    }
    said = host_ssh.run("try", False)
    return said["told"], machine.drop_in.read_text()


@pytest.mark.parametrize("user", ["", "deploy"])
def test_a_second_run_without_a_key_makes_nothing_looser(machine, user):
    """Over a local connection, or by a user who has a certificate in place of a key."""
    host_ssh.run("try", False)
    machine.keys.write_text("")
    told, after = second_run(machine, user)
    assert told == []
    for line in ("PasswordAuthentication no", "KbdInteractiveAuthentication no", "PermitRootLogin prohibit-password"):
        assert line in after.splitlines()


def test_who_deployed_before_keeps_what_was_allowed(machine):
    """alice deploys, then the user of CI, then somebody over a local connection, then alice."""
    machine.connection = FIRST._replace(user="alice")
    host_ssh.run("try", False)
    first = machine.drop_in.read_text()
    assert "Match User alice\n    AllowTcpForwarding yes\n" in first
    for user in ("ci", ""):
        assert second_run(machine, user)[1] == first
    theirs = {word.lower(): "yes" for word in host_ssh.FORWARDING}
    assert second_run(machine, "alice", **theirs)[1] == first
    after = second_run(machine, "ci", allowtcpforwarding="local")[1]
    assert after == f"{first}Match User ci\n    AllowTcpForwarding local\n"
    assert second_run(machine, "alice", allowtcpforwarding="yes")[1].count("Match User") == 2


def test_options_before_a_key_and_a_command_that_knows_keys_count(machine):
    machine.keys.write_text('from="192.0.2.0/24",no-pty ' + KEY)
    assert host_ssh.has_keys("deploy", NOW)
    machine.keys.write_text("")
    assert host_ssh.has_keys("deploy", {**NOW, "authorizedkeyscommand": "/usr/bin/keys"})
    assert host_ssh.has_keys("deploy", {**NOW, "authorizedkeysfile": "%h/.ssh/authorized_keys"}) is False


def test_what_a_user_put_there_holds_nobody_up(machine):
    machine.keys.write_text("ssh-" * 400_000 + "\n" + "ssh-ed25519 x\n" * 50_000)
    assert not host_ssh.has_keys("deploy", NOW)
    for target in ("/dev/zero", "/proc/kmsg"):
        machine.keys.unlink()
        machine.keys.symlink_to(target)
        assert not host_ssh.has_keys("deploy", NOW)
    machine.keys.unlink()
    os.mkfifo(machine.keys)
    assert not host_ssh.has_keys("deploy", NOW)


def test_a_long_configuration_is_read_in_no_time(machine):
    (machine.root / "etc/ssh/sshd_config").write_text("Include  /etc/x \n" + " \n" * 5_000 + "# end\n")
    with pytest.raises(trial.TrialError, match="lacks its line"):
        host_ssh.run("try", False)


def test_who_has_a_password_alone_is_named(machine, monkeypatch):
    (machine.root / "etc/shadow").write_text("root:*:1\nbob:$y$j9T$x:1\ndeploy:$y$j9T$x:1\nalice:!:1\n")
    monkeypatch.setattr(host_ssh, "has_keys", lambda user, settings: user == "deploy")
    assert host_ssh.run("try", True)["told"] == ["bob has a password and no key, and cannot log in by SSH any more"]


def test_settings_stay_once_a_new_connection_confirmed_them(machine):
    assert host_ssh.run("try", False)["trial"]
    assert machine.calls[-1] == "systemctl try-reload-or-restart ssh.service"
    machine.connection = FIRST._replace(client_port=40_001)
    assert host_ssh.run("confirm", False)["changed"]
    machine.settings = {**as_read(machine.drop_in.read_text()), **{w.lower(): "yes" for w in host_ssh.FORWARDING}}
    text = machine.drop_in.read_text()
    machine.drop_in.write_text(host_ssh.wanted(machine.settings, machine.settings, "deploy", True))
    assert machine.drop_in.read_text() == text
    assert host_ssh.run("try", False) == {"changed": False, "trial": False, "told": []}


def test_the_old_connection_confirms_nothing(machine):
    host_ssh.run("try", False)
    with pytest.raises(trial.TrialError, match="the connection is the old one"):
        host_ssh.run("confirm", False)


@pytest.mark.parametrize("old", [None, "# an earlier one\n"])
def test_what_nobody_confirms_is_taken_back(machine, old):
    if old:
        machine.drop_in.write_text(old)
    host_ssh.run("try", False)
    line = next(call for call in machine.calls if call.startswith("systemd-run"))
    script, record = line.partition(" sh -c ")[2].rsplit(" ", 1)
    subprocess.run(["sh", "-c", script.replace("systemctl", "true"), record], check=True)
    assert (machine.drop_in.read_text() if old else machine.drop_in.exists()) == (old or False)


@pytest.mark.parametrize("old", [None, "# an earlier one\n"])
def test_settings_that_sshd_refuses_change_nothing(machine, old):
    if old:
        machine.drop_in.write_text(old)
    machine.refuses = True
    with pytest.raises(trial.TrialError, match="sshd refuses the settings: line 3: Bad configuration option: x"):
        host_ssh.run("try", False)
    assert (machine.drop_in.read_text() if old else machine.drop_in.exists()) == (old or False)
    assert not any(call.startswith("systemctl try-reload") for call in machine.calls)


def test_an_sshd_that_reads_no_drop_in_is_named(machine):
    (machine.root / "etc/ssh/sshd_config").write_text("# Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\n")
    with pytest.raises(trial.TrialError, match=r"lacks its line: Include"):
        host_ssh.run("try", False)
    assert not machine.drop_in.exists()


def test_without_ssh_passwords_stay(machine):
    machine.connection = None
    assert host_ssh.run("try", True)["told"][0].startswith("SSH takes passwords on: nobody has")


def test_a_dry_run_writes_nothing(machine):
    assert host_ssh.run("try", True)["changed"]
    assert not machine.drop_in.exists() and not list((machine.root / "run").iterdir())
