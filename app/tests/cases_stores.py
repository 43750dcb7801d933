"""Cases of sessions: what a store is told, and what clients ask, in any order.

A few lines of Python beside each store say what must be true. Each case uses names of its own, so
that a store grows as it does in life.
"""

from __future__ import annotations

from itertools import count

from flask import Flask
from hypothesis import strategies as st
from verdicts import agree, modest

from flask_jwt_keys import JWT, jwt_required
from flask_jwt_keys.testing import a_session

_numbers = count()
_sessions = st.integers(0, 2)
_steps = (
    st.tuples(st.sampled_from(["add", "end", "find"]), _sessions)
    | st.tuples(st.just("replace"), _sessions, st.integers(-1, 2))
    | st.tuples(st.just("revoke"), _sessions, st.integers(0, 3))
    | st.tuples(st.just("end_all"), st.integers(0, 1))
)
store_steps = st.lists(_steps, max_size=10)


class Model:
    """What a store must know: sessions that live, and what has ended."""

    def __init__(self, store):
        self.store, self.case = store, next(_numbers)
        self.live, self.ended = {}, set()

    def session(self, which, version):
        """Even ones have access tokens that name them, odd ones do not."""
        sid = f"{self.case}-{which}"
        jti = f"{sid}-{version}"
        return a_session(
            sid,
            subject=f"{self.case}-{which % 2}",
            tokens=((f"{sid}-{version - 1}", 2**32), (jti, 2**32)),
            nameless=jti if which % 2 else None,
            version=version,
        )

    def finish(self, sid):
        if session := self.live.pop(sid, None):
            self.ended |= {sid, *(jti for jti, _ in session.tokens)}

    def add(self, which):
        session = self.session(which, 1)
        if session.id not in self.live and session.id not in self.ended:
            self.store.add(session)
            self.live[session.id] = session

    def replace(self, which, step):
        sid = f"{self.case}-{which}"
        before = self.live.get(sid)
        after = self.session(which, (before.version if before else 0) + step)
        done = before is not None and step == 1
        assert self.store.replace(after) == done
        if done:
            self.live[sid] = after

    def end(self, which):
        self.store.end(f"{self.case}-{which}")
        self.finish(f"{self.case}-{which}")

    def end_all(self, which):
        subject = f"{self.case}-{which}"
        sids = [sid for sid, session in self.live.items() if session.subject == subject]
        assert self.store.end_all(subject) == len(sids)
        for sid in sids:
            self.finish(sid)

    def revoke(self, which, version):
        """By the newest access token of a session, or by one that no session knows."""
        sid = f"{self.case}-{which}"
        session = self.live.get(sid)
        jti = session.tokens[-1][0] if session else f"{sid}-unknown-{version}"
        self.store.revoke(jti, 2**32, None if which % 2 else sid)
        self.ended |= {jti} if which % 2 else {jti, sid}
        self.finish(sid)

    def find(self, which):
        sid = f"{self.case}-{which}"
        found, jti = self.store.find(sid), f"{sid}-1"
        assert found == self.live.get(sid)
        assert self.store.ended(sid) == (sid in self.ended)
        assert self.store.ended("x", jti) == (jti in self.ended)


def a_store_knows_what_it_was_told(world, steps):
    model = Model(world.store)
    for name, *arguments in steps:
        getattr(model, name)(*arguments)
    for which in range(3):
        model.find(which)


# What clients ask

_asks = st.tuples(
    st.sampled_from(["login", "refresh", "refresh", "protected", "logout", "end"]),
    st.integers(0, 2),
    st.integers(0, 4),
)
client_steps = st.lists(_asks, max_size=12)


class Client:
    """Requests of a few devices to an app, and what their answers must be."""

    def __init__(self, http):
        self.http = http
        self.sessions = []  # of each: whether it lives, its refresh tokens, its access tokens

    def ask(self, what, which, how_old):
        if what == "login" or not self.sessions:
            self._login()
            return
        session = self.sessions[which % len(self.sessions)]
        getattr(self, f"_{what}")(session, how_old)

    def _login(self):
        answer = self.http.post("/auth", json={"username": "joe", "password": "pass"})
        assert modest(answer) == 200
        tokens = answer.json
        self.sessions.append([True, [tokens["refresh_token"]], [tokens["access_token"]]])

    def _refresh(self, session, how_old):
        """The newest refresh token counts, and the one before it: its answer may be lost."""
        known = session[1]
        shown = known[-1 - how_old % len(known)]
        answer = self.http.post("/auth/refresh", json={"refresh_token": shown})
        counts = session[0] and shown in known[-2:]
        agree(modest(answer) == 200, counts)
        session[0] = counts
        if counts:
            session[2].append(answer.json["access_token"])
            if shown == known[-1]:
                known.append(answer.json["refresh_token"])
            assert answer.json["refresh_token"] == known[-1]

    def _protected(self, session, how_old):
        token = session[2][-1 - how_old % len(session[2])]
        agree(self._call("GET", "/protected", token) == 200, session[0])

    def _logout(self, session, how_old):
        token = session[2][-1 - how_old % len(session[2])]
        agree(self._call("POST", "/auth/logout", token) == 204, session[0])
        session[0] = False

    def _end(self, session, how_old):
        """By a refresh token, however old: whoever shows it has it."""
        shown = session[1][-1 - how_old % len(session[1])]
        answer = self.http.post("/auth/logout", json={"refresh_token": shown})
        assert modest(answer) == 204
        session[0] = False

    def _call(self, method, url, token):
        headers = {"Authorization": f"JWT {token}"}
        return modest(self.http.open(url, method=method, headers=headers))


class World:
    """A store, and an app whose refresh tokens may be repeated for as long as a machine is slow."""

    def __init__(self, store):
        self.store = store
        app = Flask("tested")
        app.config |= {"SECRET_KEY": "s" * 32, "JWT_REFRESH_GRACE": 3600}
        JWT(app, lambda name, password: {"id": 1}, lambda claims: {"id": claims["identity"]}, store)
        app.add_url_rule("/protected", view_func=jwt_required()(lambda: "hello"))
        self.http = app.test_client()


def clients_are_answered_by_what_they_hold(world, steps):
    client = Client(world.http)
    for step in steps:
        client.ask(*step)
    for session in client.sessions:
        client._protected(session, 0)


PROPERTIES = {
    a_store_knows_what_it_was_told: store_steps,
    clients_are_answered_by_what_they_hold: client_steps,
}
