"""A release that fails before it serves goes at once, with its image; why it failed stays. What serves stays."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible.module_utils.flask_deploy.host import command as commands
from ansible.module_utils.flask_deploy.host import engine as engines
from ansible.module_utils.flask_deploy.host import files, nginx
from ansible.module_utils.flask_deploy.release import containers, diagnosis, failures, images, secrets, writing
from ansible.module_utils.flask_deploy.release.advice import About
from ansible.module_utils.flask_deploy.release.diagnosis import diagnose
from ansible.module_utils.flask_deploy.switch import discarding, progress, retire, steps, switch
from ansible.modules import status_look

from tests.deploys import MARK, begin, deploy, options, prepare, settled

GIT = {"kind": "git", "repository": "https://x/shop.git", "ref": "main", "commit": "1a2b3c4d5e6f", "digest": "d"}
FAILING = {"build": "b2", "image": "sha256:two", "source": GIT}


pytestmark = pytest.mark.usefixtures("two_images")


def command(app, engine, monkeypatch, **more):
    release = steps.write(app, options(**more), dry=False)[0]
    steps.command(app, options(release=release, command="shout now"))


def gate(app, engine, monkeypatch, **more):
    monkeypatch.setattr(nginx, "probe_socket", lambda *arguments: 503)
    prepare(app, start_timeout=0, **more)


def broken_site(app, engine, monkeypatch, **more):
    (engine.place / "nginx-refuses").touch()
    prepare(app, **more)


def refuse(text):
    raise steps.certificate.CertificateError("no certificate for shop.example.com")


def certificate(app, engine, monkeypatch, **more):
    monkeypatch.setattr(steps.certificate, "demand", refuse)
    prepare(app, **more)


def write(app, engine, monkeypatch, **more):
    engine.public("css/x")
    (engine.place / "image/app/static/css/evil").symlink_to("/etc/passwd")
    images.hold("shop", more.get("build", "b1"), "me")
    prepare(app, **more)


def include(app, engine, monkeypatch, **more):
    monkeypatch.setattr(writing, "ensure_include", lambda app, dry: (_ for _ in ()).throw(OSError("no space")))
    prepare(app, **more)


def outcome(app, engine, monkeypatch, **more):
    broken = lambda *given: (_ for _ in ()).throw(OSError("no space"))  # noqa: E731
    monkeypatch.setattr(steps.release_command, "record_outcome", broken)
    prepare(app, commanded={"command": "migrate"}, **more)


WAYS = [command, gate, broken_site, certificate, write, include, outcome]


def fail(app, engine, monkeypatch, how, **more):
    """Let the deploy of an image that was just built fail; return what it said."""
    (engine.place / "tags").write_text("sha256:one flask-deploy/shop:b1\nsha256:two flask-deploy/shop:b2\n")
    with monkeypatch.context() as broken, pytest.raises(Exception) as raised:
        how(app, engine, broken, **more)
    (engine.place / "nginx-refuses").unlink(missing_ok=True)
    return str(raised.value)


@pytest.mark.parametrize("how", WAYS, ids=lambda how: how.__name__)
def test_a_release_that_fails_goes_whole_and_at_once(app, engine, monkeypatch, how):
    old = deploy(app)
    why = fail(app, engine, monkeypatch, how, **FAILING)
    assert os.listdir(app.releases) == [old]
    assert os.listdir(engine.place / "containers") == [f"shop-{old}"] == engine.running()
    assert (engine.place / "tags").read_text() == "sha256:one flask-deploy/shop:b1\n"
    (failed,) = failures.recall(app)
    assert why.startswith(failed["reason"].partition(" (what to do")[0][:40]) and failed["reason"]
    assert (failed["image"], failed["build"], failed["source"], failed["by"]) == ("sha256:two", "b2", GIT, "tester")
    assert settled(app, engine, old) == []


@pytest.mark.parametrize("how", WAYS, ids=lambda how: how.__name__)
def test_an_image_that_the_serving_release_has_too_stays(app, engine, monkeypatch, how):
    old = deploy(app)
    fail(app, engine, monkeypatch, how, build="b1", image="sha256:one", environment={"A": "other"})
    assert os.listdir(app.releases) == [old] and "flask-deploy/shop:b1" in (engine.place / "tags").read_text()
    assert prepare(app) == old and settled(app, engine, old) == []


def test_an_image_that_another_run_is_about_to_use_stays(app, engine, monkeypatch):
    deploy(app)

    def gate_meanwhile(app, engine, monkeypatch, **more):
        monkeypatch.setattr(nginx, "probe_socket", lambda *given: images.hold("shop", "b2", "another") or 503)
        prepare(app, start_timeout=0, **more)

    fail(app, engine, monkeypatch, gate_meanwhile, **FAILING)
    assert "flask-deploy/shop:b2" in (engine.place / "tags").read_text()


def made_of(app, release):
    """Return what a release is made of; what its command did is written down beside that."""
    paths = [path for path in Path(app.path(release)).rglob("*") if path.is_file() and path.name != "command.json"]
    return {path: path.read_bytes() for path in paths}


@pytest.mark.parametrize("how", [gate, broken_site, command], ids=lambda how: how.__name__)
def test_the_serving_release_outlives_a_failed_gate_of_its_own(app, engine, monkeypatch, how):
    """The same release once more: whatever fails, it serves on with all that it is made of."""
    deploy(app, build="b0")
    serving = deploy(app)
    before = made_of(app, serving)
    fail(app, engine, monkeypatch, how)
    assert app.serving() == serving and app.state(serving)["state"] == "live"
    assert f"shop-{serving}" in engine.running() and engine.restart(f"shop-{serving}") == "unless-stopped"
    assert made_of(app, serving) == before
    assert "flask-deploy/shop:b1" in (engine.place / "tags").read_text()
    assert f"docker rm -f shop-{serving}" not in engine.calls()
    assert settled(app, engine, serving) == [] and failures.recall(app) == []


def test_a_release_that_served_before_outlives_a_failed_gate(app, engine, monkeypatch):
    old, new = deploy(app), deploy(app, build="b2", image="sha256:two")
    why = fail(app, engine, monkeypatch, gate)
    assert sorted(app.known()) == sorted([old, new]) and app.serving() == new
    assert (app.state(old)["state"], app.state(old)["reason"]) == ("retired", why)
    assert "flask-deploy/shop:b1" in (engine.place / "tags").read_text() and retire.targets(app) == [old]


@pytest.mark.parametrize("build", ["b2", None], ids=["deploy", "rollback"])
def test_what_another_host_refuses_is_taken_away_here(app, engine, build):
    """All hosts switch or none: what is ready on this one would run on beside what serves."""
    old = deploy(app)
    (engine.place / "tags").write_text("sha256:one flask-deploy/shop:b1\nsha256:two flask-deploy/shop:b2\n")
    given = options(**FAILING, release=prepare(app, **FAILING))
    assert discarding.discarded(app, given, dry=True) == [f"release {given['release']}"]
    assert f"shop-{given['release']}" in engine.running(), "a dry run takes nothing away"
    assert discarding.discarded(app, {**given, "build": build}, dry=False) == [f"release {given['release']}"]
    assert os.listdir(app.releases) == [old] and "shop:b2" not in (engine.place / "tags").read_text()
    assert failures.recall(app)[0]["reason"] == "another host refused it"
    assert settled(app, engine, old) == []


def test_what_served_once_and_another_host_refuses_stops_and_stays(app, engine):
    old, new = deploy(app), deploy(app, build="b2", image="sha256:two")
    engines.docker("start", f"shop-{old}")
    assert discarding.discarded(app, options(release=old, build=None), dry=False) == [f"release {old}"]
    assert engine.running() == [f"shop-{new}"] and retire.targets(app) == [old] and app.state(old)["state"] == "retired"


def test_what_served_once_ends_what_is_in_flight_before_it_stops(app, engine, monkeypatch):
    """A deploy was interrupted while it drained; then another host refuses the rollback to it."""
    old, _new = deploy(app), deploy(app, build="b2", image="sha256:two")
    engines.docker("start", f"shop-{old}")
    asked = []
    monkeypatch.setattr(engines, "in_flight", lambda pid, path: asked.append(1) or (3 if len(asked) < 4 else 0))
    steps.restore(app, options(release=old), dry=False)
    discarding.discarded(app, options(release=old, build=None, drain_timeout=5), dry=False)
    assert len(asked) >= 4 and f"shop-{old}" not in engine.running()


@pytest.mark.parametrize("how", ["its gate", "its gate, and the engine is away"])
def test_what_served_once_ends_what_is_in_flight_where_its_own_gate_refuses_it(app, engine, monkeypatch, how):
    old, new = deploy(app), deploy(app, build="b2", image="sha256:two")
    engines.docker("start", f"shop-{old}")
    asked = []

    def flying(pid, path):
        asked.append(f"shop-{old}" in engine.running())
        if "away" in how:
            raise engines.EngineError("the engine is away")
        return 3 if len(asked) < 4 else 0

    monkeypatch.setattr(engines, "in_flight", flying)
    refusal = containers.NotReady("it did not answer")
    monkeypatch.setattr(containers, "wait_ready", lambda *given: (_ for _ in ()).throw(refusal))
    with pytest.raises(containers.NotReady):
        steps.restore(app, options(release=old, drain_timeout=5), dry=False)
    assert all(asked) and len(asked) >= (1 if "away" in how else 4)
    assert engine.running() == [f"shop-{new}"]


def test_why_a_release_was_left_stays_known_where_another_host_refuses_it(app, engine):
    old, _new = deploy(app), deploy(app, build="b2", image="sha256:two")
    app.set_state(old, "rejected", reason="40 of 50 requests failed")
    before = app.state(old)
    prepare(app, accept_rejected=True)
    discarding.discarded(app, options(release=old), dry=False)
    assert app.state(old) == before


def test_what_a_switch_under_way_needs_is_not_taken_away(app, engine):
    """The lease lapsed while the unit lives."""
    old, new = deploy(app), prepare(app, **FAILING)
    begun = begin(app, new)
    assert discarding.discarded(app, options(release=new, **FAILING), dry=False) == [] and new in app.known()
    switch.move(app, progress.pending(app))
    assert discarding.discarded(app, options(release=old), dry=False) == []
    assert engine.running() == sorted([f"shop-{old}", f"shop-{new}"]) and begun


def test_what_serves_is_never_taken_away(app, engine):
    """A host where the release serves already has nothing to take back."""
    serving = deploy(app)
    before = made_of(app, serving)
    assert discarding.discarded(app, options(release=serving), dry=False) == []
    assert made_of(app, serving) == before and settled(app, engine, serving) == []


@pytest.mark.parametrize("release", [None, "fedcba987654"])
def test_where_no_release_was_made_its_new_image_goes_all_the_same(app, engine, release):
    """A run may end between the build and the release."""
    old = deploy(app)
    (engine.place / "tags").write_text("sha256:one flask-deploy/shop:b1\nsha256:two flask-deploy/shop:b2\n")
    images.hold("shop", "b2", "me")
    assert discarding.discarded(app, options(release=release, build=None), dry=False) == []
    assert "flask-deploy/shop:b2" in (engine.place / "tags").read_text(), "no build of this run"
    assert discarding.discarded(app, options(release=release, build="b2"), dry=False) == []
    assert (engine.place / "tags").read_text() == "sha256:one flask-deploy/shop:b1\n"
    assert settled(app, engine, old) == []


@pytest.mark.parametrize("words", ["rm", "docker", "disk"])
def test_what_cannot_be_taken_away_hides_no_reason(app, engine, monkeypatch, words):
    old = deploy(app)
    run, asked = commands.run, []

    def gate_then_stuck(app, engine, monkeypatch, **more):
        monkeypatch.setattr(nginx, "probe_socket", lambda *given: asked.append(1) or 503)
        if words == "disk":
            monkeypatch.setattr(failures, "remember", lambda *given: (_ for _ in ()).throw(OSError("no space")))
        prepare(app, start_timeout=0, **more)

    def stuck(*arguments, **more):
        if asked and arguments[0] == words and arguments[1] in ("-rf", "images", "rm"):
            raise more["error"]("it is stuck")
        return run(*arguments, **more)

    with monkeypatch.context() as broken:
        broken.setattr(commands, "run", stuck)
        assert "did not answer below 400" in fail(app, engine, monkeypatch, gate_then_stuck, **FAILING)
    retire.prune(app, 3)
    assert os.listdir(app.releases) == [old] and "shop:b2" not in (engine.place / "tags").read_text()


def test_a_command_that_ran_is_not_run_again_where_a_gate_failed(app, engine, monkeypatch):
    deploy(app)
    for run in range(2):
        release = steps.write(app, options(**FAILING), dry=False)[0]
        outcome, ran = steps.command(app, options(release=release, command="migrate"))
        assert ran is (run == 0)
        fail(app, engine, monkeypatch, gate, commanded=outcome, **FAILING)
        assert release not in app.known()


def test_the_last_ten_failures_are_kept_for_root_alone(app, engine, monkeypatch):
    deploy(app)
    for number in range(12):
        fail(app, engine, monkeypatch, gate, build=f"f{number}")
    assert [each["build"] for each in failures.recall(app)] == [f"f{number}" for number in range(11, 1, -1)]
    fail(app, engine, monkeypatch, gate, build="f5")
    assert [each["build"] for each in failures.recall(app)][:2] == ["f5", "f11"], "each is there once"
    assert len(failures.recall(app)) == 10
    assert files.os.lstat(app.failed).st_mode & 0o777 == 0o600


def test_a_reason_holds_no_secret_and_is_bounded(app, engine, monkeypatch):
    def leak(app, engine, monkeypatch, **more):
        release = steps.write(app, options(**more), dry=False)[0]
        steps.command(app, options(release=release, command=f"shout --password {MARK} {'x' * 5000}"))

    assert MARK in fail(app, engine, monkeypatch, leak)
    (failed,) = failures.recall(app)
    assert MARK not in failed["reason"] and "HINT" not in failed["reason"] and len(failed["reason"]) <= 600
    assert failed["reason"].startswith("app_release_command: 'shout --password ***")
    assert MARK not in Path(app.failed).read_text()


def test_a_reason_names_the_cause_and_what_to_do_about_it(app):
    about = About("shop:app")
    said = [
        "Traceback (most recent call last):",
        '  File "/app/a.py", line 1, in b',
        "    c()",
        "KeyError: 'A_B'",
        "[2026-",
    ]
    reason = diagnose("3f9a0c41d2b7", "its container ended with code 3", said, about)
    assert failures.short(app, reason) == (
        "release 3f9a0c41d2b7 is not ready: its container ended with code 3: KeyError: 'A_B' (what to do: the app "
        "misses the variable A_B: set it in app_env, or in app_secrets if it is a secret)"
    )
    assert failures.short(app, "release a is not ready: b\n  its last lines:\n    c") == "release a is not ready: b"


def test_failures_are_shown_with_what_they_were_and_why(app, engine, monkeypatch):
    deploy(app)
    fail(app, engine, monkeypatch, gate, **FAILING)
    line, *why = status_look.describe(app)["failures"]
    release = failures.recall(app)[0]["id"]
    assert line.startswith(f"{release} gone     20") and line.endswith("tester     main 1a2b3c4")
    assert why[0].startswith(f"  release {release} is not ready: / did not answer below 400")
    assert max(map(len, [line, *why])) <= 74


@pytest.mark.parametrize(
    "content", [b"", b"[1]", b'{"failed": 1}', b'{"failed": [1, {"id": 2}, {"id": "a", "at": "b"}]}']
)
def test_a_file_of_failures_may_hold_anything(app, content):
    writing.ensure_places(app)
    Path(app.failed).write_bytes(content)
    assert failures.lines(app) == [] and failures.known(app, "a") == {}
    files.write_json(app.failed, {"failed": [{"id": "a", "at": 1, "source": [], "reason": None}]})
    assert len(failures.lines(app)) == 2


@pytest.mark.parametrize("secret", ["token-1\n", "back\\slash-1", "quote'1", "quote'1\\2", "line one\nline two\n"])
def test_a_secret_is_not_shown_in_another_form_either(app, engine, monkeypatch, secret):
    """A file ends with a newline, and a command is shown as Python writes a text."""
    places = {"secrets": {}, "secret_files": {"token": secret}}
    release = steps.write(app, options(**places), dry=False)[0]
    with pytest.raises(steps.ReleaseError):
        steps.command(app, options(release=release, command=f'shout "its" "{secret.strip()}"'))
    failed = failures.recall(app)[0]
    for said in (failed["reason"], failed["command"]["command"]):
        assert "***" in said and not any(part in said for part in ("token-1", "slash-1", "quote", "line"))


def test_a_full_disk_hides_no_reason(app, engine, monkeypatch):
    old = deploy(app)
    deploy(app, build="b2")

    def full(*_arguments, **_more):
        raise OSError(28, "No space left on device")

    def ends(*_arguments):
        monkeypatch.setattr(files, "write", full)
        return 503

    monkeypatch.setattr(nginx, "probe_socket", ends)
    with pytest.raises(steps.containers.NotReady, match="did not answer below 400"):
        steps.restore(app, options(release=old, start_timeout=0), dry=False)


def test_a_release_that_failed_and_serves_since_is_not_told_as_gone(app, engine, monkeypatch):
    """A database was down, say: the same release is made anew and serves."""
    deploy(app)
    fail(app, engine, monkeypatch, gate, **FAILING)
    assert failures.lines(app)[0][12:19] == " gone  "
    release = prepare(app, **FAILING)
    assert failures.lines(app)[0].startswith(f"{release} stays ")
    deploy(app, **FAILING)
    assert failures.lines(app) == [] and failures.known(app, release)


@pytest.mark.parametrize("serves", ["b2", "b3"])
def test_what_serves_since_hides_no_other_failure(app, engine, monkeypatch, serves):
    deploy(app)
    failed = {}
    for build in ("b2", "b3"):
        fail(app, engine, monkeypatch, gate, **{**FAILING, "build": build})
        failed[build] = failures.recall(app)[0]["id"]
    deploy(app, **{**FAILING, "build": serves})
    (other,) = set(failed) - {serves}
    assert [line[:12] for line in failures.lines(app) if not line.startswith(" ")] == [failed[other]]


def test_of_a_secret_that_begins_with_another_nothing_is_shown(app, monkeypatch):
    for held in (["abcd", "abcd-more"], ["abcd-more", "abcd"]):
        monkeypatch.setattr(secrets, "shown", lambda app, held=held: held)
        assert failures.short(app, "no user abcd-more") == "no user ***"


@pytest.mark.parametrize(
    ("kept", "printed"),
    [
        ({"secrets": {"API_KEY": "zebra-one"}}, "KeyError: 'zebra-one'"),
        ({"secrets": {"DATABASE_URL": "postgresql://shop:zebra%2Fone@db/shop"}}, "OSError: refused zebra/one"),
        ({"secrets": {"DATABASE_URL": "postgresql://shop:zebra%2Fone@db/shop"}}, "OSError: refused zebra%2Fone"),
        ({"secrets": {"QUOTED": "zebra'one\\two"}}, f"ValueError: {'zebra' + chr(39) + 'one' + chr(92) + 'two'!r}"),
        ({"secret_files": {"token": "first\nzebra two\n"}}, "RuntimeError: no user has zebra two"),
    ],
)
def test_a_secret_that_the_app_prints_is_not_shown_in_the_cause(app, kept, printed):
    release = prepare(app, **{"secrets": {}, "secret_files": {}, **kept})
    said = [
        "settings: " + printed,
        "Traceback (most recent call last):",
        '  File "app.py", line 3, in <module>',
        printed,
    ]
    shown = diagnose(release, "exited 1", said, diagnosis.about(app, release))
    assert shown.count("***") >= 2 and "zebra" not in shown
    assert f"  {printed.partition(':')[0]}" in shown


def test_the_advice_knows_what_was_printed_and_shows_no_secret(app):
    said = ["Traceback (most recent call last):", '  File "app.py", line 3, in <module>', "KeyError: 'CITY'"]
    shown = diagnose("abc", "exited 1", said, About(secrets=["CITY"]))
    assert "KeyError: '***'" in shown and "the app misses the variable ***" in shown
