"""What is told of the archive: causes, what is late, which backup is next, and which one serves a time."""

from __future__ import annotations

import json
import os
import shlex
import time
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest
from keep_archive import aside, drilling, fetching, pgbackrest, saving, target, telling, waiting
from keep_archive.causes import explain
from keep_archive.places import Archive
from keep_backups import report
from keep_backups.places import BackupError, Place

NOW = 1_795_860_000.0
SETTINGS = {
    **{"app": "shop", "version": "17", "to": "/mnt/backup/shop", "since": NOW - 86400, "full_days": 7},
    **{"at": "*-*-* 03:00", "drill_at": "Sun *-*-* 05:00", "jitter": 30},
}


@pytest.fixture
def archive(tmp_path):
    archive = Archive(str(tmp_path))
    os.makedirs(archive.etc)
    Path(archive.etc, "settings.json").write_text(json.dumps(SETTINGS))
    os.makedirs(f"{archive.data()}/pg_wal/archive_status")
    return archive


@pytest.fixture
def place(tmp_path, owners):
    return Place("shop", str(tmp_path))


def known(*backups):
    """Return what pgbackrest tells of backups, each (kind, when it ended)."""
    return [
        {"label": f"{kind}-{stop:.0f}", "type": kind, "timestamp": {"start": stop - 5, "stop": stop}, "error": False}
        for kind, stop in backups
    ]


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (
            "unable to load info file '/r/archive/archive.info' or '...copy': CryptoError: cipher header invalid",
            "backup_password does not open the archive",
        ),
        (
            "[FormatError] unable to load info file '/r/backup.info': key/value found outside of section: \x04\x81gOn",
            "backup_password does not open the archive",
        ),
        ("FileWriteError: unable to write '/mnt/x': [28] No space left on device", "is full"),
        ("raised from local-1 protocol: unable to write '/mnt/x/bundle/1': [2] No such file or directory", "is full"),
        ("unable to connect to 'b.example.com:22': [111] Connection refused", "does not answer"),
        ("HostConnectError: unable to get address for 'b': [-2] Name or service not known", "does not answer"),
        ("public key authentication failed: libssh2 error [-18]", "does not take backup_ssh_key"),
        ("known hosts failure: 'b.example.com' mismatch in known_hosts", "another host key than backup_host_key"),
        ("HTTP request failed with 403 (Forbidden): <Code>InvalidAccessKeyId</Code>", "credentials in backup_env"),
        ("HTTP request failed with 403: <Code>RequestTimeTooSkewed</Code>", "the clock of this host is wrong"),
        (
            "WAL segment 00000001 was not archived before the 60000ms timeout HINT: check the archive_command",
            "what PostgreSQL writes does not get to",
        ),
        (
            "[045]: WAL file '1' already exists in the repo1 archive with a different checksum",
            "another server of this name",
        ),
        ("error restoring '/d/1': actual checksum 'a' does not match expected checksum 'b'", "is damaged"),
        (
            "FATAL: recovery ended before configured recovery target was reached",
            "ends before what was asked for, or a part of it is missing",
        ),
        (
            "unable to open missing file '/mnt/backup/archive.info' for read HINT: has a stanza-create been performed?",
            "went while it was used",
        ),
    ],
)
def test_what_fails_is_told_by_its_cause_with_what_to_do(said, cause):
    line = explain(said, "/mnt/backup/shop", "backup")
    assert cause in line and "; " in line and "(pgbackrest backup: " in line and "{" not in line


def test_a_log_that_waits_is_an_alarm_with_its_cause(archive, monkeypatch):
    said = "LOG: x\nERROR: [082]: unable to push\n       repo1: [HostConnectError] timeout connecting\nLOG: y\n"
    monkeypatch.setattr(waiting, "log_end", lambda _archive: said)
    assert waiting.problems(archive, NOW, 0) == []
    part = Path(archive.data(), "pg_wal/archive_status/000000010000000000000008.ready")
    part.touch()
    os.utime(part, (NOW - 60, NOW - 60))
    assert waiting.problems(archive, NOW, 0) == []
    os.utime(part, (NOW - 3 * 86400, NOW - 3 * 86400))
    (line,) = waiting.problems(archive, NOW, 0)
    assert "waits for 4320 minutes" in line and "/mnt/backup/shop does not answer" in line


def test_a_part_that_is_archived_meanwhile_waits_no_more(archive, monkeypatch):
    """PostgreSQL renames it from .ready to .done."""
    gone = SimpleNamespace(name="000000010000000000000008.ready", stat=lambda: os.stat(f"{archive.data()}/none"))
    monkeypatch.setattr(waiting.os, "scandir", lambda _place: nullcontext([gone]))
    assert waiting.oldest(archive) is None


def test_what_was_let_go_is_told_until_the_next_backup(archive, monkeypatch):
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(NOW - 600))
    said = f"{when}.123 P00   WARN: dropped WAL file '000000010000000000000008' because archive queue exceeded 4GB\n"
    monkeypatch.setattr(waiting, "log_end", lambda _archive: said)
    assert "let go of 1 parts" in waiting.problems(archive, NOW, NOW - 3600)[0]
    assert waiting.problems(archive, NOW, NOW - 60) == []


def test_the_first_backup_and_one_a_week_are_full(archive, monkeypatch):
    day = 86400
    for backups, due in (
        ([], True),
        ([("full", NOW - day)], False),
        ([("full", NOW - 6 * day), ("diff", NOW - day)], False),
        ([("full", NOW - 7 * day + 1800), ("diff", NOW - day)], True),
    ):
        monkeypatch.setattr(pgbackrest, "stanza", lambda _archive, backups=backups: {"backup": known(*backups)})
        assert saving.is_due(archive, NOW) is due


@pytest.fixture
def backed_up(archive, place, monkeypatch):
    """Return a function that makes a backup; pgbackrest tells of those before it, and then of those after it."""

    def made(before, after):
        told = {"backup": before}
        info = {"size": 10, "repository": {"delta": 5}}

        def run(_archive, *words, **_more):
            if words[-1] == "backup":
                told["backup"] = [{**each, "info": info} for each in after]

        monkeypatch.setattr(pgbackrest, "ensure", lambda *_words: None)
        monkeypatch.setattr(pgbackrest, "run", run)
        monkeypatch.setattr(pgbackrest, "stanza", lambda _archive: told)
        return saving.save(archive, place)

    return made


def test_a_backup_is_told_by_what_it_made(backed_up):
    before, now = known(("full", NOW)), time.time()
    assert backed_up(before, before + known(("diff", now)))["set"] == f"diff-{now:.0f}"


def test_a_backup_of_a_damaged_cluster_is_no_good_one(backed_up, place):
    """pgbackrest ends well, and says in its list that pages were damaged."""
    before = known(("full", NOW))
    with pytest.raises(BackupError, match=r"pages of PostgreSQL on this host are damaged"):
        backed_up(before, [*before, {**known(("diff", time.time()))[0], "error": True}])
    assert report.known(place).get("good_archive") is None


def test_a_backup_of_a_clock_that_went_back_is_told(backed_up):
    """The newest one is of tomorrow, so that each restore and drill would take that."""
    with pytest.raises(BackupError, match=r"which is to come: this host's clock is or was wrong"):
        backed_up(known(("full", time.time() + 86400)), [])


def test_a_time_is_served_by_the_newest_backup_before_it(archive, monkeypatch):
    backups = {"backup": known(("full", NOW - 300), ("diff", NOW - 100))}
    monkeypatch.setattr(pgbackrest, "stanza", lambda _archive: backups)
    assert pgbackrest.newest(archive, NOW - 200)["type"] == "full"
    assert pgbackrest.newest(archive)["type"] == "diff"
    with pytest.raises(BackupError, match=r"no backup of PostgreSQL that ended before .*; there are: full-"):
        pgbackrest.newest(archive, NOW - 400)


# -- a new server, whose own backups begin before all is restored ------------------------------


@pytest.fixture
def moved(archive, monkeypatch):
    """Return a function that lets the archive hold backups, each (kind, when it ended, number of its cluster)."""

    def held(*backups, serves=2):
        listed = known(*(each[:2] for each in backups))
        for each, (_kind, _stop, number) in zip(listed, backups, strict=True):
            each["database"] = {"id": number}
        told = {"backup": listed, "db": [{"id": number, "version": "17"} for number in range(1, serves + 1)]}
        monkeypatch.setattr(pgbackrest, "stanza", lambda _archive: told)
        return archive

    monkeypatch.setattr(fetching, "exists", lambda _app: True)
    monkeypatch.setattr(aside, "rows", lambda *_words: {})
    return held


LOST = (("full", NOW - 3 * 86400, 1), ("diff", NOW - 86400, 1))  # of the server that is gone
EMPTY = ("full", NOW - 3600, 2)  # of the new one, whose timer came before the second app was restored


def test_a_backup_of_an_empty_new_server_is_not_taken_for_that_of_the_lost_one(moved):
    archive = moved(*LOST, EMPTY)
    with pytest.raises(BackupError, match="shop is yet to be restored here") as refused:
        fetching.plan(archive, "shop", "latest")
    assert f"restore_point=diff-{NOW - 86400:.0f} (2026-" in str(refused.value)
    assert str(refused.value).endswith(f"restore_point=full-{NOW - 3600:.0f}")


@pytest.mark.parametrize(
    ("backups", "serves", "taken"),
    [
        (LOST, 2, "diff"),
        ([EMPTY], 2, "full"),
        ([*LOST, EMPTY], 3, "full"),
        (LOST, 1, "diff"),
    ],
    ids=["nothing of the new one yet", "of the new one alone", "on the way back", "a server that stays"],
)
def test_the_newest_backup_is_taken_where_it_can_be_no_other(moved, backups, serves, taken):
    assert fetching.plan(moved(*backups, serves=serves), "shop", "latest")["set"].startswith(taken)


def test_a_backup_is_named_to_go_to_the_end_of_what_its_server_wrote(moved, monkeypatch):
    archive = moved(*LOST, EMPTY)
    told = pgbackrest.stanza(archive)
    for each, label in zip(told["backup"], ("20261125-030000F", "20261125-030000F_20261127-030000D", "x"), strict=True):
        each["label"] = label
    for label in ("20261125-030000F", "20261125-030000F_20261127-030000D"):
        assert target.read(label) == target.Target(["--type=default"], None, label)
        assert fetching.plan(archive, "shop", label)["set"] == label
    with pytest.raises(
        BackupError, match=r"there is no backup of PostgreSQL 20200101-030000F at .*; there are: 20261125"
    ):
        fetching.plan(archive, "shop", "20200101-030000F")


def test_a_drill_takes_a_backup_of_the_cluster_that_serves(moved, place, monkeypatch):
    """Its restore point is in the log of that one alone."""
    for name in ("sql", "run"):
        monkeypatch.setattr(pgbackrest, name, lambda *_words, **_more: [])
    monkeypatch.setattr(aside, "restored", lambda *_words: nullcontext())
    monkeypatch.setattr(drilling, "look", lambda *_words: None)
    assert drilling.drill(moved(EMPTY, ("full", NOW, 1)), place)["set"] == f"full-{NOW - 3600:.0f}"
    with pytest.raises(BackupError, match=r"no backup of the PostgreSQL that serves here at .*; back up now: flask-"):
        drilling.drill(moved(*LOST), place)


@pytest.mark.parametrize(
    ("database", "said"),
    [(1, "is of PostgreSQL 15, whose programs are not on this host; install there: postgresql-15"), (2, None)],
)
def test_a_backup_is_opened_by_the_programs_of_its_version(archive, monkeypatch, tmp_path, database, said):
    """An archive holds backups of before an upgrade, too."""
    (tmp_path / "17/bin").mkdir(parents=True)
    monkeypatch.setattr(aside, "PROGRAMS", str(tmp_path))
    monkeypatch.setattr(aside, "pwd", SimpleNamespace(getpwnam=lambda _name: SimpleNamespace(pw_uid=0, pw_gid=0)))
    versions = [{"id": 1, "version": "15"}, {"id": 2, "version": "17"}]
    monkeypatch.setattr(pgbackrest, "stanza", lambda _archive: {"db": versions})
    cluster, backup = aside.Aside(archive, "drill"), {"label": "20261129-103916F", "database": {"id": database}}
    with pytest.raises(BackupError, match=said) if said else nullcontext():
        cluster.choose(backup)
    assert cluster.program == f"{tmp_path}/{versions[database - 1]['version']}/bin"


def test_a_backup_that_is_newer_than_what_serves_is_refused(archive, monkeypatch, tmp_path):
    (tmp_path / "18/bin").mkdir(parents=True)
    monkeypatch.setattr(aside, "PROGRAMS", str(tmp_path))
    monkeypatch.setattr(aside, "pwd", SimpleNamespace(getpwnam=lambda _name: SimpleNamespace(pw_uid=0, pw_gid=0)))
    monkeypatch.setattr(pgbackrest, "stanza", lambda _archive: {"db": [{"id": 1, "version": "18"}]})
    with pytest.raises(BackupError, match="is of PostgreSQL 18, and 17 serves here"):
        aside.Aside(archive, "restore").choose({"label": "20261129-103916F", "database": {"id": 1}})


def test_what_alter_system_says_opens_no_door_of_a_throw_away_cluster(archive, monkeypatch):
    """A backup has those settings too, and they win over its file: only the command line wins over them."""
    monkeypatch.setattr(aside, "pwd", SimpleNamespace(getpwnam=lambda _name: SimpleNamespace(pw_uid=0, pw_gid=0)))
    monkeypatch.setattr(pgbackrest, "sql", lambda _statement: [["pg_stat_statements, auto_explain"]])
    cluster = aside.Aside(archive, "drill")
    told = dict(word.split("=", 1) for word in shlex.split(cluster.options())[1::2])
    assert told["listen_addresses"] == "" and told["unix_socket_directories"] == cluster.sockets
    assert told["archive_mode"] == "off" and told["shared_preload_libraries"] == "pg_stat_statements, auto_explain"


def test_a_database_with_a_dot_in_its_name_is_looked_at_as_it_is_called(monkeypatch):
    """A restore that was killed leaves shop.restored, and pg_amcheck reads a pattern."""
    asked = []

    def attempt(*words, **_more):
        asked.extend(words)
        return SimpleNamespace(code=0, out=b"", said="")

    monkeypatch.setattr(drilling.command, "attempt", attempt)
    monkeypatch.setattr(pgbackrest, "sql", lambda *_words, **_more: [["off"]])
    drilling.look(SimpleNamespace(program="/bin", sockets="/tmp"), ["shop.restored"])
    assert '--database="shop.restored"' in asked


def test_a_host_without_an_archive_tells_nothing(tmp_path, place):
    assert telling.tell(place, NOW, Archive(str(tmp_path / "nothing"))) == ([], [])


@pytest.mark.parametrize("has", [True, False])
def test_another_app_names_the_one_that_keeps_it_and_what_to_mend(archive, tmp_path, monkeypatch, has):
    """What is to be mended is told to those alone whose database is there."""
    monkeypatch.setattr(waiting, "log_end", lambda _archive: "")
    monkeypatch.setattr(telling.postgres, "has_database", lambda _app: has)
    lines, problems = telling.tell(Place("mail", str(tmp_path)), NOW + 3 * 86400, archive)
    assert lines == ["PostgreSQL: its backups are kept with those of app shop"] and bool(problems) is has
    assert not has or "flask-deploy-archive@shop.timer" in problems[0]


@pytest.mark.parametrize("has", [True, False])
def test_a_database_whose_backups_went_with_another_app_is_told(tmp_path, place, monkeypatch, has):
    archive = Archive(str(tmp_path / "host"))
    monkeypatch.setattr(telling.postgres, "has_database", lambda _app: has)
    assert telling.tell(place, NOW, archive) == ([], []), "nobody ever kept one, or took it away by hand"
    os.makedirs(os.path.dirname(archive.ended))
    Path(archive.ended).write_text('{"app": "mail"}')
    (problem,) = telling.tell(place, NOW, archive)[1] or [""]
    assert problem.startswith("PostgreSQL of this host is in no backup since app mail was removed") is has


def test_an_archive_that_is_kept_again_is_told_no_more(archive, place, monkeypatch):
    os.makedirs(os.path.dirname(archive.ended), exist_ok=True)
    Path(archive.ended).write_text('{"app": "mail"}')
    monkeypatch.setattr(pgbackrest, "stanza", lambda _archive: {"status": {"code": 0}})
    monkeypatch.setattr(pgbackrest, "attempt", lambda *_words, **_more: SimpleNamespace(code=0, out=b"", said=""))
    pgbackrest.ensure(archive, place)
    assert not os.path.exists(archive.ended)


def test_a_backup_that_failed_or_is_late_is_red(archive, place, monkeypatch):
    monkeypatch.setattr(waiting, "log_end", lambda _archive: "")
    assert telling.tell(place, NOW + 3 * 86400, archive)[1][0].startswith("the backup of PostgreSQL is late")
    with pytest.raises(BackupError), report.under_way(place, "archive"):
        raise BackupError("the target is full; make room")
    lines, problems = telling.tell(place, time.time(), archive)
    assert lines == ["PostgreSQL: no backup yet"]
    assert "failed: the target is full; make room" in problems[0]


# -- a point in time -------------------------------------------------------------------------


def test_a_time_in_utc_a_word_and_a_restore_point_are_targets():
    at = target.read("2026-03-01T03:00:05Z")
    assert "--target=2026-03-01 03:00:05+00" in at.words and at.moment == 1_772_334_005
    assert target.read("2026-03-01T03:00Z").moment == 1_772_334_000
    assert target.read("latest") == target.Target(["--type=default"], None)
    point = target.read("shop-20260301T030005Z-5f0c0a1b")
    assert point.words[:2] == ["--type=name", "--target=shop-20260301T030005Z-5f0c0a1b"]
    assert point.moment == at.moment, "so that a backup of before it is used"


def test_a_time_to_come_is_refused_with_the_time_that_it_is():
    later = target.shown(time.time() + 3600)
    with pytest.raises(BackupError, match=r"is to come; times are in UTC, and now it is \d{4}-"):
        target.read(later)


# -- the drill -------------------------------------------------------------------------------


def test_a_table_that_did_not_come_back_is_an_alarm():
    assert drilling.beside("shop", {"public.item": 3}, {"public.item": 4}) == ["public.item 3 rows (live 4)"]
    with pytest.raises(BackupError, match=r"database shop lacks the table public\.note, which the live one has"):
        drilling.beside("shop", {"public.item": 3}, {"public.item": 4, "public.note": 0})


def test_a_drill_that_failed_or_is_late_is_red(archive, place, monkeypatch):
    monkeypatch.setattr(waiting, "log_end", lambda _archive: "")
    lines = telling.tell(place, NOW + 9 * 86400, archive)[1]
    assert any(line.startswith("the drill of PostgreSQL is late") for line in lines)
    with pytest.raises(BackupError), report.under_way(place, "archive_drill"):
        raise BackupError("the backup is damaged")
    assert any("the drill of PostgreSQL of" in line for line in telling.tell(place, time.time(), archive)[1])


def test_what_a_database_answers_may_be_no_text(monkeypatch):
    """One with the encoding SQL_ASCII holds any bytes."""
    monkeypatch.setattr(pgbackrest.command, "run", lambda *_words, **_options: b"a\tb\xff\n")
    assert pgbackrest.sql("SELECT 1") == [["a", "b\ufffd"]]
