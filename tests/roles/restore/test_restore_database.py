"""A restore of a database asks for the word, exchanges in one step, and is put back wherever it is cut off."""

from __future__ import annotations

import os
import time
from calendar import timegm

import pytest
from ansible.module_utils.flask_deploy.switch import pausing as pause
from ansible.modules import restore_database as module

FOUND = {"set": "20261128-030000F", "moment": 1_795_834_800.0, "here": {"public.item": 5, "public.note": 2}}
FETCHED = {"set": "20261128-030000F", "until": "2026-11-28 02:59:59+00", "tables": {"public.item": 3}}
OPTIONS = {"to": "2026-11-28T03:00:00Z", "over": "shop-since-2026-11-28T03:00", "server": "", "timeout": 60}


class Clock:
    """A clock that goes where nobody waits."""

    monotonic, strftime = staticmethod(time.monotonic), staticmethod(time.strftime)

    def __init__(self, now):
        self.now = now

    def time(self):
        return self.now

    def gmtime(self):
        return time.gmtime(self.now)

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def app(host, tmp_path, monkeypatch, owners):
    monkeypatch.setattr(module, "PLACE", str(tmp_path / "restore"))
    return host()


@pytest.fixture
def asked(monkeypatch):
    """Return what the program of the archive and the app's processes were told, in order."""
    done, fails = [], set()

    def ask(_program, verb, *_words):
        done.append(verb)
        if verb in fails:
            raise module.Refused(f"{verb} failed")
        return {"plan": FOUND, "load": FETCHED}.get(verb, {})

    def start(*_arguments):
        done.append("start")
        if "start" in fails:
            fails.discard("start")
            raise module.runs.containers.NotReady("the app does not answer")

    monkeypatch.setattr(module, "ask", ask)
    monkeypatch.setattr(pause, "look", lambda _app: {"page": False, "web": "", "workers": [], "timers": []})
    monkeypatch.setattr(pause, "stop", lambda *_arguments: done.append("stop"))
    monkeypatch.setattr(pause, "start", start)
    return done, fails


def test_it_refuses_to_lose_what_nobody_named(app, asked):
    with pytest.raises(module.Refused, match="has 7 rows in 2 tables here") as refusal:
        module.restore(app, {**OPTIONS, "over": ""}, dry=False)
    word = str(refusal.value).partition("type: -e restore_over=")[2]
    assert word == OPTIONS["over"] and asked[0] == ["plan"]


def test_it_is_fetched_while_the_app_serves_and_the_old_one_goes_last(app, asked):
    lines = module.restore(app, OPTIONS, dry=False)
    assert asked[0] == ["plan", "load", "stop", "exchange", "start", "keep"]
    assert "  public.item: 3 rows (before: 5)" in lines and "-e restore_time=" in lines[-1]
    assert not os.path.exists(module.journal(app))


def test_what_was_written_while_it_was_fetched_can_be_had_again(app, asked, monkeypatch):
    """A large backup takes hours, and the app writes all the while; what is restored is of a later second."""
    clock, at = Clock(1_795_834_800.25), {}

    def ask(_program, verb, *_words):
        clock.sleep(7200 if verb == "load" else 0.1)
        at[verb] = clock.now
        return {"plan": FOUND, "load": FETCHED}.get(verb, {})

    monkeypatch.setattr(module, "ask", ask)
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(pause, "stop", lambda *_arguments: at.update(stop=clock.now))
    said = module.restore(app, OPTIONS, dry=False)[-1].partition("-e restore_time=")[2]
    assert at["stop"] < timegm(time.strptime(said, "%Y-%m-%dT%H:%M:%SZ")) < at["exchange"]


def test_a_dry_run_changes_nothing(app, asked):
    assert "would restore" in module.restore(app, OPTIONS, dry=True)[0]
    assert asked[0] == ["plan"]


@pytest.mark.parametrize("step", ["exchange", "start"])
def test_where_it_does_not_serve_the_old_one_does(app, asked, step):
    done, fails = asked
    fails.add(step)
    with pytest.raises(module.Refused, match="all is as it was before"):
        module.restore(app, OPTIONS, dry=False)
    assert done[-2:] == ["settle", "start"] and "keep" not in done
    assert not os.path.exists(module.journal(app))


def test_a_run_that_was_killed_is_put_back_by_the_next_one(app, asked, monkeypatch):
    done, _fails = asked

    def cut_off(*_arguments):
        raise SystemExit

    monkeypatch.setattr(pause, "stop", cut_off)
    with monkeypatch.context() as killed, pytest.raises(SystemExit):
        killed.setattr(module, "put_back", lambda *_arguments: None)
        module.exchange(app, 60)
    assert os.path.exists(module.journal(app))
    assert module.put_back(app, 60) and done[-2:] == ["settle", "start"]
    assert not module.put_back(app, 60)
