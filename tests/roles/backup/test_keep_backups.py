"""What keeps backups on a host, with the real restic: saved, proved, brought back, and what goes wrong is told."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, nullcontext
from pathlib import Path

import pytest
from ansible.module_utils.flask_deploy.host import command, locks, process
from keep_archive import telling
from keep_archive.places import Archive
from keep_backups import databases, report, sqlite_work
from keep_backups import drill as drills
from keep_backups.__main__ import do_status, main
from keep_backups.causes import explain, unread
from keep_backups.drill import drill
from keep_backups.fetching import _place as place_database
from keep_backups.fetching import fetch
from keep_backups.places import BackupError, Place
from keep_backups.restic import Restic, moment
from keep_backups.saving import escaped, repository, save

from tests.conftest import ROOT

AT = {"at": "*-*-* 03:00", "jitter": 30, "drill_at": "Sun *-*-* 05:00"}
pytestmark = pytest.mark.skipif(not shutil.which("restic"), reason="make tools installs restic")


@pytest.fixture
def make(tmp_path, monkeypatch, owners):
    """Return a function that makes an app with data and what role backup writes for it."""
    monkeypatch.setattr(locks, "RUN", str(tmp_path / "run"))
    os.chmod(tmp_path, 0o755)

    def made(app="shop", to="", password="a long enough password", host="web1", **more):
        place = Place(app, str(tmp_path))
        for folder in (place.data[0], f"{tmp_path}/etc/{app}", place.etc):
            os.makedirs(folder, exist_ok=True)
        settings = {"app": app, "uid": os.getuid(), "to": to or f"{tmp_path}/target", "host": host, "bandwidth": 0}
        settings |= {"keep": {"daily": 7, "weekly": 5, "monthly": 12}, **AT, "drill_read": "100%", "since": time.time()}
        Path(place.etc, "settings.json").write_text(json.dumps({**settings, **more}))
        Path(place.etc, "env.json").write_text("{}")
        Path(place.password).write_text(password)
        return place

    return made


@pytest.fixture
def place(make):
    """Return the place of an app with an upload, a secret and a database."""
    place = make()
    Path(place.data[0], "upload.bin").write_bytes(random.Random(1).randbytes(300_000))
    Path(place.root, "etc/shop/secret").write_text("5f0c")
    fill(f"{place.data[0]}/shop.db", 10)
    return place


def fill(path, rows, mode="wal"):
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"PRAGMA journal_mode = {mode}")
        database.execute("CREATE TABLE IF NOT EXISTS items (name TEXT)")
        database.executemany("INSERT INTO items VALUES (?)", [(f"item {number}",) for number in range(rows)])


def rows(path):
    with closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT count(*) FROM items").fetchone()[0]


def back(place, into, which="latest"):
    into.mkdir(parents=True)
    restic = Restic(place)
    fetch(place, restic, restic.snapshot(which), str(into))
    return Path(f"{into}{place.root}/srv/{place.app}/data")


def packs(place):
    return sorted(Path(place.settings()["to"], "data").glob("*/*"), key=lambda path: path.stat().st_size)


def flip(path):
    """Change one byte in the middle of a file."""
    os.chmod(path, 0o600)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


# -- what is saved comes back ----------------------------------------------------------------


def test_files_secrets_and_databases_come_back_as_they_were(place, tmp_path):
    os.chmod(f"{place.data[0]}/shop.db", 0o640)
    told = save(place)
    assert (told["databases"], told["remarks"], told["error"]) == (1, [], "")
    data = back(place, tmp_path / "there")
    assert (data / "upload.bin").read_bytes() == Path(place.data[0], "upload.bin").read_bytes()
    assert Path(f"{tmp_path}/there{place.root}/etc/shop/secret").read_text() == "5f0c"
    assert rows(data / "shop.db") == 10 and (data / "shop.db").stat().st_mode & 0o777 == 0o640
    assert os.listdir(place.work) == ["status.json"], "no copy of a database stays"


def test_what_can_be_made_again_is_not_saved(place, tmp_path):
    for name in ("releases/1/release.json", "current"):
        Path(place.root, "srv/shop", name).parent.mkdir(parents=True, exist_ok=True)
        Path(place.root, "srv/shop", name).write_text("{}")
    save(place)
    assert os.listdir(back(place, tmp_path / "there").parent) == ["data"]


@pytest.mark.parametrize("name", ["we[i]rd $HOME *?.db", "back\\slash.db", "new\nline.db", "ünïcode.db", " a.sqlite "])
def test_databases_of_any_name_come_back_from_their_copy(place, tmp_path, name):
    fill(f"{place.data[0]}/{name}", 7)
    save(place)
    assert rows(back(place, tmp_path / "there") / name) == 7


def test_a_path_is_a_pattern_of_itself_alone():
    assert escaped("/srv/a[1]/$b*?\\c") == "/srv/a\\[1]/$$b\\*\\?\\\\c"


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_database_that_is_written_to_is_saved_whole(place, tmp_path, mode):
    """In pairs that belong together: a copy of the file alone would tear them."""
    path, stop = f"{place.data[0]}/busy.db", threading.Event()
    fill(path, 20_000, mode)

    def write():
        with closing(sqlite3.connect(path, timeout=60)) as database:
            while not stop.is_set():
                with database:
                    database.executemany("INSERT INTO items VALUES (?)", [("a",), ("b",)])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        save(place)
    finally:
        stop.set()
        writer.join()
    copy = back(place, tmp_path / "there") / "busy.db"
    assert rows(copy) >= 20_000 and rows(copy) % 2 == 0
    assert rows(path) >= rows(copy)


def test_a_database_that_cannot_be_copied_is_an_error_and_the_rest_is_saved(place, tmp_path):
    Path(place.data[0], "torn.db").write_bytes(sqlite_work.HEADER + b"\xff" * 5000)
    with pytest.raises(BackupError, match=r"lacks something: .*torn\.db could not be copied: "):
        save(place)
    assert Path(place.data[0], "upload.bin").read_bytes()
    assert "torn.db" in report.problems(place, place.settings(), time.time())[0]
    restic = Restic(place)
    assert len(restic.snapshots()) == 1


@pytest.fixture
def restic(tmp_path, monkeypatch):
    """Return a function that puts a script before the real restic, whose path it has as $restic."""

    def put(script):
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin/restic").write_text(f"#!/bin/sh\nrestic={shutil.which('restic')}\n{script}\n")
        os.chmod(tmp_path / "bin/restic", 0o755)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    return put


def could_not(error, path="/a"):
    told = {"message_type": "error", "during": "archival", "item": path, "error": error}
    return json.dumps(told).encode() + b"\n"


WENT = could_not({"Op": "lstat", "Path": "x", "Err": 2}, "/srv/shop/data/session")


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([could_not({"Op": "open", "Path": "x", "Err": 5})], ["/a could not be read (input/output error)"]),
        ([could_not({"message": "open /a: permission denied"})], ["/a could not be read (permission denied)"]),
        ([could_not({}, "/")], ["/ could not be read"]),
        ([could_not("odd")], ["/a could not be read (odd)"]),
        ([could_not({"Err": 13}), could_not({"Err": 13})], ["/a could not be read (permission denied)"]),
        ([WENT], []),
        ([could_not({"message": "lstat /a: no such file or directory"})], []),
        ([could_not({}, "/nowhere/any")], []),
        ([could_not({"Err": 2}, "/srv/shop/data")], ["/srv/shop/data could not be read (no such file or directory)"]),
        ([b"Warning: at least one source file could not be read\n"], ["restic could not read some files"]),
    ],
)
def test_what_restic_could_not_read_is_told_without_what_went_meanwhile(lines, said):
    assert [line.partition(", and")[0] for line in unread(lines, ["/srv/shop/data"])] == said


@pytest.mark.parametrize(
    ("lines", "said"), [([WENT], ""), ([], "some files"), ([WENT] * 900 + [could_not({"Err": 5})] + [WENT] * 900, "/a")]
)
def test_a_backup_that_lacks_files_is_red_and_the_rest_is_saved(place, tmp_path, restic, lines, said):
    """restic ends with code 3, and names them on its standard error."""
    (tmp_path / "errors").write_bytes(b"".join(lines))
    restic(f'"$restic" "$@" || exit\ncase " $*" in *" backup "*) cat {tmp_path}/errors >&2; exit 3;; esac')
    with (
        pytest.raises(BackupError, match=f"snapshot [0-9a-f]{{8}} lacks something: .*{said}") if said else nullcontext()
    ):
        save(place)
    assert bool(report.problems(place, place.settings(), time.time())) is bool(said)
    assert len(Restic(place).snapshots()) == 1


def test_a_file_that_restic_may_not_read_is_named(place, restic):
    """As on a disk that fails, or one of NFS on which root is nobody."""
    os.chmod(f"{place.data[0]}/upload.bin", 0)
    rights = "-dac_override,-dac_read_search"
    lesser = ("setpriv", f"--inh-caps={rights}", f"--bounding-set={rights}")
    if os.geteuid() == 0 and subprocess.run([*lesser, "true"], check=False, capture_output=True).returncode:
        pytest.skip("root may not give up rights here")
    restic(f'exec {" ".join(lesser) if os.geteuid() == 0 else ""} "$restic" "$@"')
    with pytest.raises(BackupError, match=r"data/upload\.bin could not be read \(permission denied\); see"):
        save(place)
    assert len(Restic(place).snapshots()) == 1


def test_a_link_that_an_app_made_leads_nowhere(place, tmp_path):
    (tmp_path / "other.db").write_bytes(b"")
    fill(tmp_path / "other.db", 3)
    os.symlink(tmp_path / "other.db", f"{place.data[0]}/link.db")
    os.symlink(tmp_path, f"{place.data[0]}/folder")
    assert save(place)["databases"] == 1
    assert (back(place, tmp_path / "there") / "link.db").is_symlink()


@pytest.mark.parametrize("name", ["data", "writable", "writable/uploads"])
@pytest.mark.parametrize("there", [True, False], ids=["to a disk", "to one that is not mounted"])
def test_a_link_in_place_of_a_directory_is_an_error_and_the_rest_is_saved(place, tmp_path, name, there):
    """restic saves a link as a link, and nothing of where it leads."""
    path, disk = tmp_path / "srv/shop" / name, tmp_path / "disk"
    path.mkdir(parents=True, exist_ok=True)
    path.rename(disk)
    if not there:
        shutil.rmtree(disk)
    path.symlink_to(disk)
    with pytest.raises(BackupError, match=f"{path} is a link.*sudo rm {path} .* mount --bind {disk} {path}; then add"):
        save(place)
    assert report.problems(place, place.settings(), time.time())
    saved = back(place, tmp_path / "there").parent
    assert (saved / name).is_symlink() or not (saved / name).exists()
    assert Path(f"{tmp_path}/there{place.root}/etc/shop/secret").read_text() == "5f0c"


def test_an_app_whose_place_is_a_link_is_saved(place, tmp_path):
    """What lies in it is no link."""
    os.rename(tmp_path / "srv/shop", tmp_path / "disk")
    os.symlink(tmp_path / "disk", tmp_path / "srv/shop")
    assert save(place)["error"] == ""
    assert sorted(os.listdir(back(place, tmp_path / "there"))) == ["shop.db", "upload.bin"]


def test_a_second_backup_of_the_same_adds_next_to_nothing(place):
    save(place)
    assert save(place)["added"] < 20_000


def tagged(path):
    path.mkdir(parents=True, exist_ok=True)
    (path / "CACHEDIR.TAG").write_text("Signature: 8a477f597d28d172789f06886806bc55\n# of some library\n")


def test_a_database_in_a_cache_is_left_out_as_its_directory_is(place, tmp_path):
    tagged(tmp_path / "srv/shop/data/cache")
    (tmp_path / "srv/shop/data/cache/deep").mkdir()
    fill(f"{place.data[0]}/cache/deep/index.db", 3)
    told = save(place)
    assert (told["databases"], told["remarks"]) == (1, [])
    assert os.listdir(back(place, tmp_path / "there") / "cache") == ["CACHEDIR.TAG"]


@pytest.mark.parametrize("name", ["data", "writable"])
def test_a_tag_that_leaves_all_out_is_an_error(place, tmp_path, name):
    tagged(tmp_path / "srv/shop" / name)
    with pytest.raises(
        BackupError, match=f"shop/{name} holds a CACHEDIR.TAG, so nothing else in it is saved; if it is"
    ):
        save(place)
    assert rows(back(place, tmp_path / "there") / "shop.db") == 10


def test_a_cache_in_writable_is_told(place, tmp_path):
    """It may be one, or a place of uploads in which a library put its tag."""
    tagged(tmp_path / "srv/shop/writable/uploads")
    (tmp_path / "srv/shop/writable/plain").mkdir()
    (remark,) = save(place)["remarks"]
    assert "writable/uploads holds a CACHEDIR.TAG" in remark
    assert remark in "\n".join(report.lines(place, time.time()))


@pytest.mark.parametrize("begin", ["Signature: 8a47", "", None])
def test_a_tag_without_its_signature_is_none(tmp_path, begin):
    if begin is None:
        tagged(tmp_path / "real")
        (tmp_path / "CACHEDIR.TAG").symlink_to(tmp_path / "real/CACHEDIR.TAG")
    else:
        (tmp_path / "CACHEDIR.TAG").write_text(begin)
    assert not sqlite_work.is_cache(str(tmp_path))


def test_a_directory_that_went_after_its_database_was_copied_is_made_again(place, tmp_path, monkeypatch):
    fill_in = tmp_path / "srv/shop/data/session/a"
    fill_in.mkdir(parents=True)
    fill(fill_in / "one.db", 4)
    ask = databases.ask

    def asked(job, uid):
        told = ask(job, uid)
        if job["do"] == "copy":
            shutil.rmtree(fill_in.parent)
        return told

    monkeypatch.setattr(databases, "ask", asked)
    save(place)
    data = back(place, tmp_path / "there")
    assert rows(data / "session/a/one.db") == 4
    assert (data / "session").stat().st_uid == (data / "session/a/one.db").stat().st_uid


@pytest.mark.parametrize("kind", ["link", "file"])
def test_no_directory_is_made_behind_what_is_none(tmp_path, kind):
    (tmp_path / "etc").mkdir()
    (tmp_path / "into/srv").mkdir(parents=True)
    way = tmp_path / "into/srv/data"
    way.symlink_to(tmp_path / "etc") if kind == "link" else way.write_text("")
    (tmp_path / "0.db").write_text("")
    with pytest.raises(BackupError, match=r"the way to /srv/data/a/x\.db in the backup is no directory"):
        place_database(
            str(tmp_path / "into"), str(tmp_path / "0.db"), "/srv/data/a/x.db", {"uid": 0, "gid": 0, "mode": 0}
        )
    assert os.listdir(tmp_path / "etc") == []


# -- who shares a repository -----------------------------------------------------------------


def test_retention_of_one_app_never_removes_another_s(make, place):
    """Nor another host's; of its own, one of today stays whatever is kept."""
    keepers = [("blog", "web1"), ("shop", "web2"), ("shop", "web1")]
    for app, host in keepers:
        one = make(app, host=host, keep={"daily": 1})
        save(one)
        for year in (2021, 2022):
            restic = Restic(one)
            restic.run("backup", "--time", f"{year}-01-01 00:00:00", *restic.own, *one.saved())
    save(make("shop", host="web1", keep={"daily": 1}))
    assert [len(Restic(make(*each[:1], host=each[1])).snapshots()) for each in keepers] == [3, 3, 2]


def test_one_app_does_not_get_another_s_backup(make, place):
    save(place)
    other = make("blog")
    with pytest.raises(BackupError, match="there is no backup latest of blog"):
        Restic(other).snapshot("latest")


# -- the drill -------------------------------------------------------------------------------


def test_a_drill_proves_the_newest_backup_and_leaves_nothing(place):
    save(place)
    fill(f"{place.data[0]}/shop.db", 5)
    told = drill(place)
    assert told["databases"] == {f"{place.data[0]}/shop.db": ["items 10 rows (live 15)"]}
    assert told["files"] == 3 and os.listdir(place.work) == ["status.json"]
    assert report.problems(place, place.settings(), time.time()) == []
    runs = report.runs(place)
    assert not runs["drill"]["failed"] and runs["backup"]["good"] <= runs["drill"]["good"] == told["began"]


def test_a_drill_is_red_when_one_byte_of_the_backup_is_flipped(place):
    save(place)
    flip(packs(place)[-1])
    with pytest.raises(BackupError, match="is damaged"):
        drill(place)
    assert os.listdir(place.work) == ["status.json"]
    assert "the drill of" in report.problems(place, place.settings(), time.time())[0]
    assert report.runs(place)["drill"] == {"good": None, "failed": True}


def test_a_damage_that_the_check_does_not_look_at_is_seen_by_the_restore(make, place):
    save(make())
    flip(packs(place)[-1])
    place = make(drill_read="1/1000")
    with pytest.raises(BackupError):
        drill(place)


def test_a_backup_that_lacks_a_pack_is_an_alarm(place):
    save(place)
    packs(place)[-1].unlink()
    with pytest.raises(BackupError):
        drill(place)


# -- what goes wrong, and the run after it ---------------------------------------------------


def test_the_wrong_password_is_told_and_the_next_run_is_well(make, place):
    save(place)
    make(password="another long password")
    with pytest.raises(BackupError, match="backup_password does not open the repository"):
        save(place)
    make()
    save(place)
    assert report.problems(place, place.settings(), time.time()) == []


def test_a_target_that_went_is_told_and_not_made_anew(place, tmp_path):
    save(place)
    os.rename(tmp_path / "target", tmp_path / "away")
    with pytest.raises(BackupError, match="is not there any more; see that its disk is mounted"):
        save(place)
    assert not (tmp_path / "target").exists()
    os.rename(tmp_path / "away", tmp_path / "target")
    save(place)
    assert len(Restic(place).snapshots()) == 2, "one of today is not for another of today to remove"


def test_another_target_begins_anew(make, place, tmp_path):
    """What the first one holds is no backup of the second, and neither is late at once."""
    save(place)
    place = make(to=f"{tmp_path}/second", since=time.time() - 30 * 86400)
    repository(place, Restic(place))
    assert report.lines(place, time.time()) == ["backup: none yet", "drill: none yet"]
    assert report.problems(place, place.settings(), time.time()) == []
    save(place)
    assert (tmp_path / "second/config").exists()


def test_a_target_that_is_full_is_told_and_the_next_run_is_well(make, tmp_path):
    if os.geteuid():
        pytest.skip("only root can mount")
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "small", small], check=False).returncode:
        pytest.skip("no mounts here")
    try:
        place = make(to=f"{small}/repo")
        Path(place.data[0], "little").write_text("a")
        save(place)
        Path(place.data[0], "much").write_bytes(random.Random(2).randbytes(4 << 20))
        with pytest.raises(BackupError, match="is full; make room there"):
            save(place)
        subprocess.run(["mount", "-o", "remount,size=64m", small], check=True)
        save(place)
        drill(place)
    finally:
        subprocess.run(["umount", "-l", small], check=True)


def test_a_run_that_was_killed_is_told_and_the_next_one_is_well(place):
    """Its lock goes, and what it had copied."""
    save(place)
    Path(place.data[0], "much").write_bytes(random.Random(3).randbytes(40 << 20))
    words = (
        "from tests.conftest import *; from keep_backups.saving import save; from keep_backups.places import Place; "
    )
    words += f"from ansible.module_utils.flask_deploy.host import locks; save(Place('shop', {place.root!r}))"
    running = subprocess.Popen([sys.executable, "-c", words], cwd=ROOT, stderr=subprocess.DEVNULL)
    locked = Path(place.settings()["to"], "locks")
    end = time.monotonic() + 60
    while not any(locked.iterdir()) and time.monotonic() < end:
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert any("was cut off" in line for line in report.problems(place, place.settings(), time.time()))
    save(place)
    drill(place)
    assert report.problems(place, place.settings(), time.time()) == []
    assert not any(locked.iterdir()) and os.listdir(place.work) == ["status.json"]


def test_a_snapshot_of_tomorrow_tells_of_a_wrong_clock(place, monkeypatch):
    save(place)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 86400)
    with pytest.raises(BackupError, match="which is to come: this host's clock"):
        save(place)


def test_an_app_without_any_data_is_told(make):
    place = make("blog")
    for path in place.saved():
        shutil.rmtree(path)
    with pytest.raises(BackupError, match="there is nothing of blog"):
        save(place)


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        ("Fatal: wrong password or no key found", "backup_password does not open"),
        ("write /t/data: no space left on device", "is full"),
        ('sftp: "Failure" (SSH_FX_FAILURE)', "is full"),
        ("subprocess ssh: Host key verification failed.", "another host key than backup_host_key"),
        ("subprocess ssh: u@h: Permission denied (publickey).", "does not take backup_ssh_key"),
        ("subprocess ssh: kex_exchange_identification: read: Connection reset by peer", "ends each connection at once"),
        ("read |0: file already closed Connection closed by 2001:db8::7 port 22", "ends each connection at once"),
        ("client.BucketExists: The difference between the request time and the server's time is too large.", "clock"),
        ("Stat: The Access Key Id you provided does not exist in our records: InvalidAccessKeyId", "backup_env"),
        ("dial tcp 192.0.2.1:443: connect: connection refused", "does not answer"),
        ("ciphertext verification failed", "is damaged"),
        ("unable to create lock in backend: repository is already locked exclusively by PID 7", "locked"),
        ("open /t/config: permission denied", "may not be written"),
    ],
)
def test_what_restic_says_is_told_by_its_cause(said, cause):
    assert cause in explain(said, "/t", "backup") and said[-20:] in explain(said, "/t", "backup")


# -- how it is run ---------------------------------------------------------------------------


def test_no_secret_is_a_word_of_a_command(make, tmp_path):
    place = make(to="sftp://keeper@[2001:db8::7]:2222/backups/shop")
    Path(place.etc, "env.json").write_text('{"AWS_SECRET_ACCESS_KEY": "5f0c"}')
    restic = Restic(place)
    words = " ".join(restic.options())
    assert restic.environment()["AWS_SECRET_ACCESS_KEY"] == "5f0c" and "5f0c" not in words
    assert words.endswith("-p 2222 keeper@2001:db8::7 -s sftp") and f"-i {place.ssh_key}" in words
    assert "StrictHostKeyChecking=yes" in words


@pytest.mark.parametrize(
    ("to", "login"),
    [
        ("sftp:keeper@backup.example.com:/backups/shop", "keeper@backup.example.com"),
        ("sftp:backup:shop", "backup"),
        ("sftp://backup.example.com/shop", "backup.example.com"),
    ],
)
def test_ssh_logs_in_where_the_target_says(make, to, login):
    assert Restic(make(to=to)).options()[-1].endswith(f"known_hosts {login} -s sftp")


@pytest.mark.parametrize(
    ("said", "asked"),
    [("", "keeper@h: Permission denied (publickey)."), ("subprocess ssh: Permission denied (publickey).", None)],
)
def test_what_restic_has_not_heard_of_ssh_is_asked_of_ssh(make, monkeypatch, said, asked):
    place = make(to="sftp:keeper@h:shop")
    fatal = f"{said} Fatal: unable to start the sftp session, error: read |0: file already closed"
    answers = {"restic": process.Done(1, b"", fatal, 0), "ssh": process.Done(255, b"", asked, 0)}
    monkeypatch.setattr(command, "attempt", lambda program, *_words, **_more: answers[program])
    with pytest.raises(BackupError, match="does not take backup_ssh_key"):
        Restic(place).run("snapshots")


def test_bandwidth_is_limited_both_ways(make):
    assert Restic(make(bandwidth=500)).options() == ["--limit-upload", "500", "--limit-download", "500"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-02T00:00:00.5Z", 86400.5),
        ("1970-01-01T01:00:01+01:00", 1),
        ("1970-01-01T00:00:00.123456789Z", 0.123456789),
    ],
)
def test_a_time_of_restic_s_is_read(text, seconds):
    assert moment(text) == pytest.approx(seconds)


def test_what_is_of_a_time_to_come_is_told_of_each_kind_of_run(place):
    """The clock was wrong, or is: until that time nothing would be late."""
    save(place)
    before = report.known(place)["good_backup"]["began"] - 2 * 86400
    backup, drill = report.problems(place, {**place.settings(), "since": before + 86400}, before)
    assert backup.startswith("the backup: the last good one is of ") and backup.endswith(report.CLOCK)
    assert drill.startswith("the drill: its settings are of ") and "which is to come: this host's clock" in drill


def test_late_is_what_its_calendar_says(place):
    """A weekly backup is not late after a day."""
    save(place)
    settings, began = place.settings(), report.known(place)["good_backup"]["began"]
    weekly = {**settings, "at": "Mon *-*-* 03:00", "drill_at": "Mon *-*-* 04:00"}
    assert report.problems(place, weekly, began) == []
    assert any(
        "the backup is late, the last good one" in line for line in report.problems(place, weekly, began + 8 * 86400)
    )
    late = report.problems(place, settings, began + 2 * 86400)
    assert [line for line in late if line.startswith("the backup is late")]


def written(place, **told):
    """Let the status of an app be as some runs left it."""
    os.makedirs(place.work, exist_ok=True)
    Path(place.status).write_text(json.dumps(told))


def late(place, now):
    return [line for line in report.problems(place, place.settings(), now) if " is late" in line]


@pytest.fixture
def units(tmp_path, monkeypatch):
    """Return a function that says which unit is starting, as a unit does that runs once and has not ended."""

    def starting(name):
        (tmp_path / "bin").mkdir(exist_ok=True)
        script = f'#!/bin/sh\ncase "$*" in *{name}@shop.service) echo activating;; *) echo inactive;; esac\n'
        (tmp_path / "bin/systemctl").write_text(script)
        os.chmod(tmp_path / "bin/systemctl", 0o755)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    return starting


@pytest.mark.parametrize(("what", "lives", "said"), [("drill", True, 0), ("drill", False, 1), ("backup", True, 1)])
def test_a_run_that_takes_long_is_not_late(make, units, what, lives, said):
    """A drill of much data takes hours: it began in time."""
    place, sunday = make(since=0), 1_796_533_200  # 05:00
    units("nothing")
    good = {"began": sunday - 7 * 86400, "error": ""}
    process_of = [os.getpid(), process.started(os.getpid()) if lives else 1]
    running = {"what": what, "began": sunday + 600, "process": process_of}
    backup = {"began": sunday - 7200, "error": ""}
    written(place, good_drill=good, drill=good, good_backup=backup, backup=backup, running=running)
    assert late(place, sunday + 5399) == [] and len(late(place, sunday + 3 * 3600)) == said


def test_a_run_that_waits_for_another_is_not_late(make, units):
    """The drill of the files and that of PostgreSQL follow each other."""
    place, sunday = make(since=0), 1_796_533_200
    good = {"began": sunday - 7 * 86400, "error": ""}
    written(place, good_drill=good, drill=good, good_backup={"began": sunday - 7200})
    units("flask-deploy-drill")
    assert late(place, sunday + 3 * 3600) == []
    units("flask-deploy-backup")
    assert len(late(place, sunday + 3 * 3600)) == 1


def test_backups_that_wait_for_a_drill_are_not_late(make, units, monkeypatch):
    place = make(at="hourly", jitter=0)
    Path(place.data[0], "little").write_text("a")
    units("nothing")
    save(place)
    fetched, now = fetch, time.time

    def slowly(*words):
        monkeypatch.setattr(time, "time", lambda: now() + 4 * 3600)
        return fetched(*words)

    monkeypatch.setattr(drills, "fetch", slowly)
    assert drill(place)["error"] == ""
    monkeypatch.setattr(drills, "fetch", fetched)
    with pytest.raises(BackupError, match="backups are late"):
        drill(place)
    units("flask-deploy-backup")
    assert drill(place)["error"] == ""


def test_a_backup_that_never_came_is_late(make):
    place = make(since=time.time() - 3 * 86400)
    assert "there was none yet" in report.problems(place, place.settings(), time.time())[0]


def test_the_log_of_a_backup_that_told_nothing_is_named(place, restic):
    restic('case " $*" in *" backup "*) ;; *) exec "$restic" "$@";; esac')
    with pytest.raises(BackupError, match=r"sudo journalctl -n 50 -u flask-deploy-backup@shop$"):
        save(place)


def test_the_status_names_the_app_that_keeps_postgresql(make, capsys, monkeypatch, tmp_path):
    """So that the doctor names its units."""
    place = make()
    monkeypatch.setattr(telling, "Archive", lambda: Archive(str(tmp_path)))
    do_status(place, None)
    assert json.loads(capsys.readouterr().out)["keeper"] == ""
    os.makedirs(tmp_path / "etc/flask-deploy/archive")
    (tmp_path / "etc/flask-deploy/archive/settings.json").write_text('{"app": "blog"}')
    do_status(place, None)
    assert json.loads(capsys.readouterr().out)["keeper"] == "blog"


def test_the_program_tells_and_ends_with_a_code(make, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["keep_backups", "status", "nosuch"])
    assert main() == 1
    assert "nosuch has no backup on this host" in capsys.readouterr().err
