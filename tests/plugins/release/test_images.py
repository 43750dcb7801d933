"""An image that a run found or built is nobody else's to remove until its release is written."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from ansible.module_utils.flask_deploy.host import clock, locks
from ansible.module_utils.flask_deploy.release import images
from ansible.module_utils.flask_deploy.switch import discarding
from ansible.module_utils.flask_deploy.switch import lease as leases

from tests.deploys import deploy, options, prepare


@pytest.fixture(autouse=True)
def run_directory(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "RUN", str(tmp_path / "run"))


def test_an_image_of_a_run_that_has_not_written_its_release_is_kept(app, engine, monkeypatch):
    """Builds are not locked: one run may clear up while another has just built."""
    with open(engine.place / "tags", "a") as file:
        file.write("sha256:new flask-deploy/shop:fresh\n")
    images.hold("shop", "fresh", "another")
    deploy(app), deploy(app, build="b1", keep=1)
    assert not engine.calls("docker rmi")
    later = clock.now() + images.HELD + 1
    monkeypatch.setattr(images, "now", lambda: later)
    deploy(app, build="b2", keep=1)
    assert engine.calls("docker rmi") == ["docker rmi flask-deploy/shop:fresh"]


def test_a_release_that_is_written_holds_its_image_itself(app):
    images.hold("shop", "b1", "me")
    prepare(app, build="b1")
    assert images.held("shop") == {}


def test_a_run_holds_an_image_whatever_another_run_with_the_same_build_does(app, engine):
    (engine.place / "tags").write_text("sha256:one flask-deploy/shop:b1\n")
    for run in ("me", "another"):
        images.hold("shop", "b1", run)
    release = prepare(app, build="b1")
    discarding.discarded(app, options(release=release, build="b1"), dry=False)
    assert "flask-deploy/shop:b1" in (engine.place / "tags").read_text()
    discarding.discarded(app, options(release=None, build="b1", owner={"id": "another"}), dry=False)
    assert (engine.place / "tags").read_text() == ""


def test_images_are_held_until_they_are_let_go_of(monkeypatch):
    moment = clock.now()
    monkeypatch.setattr(images, "now", lambda: moment)
    assert images.held("shop") == {}
    images.hold("shop", "b1", "ann")
    moment += 10
    images.hold("shop", "b2", "ann")
    images.hold("shop", "b2", "bob")
    images.hold("blog", "b3", "ann")
    early, late = moment - 10 + images.HELD, moment + images.HELD
    assert images.held("shop") == {"b1": {"ann": early}, "b2": {"ann": late, "bob": late}}
    images.let_go("shop", "b3", "ann")
    images.let_go("shop", "b1", "bob")
    images.let_go("shop", "b1", "ann")
    images.let_go("shop", "b2", "ann")
    assert images.held("shop") == {"b2": {"bob": late}}
    assert list(images.held("blog")) == ["b3"]


def test_images_of_a_run_that_is_gone_are_not_held_for_ever(monkeypatch):
    moment = clock.now()
    monkeypatch.setattr(images, "now", lambda: moment)
    images.hold("shop", "b1", "ann")
    moment += images.HELD - 1
    assert list(images.held("shop")) == ["b1"]
    moment += 1
    assert images.held("shop") == {}
    images.hold("shop", "b2", "ann")
    kept = json.loads(Path(f"{locks.RUN}/shop.images.json").read_text())
    assert list(kept) == ["b2"], "what is over is not kept"


def test_what_is_no_time_holds_no_image():
    Path(locks.RUN).mkdir()
    holding = {"a": "tomorrow", "b": None, "c": 1e12, "d": [1], "e": {"ann": "soon", "bob": 1e12}, "f": {}}
    Path(f"{locks.RUN}/shop.images.json").write_text(json.dumps(holding))
    assert images.held("shop") == {"c": {"": 1e12}, "e": {"bob": 1e12}}, "c is an earlier version's"


@pytest.mark.parametrize("act", [images.hold, images.let_go], ids=lambda act: act.__name__)
def test_two_that_note_images_do_not_undo_each_other(act):
    images.hold("shop", "b1", "ann")
    with leases.lock("shop.images"):
        noting = threading.Thread(target=act, args=("shop", "b1", "ann"))
        noting.start()
        noting.join(0.3)
        assert noting.is_alive()
    noting.join()
