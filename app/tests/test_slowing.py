"""Guessing the passwords of one account gets slower, whoever guesses, and people notice nothing."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from flask_app import create_app, slowing
from flask_app.slowing import Slowing, TooManyTries
from flask_jwt_keys.passwords import hash_password


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def slow(clock):
    return Slowing(clock)


class Looked(Exception):
    pass


def wait(slow, account="ann"):
    """How long the account has to wait, by what the client is told; errors count not."""

    def fail():
        raise Looked

    try:
        slow.look(account, fail)
    except Looked:
        return 0
    except TooManyTries as error:
        assert error.status_code == 429
        return int(error.headers["Retry-After"])


def wrong(slow, times, account="ann"):
    for _ in range(times):
        slow._clock.now += wait(slow, account)
        slow.look(account, lambda: None)


def test_people_may_mistype(slow):
    for _ in range(slowing.FREE - 1):
        wrong(slow, 1)
        assert wait(slow) == 0


def test_each_further_wrong_password_doubles_the_wait_up_to_a_minute(slow, clock):
    wrong(slow, slowing.FREE - 1)
    waits = []
    for _ in range(9):
        wrong(slow, 1)
        waits.append(wait(slow))
        clock.now += waits[-1]
        assert wait(slow) == 0
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_a_guesser_without_end_gets_some_1400_tries_a_day(slow, clock):
    tries = 0
    while clock.now < 86400:
        if left := wait(slow):
            clock.now += left
        else:
            tries += 1
            wrong(slow, 1)
    assert 1430 < tries < 1460


def test_the_right_password_forgets_the_wrong_ones(slow, clock):
    wrong(slow, slowing.FREE + 3)
    clock.now += 60
    slow.look("ann", lambda: "ann")
    wrong(slow, slowing.FREE - 1)
    assert wait(slow) == 0


def test_a_quarter_of_an_hour_forgets_them_too(slow, clock):
    wrong(slow, 50)
    clock.now += slowing.MEMORY
    wrong(slow, 1)
    assert wait(slow) == 0


def test_accounts_are_counted_each_by_itself_and_odd_names_too(slow):
    wrong(slow, slowing.FREE, "\ud800")
    assert (wait(slow, "\ud800"), wait(slow, "ann")) == (1, 0)


def test_many_names_take_no_more_memory(slow, monkeypatch):
    monkeypatch.setattr(slowing, "MOST", 3)
    wrong(slow, slowing.FREE, "ann")
    for name in ("b", "c", "d"):
        wrong(slow, slowing.FREE, name)
    assert len(slow._tries) == 3
    assert (wait(slow, "ann"), wait(slow, "d")) == (0, 1)


def test_who_logs_in_leaves_nothing_behind(slow):
    slow.look("ann", lambda: "ann")
    assert wait(slow) == 0 and not slow._tries


def at_once(number, call):
    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(call, range(number)))


def test_right_passwords_at_once_all_count(slow):
    def check():
        time.sleep(0.01)
        return "ann"

    assert at_once(30, lambda _: slow.look("ann", check)) == ["ann"] * 30


@pytest.mark.parametrize(("before", "looked_at"), [(0, slowing.FREE), (3, 2), (slowing.FREE, 1)])
def test_guesses_at_once_get_as_far_as_guesses_in_turn(slow, clock, before, looked_at):
    wrong(slow, before)
    clock.now += 60
    looked = []

    def guess(number):
        try:
            slow.look("ann", lambda: looked.append(number) or time.sleep(0.05))
        except TooManyTries:
            return 429

    answers = at_once(30, guess)
    assert (len(looked), answers.count(429)) == (looked_at, 30 - looked_at)


@pytest.fixture
def app(signers, tmp_path, monkeypatch):
    """The bundled app with a user ann."""
    for folder in ("jwt", "secrets", "data"):
        (tmp_path / folder).mkdir()
    (tmp_path / "jwt/a.pem").write_text(signers["RS256"].pem)
    (tmp_path / "secrets/users.json").write_text(json.dumps({"ann": hash_password("right")}))
    for variable, folder in {
        "JWT_KEY_DIR": "jwt",
        "APP_SECRETS_DIR": "secrets",
        "APP_DATA_DIR": "data",
    }.items():
        monkeypatch.setenv(variable, str(tmp_path / folder))
    monkeypatch.delenv("REDIS_URL", raising=False)
    return create_app()


def login(app, name, password):
    return app.test_client().post("/auth", json={"username": name, "password": password})


def test_of_many_logins_at_once_few_are_looked_at(app, monkeypatch):
    looked = []

    def matches(encoded, password):
        looked.append(password)
        time.sleep(0.05)
        return False

    monkeypatch.setattr(app.extensions["users"]._passwords, "matches", matches)
    codes = at_once(30, lambda number: login(app, "ann", f"guess {number}").status_code)
    assert len(looked) == slowing.FREE
    assert sorted(codes) == [401] * slowing.FREE + [429] * (30 - slowing.FREE)


@pytest.mark.parametrize("name", ["ann", "nobody"])
def test_a_login_waits_without_a_look_at_the_password(name, app, monkeypatch):
    """The same for an account that there is not: the answer tells nothing."""
    monkeypatch.setattr(slowing, "_wait", lambda count: 60.0 * (count >= slowing.FREE))
    codes = [login(app, name, "wrong").status_code for _ in range(slowing.FREE)]
    assert codes == [401] * slowing.FREE
    monkeypatch.setattr(app.extensions["users"], "authenticate", lambda *_: pytest.fail("looked"))
    answer = login(app, name, "right")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "60")
    assert answer.json["description"] == "Too many wrong passwords for this account"
    monkeypatch.undo()
    other = "ann" if name == "nobody" else "nobody"
    assert login(app, other, "right").status_code in (200, 401)
