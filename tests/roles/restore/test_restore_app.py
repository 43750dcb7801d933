"""A restore exchanges what is there in steps that are undone, wherever it is cut off."""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path

import pytest
from ansible.module_utils import restore_swap
from ansible.module_utils.restore_swap import Swap, SwapError
from ansible.modules import restore_app as module
from inventory_check.inventory import CHECKS


@pytest.fixture
def app(host, tmp_path):
    """Return an app with data and secrets, and no releases."""
    app = host()
    for path in (f"{app.root}/data", app.etc):
        os.makedirs(path, exist_ok=True)
        Path(path, "name").write_text("before")
    return app


@pytest.fixture
def swap(app):
    """Return a swap whose backup is fetched."""
    swap = Swap(app)
    swap.prepare()
    for path in (f"{app.root}/data", app.kept, app.etc):
        os.makedirs(f"{swap.tree}{path}")
        Path(f"{swap.tree}{path}", "name").write_text("of the backup")
    return swap


def content(path):
    return Path(path, "name").read_text() if os.path.isdir(path) else None


def there(app):
    return [content(path) for path in (f"{app.root}/data", app.kept, app.etc)]


def left(app):
    return [name for name in os.listdir(os.path.dirname(app.etc)) if name.endswith((".restored", ".before"))] + [
        name for name in os.listdir(app.root) if name == "restore"
    ]


def test_all_that_the_backup_has_takes_its_place_and_nothing_is_left(app, swap):
    swap.exchange(swap.moves(), {"web": ""})
    assert there(app) == ["of the backup"] * 3
    swap.keep()
    assert left(app) == []


def test_what_the_backup_does_not_have_stays(app, swap):
    shutil.rmtree(f"{swap.tree}{app.etc}")
    swap.exchange(swap.moves(), {})
    assert there(app) == ["of the backup", "of the backup", "before"]


@pytest.mark.parametrize("step", range(8))
def test_an_exchange_that_is_cut_off_at_any_step_is_put_back(app, swap, monkeypatch, step):
    moves, steps = swap.moves(), []
    rename = os.rename

    def cut(*paths):
        steps.append(paths)
        if len(steps) > step:
            raise KeyboardInterrupt
        rename(*paths)

    monkeypatch.setattr(restore_swap.os, "rename", cut)
    if step < 6:
        with pytest.raises(KeyboardInterrupt):
            swap.exchange(moves, {"web": "x"})
    else:
        swap.exchange(moves, {"web": "x"})
    monkeypatch.setattr(restore_swap.os, "rename", rename)
    again = Swap(app)
    if os.path.exists(again.journal):
        assert again.paused() == {"web": "x"}
        assert again.undo() and not again.undo()
    assert there(app) == ["before", None, "before"]
    again.clean()
    assert left(app) == []


@pytest.mark.parametrize("written", ["", "name"])
def test_what_was_made_in_place_of_what_moved_aside_does_not_stop_it(app, swap, monkeypatch, written):
    """A deploy, or the engine, makes the app's directories where a killed restore left none."""
    moves, rename = swap.moves(), os.rename
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(restore_swap.os, "rename", cut_after_moving_aside(rename))
        swap.exchange(moves, {"web": "x"})
    os.makedirs(f"{app.root}/data")
    if written:
        Path(app.root, "data", written).write_text("meanwhile")
    again = Swap(app)
    assert again.prepare()
    assert there(app) == ["before", None, "before"]
    kept = [content(path) for path in Path(app.root).glob("data.*")]
    assert kept == (["meanwhile"] if written else []), "what somebody wrote is not lost"


def cut_after_moving_aside(rename):
    done = []

    def cut(*paths):
        if len(done) == 2:  # the journal, and what is there
            raise KeyboardInterrupt
        done.append(rename(*paths))

    return cut


@pytest.mark.parametrize("name", ["data", "writable/uploads", "data/a b"])
def test_a_mount_is_refused_with_what_to_type(app, swap, tmp_path, monkeypatch, name):
    """What is mounted could not be removed with what was there before."""
    path = f"{app.root}/{name}"
    row = f"24 30 0:22 / {path.replace(' ', chr(92) + '040')} rw,nosuid shared:7 - ext4 /dev/sdb rw\n"
    (tmp_path / "mounts").write_text(
        f"23 1 8:1 / / rw - ext4 /dev/sda rw\n25 30 8:2 / {app.root} rw - ext4 /d rw\n{row}"
    )
    monkeypatch.setattr(restore_swap, "MOUNTS", str(tmp_path / "mounts"))
    with pytest.raises(SwapError, match=f"^{path} is a mount of its own.*sudo umount {path}"):
        swap.moves()


def test_a_mount_beside_what_is_exchanged_is_none_of_it(app, swap, tmp_path, monkeypatch):
    (tmp_path / "mounts").write_text(f"24 30 0:22 / {app.root}/data-old rw - ext4 /dev/sdb rw\n")
    monkeypatch.setattr(restore_swap, "MOUNTS", str(tmp_path / "mounts"))
    assert len(swap.moves()) == 3


# -- the word --------------------------------------------------------------------------------


@pytest.fixture
def found():
    return {"snapshot": "3f9a0c41d2b7", "time": 1795834800.0}


def test_it_refuses_to_lose_what_nobody_named(app, found):
    with pytest.raises(module.Refused) as refusal:
        module.refuse(app, found, "")
    assert re.search(r"has 2 files here, the newest of .* snapshot 3f9a0c41 loses", str(refusal.value))
    word = str(refusal.value).partition("type: -e restore_over=")[2]
    assert word == f"shop-since-{time.strftime('%Y-%m-%dT%H:%M', time.gmtime(found['time']))}"
    module.refuse(app, found, word)


def test_the_word_of_another_backup_does_not_do(app, found):
    word = module.word("shop", found["time"] - 86400)
    with pytest.raises(module.Refused):
        module.refuse(app, found, word)


def test_the_word_of_an_app_of_any_name_is_one_that_the_inventory_takes(found):
    for name in ("a", "shop", "a" * 31, "web-shop-of-a-long-name-staging"):
        assert CHECKS["restore_over"](module.word(name, found["time"])) is None
    assert CHECKS["restore_over"]("-since-2026-11-28T03:00") and CHECKS["restore_over"]("shop-since-yesterday")


def test_where_nothing_is_no_word_is_needed(host, found):
    module.refuse(host(), found, "")


def test_a_file_that_the_app_removes_meanwhile_is_not_counted(app, monkeypatch):
    monkeypatch.setattr(module.os, "walk", lambda root: [(root, [], ["gone"])])
    assert module.there(app) == (0, 0.0)
