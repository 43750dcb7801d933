"""A user id names one app on its host: whoever else has it is told, with the line to write."""

from __future__ import annotations

import pwd

import pytest
from ansible.module_utils.flask_deploy.host import account


@pytest.fixture
def has(monkeypatch):
    """Return a function that gives user ids of this host to somebody: {id: (name, comment)}."""

    def give(users):
        known = {uid: pwd.struct_passwd((name, "x", uid, uid, said, "/", "/")) for uid, (name, said) in users.items()}
        monkeypatch.setattr(account, "entry", known.get)

    return give


def test_nobody_s_id_and_an_app_s_own_are_free(has):
    has({10001: (account.name(10001), account.OF_APP.format("shop"))})
    assert account.taken("shop", 10001) is None and account.taken("blog", 10002) is None
    assert account.ensure("shop", 10001) == []


@pytest.mark.parametrize(
    ("name", "comment", "whose"),
    [("ada", "Ada L", "user ada"), (account.name(10001), "app shop of flask-deploy", "app shop of flask-deploy")],
)
def test_somebody_else_s_is_refused_with_the_next_that_is_free(has, name, comment, whose):
    has({10001: (name, comment), 10002: ("bob", "")})
    said = account.taken("blog", 10001)
    assert said.startswith(f"app_uid: 10001 belongs to {whose} on this host") and said.endswith("write app_uid: 10003")
    with pytest.raises(account.AccountError, match="write app_uid: 10003"):
        account.ensure("blog", 10001)


def test_a_dry_run_makes_none(has):
    has({})
    assert account.ensure("shop", 10001, dry=True) == [f"user {account.name(10001)}"]


def test_a_host_s_own_user_is_found():
    assert "belongs to user root" in account.taken("shop", 0)
