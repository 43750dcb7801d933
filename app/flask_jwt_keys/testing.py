"""For tests: requests with a token but without a login, and what a session store must do."""

from __future__ import annotations

import threading
import time
from typing import Any

from flask import Flask

from .api import create_access_token
from .handlers import schemes
from .store import NAME, Session, Store


def auth_headers(app: Flask, identity: Any, **asked: Any) -> dict[str, str]:
    """Headers of a request by a user: ``client.get("/", headers=auth_headers(app, user))``.

    :param identity: the user, as the payload handler takes it
    :param asked: what :func:`create_access_token` takes beside, such as ``additional_claims``
    """
    with app.test_request_context():
        return {"Authorization": f"{schemes()[0].title()} {create_access_token(identity, **asked)}"}


def a_session(sid: str = "s1", **changes: Any) -> Session:
    """A session that lasts an hour, of user 1, in its first version."""
    now = int(time.time())
    values: dict[str, Any] = {"subject": "1", "claims": {"identity": 1}, "current": b"a"}
    values |= {"until": now + 3600, "access_until": now + 300, "version": 1}
    values["tokens"] = ((f"j-{sid}", now + 300),)
    return Session(sid, **{**values, **changes})


class StoreContract:
    """What each store must do, as tests for pytest.

    Subclass it in your tests, and give a fixture ``store``: an empty store, new for each test.
    Let :meth:`another` give a second one for the same sessions, as another worker has it::

        class TestMine(StoreContract):
            @pytest.fixture
            def store(self):
                return MyStore(...)

            def another(self, store):
                return MyStore(...)
    """

    def another(self, store: Any) -> Store:
        """A second store for the same sessions."""
        raise NotImplementedError

    def test_what_is_added_is_found(self, store: Store) -> None:
        """Also texts that UTF-8 cannot hold, as JSON allows."""
        odd = a_session(
            claims={"identity": "ü\ud800", "n": 1},
            nameless="j\ud800",
            previous=b"\x00p",
            seed=b"\xff",
        )
        store.add(odd)
        assert store.find("s1") == odd
        assert store.find("s2") is None and store.find("") is None and store.find("é\x00") is None

    def test_a_session_that_is_over_is_not_found(self, store: Store) -> None:
        """By the app's clock."""
        store.add(a_session(until=int(time.time()) - 1))
        assert store.find("s1") is None

    def test_a_version_is_replaced_once(self, store: Store) -> None:
        """And only by the next one."""
        store.add(a_session())
        assert store.replace(a_session(version=2, current=b"b"))
        assert not store.replace(a_session(version=2, current=b"c"))
        assert not store.replace(a_session(version=4, current=b"c"))
        found = store.find("s1")
        assert found and found.current == b"b" and found.version == 2
        assert not store.replace(a_session("s2", version=2))
        assert not store.replace(a_session("s2", version=1)), "an unknown session is not made so"

    def test_ending_reaches_the_session_and_no_other(self, store: Store) -> None:
        """Its access tokens too."""
        store.add(a_session("s1"))
        store.add(a_session("s2"))
        store.end("s1")
        assert store.ended("s1") and store.ended("j-s1") and store.ended("x", "s1")
        assert not store.ended("s2", "j-s2") and not store.ended()
        assert store.find("s1") is None and store.find("s2")
        assert not store.replace(a_session("s1", version=2))
        store.end("unknown")

    def test_all_sessions_of_a_user_end(self, store: Store) -> None:
        """And those of nobody else."""
        for sid, subject in (("s1", "1"), ("s2", "1"), ("s3", '"1"'), ("s4", '"\\ud800"')):
            store.add(a_session(sid, subject=subject))
        assert store.replace(a_session("s2", version=2))
        store.end("s1")
        assert store.end_all("1") == 1
        assert store.end_all("1") == 0 and store.end_all("2") == 0
        assert store.ended("s2") and store.ended("j-s2") and store.find("s2") is None
        assert not store.ended("s3", "s4") and store.find("s3")
        assert store.end_all('"\\ud800"') == 1

    def test_all_sessions_of_a_user_end_in_one_app(self, store: Store) -> None:
        """Those of other apps stay; those that have no name end, too."""
        for sid, claims in (("s1", {NAME: "ü"}), ("s2", {NAME: "b"}), ("s3", {})):
            store.add(a_session(sid, claims={"identity": 1, **claims}))
        assert store.replace(a_session("s3", claims={NAME: "c"}, version=2))
        store.add(a_session("s4"))
        assert store.end_all("1", ["ü", "x"]) == 2
        assert store.ended("s1") and store.ended("s4") and not store.ended("s2", "s3")
        assert store.end_all("1", ["c"]) == 1 and store.end_all("1") == 1

    def test_revoking_an_access_token_ends_its_session(self, store: Store) -> None:
        """The one that it names, or that knows it."""
        until = int(time.time()) + 300
        store.add(a_session("s1"))
        store.add(a_session("s2", nameless="own\ud800"))
        store.add(a_session("s3", nameless="old"))
        assert store.replace(a_session("s3", nameless="new", version=2))
        store.revoke("t1", until, "s1")
        store.revoke("own\ud800", until, None)
        store.revoke("old", until, None)
        assert store.ended("t1") and store.ended("own\ud800") and store.ended("old")
        assert store.ended("s1") and store.ended("s2")
        assert store.find("s1") is None and store.find("s2") is None and store.find("s3")
        store.revoke("new", until, None)
        assert store.find("s3") is None

    def test_tokens_that_outlive_their_session_end_with_the_user(self, store: Store) -> None:
        """A session is known as long as one of its access tokens may count."""
        now = int(time.time())
        over = {"until": now - 90 * 24 * 3600, "access_until": now + 300}
        for number in range(5):
            store.add(a_session(f"s{number}", **over))
        store.add(a_session("s5"))
        store.end("unknown")
        assert store.find("s0") is None and not store.ended("s0", "j-s0")
        assert store.end_all("1") == 6
        assert all(store.ended(f"s{number}") for number in range(6)) and store.ended("j-s0")

    def test_an_access_token_ends_a_session_that_is_forgotten(self, store: Store) -> None:
        """For its other access tokens; and no ban gets shorter."""
        until = int(time.time()) + 300
        store.revoke("t1", until, "s1")
        assert store.ended("s1") and store.ended("t1")
        store.revoke("t1", 1, "s1")
        store.add(a_session("other"))
        store.end("other")
        assert store.ended("s1") and store.ended("t1")

    def test_a_session_without_names_is_not_refreshed_after_a_logout(self, store: Store) -> None:
        """By an older access token too, where an app's own tokens do not carry ``sid``."""
        until = int(time.time()) + 300
        store.add(a_session(nameless="old", tokens=(("old", until),)))
        both = (("old", until), ("new", until))
        assert store.replace(a_session(nameless="new", tokens=both, version=2))
        store.revoke("old", until, None)
        assert store.find("s1") is None

    def test_other_workers_see_it_at_once(self, store: Store) -> None:
        """What is written, and what has ended."""
        other = self.another(store)
        store.add(a_session())
        assert other.find("s1") == store.find("s1")
        assert other.replace(a_session(version=2)) and not store.replace(a_session(version=2))
        other.end("s1")
        assert store.ended("s1", "x") and store.find("s1") is None

    def test_many_threads_replace_a_version_once(self, store: Store) -> None:
        """As many requests may come with one refresh token."""
        store.add(a_session())
        won: list[int] = []

        def change(number: int) -> None:
            if store.replace(a_session(version=2, current=bytes([number]))):
                won.append(number)

        threads = [threading.Thread(target=change, args=(number,)) for number in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1

    def test_it_can_be_checked(self, store: Store) -> None:
        """As health routes do."""
        store.check()
