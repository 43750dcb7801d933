"""Signing keys on a host: published, signing, former, gone; whatever is cut off, the next run goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible.module_utils.flask_deploy.host import files
from ansible.module_utils.flask_deploy.keys import directory, rotation
from ansible.module_utils.flask_deploy.keys.pem import Pem, PemError
from ansible.modules import tokens_keep as module
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.conftest import ROOT

sys.path.insert(0, str(ROOT / "app"))
from flask_jwt_keys.config import DEFAULTS, seconds
from flask_jwt_keys.keydir import LOOK_EVERY, KeyDirectory
from flask_jwt_keys.keys import pem_key

KINDS = {
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}
REAL = rotation.Waits(300, 10, 300)
USUAL = rotation.Waits(3600, 10, 300)  # of an app that sets nothing
START = 1_800_000_000.0


def make(kind="EdDSA"):
    text = KINDS[kind]().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return Pem(text.decode())


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is moved."""

    class Clock:
        now = START

        def __call__(self):
            return self.now

        def pass_(self, seconds):
            self.now += seconds

    clock = Clock()
    monkeypatch.setattr(time, "time", clock)
    return clock


@pytest.fixture
def keep(tmp_path, clock, owners):
    """Run the module's work once; gives its keeper."""
    folder = tmp_path / "jwt"
    folder.mkdir()

    def run(declared=(), algorithm="EdDSA", waits=REAL, dry=False, **wishes):
        ring = directory.KeyDirectory(str(folder), (os.getuid(), os.getgid()), dry, bool(wishes.get("revoke")))
        keeper = rotation.Keeper(ring, waits, algorithm, declared)
        keeper.keep(**wishes)
        return keeper

    run.folder = folder
    return run


def seen(keep):
    """Return (who signs, who verifies, who can sign) as the app itself reads the directory."""
    keys = KeyDirectory(keep.folder).current()
    return keys.signer.kid, {key.kid for key in keys.keys}, {key.kid for key in keys.keys if key.private}


def rotate(keep, **more):
    """Begin a rotation on a host that has a key; gives (old, new) ids."""
    old = keep(**more).ring.signer
    new = keep(rotate=True, **more).next()["key"]
    return old, new


@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_the_apps_own(kind):
    pem = make(kind)
    theirs = pem_key(pem.text)
    assert (pem.kid, pem.algorithm) == (theirs.kid, theirs.algorithm) == (pem.public().kid, pem.public().algorithm)
    assert pem.public().file_name == pem.file_name
    assert "PRIVATE" not in pem.public().text


def test_keys_of_the_openssl_command_are_taken(tmp_path):
    def openssl(*arguments):
        return subprocess.run(["openssl", *arguments], cwd=tmp_path, check=True, capture_output=True, text=True).stdout

    openssl("genrsa", "-out", "key.pem", "2048")
    pkcs8 = (tmp_path / "key.pem").read_text()
    pkcs1 = openssl("rsa", "-in", "key.pem", "-traditional")
    public = openssl("rsa", "-in", "key.pem", "-pubout")
    assert ("BEGIN PRIVATE KEY" in pkcs8, "BEGIN RSA PRIVATE KEY" in pkcs1) == (True, True)
    assert {Pem(text).kid for text in (pkcs8, pkcs1, public)} == {pem_key(public).kid}
    assert [Pem(text).private for text in (pkcs8, pkcs1, public)] == [True, True, False]
    encrypted = openssl("rsa", "-in", "key.pem", "-aes128", "-passout", "pass:secret")
    openssl("genrsa", "-out", "weak.pem", "1024")
    for text, said in [(encrypted, "encrypted"), ((tmp_path / "weak.pem").read_text(), "1024 bits"), ("x", "in PEM")]:
        with pytest.raises(PemError, match=said):
            Pem(text)


def test_the_arithmetic_is_that_of_the_guarantees():
    """A token of 300 s, 10 s leeway, keys cached for 300 s: 300 s and 610 s, and the time workers take to look."""
    assert directory.SETTLE > LOOK_EVERY
    assert vars(REAL) == {"publish": 300 + directory.SETTLE, "overlap": 610 + directory.SETTLE}
    theirs = {name: seconds(DEFAULTS[name.removeprefix("FLASK_")]) for name in rotation.DEFAULTS}
    assert theirs == rotation.DEFAULTS


def test_a_bare_host_gets_a_key_that_signs(keep):
    keeper = keep()
    assert seen(keep) == (keeper.ring.signer, {keeper.ring.signer}, {keeper.ring.signer})
    assert keeper.next() == {}
    assert keep().ring.actions == []


def test_a_rotation_publishes_waits_signs_waits_and_retires(keep, clock):
    old, new = rotate(keep)
    assert seen(keep) == (old, {old, new}, {old, new})
    clock.pass_(REAL.publish - 0.1)
    assert keep(rotate=True).ring.actions == []
    clock.pass_(0.1)
    keep(rotate=True)
    assert seen(keep) == (new, {old, new}, {new}), "the former key keeps its public half"
    clock.pass_(REAL.overlap - 0.1)
    assert keep(rotate=True).ring.actions == []
    clock.pass_(0.1)
    keeper = keep(rotate=True)
    assert seen(keep) == (new, {new}, {new})
    assert (keeper.wants_key, keeper.next()) == (False, {}), "a run that ends a rotation begins none"
    assert keep(rotate=True).next()["what"] == "sign"


def test_no_token_is_refused_in_a_rotation(keep, clock):
    """Minted once a second by whoever signs, verified at once and at its end by the app and by the stalest cache."""
    old, new = rotate(keep)
    life, cache = 310, 300
    published, minted = [], []
    for _ in range(int(REAL.publish + REAL.overlap) + 20):
        keep()
        signer, verifying, _ = seen(keep)
        published.append(verifying)
        minted.append((clock.now, signer))
        assert signer in published[max(0, len(published) - 1 - cache)] or len(published) <= cache
        assert {kid for at, kid in minted if at >= clock.now - life} <= verifying
        clock.pass_(1)
    assert seen(keep)[0] == new
    assert old not in published[-1]


def test_a_key_may_sign_for_a_while_before_it_is_exchanged(keep, clock):
    keep()
    clock.pass_(89 * 86400)
    assert keep(rotate=True, after=90 * 86400).next() == {}
    clock.pass_(86400)
    assert keep(rotate=True, after=90 * 86400).next()["what"] == "sign"


def test_two_rotations_at_once_are_one(keep):
    rotate(keep)
    before = seen(keep)
    assert keep(rotate=True).ring.actions == []
    assert seen(keep) == before


def test_a_key_of_another_kind_follows_without_logging_anyone_out(keep, clock):
    old = keep(algorithm="RS256").ring.signer
    new = keep(algorithm="ES256").next()["key"]
    assert seen(keep)[:2] == (old, {old, new})
    clock.pass_(REAL.publish)
    keep(algorithm="ES256")
    assert seen(keep)[:2] == (new, {old, new})
    clock.pass_(REAL.overlap)
    keep(algorithm="ES256")
    assert seen(keep) == (new, {new}, {new})


def test_a_revoked_key_goes_at_once_and_does_not_come_back(keep):
    old = keep().ring.signer
    stolen = next(keep.folder.glob("*.pem"))
    copy = stolen.read_bytes()
    new = keep(revoke="current").ring.signer
    assert new != old
    assert seen(keep) == (new, {new}, {new})
    (keep.folder / "copy.pem").write_bytes(copy)
    assert keep().ring.actions == ["copy.pem is revoked"]
    assert seen(keep) == (new, {new}, {new})
    with pytest.raises(directory.KeysError, match="older than the host"):
        keep([Pem(copy.decode())])
    assert keep(revoke=old).ring.actions == []


def test_a_revocation_takes_the_key_that_waits(keep):
    old, new = rotate(keep)
    assert keep(revoke=old).ring.signer == new
    assert seen(keep) == (new, {new}, {new})


def test_a_former_key_can_be_revoked(keep, clock):
    old, new = rotate(keep)
    clock.pass_(REAL.publish)
    keep()
    keep(revoke=old)
    assert seen(keep) == (new, {new}, {new})


def test_what_is_no_key_is_named_in_a_revocation(keep):
    kid = keep().ring.signer
    with pytest.raises(directory.KeysError, match=f"there is no key nothing; there are: {kid}"):
        keep(revoke="nothing")


def test_keys_of_the_inventory_sign_at_once_on_a_bare_host(keep):
    first, second = make(), make()
    keep([first, second])
    assert seen(keep)[:2] == (first.kid, {first.kid, second.kid})


def test_from_a_key_of_the_host_to_one_of_the_inventory(keep, clock):
    own, theirs = keep().ring.signer, make()
    keep([theirs])
    assert seen(keep)[:2] == (own, {own, theirs.kid})
    clock.pass_(REAL.publish)
    keep([theirs])
    assert seen(keep)[:2] == (theirs.kid, {own, theirs.kid})
    clock.pass_(REAL.overlap)
    keep([theirs])
    assert seen(keep) == (theirs.kid, {theirs.kid}, {theirs.kid})


def test_and_back(keep):
    theirs = make()
    keep([theirs])
    assert keep().ring.actions == []
    assert seen(keep)[0] == theirs.kid


def test_a_rotation_of_the_inventorys_keys(keep, clock):
    old, new = make(), make()
    keep([old])
    keep([old, new])
    clock.pass_(REAL.publish)
    keep([new, old.public()])
    assert seen(keep) == (new.kid, {old.kid, new.kid}, {new.kid})
    keep([new])
    assert seen(keep)[1] == {old.kid, new.kid}, "taken out of the inventory too early, it stays"
    clock.pass_(REAL.overlap)
    assert seen(keep)[1] == {old.kid, new.kid}
    keep([new])
    assert seen(keep) == (new.kid, {new.kid}, {new.kid})
    with pytest.raises(directory.KeysError, match="was retired here on 20"):
        keep([old])


def test_a_host_that_is_late_waits_before_it_signs(keep, clock):
    old, new = make(), make()
    keep([old])
    clock.pass_(10_000)
    keep([new, old.public()])
    assert seen(keep)[0] == old.kid
    clock.pass_(REAL.publish)
    keep([new, old.public()])
    assert seen(keep) == (new.kid, {old.kid, new.kid}, {new.kid})


class Killed(BaseException):
    """What a kill is to a module."""


def steps_of(keep, monkeypatch, act, cut=None):
    """Do something and count what it changes on disk; with `cut` be killed before that change."""
    done = []

    def counted(real):
        def change(*arguments, **more):
            if len(done) == cut:
                raise Killed
            done.append(arguments[0])
            return real(*arguments, **more)

        return change

    with monkeypatch.context() as patched:
        patched.setattr(files, "write", counted(files.write))
        patched.setattr(os, "unlink", counted(os.unlink))
        try:
            act()
        except Killed:
            assert cut is not None
    return len(done)


@pytest.mark.parametrize("phase", ["publish", "sign", "retire", "revoke"])
def test_whatever_is_cut_off_the_next_run_goes_on(tmp_path, keep, clock, monkeypatch, phase):
    """At each change on disk: the app starts with the directory as it is, and the next run ends where it should."""

    def prepare():
        for path in keep.folder.iterdir():
            path.unlink()
        clock.now = START
        if phase == "publish":
            return keep().ring.signer
        if phase == "revoke":
            return keep().ring.signer
        old, _new = rotate(keep)
        clock.pass_(REAL.publish)
        if phase == "retire":
            keep()
            clock.pass_(REAL.overlap)
        return old

    wish = {"publish": {"rotate": True}, "revoke": {"revoke": "current"}}.get(phase, {})
    prepare()
    count = steps_of(keep, monkeypatch, lambda: keep(**wish))
    assert count >= 2
    for cut in range(count):
        old = prepare()
        steps_of(keep, monkeypatch, lambda: keep(**wish), cut)
        _, verifying, _ = seen(keep)  # the app starts
        assert phase in ("retire", "revoke") or old in verifying
        clock.pass_(1)
        keep(**wish)
        after = seen(keep)
        if phase == "publish":
            assert (after[0], len(after[1])) == (old, 2) or old in after[1]
        elif phase == "sign":
            assert after[0] != old and old in after[1] and old not in after[2]
        else:
            assert old not in after[1] and after[0]
        assert len(after[1]) == {"publish": 2, "sign": 2}.get(phase, 1)


def test_a_lost_record_loses_no_key_and_promotes_none(keep, clock):
    old, new = rotate(keep)
    clock.pass_(REAL.publish)
    keep()
    (keep.folder / directory.RECORD).unlink()
    keep(rotate=True)
    assert seen(keep)[:2] == (new, {old, new})
    clock.pass_(REAL.overlap)
    keep()
    assert seen(keep) == (new, {new}, {new})


def test_damage_is_repaired(keep):
    keeper = keep()
    name = keeper.ring.names[keeper.ring.signer]
    (keep.folder / name).chmod(0o644)
    (keep.folder / "signing").write_text("half")
    os.chmod(keep.folder, 0o755)
    folder = {f"directory {keep.folder}"} if os.getuid() == 0 else set()
    assert set(keep().ring.actions) == {f"mode of {name}", f"{name} signs"} | folder
    assert (keep.folder / name).stat().st_mode & 0o777 == 0o400
    assert keep().ring.actions == []
    (keep.folder / directory.RECORD).write_text("{")
    keep()
    assert keep().ring.actions == []


def test_stray_files_are_left_or_named(keep):
    keeper = keep()
    (keep.folder / "notes.txt").write_text("x")
    (keep.folder / ".half.pem").write_text("x")
    assert keep().ring.actions == []
    (keep.folder / "half.pem").write_text("-----BEGIN PRIVATE KEY-----\nMIIE")
    with pytest.raises(directory.KeysError, match=r"half\.pem: is not a key in PEM; remove it"):
        keep()
    assert keep(revoke="current").ring.signer != keeper.ring.signer, "an emergency does not wait for that"
    (keep.folder / "half.pem").unlink()
    name = next(keep.folder.glob("ed*.pem"))
    (keep.folder / "twin.pem").write_bytes(name.read_bytes())
    with pytest.raises(directory.KeysError, match="again; remove one of them"):
        keep()


def test_a_stray_private_key_never_signs(keep, clock):
    own = keep().ring.signer
    stray = make()
    (keep.folder / "stray.pem").write_text(stray.text)
    keep()
    assert seen(keep)[0] == own
    clock.pass_(REAL.overlap)
    keep(rotate=True)
    assert stray.kid not in seen(keep)[1]


def test_a_clock_that_was_set_back_costs_no_more_than_the_wait(keep, clock):
    old, new = rotate(keep)
    clock.pass_(-86400 * 365)
    keep()
    clock.pass_(REAL.publish)
    assert keep().ring.signer == new
    clock.pass_(-86400 * 365)
    keep()
    clock.pass_(REAL.overlap)
    keep()
    assert seen(keep) == (new, {new}, {new}) and old != new


@pytest.mark.parametrize("wish", [{}, {"rotate": True}, {"revoke": "current"}])
def test_a_dry_run_changes_nothing(keep, clock, wish):
    for begun in (False, True):
        if begun or wish:
            keep()
        if begun:
            rotate(keep)
            clock.pass_(REAL.publish)
        before = {path.name: path.read_bytes() for path in keep.folder.iterdir()}
        keeper = keep(dry=True, **wish)
        assert keeper.ring.actions or keeper.wants_key or (begun and not wish) or not wish
        assert {path.name: path.read_bytes() for path in keep.folder.iterdir()} == before


@pytest.fixture
def app(host):
    app = host()
    for place in (app.releases, app.etc):
        os.makedirs(place)
    return app


def release(app, name, state, since, **environment):
    os.makedirs(app.path(name))
    for file, value in {"release.json": {}, "env.json": environment}.items():
        files.write_json(app.path(name, file), value)
    files.write_json(app.path(name, "state.json"), {"state": state, "since": since, "switched": since})
    if state == "live":
        files.link(app.current, f"releases/{name}")


def test_waits_are_those_of_every_release_whose_tokens_live(app, clock):
    assert vars(rotation.waits_of(app)) == vars(USUAL)
    short = {"FLASK_JWT_EXPIRATION_DELTA": "60", "FLASK_JWT_MAX_LIFETIME": "0", "FLASK_JWT_LEEWAY": "0"}
    release(app, "new", "live", START, **short)
    assert vars(rotation.waits_of(app)) == {"publish": 302, "overlap": 362}
    old = {"FLASK_JWT_EXPIRATION_DELTA": "60", "FLASK_JWT_MAX_LIFETIME": "900", "FLASK_JWT_JWKS_MAX_AGE": "20"}
    release(app, "old", "retired", START - 100, **old)
    release(app, "older", "retired", START - 9000, FLASK_JWT_EXPIRATION_DELTA="4000")
    assert vars(rotation.waits_of(app)) == {"publish": 302, "overlap": 300 + 900 + 10 + 2}
    clock.pass_(900)
    assert vars(rotation.waits_of(app)) == {"publish": 302, "overlap": 362}


@pytest.mark.parametrize(
    ("longest", "lifetime"), [(None, 3600), ("7200", 7200), ("60", 300), ("null", 3600), ("", 3600)]
)
def test_a_key_stays_as_long_as_any_token_that_the_app_may_make(app, clock, longest, lifetime):
    """`create_access_token(user, expires_delta=…)` may go beyond the tokens of a login."""
    environment = {} if longest is None else {"FLASK_JWT_MAX_LIFETIME": longest}
    release(app, "new", "live", START, **environment)
    assert vars(rotation.waits_of(app)) == vars(rotation.Waits(lifetime, 10, 300))


def options(**more):
    return {
        **{"algorithm": "EdDSA", "keys": [], "rotate": False, "rotate_after": 0, "revoke": ""},
        **more,
    }


def test_the_module_says_what_comes_next(app, clock):
    folder = f"{app.etc}/jwt"
    os.mkdir(folder)
    dry = module.keep(app, folder, options(), True)
    assert (dry["actions"][-1], dry["held"], os.listdir(folder)) == ("a new key for EdDSA", [], [])
    first = module.keep(app, folder, options(), False)
    assert first["next"] == {} and first["held"][0]["use"] == "signs"
    said = module.keep(app, folder, options(rotate=True), False)
    assert said["next"]["what"] == "sign"
    assert said["next"]["seconds"] in (302, 303)
    assert "signs at 2027-01-15 08:05:02 UTC" in said["message"][-1]
    assert said["waits"] == {"publish": 302, "overlap": 3912}
    assert json.dumps(said).count("PRIVATE") == 0
    assert module.listing(folder).count("(private)") == 2
    assert Pem(module.export(folder)[0]).kid == said["signing"]


def test_a_key_of_the_inventory_that_is_none_is_named(app, tmp_path):
    with pytest.raises(directory.KeysError, match="tokens_keys: is not a key in PEM"):
        module.keep(app, f"{app.etc}/jwt", options(keys=["x"]), False)


def test_going_back_to_an_older_release_brings_no_key_back(app, clock, keep):
    """Keys lie outside releases, and what went is written down there."""
    old, new = rotate(keep)
    clock.pass_(REAL.publish)
    keep()
    clock.pass_(REAL.overlap)
    keep()
    release(app, "old", "retired", START)
    release(app, "new", "live", START)
    assert not [path for path in Path(app.releases).rglob("*") if path.suffix == ".pem"]
    files.link(app.current, "releases/old")
    keep()
    assert seen(keep) == (new, {new}, {new}) and old != new


def test_the_oldest_key_signs_where_none_is_named(keep, clock):
    old = keep().ring.signer
    clock.pass_(10)
    keep(rotate=True)
    (keep.folder / "signing").unlink()
    assert directory.KeyDirectory(str(keep.folder)).signer == old
    record = json.loads((keep.folder / directory.RECORD).read_text())
    record["published"] = {kid: START - (kid != old) for kid in record["published"]}
    (keep.folder / directory.RECORD).chmod(0o600)
    (keep.folder / directory.RECORD).write_text(json.dumps(record))
    assert directory.KeyDirectory(str(keep.folder)).signer != old


def test_a_key_that_is_to_go_does_not_sign_in_place_of_another(keep):
    old, new = rotate(keep)
    (keep.folder / "signing").unlink()
    record = json.loads((keep.folder / directory.RECORD).read_text())
    (keep.folder / directory.RECORD).chmod(0o600)
    (keep.folder / directory.RECORD).write_text(json.dumps({**record, "gone": {old: [START, "revoked"]}}))
    assert directory.KeyDirectory(str(keep.folder)).signer == new


def test_a_signer_is_no_former_key_whatever_was_written_down(keep):
    signer = keep().ring.signer
    record = json.loads((keep.folder / directory.RECORD).read_text())
    (keep.folder / directory.RECORD).chmod(0o600)
    (keep.folder / directory.RECORD).write_text(json.dumps({**record, "former": {signer: START}}))
    ring = directory.KeyDirectory(str(keep.folder))
    assert (ring.signer, ring.former) == (signer, {})


def test_each_file_that_is_no_key_is_named(keep):
    for name in ("a.pem", "b.pem"):
        (keep.folder / name).write_bytes(b"\xff no key")
    with pytest.raises(directory.KeysError) as said:
        directory.KeyDirectory(str(keep.folder))
    assert [line.split(": ")[0] for line in str(said.value).splitlines()] == [
        f"{keep.folder}/a.pem",
        f"{keep.folder}/b.pem",
    ]
    assert all(line.endswith("; remove it") for line in str(said.value).splitlines())


def test_each_step_is_told_by_the_name_of_its_file(keep, clock):
    keep()
    ring = keep(rotate=True).ring
    new = next(kid for kid in ring.published if kid != ring.signer)
    assert ring.actions == [f"{ring.names[new]} is published"]
    clock.pass_(REAL.publish)
    assert keep(rotate=True).ring.actions == [f"{ring.names[new]} signs"]


def test_a_key_that_only_verifies_again_is_written_down_as_former(tmp_path, clock, owners):
    ring = directory.KeyDirectory(str(tmp_path), (os.getuid(), os.getgid()))
    first, second = make(), make()
    ring.publish(first)
    ring.sign(first.kid)
    ring.publish(second)
    ring.actions.clear()
    ring.publish(second.public())
    assert ring.actions == [f"{second.file_name} verifies only"]
    again = directory.KeyDirectory(str(tmp_path))
    assert (again.former, again.keys[second.kid].private) == ({second.kid: START}, False)
    again.publish(second)
    assert directory.KeyDirectory(str(tmp_path)).former == {}


def test_the_directory_of_keys_is_closed_to_all_but_the_app(tmp_path, owners):
    folder = tmp_path / "jwt"
    ring = directory.KeyDirectory(str(folder), (os.getuid(), os.getgid()))
    ring.tidy()
    assert ring.actions == [f"directory {folder}"]
    if os.getuid() == 0:
        assert folder.stat().st_mode & 0o777 == 0o500
