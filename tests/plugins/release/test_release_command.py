"""The release command runs once for a release, on the new code; the schema itself says who can go back."""

from __future__ import annotations

import os
import time

import pytest
from ansible.module_utils.flask_deploy.host import files
from ansible.module_utils.flask_deploy.release import containers, places, release_command, schema
from ansible.module_utils.flask_deploy.switch import steps, summary

from tests.deploys import deploy, options, prepare, serve


def write(app, **more):
    return steps.write(app, options(**more), dry=False)[0]


def command(app, release, words="flask db upgrade", tells=""):
    """Run the release command; return its outcome where it ran."""
    outcome, ran = steps.command(app, options(release=release, command=words, schema_command=tells))
    return outcome if ran else None


def commanded(app, words="flask db upgrade", tells="", **more):
    """Deploy a release that has a release command, as a run does; return (its id, the record of the deploy)."""
    release = write(app, **more)
    outcome, _ = steps.command(app, options(release=release, command=words, schema_command=tells))
    assert prepare(app, commanded=outcome, **more) == release
    return release, serve(app, release)


def go_back(app, **more):
    """Let the release before serve again; return (its id, what was said)."""
    told = {"release": None, "command": "flask db upgrade", **more}
    release, _, _, said = steps.restore(app, options(**told), dry=False)
    serve(app, release, reject=True)
    return release, said


def test_it_runs_on_the_new_code_before_the_release_starts(app, engine):
    old = deploy(app)
    new = write(app, build="b2")
    done = command(app, new)
    assert (done["code"], done["said"], done["release"]) == (0, ["migrated"], new)
    (call,) = engine.calls(f"docker run --name shop-{new}-command")
    assert "--read-only" in call and "--cap-drop ALL" in call
    assert call.endswith("/release/exec.py flask db upgrade")
    assert engine.running() == [f"shop-{old}"] and app.serving() == old


def test_the_schema_is_asked_before_and_after_it_as_it_runs(app, engine):
    engine.schema("1a", after="2b (head)")
    release = write(app)
    done = command(app, release)
    assert (done["before"], done["after"], done["schema_command"]) == ("1a", "2b", "flask db current")
    _look, _copy, *calls = engine.calls("docker run")
    assert [call.rpartition("/release/exec.py ")[2] for call in calls] == [
        "flask db current",
        "flask db upgrade",
        "flask db current",
    ]
    without_name = {call.partition(" --init ")[2].rpartition("/release/exec.py")[0] for call in calls}
    assert len(without_name) == 1, "the same container each time, but for its name and labels"


def test_it_runs_once_for_a_release(app, engine):
    release = write(app)
    assert command(app, release)
    assert command(app, release) is None
    assert len(engine.calls(f"docker run --name shop-{release}-command")) == 1


def test_nothing_runs_for_a_release_that_serves(app, engine):
    release, _ = commanded(app)
    engine.forget()
    assert command(app, release) is None
    assert engine.calls("docker run") == []


def test_it_runs_again_where_the_database_is_not_as_it_left_it(app, engine):
    engine.schema("1a", after="2b")
    release = write(app)
    assert command(app, release)
    engine.schema("1a", after="2b")  # by hand, or from a backup
    assert command(app, release)["after"] == "2b"


@pytest.mark.parametrize("words", ["shout now", "half done"])
def test_what_failed_runs_again_and_the_old_release_serves_on(app, engine, words):
    old = deploy(app)
    for _ in range(2):
        new = write(app, build="b2")
        with pytest.raises(places.ReleaseError, match=r"FAILED: it ended with code 1(.|\n)*HINT: no such column"):
            command(app, new, words)
    assert len(engine.calls(f"docker run --name shop-{new}-command")) == 2
    assert app.serving() == old and app.known() == [old]


def test_its_outcome_is_known_on_hosts_where_it_did_not_run(app, host, engine):
    shared = {"release_key": "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="}
    release = write(app, **shared)
    outcome = command(app, release)
    other = host("other")
    assert prepare(other, commanded=outcome, **shared) == release
    assert other.schema() == outcome == app.schema()
    assert command(other, release) is None


def test_a_deploy_that_changed_no_schema_is_gone_back_from_without_a_word(app, engine):
    engine.schema("1a (head)")
    first, _ = commanded(app)
    _, record = commanded(app, build="b2")
    assert "schema: 1a, as before" in summary.summarise(record)
    assert summary.summarise(record)[-1] == "roll back: ansible-playbook playbooks/rollback.yml -i inventories/..."
    assert go_back(app) == (first, [])


def test_going_back_to_code_of_another_schema_needs_a_word(app, engine):
    engine.schema("1a (head)")
    first, _ = commanded(app)
    engine.schema(after="2b (head)")
    second, record = commanded(app, build="b2")
    assert "schema: 1a -> 2b" in summary.summarise(record)
    assert "app_accept_schema_ahead=true" in summary.summarise(record)[-1], "what is printed works as printed"
    why = (
        rf"ran with schema 1a, the database is at 2b.*'flask db upgrade' of release {second} ran at .*app_accept_schema"
    )
    with pytest.raises(places.ReleaseError, match=why):
        go_back(app)
    assert app.serving() == second
    went, said = go_back(app, accept_schema_ahead=True)
    assert went == first and "the database is at 2b" in said[0]


def test_a_deploy_of_what_served_before_needs_the_word_too(app, engine):
    """An older commit, deployed anew, is the same release: nothing else tells it from a rollback."""
    engine.schema("1a")
    first, _ = commanded(app, "python migrate.py", tells="sql db current")
    engine.schema(after="2b")
    second, _ = commanded(app, "python migrate.py", tells="sql db current", build="b2")
    for _ in range(2):
        with pytest.raises(places.ReleaseError, match=r"ahead of release .*ran with schema 1a.* at 2b"):
            command(app, first, "python migrate.py", tells="sql db current")
    assert app.serving() == second
    told = {"command": "python migrate.py", "schema_command": "sql db current", "accept_schema_ahead": True}
    assert steps.command(app, options(release=first, **told))


def test_what_serves_is_not_refused_for_the_schema_that_it_serves_with(app, engine):
    """No code comes back with it."""
    engine.schema("1a")
    release, _ = commanded(app, "python migrate.py", tells="sql db current")
    engine.schema("2b")  # by hand
    os.unlink(app.path(release, "command.json"))
    assert command(app, release, "python migrate.py", tells="sql db current")["after"] == "2b"


def test_a_deploy_of_what_served_before_goes_on_where_its_command_brings_its_schema(app, engine):
    engine.schema("1a")
    first, _ = commanded(app)
    engine.schema(after="2b")
    commanded(app, build="b2")
    engine.schema("0z", after="1a")  # an older backup came back
    assert command(app, first)["after"] == "1a"


def test_the_release_that_went_back_with_a_word_is_known_to_run_with_that_schema(app, engine):
    engine.schema("1a")
    first, _ = commanded(app)
    engine.schema(after="2b")
    commanded(app, build="b2")
    go_back(app, accept_schema_ahead=True)
    commanded(app, build="b3")
    assert go_back(app) == (first, [])


def test_what_failed_and_changed_nothing_blocks_no_rollback(app, engine):
    engine.schema("1a")
    first, _ = commanded(app)
    commanded(app, build="b2")
    bad = write(app, build="b3")
    with pytest.raises(places.ReleaseError, match="serves on, and the schema is 1a, as before"):
        command(app, bad, "sh -c 'shout ; flask db upgrade'")
    assert go_back(app) == (first, [])


def test_what_failed_half_way_is_named_when_somebody_goes_back(app, engine):
    engine.schema("1a")
    commanded(app)
    commanded(app, build="b2")
    engine.schema(after="2b")
    bad = write(app, build="b3")
    with pytest.raises(places.ReleaseError, match="serves on, but the schema moved from 1a to 2b"):
        command(app, bad, "half done", tells="flask db current")
    (engine.place / "mute").touch()  # the code that serves does not know what the failed one left
    with pytest.raises(places.ReleaseError, match=r"at 2b .as recorded at .*FAILED"):
        go_back(app)


def test_a_schema_that_somebody_changed_by_hand_is_seen(app, engine):
    engine.schema("1a")
    commanded(app)
    commanded(app, build="b2")
    engine.schema("9z")
    with pytest.raises(places.ReleaseError, match=r"at 9z .now.; no release command changed it"):
        go_back(app)


def test_a_deploy_that_finds_another_schema_knows_it_of_the_release_that_served(app, engine):
    engine.schema("1a")
    first, _ = commanded(app)
    engine.schema("1b")  # by hand, while the first one serves
    commanded(app, build="b2")
    assert go_back(app) == (first, [])


def test_a_rollback_runs_no_release_command(app, engine):
    commanded(app)
    commanded(app, build="b2")
    engine.forget()
    go_back(app)
    assert [call for call in engine.calls("docker run") if "-command " in call] == []


def test_a_dry_run_of_a_rollback_asks_nothing(app, engine):
    engine.schema("1a")
    commanded(app)
    engine.schema(after="2b")
    commanded(app, build="b2")
    engine.forget()
    with pytest.raises(places.ReleaseError, match=r"at 2b .as recorded at .*a dry run does not ask"):
        steps.restore(app, options(release=None), dry=True)
    assert engine.calls("docker run") == []


def test_without_a_command_that_tells_the_schema_a_rollback_says_so_and_goes_on(app):
    first, _ = commanded(app, "python migrate.py")
    _, record = commanded(app, "python migrate.py", build="b2")
    assert "was not looked at; set app_schema_command" in summary.summarise(record)[-1]
    went, said = go_back(app, command="python migrate.py")
    assert went == first and "was not looked at; set app_schema_command" in said[0]


def test_any_command_may_tell_the_schema(app, engine):
    engine.schema("3 tables\n")
    commanded(app, "python migrate.py", tells="sql db current")
    engine.schema(after="4 tables\n")
    _, record = commanded(app, "python migrate.py", tells="sql db current", build="b2")
    assert "the database is at 4 tables" in summary.summarise(record)[-1]


def test_a_schema_is_told_without_a_release_command(app, engine):
    engine.schema("1a")
    commanded(app, "", tells="flask db current")
    engine.schema("2b")
    first = app.serving()
    second, _ = commanded(app, "", tells="flask db current", build="b2")
    assert engine.calls(f"docker run --name shop-{second}-command") == []
    assert go_back(app, command="", schema_command="flask db current") == (first, [])


def test_a_schema_that_cannot_be_asked_is_said_and_stops_no_deploy(app, engine):
    (engine.place / "mute").touch()
    commanded(app)
    _, record = commanded(app, build="b2")
    assert "schema: not known; 'flask db current' ended with code 1: ERROR Can't locate revision" in summary.summarise(
        record
    )
    _, said = go_back(app)
    assert "is not known" in said[0]


def test_a_release_that_serves_again_runs_no_command_again(app, engine):
    engine.schema("1a")
    commanded(app)
    engine.schema(after="2b")
    commanded(app, build="b2")
    first, _ = go_back(app, accept_schema_ahead=True)
    engine.forget()
    assert command(app, first) is None
    assert engine.calls("docker run") == []


def test_what_an_earlier_version_recorded_is_read(app, engine):
    first = deploy(app)
    second = deploy(app, build="b2")
    known = {"release": second, "command": "flask db upgrade", "code": 0, "said": [], "at": time.time() + 9}
    files.write_json(app.schema_file, known)
    with pytest.raises(places.ReleaseError, match="is not recorded; 'flask db upgrade' of release"):
        go_back(app)
    files.write_json(app.schema_file, {**known, "code": 1})
    assert go_back(app)[0] == first
    files.write_json(app.schema_file, {**known, "release": first})
    commanded(app, build="b3")
    assert app.schema()["after"] == ""


def test_going_back_before_any_command_needs_none(app):
    first = deploy(app)
    deploy(app, build="b2")
    assert steps.restore(app, options(release=None), dry=False)[::3] == (first, [])


@pytest.mark.parametrize(
    ("command", "tells"),
    [
        ("flask db upgrade", "flask db current"),
        ("python -m flask --app shop db upgrade", "python -m flask --app shop db current"),
        ("flask db upgrade -d db/versions head", "flask db current -d db/versions"),
        ("flask db upgrade --directory=two -x a=b --tag x", "flask db current --directory=two -x a=b"),
        ("/opt/venv/bin/alembic -c x.ini -n shop upgrade head", "/opt/venv/bin/alembic -c x.ini -n shop current"),
        ("alembic upgrade head", "alembic current"),
        ("env FLASK_APP=shop flask db upgrade", "env FLASK_APP=shop flask db current"),
        ("sh -c 'cd backend && flask db upgrade && flask seed'", "sh -c 'cd backend && flask db current'"),
        ("bash -ec 'A=$B flask db upgrade; echo done'", "bash -ec 'A=$B flask db current'"),
        ("flask db upgrade --sql", ""),
        ("flask upgrade", ""),
        ("flask seed db", ""),
        ("python manage.py upgrade", ""),
        ("sh -c 'echo \"flask; db upgrade'", ""),
        ("flaskdb upgrade", ""),
        ("", ""),
    ],
)
def test_a_known_command_says_what_tells_its_schema(command, tells):
    assert schema.derived(command) == tells


@pytest.mark.parametrize(
    ("command", "said", "state"),
    [
        ("flask db current", "1a2b (head)\n", "1a2b"),
        ("flask db current", "b (head)\na (effective head) (mergepoint)\n", "a\nb"),
        ("alembic -c x current", "shop has 3 plugins\n1a\n", "1a"),
        ("flask db current", "", ""),
        ("sql version", " 7 (head)\n\n", "7 (head)"),
    ],
)
def test_the_state_is_what_the_database_says_and_not_the_code(command, said, state):
    assert schema.state(command, said) == state


def test_a_long_state_is_kept_short_and_told_apart():
    long = schema.state("dump", "x" * 10_000)
    assert len(long) < 600
    assert long != schema.state("dump", "x" * 9_999)


def test_a_release_command_of_a_run_that_is_gone_is_ended(app, engine):
    """A killed client leaves its container to the engine: a second migration must not start beside it."""
    serving = serve(app, prepare(app))["release"]
    left = f"shop-{serving}-command"
    for name in (left, f"shop-{serving}-schema"):
        (engine.place / "containers" / name).mkdir()
        (engine.place / "containers" / name / "running").touch()
        (engine.place / "volumes" / f"of-{name}").mkdir()
    assert sorted(containers.end_commands("shop")) == [left, f"shop-{serving}-schema"]
    assert engine.running() == [f"shop-{serving}"] and engine.volumes() == [f"of-shop-{serving}"]


@pytest.mark.parametrize(
    ("tells", "before", "after", "left"),
    [
        ("", None, None, ""),
        ("flask db current", None, "2b", ", and what the schema is now is not known"),
        ("flask db current", "1a", None, ", and what the schema is now is not known"),
        ("flask db current", "1a", "1a", ", and the schema is 1a, as before"),
        ("flask db current", "1a", "2b", ", but the schema moved from 1a to 2b"),
    ],
)
def test_a_failed_command_says_what_it_left_where_that_can_be_told(app, tells, before, after, left):
    outcome = {"command": "migrate", "code": 1, "said": [], "before": before, "after": after, "schema_command": tells}
    outcome["release"] = serve(app, prepare(app))["release"]
    assert release_command.failure(app, outcome).splitlines()[0].endswith(f"; the old release serves on{left}")


def failed(app, code, *said):
    outcome = {"command": "migrate", "code": code, "said": list(said), "before": None, "after": None}
    return release_command.failure(app, {**outcome, "schema_command": "", "release": prepare(app)}).splitlines()


def test_a_failed_command_says_its_cause_and_last_what_to_do(app):
    lines = failed(app, 1, "INFO one", "sqlalchemy.exc.ArgumentError: Expected string or URL object, got None")
    assert lines[1:3] == [
        "  what it says of the cause:",
        "    sqlalchemy.exc.ArgumentError: Expected string or URL object, got None",
    ]
    assert lines[-1].startswith("  what to do: the address of the app's database is missing")


def test_the_old_release_is_named_only_where_there_is_one(app):
    assert failed(app, 1)[0].endswith("FAILED: it ended with code 1; no release serves yet")


@pytest.mark.parametrize(("code", "advice"), [(3, "mend what it says"), (None, "app_release_command_timeout: 1800")])
def test_a_command_that_fails_for_reasons_unknown_has_advice_too(app, code, advice):
    assert advice in failed(app, code, "hm")[-1]


@pytest.mark.parametrize(
    ("after", "code", "state"), [("2b", 0, "2b"), ("2b", 1, None), (None, 0, None)], ids=["well", "failed", "unknown"]
)
def test_a_release_serves_with_the_schema_that_its_command_left(app, after, code, state):
    os.makedirs(app.path("abc"))
    outcome = {"release": "abc", "before": "1a", "after": after, "code": code, "schema_command": "tell"}
    release_command.record_outcome(app, "abc", outcome)
    assert schema.ran_with(app, "abc").get("state") == state
    assert app.schema() == outcome


def test_a_restore_point_before_the_command_is_noted_and_named_by_a_rollback(app, engine, monkeypatch):
    engine.schema("1a (head)")
    commanded(app)
    point = f"{app.name}-20261128T030000Z-5f0c0a1b"
    monkeypatch.setattr(release_command.postgres, "restore_point", lambda *_told: point)
    engine.schema(after="2b (head)")
    _second, record = commanded(app, build="b2")
    assert f"schema: 1a -> 2b; restore point: {point}" in summary.summarise(record)
    with pytest.raises(places.ReleaseError) as refusal:
        go_back(app)
    go = f"ansible-playbook playbooks/restore.yml -e restore_app={app.name} -e restore_point={point}"
    assert (
        f"To bring the database back to before that command, which loses what was written since, type: {go}. "
        in str(refusal.value)
    )


def test_a_restore_point_that_cannot_be_made_stops_before_the_command(app, engine, monkeypatch):
    def fail(_app, _release, error):
        raise error("no restore point can be made before app_release_command: PostgreSQL is gone")

    monkeypatch.setattr(release_command.postgres, "restore_point", fail)
    with pytest.raises(places.ReleaseError, match="no restore point can be made"):
        commanded(app)


def test_no_restore_point_is_made_where_no_log_is_kept(app, tmp_path, monkeypatch):
    monkeypatch.setattr(release_command.postgres, "ARCHIVE", str(tmp_path / "none"))
    assert release_command.postgres.restore_point(app.name, "5f0c", places.ReleaseError) is None
