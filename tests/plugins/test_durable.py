"""A power cut at any step loses nothing that was acknowledged and shows nothing that is not whole."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from functools import partial

import pytest
from ansible.module_utils.flask_deploy.certificates import store
from ansible.module_utils.flask_deploy.host import engine as engines
from ansible.module_utils.flask_deploy.host import files
from ansible.module_utils.flask_deploy.keys import directory
from ansible.module_utils.flask_deploy.release import secrets, writing
from ansible.module_utils.flask_deploy.switch import retire, settling

from tests.deploys import SITE, deploy, prepare, serve
from tests.plugins.durable import Disk
from tests.plugins.keys.test_rotation import make


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(retire, "DRAIN_FLOOR", 0)
    monkeypatch.setattr(engines, "in_flight", lambda pid, path: 0)


@pytest.fixture
def app(host, engine, tmp_path):
    (tmp_path / "srv").mkdir()
    engine.public("css/site.css", "body {}\n" * 100)
    engine.public("hello.txt")
    return host()


@pytest.fixture
def machine(app, engine, tmp_path, monkeypatch):
    """Return a function that does something, and then calls a check for each thing that a power cut can leave."""
    promises = []

    def containers():
        return tuple((name.name, engine.restart(name.name)) for name in sorted(engine.place.glob("containers/*")))

    def run(action, check):
        def removed(path):  # as rm does it, a name at a time
            shutil.rmtree(path, ignore_errors=True)
            files.sync(os.path.dirname(path))

        disk = Disk(tmp_path, ("srv", "etc"), lambda: (len(promises), containers()))
        monkeypatch.setattr(files, "remove_tree", removed)
        with disk.watched(monkeypatch):
            action(promises.append)
        count = 0
        monkeypatch.setattr(os, "fsync", lambda handle: None)
        for cut, tree in disk.states():
            count += 1
            disk.restore(tree)
            shutil.rmtree(engine.place / "containers")
            (engine.place / "containers").mkdir()
            for name, policy in cut.note[1]:
                (engine.place / "containers" / name).mkdir()
                (engine.place / "containers" / name / "restart").write_text(policy)
            shutil.rmtree(tmp_path / "run", ignore_errors=True)
            try:
                for promise in promises[: cut.note[0]]:
                    promise()
                check()
            except BaseException as error:
                error.add_note(f"the power went after: {cut.step}")
                raise
        disk.close()
        return count

    return run


def whole(app):
    """Every release that is seen has all its files, and the link names one of them."""
    for release in app.known():
        record = app.record(release)
        assert files.read(app.path(release, "site.conf")) == SITE.encode(), f"site of {release}"
        assert files.read_json(app.path(release, "env.json")), f"environment of {release}"
        assert files.tree_digest(app.path(release, "static")) == record["static"]["digest"], f"files of {release}"
    if os.path.lexists(app.current):
        assert app.serving() in app.known(), "current names a release that is not there"


def comes_back(app, engine):
    """The host starts, and the next deploy ends well."""
    whole(app)
    engine.reboot()
    settling.settle_at_boot(app)
    assert not os.path.exists(app.pending)
    whole(app)
    release = deploy(app, build="the next")
    assert app.serving() == release and settling.settle(app) == []


def equal(found, wanted):
    assert found() == wanted


def test_a_deploy_is_never_half_there_and_never_forgotten(app, engine, machine):
    first = deploy(app)

    def act(promise):
        second = prepare(app, build="b2")
        promise(lambda: equal(app.known, sorted([first, second])))
        serve(app, second, keep=2)
        promise(partial(equal, app.serving, second))

    assert machine(act, partial(comes_back, app, engine)) > 20


def test_what_was_removed_does_not_come_back(app, engine, machine):
    first, second = deploy(app), deploy(app, build="b2")

    def act(promise):
        assert retire.prune(app, 1) == [first, f"shop-{first}"]
        promise(lambda: equal(app.known, [second]))

    assert machine(act, partial(whole, app)) > 10


def test_a_secret_that_was_taken_away_stays_away(app, machine):
    writing.ensure_places(app)
    secrets.ensure(app, {"KEY": "old"}, {"users.json": "[]"})
    path = f"{app.etc}/secrets"

    def act(promise):
        secrets.ensure(app, {"KEY": "new"}, {})
        promise(lambda: equal(lambda: sorted(n for n in os.listdir(path) if n[0] != "."), ["env.json"]))
        promise(lambda: equal(lambda: files.read_json(f"{path}/env.json"), {"KEY": "new"}))

    def check():
        assert files.read_json(f"{path}/env.json") in ({"KEY": "old"}, {"KEY": "new"})

    assert machine(act, check) > 3


def test_a_key_that_signs_is_never_missing_and_a_revoked_one_never_back(app, machine):
    folder = f"{app.etc}/jwt"
    writing.ensure_places(app)
    pems = [make(), make()]
    ring = directory.KeyDirectory(folder)
    ring.tidy()
    ring.publish(pems[0])
    ring.sign(pems[0].kid)

    def act(promise):
        ring = directory.KeyDirectory(folder)
        ring.publish(pems[1])
        promise(lambda: equal(lambda: pems[1].kid in directory.KeyDirectory(folder).keys, True))
        ring.condemn(pems[0].kid, "revoked")
        promise(lambda: equal(lambda: pems[0].kid in directory.KeyDirectory(folder).gone, True))
        ring.sign(pems[1].kid)
        promise(lambda: equal(lambda: directory.KeyDirectory(folder).signer, pems[1].kid))
        ring.drop(pems[0].kid)
        promise(lambda: equal(lambda: pems[0].kid in directory.KeyDirectory(folder).keys, False))

    def check():
        ring = directory.KeyDirectory(folder)
        assert ring.signer in ring.keys and ring.keys[ring.signer].private

    assert machine(act, check) > 5


def test_a_certificate_in_use_is_always_whole(app, machine, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "test", lambda _server: None)
    monkeypatch.setattr(store, "reload", lambda _server: None)
    monkeypatch.setitem(store.SERVERS, "nginx", replace(store.SERVERS["nginx"], lock=str(tmp_path / "lock")))
    os.makedirs(tmp_path / "etc/shop/tls")
    place = store.Store("shop", str(tmp_path / "etc"))
    first = place.add("selfsigned", b"chain 1", b"key 1", None)
    place.use(first)

    def act(promise):
        second = place.add("acme", b"chain 2", b"key 2", {"names": []})
        promise(lambda: equal(lambda: place.pair(second), (b"chain 2", b"key 2")))
        place.use(second)
        promise(lambda: equal(place.current, second))

    assert machine(act, lambda: equal(lambda: bool(place.pair(place.current())), True)) > 3


def test_what_killed_writes_left_is_cleared_away(app):
    writing.ensure_places(app)
    left = [f"{folder}/.new-x" for folder in (app.root, app.etc, f"{app.root}/maintenance", f"{app.etc}/jwt")]
    for path in left:
        files.write(path, b"key")
    writing.ensure_places(app)
    directory.KeyDirectory(f"{app.etc}/jwt").tidy()
    assert not any(map(os.path.exists, left))


ACTS = {
    "a file": (lambda at: files.write(f"{at}/file", b"new"), lambda at: files.read(f"{at}/file") == b"new"),
    "a link": (lambda at: files.link(f"{at}/link", "new"), lambda at: os.readlink(f"{at}/link") == "new"),
    "a removal": (lambda at: files.remove(f"{at}/old"), lambda at: not os.path.lexists(f"{at}/old")),
    "a directory": (lambda at: files.ensure_directory(f"{at}/a/b"), lambda at: os.path.isdir(f"{at}/a/b")),
    "a tree's removal": (lambda at: files.remove_tree(f"{at}/tree"), lambda at: not os.path.lexists(f"{at}/tree")),
    "the sweep": (lambda at: files.sweep(at), lambda at: not os.path.lexists(f"{at}/.new-x")),
}


@pytest.mark.parametrize("what", ACTS)
def test_what_returned_is_on_disk(app, machine, tmp_path, what):
    act, kept = ACTS[what]
    place = tmp_path / "srv"
    (place / "tree").mkdir()
    for name in ("old", "file", ".new-x", "tree/file"):
        (place / name).write_bytes(b"old")
    (place / "link").symlink_to("old")

    def check():
        assert files.read(f"{place}/file") in (b"old", b"new") and os.readlink(place / "link") in ("old", "new")

    assert machine(lambda promise: (act(place), promise(lambda: equal(partial(kept, place), True))), check) > 0
