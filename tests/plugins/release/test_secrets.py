"""What an app keeps to itself lies outside of releases, and goes when it is no longer wanted."""

from __future__ import annotations

import os

from ansible.module_utils.flask_deploy.host import files
from ansible.module_utils.flask_deploy.release import secrets, writing

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
