"""What is called like an app's container, network or image is not therefore the app's."""

from __future__ import annotations

import json

import pytest
from ansible.module_utils.flask_deploy.host import engine as engines
from ansible.module_utils.flask_deploy.host import networks
from ansible.module_utils.flask_deploy.release import containers
from ansible.module_utils.flask_deploy.switch import retire, settling
from ansible.module_utils.testing import patch_module_args
from ansible.modules import check_host, remove_app

from tests.deploys import deploy, prepare

OTHER_POOLS = '[{"Base":"10.200.0.0/16","Size":24}]\n'


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(retire, "DRAIN_FLOOR", 0)
    monkeypatch.setattr(engines, "in_flight", lambda pid, path: 0)


def network(engine, name="shop", **labels):
    """Make a network as somebody else, or an earlier version, made it."""
    place = engine.place / "networks" / name
    place.mkdir()
    for label, value in labels.items():
        (place / label).write_text(f"{value}\n")


def container(engine, name, network="", **labels):
    """Let a container run that somebody made by hand from the app's image, whose label it inherits."""
    place = engine.place / "containers" / name
    place.mkdir()
    for label, value in {"running": "", "app": "shop", "release": "", "network": network, **labels}.items():
        (place / label).write_text(f"{value}\n")


def joined(engine, app, release):
    return (engine.place / "containers" / app.container(release) / "network").read_text().strip()


def all_networks(engine):
    return sorted(path.name for path in engine.place.glob("networks/*"))


# -- networks --------------------------------------------------------------------------------


def test_the_containers_of_an_app_join_its_own_network(app, engine):
    assert joined(engine, app, deploy(app)) == joined(engine, app, deploy(app, build="b2")) == "shop"
    (made,) = engine.calls("docker network create")
    assert "enable_icc=false" in made and "--label flask-deploy.app=shop" in made and "--publish" not in made


@pytest.mark.parametrize(
    ("labels", "users", "whose"),
    [
        ({}, [], "used by nothing"),
        ({}, ["their-db"], "used by their-db"),
        ({}, ["their-db", "shop-abc"], "used by shop-abc, their-db"),
        ({"app": "other"}, ["other-abc"], "the app other's"),
    ],
)
def test_a_network_of_that_name_that_is_not_the_app_s_is_refused(engine, labels, users, whose):
    network(engine, **labels)
    for name in users:
        container(engine, name, "shop", app=name.partition("-")[0], release=name.partition("-")[2])
    (line,) = check_host.foreign_network("shop")
    assert line.startswith("app_name: ") and whose in line
    assert "example: shop-web" in line and "sudo docker network rm shop" in line


def test_the_check_of_a_host_looks_at_networks(engine, monkeypatch, capsys):
    network(engine)
    for name in ("full_disk", "full_memory", "foreign_directory", "foreign_files", "taken_names"):
        monkeypatch.setattr(check_host, name, lambda *arguments: [])
    monkeypatch.setattr(check_host, "other_app", lambda *arguments: [])
    monkeypatch.setattr(check_host.ports, "taken_web", list)
    with patch_module_args({"app": "shop", "domain": "x.test", "wsgi": "x"}), pytest.raises(SystemExit):
        check_host.main()
    (line,) = json.loads(capsys.readouterr().out)["mistakes"]
    assert line.startswith("app_name: a docker network shop is here already")


def test_a_network_of_somebody_else_is_never_joined(app, engine):
    network(engine)
    joins = joined(engine, app, deploy(app))
    assert joins.startswith("shop-") and (engine.place / "networks" / joins / "app").read_text() == "shop\n"


def test_a_name_that_begins_an_id_is_a_name(host, engine):
    app = host("b4")
    assert joined(engine, app, deploy(app)) == "b4" and check_host.foreign_network("b4") == []
    assert "b4" in all_networks(engine)


@pytest.mark.parametrize("labels", [{}, {"app": "shop"}], ids=["without a label", "without a digest"])
def test_a_network_of_an_earlier_version_is_adopted_and_goes_when_it_is_empty(app, engine, labels):
    network(engine, **labels)
    old = deploy(app, keep=2)
    (engine.place / "containers" / f"shop-{old}" / "network").write_text("shop\n")
    assert check_host.foreign_network("shop") == []
    new = deploy(app, build="b2", keep=2)
    assert joined(engine, app, new).startswith("shop-") and "shop" in all_networks(engine)
    deploy(app, build="b3", keep=2)
    assert all_networks(engine) == [joined(engine, app, new)]


def test_a_network_of_other_address_pools_is_made_anew_by_the_next_deploy(app, engine):
    old = deploy(app, keep=2)
    (engine.place / "pools").write_text(OTHER_POOLS)
    new = deploy(app, build="b2", keep=2)
    assert joined(engine, app, old) == "shop" and joined(engine, app, new) == f"shop-{networks.made_now()}"
    assert len(all_networks(engine)) == 2
    deploy(app, build="b3", keep=2)
    assert all_networks(engine) == [joined(engine, app, new)]


def test_a_network_that_somebody_joined_stays(app, engine):
    deploy(app)
    container(engine, "their-db", "shop", app="")
    assert "removed network shop" not in remove_app.remove(app, data=False, dry=False)
    assert all_networks(engine) == ["shop"] and list(networks.of_app("shop")) == ["shop"]


def test_all_networks_of_an_app_go_with_it(app, engine):
    deploy(app)
    (engine.place / "pools").write_text(OTHER_POOLS)
    deploy(app, build="b2")
    network(engine, "their-own")
    told = remove_app.remove(app, data=False, dry=True)
    assert told == remove_app.remove(app, data=False, dry=False)
    assert all_networks(engine) == ["their-own"]


# -- containers ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["shop-debug", "shop-1", "shop-abc-debug", "keen_curie", "shop-command"])
def test_a_container_made_by_hand_from_the_app_s_image_is_left_alone(app, engine, name):
    container(engine, name)
    deploy(app), deploy(app, build="b2", keep=2), deploy(app, build="b3", keep=2)
    containers.end_commands("shop")
    settling.settle(app)
    remove_app.remove(app, data=False, dry=False)
    assert engine.running() == [name]


def test_a_container_of_somebody_else_is_not_taken_for_a_release(app, engine):
    release = prepare(app)
    for label in ("app", "release"):
        (engine.place / "containers" / f"shop-{release}" / label).write_text("\n")
    with pytest.raises(engines.EngineError, match=f"docker rename shop-{release} shop-{release}-other"):
        containers.ensure_running(app, release, app.record(release))


# -- images ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "found"),
    [("b8", False), ("sha256:b8", False), ("face", True), ("python", True), (f"sha256:b8{62 * '0'}", True)],
)
def test_an_image_is_found_by_its_name_and_not_by_the_beginning_of_an_id(monkeypatch, name, found):
    images = {"face": "face:latest", "python": "python:latest"}
    identity = {"face": f"sha256:face{60 * '0'}"}.get(name, f"sha256:b8{62 * '0'}")
    known = {"Id": identity, "RepoTags": [images.get(name, "other:1")]}
    monkeypatch.setattr(engines, "_inspect", lambda kind, names: [known])
    assert bool(engines.inspect("image", name)) is found
