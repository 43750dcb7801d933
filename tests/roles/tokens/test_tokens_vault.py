"""The keys of several hosts: brought forward in the vault, one step on when every host has made the one before."""

from __future__ import annotations

import os
import stat
import subprocess
import time

import pytest
import yaml
from ansible.errors import AnsibleActionFail
from ansible.module_utils.flask_deploy.keys import directory, rotation
from ansible.module_utils.flask_deploy.keys.pem import Pem
from ansible.modules import tokens_keep as module
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultSecret
from ansible.plugins.action import tokens_vault as plugin
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from key_vault import VaultError, advance, condemned, gather

REAL = rotation.Waits(300, 10, 300)


def make():
    key = ed25519.Ed25519PrivateKey.generate()
    return Pem(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode())


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 1_800_000_000.0

        def __call__(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(time, "time", clock)
    return clock


@pytest.fixture
def fleet(tmp_path, clock, owners):
    """Apply the vault's keys on some hosts; gives what each says."""

    def apply(keys, hosts=("web1", "web2"), revoke=""):
        looks = []
        for host in hosts:
            (tmp_path / host).mkdir(exist_ok=True)
            ring = directory.KeyDirectory(str(tmp_path / host), (os.getuid(), os.getgid()), lenient=bool(revoke))
            keeper = rotation.Keeper(ring, REAL, "EdDSA", [Pem(text) for text in keys])
            keeper.keep(revoke=revoke)
            looks.append(module.describe(ring, keeper))
        return looks

    apply.place = tmp_path
    return apply


def uses(looks):
    return [{key["kid"]: key["use"] for key in look["held"]} for look in looks]


def test_a_rotation_of_two_hosts(fleet, clock):
    old, new = make(), make()
    looks = fleet([old.text])
    assert advance([old.text], looks, rotate=True) == ([old.text], True)
    keys, _ = advance([old.text], looks, rotate=True, fresh=new.text)
    assert keys == [old.text, new.text]
    assert uses(fleet(keys)) == [{old.kid: "signs", new.kid: "is published"}] * 2
    assert [(look["next"]["what"], look["next"]["key"]) for look in fleet(keys)] == [("sign", new.kid)] * 2
    clock.now += REAL.publish - 1
    assert advance(keys, fleet(keys), rotate=True) == (keys, False)
    clock.now += 1
    keys, _ = advance(keys, fleet(keys), rotate=True)
    assert keys == [new.text, old.public().text], "the vault keeps no private half that does not sign"
    assert uses(fleet(keys)) == [{new.kid: "signs", old.kid: "verifies"}] * 2
    clock.now += REAL.overlap - 1
    assert advance(keys, fleet(keys), rotate=True) == (keys, False)
    clock.now += 1
    keys, _ = advance(keys, fleet(keys), rotate=True)
    assert keys == [new.text]
    assert uses(fleet(keys)) == [{new.kid: "signs"}] * 2


def test_a_host_that_lags_holds_the_vault_back(fleet, clock):
    old, new = make(), make()
    fleet([old.text])
    first = fleet([old.text, new.text], ["web1"])
    clock.now += REAL.publish
    second = fleet([old.text, new.text], ["web2"])
    assert advance([old.text, new.text], first + second) == ([old.text, new.text], False)
    clock.now += REAL.publish
    keys, _ = advance([old.text, new.text], fleet([old.text, new.text]))
    assert Pem(keys[0]).kid == new.kid
    late = [fleet(keys, ["web1"])[0], fleet([old.text, new.text], ["web2"])[0]]
    clock.now += REAL.overlap
    assert advance(keys, late) == (keys, False)


def test_a_new_host_signs_with_the_others(fleet, clock):
    old, new = make(), make()
    fleet([old.text])
    fleet([old.text, new.text])
    assert fleet([old.text, new.text], ["web3"])[0]["signing"] == old.kid


def test_a_signing_key_is_left_until_it_is_old_enough(fleet, clock):
    keys = [make().text]
    fleet(keys)
    clock.now += 89.9 * 86400
    assert advance(keys, fleet(keys), rotate=True, after=90) == (keys, False)
    clock.now += 86400
    assert advance(keys, fleet(keys), rotate=True, after=90) == (keys, True)


def test_a_revocation_takes_the_key_out_of_the_vault_first(fleet):
    old, new = make(), make()
    looks = fleet([old.text])
    assert condemned([old.text], looks, "current") == old.kid
    assert advance([old.text], looks, gone=old.kid) == ([old.text], True)
    keys, _ = advance([old.text], looks, gone=old.kid, fresh=new.text)
    assert keys == [new.text]
    # Cut off here, `current` still means the key that hosts sign with.
    assert condemned(keys, looks, "current") == old.kid
    assert uses(fleet(keys, revoke=old.kid)) == [{new.kid: "signs"}] * 2
    with pytest.raises(directory.KeysError, match=r"revoked here on .* fetch its newest version"):
        fleet([old.text])
    with pytest.raises(VaultError, match="there is no key nothing"):
        condemned(keys, fleet(keys), "nothing")


def test_a_revocation_prefers_the_key_that_waits(fleet):
    old, new = make(), make()
    looks = fleet([old.text, new.text])
    assert advance([old.text, new.text], looks, gone=old.kid) == ([new.text], False)


def test_keys_that_hosts_have_are_gathered(fleet):
    """One host's own key goes on signing; the others', made in error, verify until they are exchanged."""
    mine, theirs, imported = make(), make(), make()
    keys = gather([], [[mine.text], [theirs.text], [mine.text]], imported.text)
    assert keys == [mine.text, theirs.public().text, imported.text]
    assert gather(keys, [[theirs.text]], "") == keys
    assert gather([], [[], []], "") == []
    with pytest.raises(VaultError, match="is a public key"):
        gather([], [], imported.public().text)


def test_hosts_with_keys_of_their_own_come_together(fleet, clock):
    """Two hosts that each made a key: no token of either is refused on the way to one key."""
    mine, theirs = make(), make()
    fleet([mine.text], ["web1"])
    fleet([theirs.text], ["web2"])
    keys = gather([], [[mine.text], [theirs.text]], "")
    looks = fleet(keys)
    assert [look["signing"] for look in looks] == [mine.kid, theirs.kid]
    assert all({mine.kid, theirs.kid} == {key["kid"] for key in look["held"]} for look in looks)
    for _ in range(3):
        clock.now += REAL.overlap
        keys, _wanted = advance(keys, fleet(keys))
        looks = fleet(keys)
    assert uses(looks) == [{mine.kid: "signs"}] * 2


@pytest.fixture
def work(tmp_path):
    """The plugin with a vault password, or none."""

    def run(password=b"geheim", **options):
        action = object.__new__(plugin.ActionModule)
        action._loader = DataLoader()
        action._loader.set_vault_secrets([("default", VaultSecret(password))] if password else [])
        action._task = type("Task", (), {"check_mode": options.pop("dry", False), "args": options})()
        path = tmp_path / "group_vars" / "web" / "vault_jwt.yml"
        return action._work(str(path), options), path, action._loader

    return run


def test_the_file_is_encrypted_and_reads_as_an_inventorys(work):
    result, path, loader = work(dry=True, state="gathered", keys=[], hosts=[{"exported": []}], algorithm="EdDSA")
    assert (result["changed"], len(result["pems"]), path.exists()) == (True, 1, False)
    result, path, loader = work(state="gathered", keys=[], hosts=[{"exported": []}], algorithm="EdDSA")
    assert path.read_bytes().startswith(b"$ANSIBLE_VAULT;1.1;AES256\n")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = loader._vault.decrypt(path.read_bytes())
    key = Pem(result["pems"][0])
    assert (key.algorithm, key.private) == ("EdDSA", True)
    assert yaml.safe_load(text) == {"vault_app_jwt_keys": [key.text]}
    assert result["_ansible_no_log"] is True
    again, *_ = work(state="gathered", keys=[key.text], hosts=[{"exported": [key.text]}])
    assert again["changed"] is False
    assert {entry.name for entry in path.parent.iterdir()} == {"vault_jwt.yml"}


def test_a_step_of_a_rotation_makes_the_key_that_it_wants(work, fleet):
    _result, path, _loader = work(state="gathered", keys=[], hosts=[{"exported": []}], algorithm="EdDSA")
    known = _result["pems"]
    step = {"state": "advanced", "keys": known, "hosts": fleet(known), "rotate": True, "algorithm": "ES256"}
    before = path.read_bytes()
    dry, *_ = work(dry=True, **step)
    assert dry["changed"] and len(dry["pems"]) == 2 and path.read_bytes() == before
    done, path, _loader = work(**step)
    assert done["changed"] and [Pem(text).algorithm for text in done["pems"]] == ["EdDSA", "ES256"]
    assert done["_ansible_no_log"] is True and path.exists()


def test_the_vault_s_rename_is_flushed_as_its_content_is(work, monkeypatch):
    found = []
    monkeypatch.setattr(os, "sync", lambda: found.append("flushed"))
    monkeypatch.setattr(os, "rename", lambda *paths: (found.append("renamed"), os.replace(*paths)))
    _result, path, _loader = work(state="gathered", keys=[], hosts=[{"exported": []}], algorithm="EdDSA")
    assert found == ["renamed", "flushed"] and path.exists()


def test_a_dry_run_writes_nothing(work):
    result, path, _loader = work(state="gathered", keys=[], hosts=[{"exported": [make().text]}], dry=True)
    assert result["changed"]
    assert not path.exists()


def test_without_a_password_nothing_is_written(work):
    with pytest.raises(VaultError, match="add --ask-vault-pass"):
        work(password=None, state="gathered", keys=[], hosts=[{"exported": [make().text]}])


def test_keys_from_elsewhere_are_not_written_over(work):
    key = make()
    with pytest.raises(VaultError, match=r"does not come from .*vault_jwt\.yml"):
        work(state="advanced", keys=[key.text], hosts=[])
    work(state="gathered", keys=[], hosts=[{"exported": [make().text]}])
    with pytest.raises(VaultError, match=r"does not come from .*vault_jwt\.yml"):
        work(state="advanced", keys=[key.text], hosts=[])


@pytest.mark.parametrize("form", [[], ["-traditional"]])
def test_a_key_of_openssl_genrsa_is_imported(work, tmp_path, form):
    private = tmp_path / "private.pem"
    subprocess.run(["openssl", "genrsa", *form, "-out", private, "2048"], check=True, capture_output=True)
    public = subprocess.run(["openssl", "rsa", "-in", private, "-pubout"], check=True, capture_output=True).stdout
    used = make()
    options = {"state": "gathered", "keys": [], "hosts": [{"exported": [used.text]}], "import": str(private)}
    result, *_ = work(**options)
    assert [Pem(text).kid for text in result["pems"]] == [used.kid, Pem(public.decode()).kid]
    private.write_bytes(public)
    with pytest.raises(VaultError, match="is a public key"):
        work(**options)


def test_a_mistake_is_said_in_one_line(tmp_path, monkeypatch):
    action = object.__new__(plugin.ActionModule)
    monkeypatch.setattr(plugin.ActionBase, "run", lambda *arguments: None)
    monkeypatch.setattr(action, "_work", lambda *arguments: gather(["x"], [], ""), raising=False)
    action._task = type("Task", (), {"args": {"file": str(tmp_path / "vault_jwt.yml")}})()
    with pytest.raises(AnsibleActionFail, match="signing keys: is not a key in PEM"):
        action.run()


def test_an_app_without_keys_has_none_to_put_into_the_vault(tmp_path, playbook):
    """192.0.2.1 is nobody's address (RFC 5737): the play stops before it connects."""
    (tmp_path / "hosts.yml").write_text("web: {hosts: {web1: {ansible_host: 192.0.2.1}}}\n")
    done = playbook("vault_keys")
    assert "so the app has no keys; write what it signs with, example: tokens_algorithm: RS256" in done.stdout
    assert done.returncode == 2 and "unreachable" not in done.stdout and "UNREACHABLE" not in done.stdout
