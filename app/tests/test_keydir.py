"""The key directory: what is taken at the start, what happens when it changes."""

from __future__ import annotations

import errno
import json
import os
import time
from datetime import timedelta

import jwt
import pytest

from flask_jwt_keys import ConfigError, UnavailableError, create_access_token
from flask_jwt_keys import keydir as module
from flask_jwt_keys.config import DEFAULTS, seconds
from flask_jwt_keys.keydir import KeyDirectory


@pytest.fixture
def place(tmp_path):
    """Write files into the key directory, each in one step as a deploy does."""

    def write(**files):
        for name, text in files.items():
            target = tmp_path / name.replace("_", ".")
            new = target.with_name(".new")
            new.write_text(text)
            new.rename(target)
        return tmp_path

    return write


@pytest.fixture
def at_once(monkeypatch):
    """Look at each use, so that no test has to wait for the next look."""
    monkeypatch.setattr(module, "LOOK_EVERY", 0)


def kids(directory):
    return {key.kid for key in directory.current().keys}


def kid(signer):
    return module.pem_key(signer.public_pem).kid


def test_the_only_private_key_signs(place, signers):
    directory = KeyDirectory(place(a_pem=signers["RS256"].pem, b_pem=signers["ES256"].public_pem))
    assert directory.current().signer.algorithm == "RS256"
    assert kids(directory) == {kid(signers["RS256"]), kid(signers["ES256"])}


@pytest.mark.parametrize("named", ["b.pem", "b.pem\n"])
def test_the_file_signing_names_the_signer(place, signers, named):
    files = {"a_pem": signers["RS256"].pem, "b_pem": signers["ES256"].pem, "signing": named}
    assert KeyDirectory(place(**files)).current().signer.algorithm == "ES256"


def test_other_files_are_no_keys(place, signers):
    path = place(a_pem=signers["RS256"].pem, README="x", c_json="{}", a_pem_bak="x")
    (path / ".hidden.pem").write_text("x")
    assert len(KeyDirectory(path).current().keys) == 1


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (lambda s: {}, "no usable key"),
        (lambda s: {"a_pem": "x"}, "a.pem: not a PEM key"),
        (lambda s: {"a_pem": s["RS256"].pem, "b_pem": s["ES256"].pem}, "several private keys"),
        (lambda s: {"a_pem": s["RS256"].pem, "b_pem": s["RS256"].public_pem}, "the same key"),
        (lambda s: {"a_pem": s["RS256"].pem, "signing": "b.pem"}, "'signing' names 'b.pem'"),
        (lambda s: {"a_pem": s["RS256"].pem, "signing": ""}, "'signing' names ''"),
        (
            lambda s: {
                "a_pem": s["RS256"].pem,
                "b_pem": s["ES256"].public_pem,
                "signing": "b.pem",
            },
            "'signing' names 'b.pem'",
        ),
    ],
)
def test_every_fault_is_fatal_at_the_start(place, signers, files, reason):
    with pytest.raises(ConfigError, match=reason):
        KeyDirectory(place(**files(signers)))


def test_all_faults_are_named(place, signers):
    with pytest.raises(ConfigError, match=r"a\.pem: .*; b\.pem: "):
        KeyDirectory(place(a_pem="x", b_pem="y", c_pem=signers["ES256"].pem))


def test_the_algorithm_asked_for_must_be_the_signers(place, signers):
    with pytest.raises(ConfigError, match="for ES256, not RS256"):
        KeyDirectory(place(a_pem=signers["ES256"].pem), "RS256")


def test_a_new_key_is_seen_within_a_second(place, signers):
    directory = KeyDirectory(place(a_pem=signers["RS256"].pem))
    place(b_pem=signers["ES256"].public_pem)
    deadline = time.monotonic() + 1.5
    while kid(signers["ES256"]) not in kids(directory) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert kid(signers["ES256"]) in kids(directory)


def test_nothing_is_read_between_looks(place, signers, monkeypatch):
    monkeypatch.setattr(module, "LOOK_EVERY", 3600)
    directory = KeyDirectory(place(a_pem=signers["RS256"].pem))
    keys = directory.current()
    place(b_pem=signers["ES256"].public_pem)
    assert directory.current() is keys


def test_unchanged_files_are_not_parsed_again(place, signers, at_once):
    directory = KeyDirectory(place(a_pem=signers["RS256"].pem))
    key = directory.current().signer
    place(b_pem=signers["ES256"].public_pem)
    assert directory.current().signer is key


def test_a_removed_key_is_gone_even_if_another_file_is_faulty(place, signers, at_once):
    path = place(a_pem=signers["RS256"].pem, b_pem=signers["ES256"].public_pem)
    directory = KeyDirectory(path)
    (path / "b.pem").unlink()
    place(c_pem="broken")
    assert kids(directory) == {kid(signers["RS256"])}
    assert [problem.split(":")[0] for problem in directory.problems] == ["c.pem"]


def test_swapped_links_are_noticed(place, tmp_path, signers, at_once):
    targets = tmp_path / "versions"
    targets.mkdir()
    for name in ("RS256", "ES256"):
        (targets / name).write_text(signers[name].pem)
    path = tmp_path / "keys"
    path.mkdir()
    (path / "a.pem").symlink_to(targets / "RS256")
    directory = KeyDirectory(path)
    (path / ".next").symlink_to(targets / "ES256")
    (path / ".next").rename(path / "a.pem")
    assert directory.current().signer.algorithm == "ES256"


def test_a_swapped_directory_link_is_noticed(tmp_path, signers, at_once):
    for name in ("RS256", "ES256"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.pem").write_text(signers[name].pem)
    (tmp_path / "keys").symlink_to(tmp_path / "RS256")
    directory = KeyDirectory(tmp_path / "keys")
    (tmp_path / "next").symlink_to(tmp_path / "ES256")
    (tmp_path / "next").rename(tmp_path / "keys")
    assert directory.current().signer.algorithm == "ES256"


def test_content_of_the_same_size_in_place_is_noticed(tmp_path, new_signer, at_once):
    path = tmp_path / "a.pem"
    first, second = new_signer("EdDSA"), new_signer("EdDSA")
    path.write_text(first.pem)
    directory = KeyDirectory(tmp_path)
    times = path.stat()
    path.write_text(second.pem)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert kids(directory) == {kid(second)}


@pytest.mark.parametrize("target", ["c.pem", "file/c.pem", "x" * 300])
@pytest.mark.parametrize("name", ["c.pem", "signing"])
def test_a_link_that_leads_nowhere_costs_no_other_key(place, signers, at_once, name, target):
    """A link to itself, one through a file, one to a name that no file can have."""
    path = place(a_pem=signers["RS256"].pem, b_pem=signers["ES256"].public_pem, file="")
    directory = KeyDirectory(path)
    (path / name).symlink_to(target.replace("c.pem", name))
    assert kids(directory) == {kid(signers["RS256"]), kid(signers["ES256"])}
    assert directory.current().signer.algorithm == "RS256"
    assert [problem.split(":")[0] for problem in directory.problems] == [name]
    with pytest.raises(ConfigError, match=name):
        KeyDirectory(path)
    (path / name).unlink()
    assert (len(kids(directory)), directory.problems) == (2, [])


def test_the_former_signer_goes_on_while_signing_is_faulty(place, signers, at_once):
    directory = KeyDirectory(place(a_pem=signers["RS256"].pem))
    place(b_pem=signers["ES256"].pem)
    assert directory.current().signer.algorithm == "RS256"
    assert directory.problems == ["several private keys (a.pem, b.pem) and no file 'signing'"]
    place(signing="b.pem")
    assert directory.current().signer.algorithm == "ES256"
    assert directory.problems == []
    place(signing="c.pem")
    assert directory.current().signer.algorithm == "ES256"
    place(b_pem=signers["ES256"].public_pem)
    assert directory.current().signer is None


def test_a_directory_that_is_gone_has_no_keys_and_says_so(place, tmp_path, signers, at_once):
    path = tmp_path / "keys"
    path.mkdir()
    (path / "a.pem").write_text(signers["RS256"].pem)
    directory = KeyDirectory(path)
    path.rename(tmp_path / "away")
    assert kids(directory) == set()
    assert directory.current().signer is None
    assert "cannot be read" in directory.problems[0]
    (tmp_path / "away").rename(path)
    assert kids(directory) == {kid(signers["RS256"])}
    assert directory.problems == []


@pytest.mark.parametrize("method", ["iterdir", "read_bytes", "stat"])
def test_a_process_without_a_free_file_keeps_its_keys(place, signers, at_once, monkeypatch, method):
    directory = KeyDirectory(place(a_pem=signers["RS256"].pem))
    place(b_pem=signers["ES256"].public_pem)  # so there is something to read

    def none_left(_path, **_options):
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(module.Path, method, none_left)
        assert kids(directory) == {kid(signers["RS256"])}
        assert directory.problems == ["the directory cannot be read (Too many open files)"]
    assert kids(directory) == {kid(signers["RS256"]), kid(signers["ES256"])}


@pytest.mark.parametrize("ailing", ["no text", "a directory"])
def test_a_removed_key_is_gone_whatever_ails_the_file_signing(place, signers, at_once, ailing):
    path = place(a_pem=signers["RS256"].pem, b_pem=signers["ES256"].public_pem)
    directory = KeyDirectory(path)
    (path / "b.pem").unlink()
    if ailing == "no text":
        (path / "signing").write_bytes(b"\xff\xfe")
    else:
        (path / "signing").mkdir()
    assert kids(directory) == {kid(signers["RS256"])}
    assert len(directory.problems) == 1 and "signing" in directory.problems[0]


def test_keys_that_are_exchanged_while_they_are_read_are_read_again_first(
    place, signers, at_once, monkeypatch
):
    """What was read in the middle signs for nobody, not even for the moment until the next read."""
    path = place(a_pem=signers["RS256"].pem)
    directory, read, seen_by_others = KeyDirectory(path), module.Path.read_bytes, []
    place(c_pem=signers["EdDSA"].public_pem)

    def exchange(file):
        if (path / "a.pem").exists():
            place(b_pem=signers["ES256"].pem, signing="b.pem")
            (path / "a.pem").unlink()
        return read(file)

    fingerprint = directory._fingerprint

    def noted():
        seen_by_others.append(published(directory).signer.algorithm)
        return fingerprint()

    monkeypatch.setattr(module.Path, "read_bytes", exchange)
    monkeypatch.setattr(directory, "_fingerprint", noted)
    assert directory.current().signer.algorithm == "ES256"
    assert set(seen_by_others) == {"RS256"}


def published(directory):
    """Return the keys that another thread is given meanwhile."""
    directory._next_look = time.monotonic() + 3600
    keys = directory.current()
    directory._next_look = 0
    return keys


def test_a_removed_key_is_refused_and_the_next_one_signs(keyed, call, signers, tmp_path, at_once):
    app = keyed(signers["RS256"])
    client = app.test_client()
    token = call.login(client).json["access_token"]
    (tmp_path / "keys" / "b.pem").write_text(signers["ES256"].pem)
    (tmp_path / "keys" / "signing").write_text("b.pem")
    assert call.protected(client, token).status_code == 200
    (tmp_path / "keys" / "a.pem").unlink()
    assert call.protected(client, token).status_code == 401
    fresh = call.login(client).json["access_token"]
    assert jwt.get_unverified_header(fresh)["alg"] == "ES256"
    assert call.protected(client, fresh).status_code == 200


def test_while_no_key_signs_logins_and_refreshes_are_503(keyed, call, signers, tmp_path, at_once):
    app = keyed(signers["RS256"], JWT_STORE_PATH=tmp_path / "s.sqlite3")
    client = app.test_client()
    body = {"refresh_token": call.login(client).json["refresh_token"]}
    (tmp_path / "keys").rename(tmp_path / "away")
    for answer in (call.login(client), client.post("/auth/refresh", json=body)):
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
    with app.app_context(), pytest.raises(UnavailableError):
        create_access_token(1)
    (tmp_path / "away").rename(tmp_path / "keys")
    assert client.post("/auth/refresh", json=body).status_code == 200


def test_an_exchange_loses_no_token(keyed, call, signers, tmp_path, at_once):
    """Publish, wait, sign, wait, retire: at each step every token still alive is accepted."""
    max_age = DEFAULTS["JWT_JWKS_MAX_AGE"]
    lifetime = seconds(DEFAULTS["JWT_MAX_LIFETIME"])
    leeway = seconds(DEFAULTS["JWT_LEEWAY"])
    old, new = signers["RS256"], signers["ES256"]
    client = keyed(old).test_client()
    keys = tmp_path / "keys"

    def published():
        return {jwk["kid"] for jwk in client.get("/.well-known/jwks.json").json["keys"]}

    (keys / "signing").write_text("a.pem")
    (keys / "b.pem").write_text(new.pem)
    assert published() == {kid(old), kid(new)}
    assert client.get("/.well-known/jwks.json").cache_control.max_age == max_age
    (keys / "signing").write_text("b.pem")  # after max_age: every cache has the new key
    last = int(time.time())
    oldest = old.token({"kid": kid(old)}, exp=last - int(leeway) + 1, iat=last - int(lifetime))
    assert call.protected(client, oldest).status_code == 200  # the last moment of its life
    assert max_age + lifetime + leeway == 3910  # so long the old key stays after the exchange
    (keys / "a.pem").unlink()
    assert published() == {kid(new)}
    assert call.protected(client, oldest).status_code == 401
    assert call.protected(client, call.login(client).json["access_token"]).status_code == 200


def test_the_key_set_is_cacheable_and_conditional(keyed, signer, algorithm):
    client = keyed(signer).test_client()
    if algorithm == "HS256":
        assert client.get("/.well-known/jwks.json").status_code == 404
        return
    answer = client.get("/.well-known/jwks.json")
    assert str(answer.cache_control) == "public, max-age=300"
    assert list(json.loads(answer.text)) == ["keys"]
    headers = {"If-None-Match": answer.headers["ETag"]}
    assert client.get("/.well-known/jwks.json", headers=headers).status_code == 304


@pytest.mark.parametrize("max_age", [105, 105.5, timedelta(seconds=105)])
def test_the_key_set_says_how_long_it_is_kept(keyed, signers, max_age):
    client = keyed(signers["EdDSA"], JWT_JWKS_MAX_AGE=max_age).test_client()
    assert client.get("/.well-known/jwks.json").cache_control.max_age == 105
