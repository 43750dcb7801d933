"""PostgreSQL moves to another major version and back, and is whole on one of them wherever a run is cut off."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible.module_utils.flask_deploy.host import command, files, postgres, systemd
from ansible.module_utils.flask_deploy.postgres import hurdles, majors, moves
from ansible.modules import postgres_upgrade as module

ROWS = "base/5/16385"  # of an app, as Debian's program copies them
DONE = SimpleNamespace(code=0, out=b"", said="")


class World:
    """A host with PostgreSQL in a directory, and two apps. It is killed before step number ``kill``."""

    def __init__(self, root: Path) -> None:
        self.root, self.steps, self.kill = root, [], None
        self.running, self.apps, self.fails = set(), {"mail": "open", "shop": "open"}, set()

    def path(self, version, *names):
        return self.root / "etc" / version / "main" / Path(*names)

    def data(self, version, *names):
        return self.root / "data" / version / "main" / Path(*names)

    def make(self, version, port, start, rows=None):
        for path in (self.path(version, "conf.d"), self.data(version, "base/5")):
            path.mkdir(parents=True)
        self.set(version, port, start)
        if rows:
            self.data(version, ROWS).write_text(rows)

    def set(self, version, port, start):
        self.path(version, "postgresql.conf").write_text(str(port))
        self.path(version, "start.conf").write_text(f"{start}\n")

    def step(self, name):
        if self.kill == len(self.steps):
            raise SystemExit(name)
        self.steps.append(name)

    def run(self, *words, **_more):
        name = os.path.basename(
            next(word for word in words if word not in ("env", "-C", "/", "runuser", "-u", "--", "postgres"))
        )
        self.step(name)
        if name == "rm":
            shutil.rmtree(words[-1])
        if name == "pg_conftool":
            self.path(words[1], "postgresql.conf").write_text(words[5])
        if name == "pg_upgradecluster" and "--check" not in words:
            self.copy()
        return DONE

    def copy(self):
        """Do as pg_upgradecluster does, which may be cut off at its half."""
        self.running.discard("15")
        self.make("17", 5433, "auto")
        self.path("17", "pg_ident.conf").write_text(self.path("15", "pg_ident.conf").read_text())
        self.step("half of pg_upgradecluster")
        shutil.copy(self.data("15", ROWS), self.data("17", ROWS))
        self.set("15", 5433, "manual")
        self.set("17", 5432, "auto")

    def ask(self, verb, *units, **_more):
        self.step(f"{verb} {''.join(units)}".strip())
        for unit in units:
            version = unit.partition("@")[2].partition("-")[0]
            (self.running.add if verb == "start" else self.running.discard)(version)
        return ""

    def app(self, verb, after):
        def told(app, *_arguments):
            self.step(f"{verb} {app.name}")
            if verb in self.fails:
                self.fails.discard(verb)
                raise moves.containers.NotReady("the app does not answer")
            self.apps[app.name] = after

        return told

    def is_whole(self):
        """Tell which version serves, with what rows, and whether nothing is half done."""
        (version,) = self.running
        record = files.read_json(postgres.RECORD)
        assert record["cluster"] == f"{version}/main"
        assert self.path(version, "postgresql.conf").read_text() == "5432"
        assert self.path(version, "start.conf").read_text() == "auto\n"
        others = {each.name for each in (self.root / "etc").iterdir() if (each / "main").is_dir()} - {version}
        for other in others:
            assert record["kept"] == f"{other}/main"
            assert self.path(other, "postgresql.conf").read_text() == "5433"
            assert self.path(other, "start.conf").read_text() == "manual\n"
        assert files.read_json(postgres.ARCHIVE)["version"] == version
        assert f"/{version}/main" in (self.root / "archive/pgbackrest.conf").read_text()
        assert set(self.apps.values()) == {"open"} and not moves.known()
        return version, self.data(version, ROWS).read_text()


@pytest.fixture
def world(tmp_path, monkeypatch, owners):
    made = World(tmp_path)
    for name in ("etc", "data", "programs", "archive"):
        (tmp_path / name).mkdir()
    for version in ("15", "17"):
        (tmp_path / "programs" / version / "bin").mkdir(parents=True)
        (tmp_path / "programs" / version / "bin/postgres").touch()
    monkeypatch.setattr(postgres, "ETC", str(tmp_path / "etc"))
    monkeypatch.setattr(postgres, "RECORD", str(tmp_path / "postgres.json"))
    monkeypatch.setattr(postgres, "ARCHIVE", str(tmp_path / "archive/settings.json"))
    monkeypatch.setattr(majors, "DATA", str(tmp_path / "data"))
    monkeypatch.setattr(hurdles, "DATA", str(tmp_path / "data"))
    monkeypatch.setattr(majors, "PROGRAMS", str(tmp_path / "programs"))
    monkeypatch.setattr(moves, "JOURNAL", str(tmp_path / "journal.json"))
    monkeypatch.setattr(module.locks, "RUN", str(tmp_path / "run"))
    monkeypatch.setattr(majors, "pwd", SimpleNamespace(getpwnam=lambda _name: SimpleNamespace(pw_uid=0, pw_gid=0)))
    monkeypatch.setattr(majors.Major, "bytes", lambda _major: 1 << 20)
    monkeypatch.setattr(majors.Cluster, "start", lambda cluster, how: made.ask(how, cluster.unit))
    monkeypatch.setattr(command, "run", made.run)
    monkeypatch.setattr(command, "attempt", made.run)
    monkeypatch.setattr(systemd, "ask", made.ask)
    for room in (majors, moves, hurdles):
        monkeypatch.setattr(room, "sql", lambda *_words: [])
    monkeypatch.setattr(moves.places, "App", lambda name, uid: SimpleNamespace(name=name, uid=uid))
    monkeypatch.setattr(moves.pausing, "look", lambda app: {"web": app.name})
    for verb, after in {"stop": "stopped", "answer": "closed", "start": "open"}.items():
        monkeypatch.setattr(moves.pausing, verb, made.app(verb, after))
    for room in (moves, module):
        monkeypatch.setattr(room, "keep_archive", lambda verb: made.step(f"archive {verb}"))
    monkeypatch.setattr(hurdles, "unproven", list)
    made.make("15", 5432, "auto", "of 15")
    made.path("15", "conf.d/flask-deploy.conf").write_text("work_mem = '5MB'")
    made.path("15", "pg_ident.conf").write_text('flask-deploy flask-10001 "shop"\nflask-deploy flask-10002 "mail"\n')
    made.running.add("15")
    files.write_json(postgres.RECORD, {"cluster": "15/main"})
    files.write_json(postgres.ARCHIVE, {"app": "shop", "version": "15"})
    (tmp_path / "archive/pgbackrest.conf").write_text("[postgres]\npg1-path=/var/lib/postgresql/15/main\nend=1\n")
    return made


def options(state="upgrade", over=""):
    return {"state": state, "version": "17", "over": over, "timeout": 60, "owner": None}


def run(state="upgrade", over="", dry=False):
    return module.run(options(state, over), dry)[0]


def word():
    return f"postgres-since-{majors.moment(files.read_json(postgres.RECORD)['since'])}"


@pytest.fixture
def moved(world):
    """Return the world after an upgrade, once rows of the newer version were written."""
    run()
    world.data("17", ROWS).write_text("of 17")
    world.steps.clear()
    return world


def test_the_newer_version_serves_once_all_apps_have_answered(world):
    lines = run()
    assert world.is_whole() == ("17", "of 15")
    assert world.path("17", "conf.d/flask-deploy.conf").read_text() == "work_mem = '5MB'"
    assert world.data("15", ROWS).read_text() == "of 15", "the way back"
    asked = [step for step in world.steps if step.startswith(("stop ", "answer", "start ", "archive"))]
    assert asked == [
        *("archive full", "stop mail", "stop shop", "start postgresql@17-main.service", "answer mail", "answer shop"),
        *("start mail", "start shop", "archive open", "archive full"),
    ]
    assert "away for" in lines[0] and "mail, shop" in lines[0] and "-e postgres_upgrade=back" in lines[-2]


def test_a_second_run_moves_nothing(moved):
    assert run("claimed") == ["PostgreSQL 17 is what this Debian has; there is nothing to move"]
    assert run() == run("claimed") and moved.steps == []


def test_where_an_app_does_not_answer_the_version_of_before_serves(world):
    world.fails.add("answer")
    with pytest.raises(module.UpgradeError, match=r"does not answer\n  all is as it was before: PostgreSQL 15 serves"):
        run()
    assert world.is_whole() == ("15", "of 15") and not world.path("17").exists()


def cut_off(world, monkeypatch, state, over=""):
    """Kill a run before each of its steps in turn; yield after each kill."""
    put_back, number = moves.put_back, len(world.steps)
    while True:
        world.kill = number
        with monkeypatch.context() as killed:
            killed.setattr(moves, "put_back", lambda *_words: None)
            try:
                run(state, over)
            except SystemExit:
                world.kill = None
            else:
                world.kill = None
                return
        assert moves.put_back is put_back
        yield number
        world.steps.clear()
        number += 1


def test_killed_at_any_step_it_is_whole_after_the_next_run(world, monkeypatch):
    seen = []
    for _number in cut_off(world, monkeypatch, "upgrade"):
        moves.settle(60)
        seen.append(world.is_whole())
        if seen[-1][0] == "17":
            break
    assert len(seen) > 12 and {version for version, _rows in seen[:-1]} == {"15"}
    assert {rows for _version, rows in seen} == {"of 15"}


def test_a_run_that_was_killed_is_ended_by_the_same_command(world):
    run("claimed")
    world.kill = len(world.steps) + 9
    with pytest.raises(SystemExit):
        run()
    world.kill = None
    run("claimed")
    run()
    assert world.is_whole() == ("17", "of 15")


def test_a_run_that_is_killed_while_apps_open_goes_on_and_never_back(world):
    """Visitors write by then."""
    world.fails.add("start")
    with pytest.raises(moves.containers.NotReady):
        run()
    assert moves.known()["step"] == moves.SERVES
    world.data("17", ROWS).write_text("of 17")
    assert run()[0] == "went on with a move that was cut off"
    assert world.is_whole() == ("17", "of 17")


def test_going_back_names_what_would_be_lost(moved, monkeypatch):
    names, counts = [["mail"], ["postgres"], ["shop"]], [["3", "1", ""]]
    monkeypatch.setattr(majors, "sql", lambda said, *_words: names if "datname" in said else counts)
    with pytest.raises(module.UpgradeError, match="shop: 3 rows added, 1 changed, 0 removed") as refusal:
        run("back")
    assert str(refusal.value).endswith(f"-e postgres_upgrade_over={word()}") and moved.steps == []
    assert "postgres: 3" not in str(refusal.value)


def test_the_way_back_serves_what_was_there_and_keeps_what_was_written(moved):
    run("back", word())
    assert moved.is_whole() == ("15", "of 15")
    assert moved.data("17", ROWS).read_text() == "of 17"
    with pytest.raises(module.UpgradeError, match="PostgreSQL 17/main is still kept here"):
        run("claimed")


def test_where_an_app_does_not_answer_on_the_way_back_the_newer_one_serves(moved):
    moved.fails.add("answer")
    with pytest.raises(module.UpgradeError, match="all is as it was before: PostgreSQL 17 serves"):
        run("back", word())
    assert moved.is_whole() == ("17", "of 17") and moved.data("15", ROWS).read_text() == "of 15"


def test_the_way_back_is_whole_wherever_it_is_killed(moved, monkeypatch):
    seen = []
    for _number in cut_off(moved, monkeypatch, "back", word()):
        moves.settle(60)
        seen.append(moved.is_whole())
        if seen[-1][0] == "15":
            break
    assert len(seen) > 8 and set(seen[:-1]) == {("17", "of 17")} and seen[-1] == ("15", "of 15")


def test_the_one_that_is_kept_goes_by_a_word(moved):
    assert run("drop", dry=True) == ["would remove 15/main, 1 MB"] and moved.path("15").exists()
    assert run("drop")[0] == "removed 15/main, 1 MB"
    assert moved.is_whole() == ("17", "of 17") and not moved.data("15").exists()
    with pytest.raises(module.UpgradeError, match="no PostgreSQL of before"):
        run("back", "postgres-since-2026-11-29T10:30")
    with pytest.raises(module.UpgradeError, match="no PostgreSQL on this host that is kept"):
        run("drop")


def test_a_cluster_of_somebody_else_s_is_left_alone(world):
    world.make("17", 5433, "auto")
    with pytest.raises(module.UpgradeError, match="PostgreSQL 17/main is on this host already"):
        run("claimed")
    assert not moves.known()


def test_the_empty_one_that_apt_makes_is_replaced_and_one_with_rows_is_not(world):
    run("claimed")
    world.make("17", 5433, "auto", "of somebody")
    with pytest.raises(module.UpgradeError, match="PostgreSQL 17/main is on this host already"):
        run()
    assert world.data("17", ROWS).read_text() == "of somebody" and world.running == {"15"}
    world.data("17", ROWS).rename(world.data("17", "base/5/2619"))
    run()
    assert world.is_whole() == ("17", "of 15")


def test_what_lacks_room_or_proof_stops_before_anything_changes(world, monkeypatch):
    monkeypatch.setattr(hurdles, "SPARE", 1 << 60)
    monkeypatch.setattr(hurdles, "unproven", lambda: ["no drill"])
    with pytest.raises(module.UpgradeError, match=r"nothing was changed.*\n.* for a second cluster .*\n.*no drill"):
        run("claimed")
    with pytest.raises(module.UpgradeError) as refusal:
        run("claimed", hurdles.WITHOUT)
    assert "no drill" not in str(refusal.value) and not moves.known() and world.steps == []


@pytest.mark.parametrize(
    ("status", "said"),
    [
        ({}, "no drill has proved yet"),
        ({"good_archive": {"set": "a"}}, "flask-deploy-archive-drill@shop"),
        ({"good_archive": {"set": "a"}, "good_archive_drill": {}, "archive_drill": {"error": "a page"}}, "a page"),
        ({"good_archive": {"set": "a"}, "good_archive_drill": {"set": "a"}, "archive_drill": {"error": ""}}, ""),
    ],
)
def test_backups_are_good_enough_once_a_drill_has_proved_them(monkeypatch, status, said):
    monkeypatch.setattr(
        hurdles.files, "read_json", lambda path, *_rest: status if "status" in path else {"app": "shop"}
    )
    lines = hurdles.unproven()
    assert bool(lines) is bool(said) and said in "".join(lines)


def test_backups_that_do_not_follow_are_told_and_the_same_command_goes_on(world, monkeypatch):
    def gone(verb):
        if verb == "open":
            raise majors.UpgradeError("the target does not answer")

    with monkeypatch.context() as away:
        away.setattr(moves, "keep_archive", gone)
        with pytest.raises(module.UpgradeError, match="PostgreSQL 17 serves, and its backups do not follow"):
            run()
    assert set(world.apps.values()) == {"open"}
    run()
    assert world.is_whole() == ("17", "of 15")


def test_without_backups_nothing_waits_for_them(world, monkeypatch):
    def gone(_verb):
        raise majors.UpgradeError("the target does not answer")

    for room in (moves, module):
        monkeypatch.setattr(room, "keep_archive", gone)
    assert any(line.startswith("warning: PostgreSQL 17 serves") for line in run(over=hurdles.WITHOUT))
    assert world.is_whole() == ("17", "of 15")


def test_a_dry_run_says_what_would_move(world):
    assert run(dry=True) == ["would move 15/main to 17/main, 1 MB"]
    assert world.steps == [] and world.is_whole() == ("15", "of 15")
