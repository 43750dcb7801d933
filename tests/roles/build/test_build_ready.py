"""An image that somebody else built is taken by its digest, with a password that is left nowhere."""

from __future__ import annotations

import base64
import json
import os

import pytest
from ansible.module_utils import build_bases as bases
from ansible.module_utils import build_ready as ready
from ansible.module_utils.flask_deploy.host import engine
from ansible.module_utils.flask_deploy.release import record
from ansible.modules import build_image as module
from ansible.plugins.action import build_image as action

DIGEST = f"sha256:{'3f' * 32}"
NAME = "registry.example.com:5000/team/shop"
EXACT, TAGGED = f"{NAME}@{DIGEST}", f"{NAME}:1.4"
PASSWORD = "h5-Xq-and-more"


@pytest.fixture
def options():
    spec = {name: rule.get("default") for name, rule in module.SPEC.items()}
    return {**spec, "app": "shop", "ready": EXACT, "base_image": "python:3", "run": "me"}


@pytest.fixture
def registry(engine):
    """Let a registry have the image, by its digest and by a tag."""
    (engine.place / "offers").write_text(f"{EXACT}\n{TAGGED}\n")
    (engine.place / "digests").write_text(f'"{EXACT}"\n')
    return engine


def test_it_is_pulled_once_and_kept_under_a_name_of_its_own(registry, options):
    first, second = (module.make(options, False) for _ in range(2))
    assert (first["changed"], second["changed"]) == (True, False)
    assert first["image"] == second["image"] and first["build"] == second["build"]
    assert registry.calls("docker pull") == [f"docker pull -q {EXACT}"]
    assert registry.calls("docker tag")[0].endswith(f" flask-deploy/shop:{first['build']}")
    assert registry.calls("docker rmi")[0] == f"docker rmi {EXACT}", "or it would stay when its last release goes"
    assert first["source"] == {"kind": "image", "repository": NAME, "ref": DIGEST, "digest": DIGEST}


def test_one_that_was_there_before_keeps_its_name(registry, options):
    with (registry.place / "images").open("a") as images:
        images.write(f"{EXACT}\n")
    assert module.make(options, False)["changed"]
    assert registry.calls("docker pull") == registry.calls("docker rmi") == []


def test_a_tag_is_resolved_to_its_digest_and_that_is_said(registry, options):
    by_digest = module.make(options, False)
    by_tag = module.make({**options, "ready": TAGGED}, False)
    assert by_tag["build"] == by_digest["build"] and not by_tag["changed"]
    (line,) = by_tag["said"]
    assert line.startswith(f"{TAGGED} is {EXACT} now; ")
    assert (by_tag["source"]["ref"], by_tag["source"]["digest"]) == ("1.4", DIGEST)
    module.make({**options, "ready": TAGGED}, False)
    assert len(registry.calls("docker pull")) == 3, "a tag may mean another image each time"


def test_an_image_of_no_registry_has_no_digest(registry, options):
    (registry.place / "digests").write_text("\n")
    with pytest.raises(bases.BaseError, match="has no digest on this host, so it was built here"):
        module.make({**options, "ready": TAGGED}, False)


@pytest.mark.parametrize("name", [EXACT, TAGGED])
def test_a_dry_run_pulls_nothing(registry, options, name):
    answer = module.make({**options, "ready": name}, True)
    assert (answer["image"], answer["changed"]) == ("not built yet", True)
    assert registry.calls("docker pull") == registry.calls("docker tag") == []


@pytest.mark.parametrize(
    ("name", "key"),
    [
        (EXACT, "registry.example.com:5000"),
        (f"team/shop@{DIGEST}", ready.HUB_LOGIN),
        (f"localhost/x@{DIGEST}", "localhost"),
    ],
)
def test_a_password_is_in_memory_alone_and_on_no_command_line(registry, options, name, key):
    (registry.place / "offers").write_text(f"{name}\n")
    module.make({**options, "ready": name, "registry_user": "deploy", "registry_password": PASSWORD}, False)
    settings, place = (registry.place / "login").read_text().splitlines()
    known = json.loads(settings)["auths"][key]["auth"]
    assert base64.b64decode(known).decode() == f"deploy:{PASSWORD}"
    assert not os.path.lexists(place)
    assert PASSWORD not in str(registry.calls()) and known not in str(registry.calls())


def test_nothing_of_a_password_is_on_disk_while_it_is_needed(options):
    with ready.login({**options, "registry_user": "deploy", "registry_password": PASSWORD}):
        place = os.environ["DOCKER_CONFIG"]
        assert os.readlink(f"{place}/config.json").startswith("/proc/")
        assert os.stat(place).st_mode & 0o077 == 0
    assert "DOCKER_CONFIG" not in os.environ
    with ready.login({**options, "registry_user": ""}):
        assert "DOCKER_CONFIG" not in os.environ


def test_a_build_knows_the_password_of_one_registry_and_what_docker_knew_before(options, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".docker").mkdir()
    theirs = {"proxies": {"default": {"httpProxy": "http://proxy:3128"}}, "auths": {"other": {"auth": "x"}}}
    (tmp_path / ".docker/config.json").write_text(json.dumps(theirs))
    given = {"ready": "", "registry": "registry.example.com", "registry_user": "deploy", "registry_password": PASSWORD}
    with ready.login({**options, **given}), open(f"{os.environ['DOCKER_CONFIG']}/config.json") as file:
        known = json.load(file)
    assert sorted(known["auths"]) == ["other", "registry.example.com"] and known["proxies"] == theirs["proxies"]
    assert json.loads((tmp_path / ".docker/config.json").read_text()) == theirs


def test_one_that_cannot_be_pulled_is_named_with_a_way_out(registry, options):
    (registry.place / "no-registry").touch()
    with pytest.raises(bases.BaseError) as error:
        module.make({**options, "registry_user": "deploy", "registry_password": PASSWORD}, False)
    said = str(error.value)
    assert f"{EXACT} cannot be pulled" in said and "access denied" in said and "build_registry_password" in said
    assert PASSWORD not in said


def test_one_whose_registry_has_an_expired_certificate_is_told_as_that(registry, options):
    (registry.place / "no-registry").write_text("tls: failed to verify certificate: x509: certificate has expired")
    with pytest.raises(bases.BaseError, match="what to do: the certificate of what the build asks has expired"):
        module.make(options, False)


def test_a_registry_that_nobody_knows_is_named(registry, options, monkeypatch):
    def refuse(*words, **more):
        raise engine.EngineError("dial tcp: lookup registry.invalid on 192.0.2.1:53: no such host")

    monkeypatch.setattr(engine, "docker", refuse)
    with pytest.raises(bases.BaseError, match=r"the host finds no registry\.invalid: correct the registry's name"):
        module.make({**options, "ready": "registry.invalid/shop@" + DIGEST}, False)


def test_one_for_another_processor_is_refused(registry, options, monkeypatch):
    (registry.place / "machine").write_text("s390x\n")
    with pytest.raises(bases.BaseError, match=r"is for s390x and this host is (amd64|arm64)"):
        module.make(options, False)


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("shop:1", ("shop", "")),
        ("localhost:5000/shop:1", ("localhost:5000/shop", "")),
        (f"localhost:5000/shop@{DIGEST}", ("localhost:5000/shop", DIGEST)),
    ],
)
def test_a_port_is_no_tag(name, parts):
    assert ready.split(name) == parts


def test_it_reads_as_an_image_where_releases_are_listed():
    assert record.origin({"kind": "image", "ref": "1.4", "digest": DIGEST}) == "1.4 3f3f3f3f3f3f"


def test_the_source_of_an_image_is_neither_sent_nor_fetched():
    plugin = object.__new__(action.ActionModule)
    seen = {}
    plugin._until_content = lambda arguments, place, *rest: seen.update(arguments, place=place) or {}
    plugin._read = lambda path: ""
    plugin._task = type("Task", (), {"args": {"source": f"image:{EXACT}"}, "async_val": 0, "check_mode": False})
    action.ActionBase.run, real = (lambda *arguments: {}), action.ActionBase.run
    try:
        plugin.run(None, {})
    finally:
        action.ActionBase.run = real
    assert (seen["ready"], seen["place"], "repository" in seen) == (EXACT, None, False)
