"""What an app keeps to itself lies outside of releases, and goes when it is no longer wanted."""

from __future__ import annotations

import base64
import os

import pytest
from ansible.module_utils.flask_deploy.host import files
from ansible.module_utils.flask_deploy.release import places, secrets, writing

from tests.deploys import MARK, prepare, snapshot


def test_secrets_lie_outside_releases_and_nowhere_else(app, engine, tmp_path):
    prepare(app)
    holding = [path for path, content in snapshot(tmp_path) if MARK.encode() in content]
    assert holding == [f"{app.etc}/secrets/env.json"]
    assert MARK not in "\n".join(engine.calls())
    info = files.os.lstat(holding[0])
    assert (info.st_mode & 0o777, info.st_uid) == (0o400, 10001)


def test_a_secret_that_is_no_longer_wanted_goes(app):
    prepare(app)
    prepare(app, secret_files={})
    assert os.listdir(f"{app.etc}/secrets") == ["env.json"]


def test_a_secret_s_digest_key_stays_on_the_host_and_private(app):
    writing.ensure_places(app)
    key = secrets.digest_key(app)
    assert key == secrets.digest_key(app) and len(key) == 32
    assert files.os.lstat(f"{app.etc}/release.key").st_mode & 0o777 == 0o400


@pytest.mark.parametrize("left", [b"", b"\0", b"k" * 31], ids=len)
def test_a_key_that_is_empty_or_cut_short_is_made_anew(app, left):
    """With a key that others know, a digest tells them whether a secret is what they guess."""
    writing.ensure_places(app)
    files.write(f"{app.etc}/release.key", left, 0o400)
    assert len(secrets.digest_key(app, dry=True)) == 32 and files.read(f"{app.etc}/release.key") == left
    key = secrets.digest_key(app)
    assert len(key) == 32 and key == secrets.digest_key(app) != left


def test_a_key_from_another_host_that_is_cut_short_is_not_taken(app):
    writing.ensure_places(app)
    key = secrets.digest_key(app)
    for short in (b"", b"short"):
        with pytest.raises(places.ReleaseError, match=r"release\.key.* is cut short"):
            secrets.ensure_digest_key(app, base64.b64encode(short).decode())
    assert secrets.digest_key(app) == key and secrets.ensure_digest_key(app, None) == []


def test_nothing_is_digested_without_a_key():
    with pytest.raises(ValueError, match="key"):
        files.keyed_digest(b"", "secret")
