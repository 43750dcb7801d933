"""The playbook, as users run it: what is written is what the API takes, holds no secret, and is left alone."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml
from ansible.plugins.action import kubernetes_write as action
from kubernetes_validate.utils import schema_contents
from manifests import readme
from referencing import Registry, Resource

from tests.conftest import ROOT
from tests.roles.kubernetes.test_kubernetes_manifests import EVERYTHING

pytestmark = pytest.mark.slow
OLDEST, NEWEST = "1.30", "1.37"
SECRETS = {
    "app_secrets": {"SECRET_KEY": "secretone-5f0c9a", "API_KEY": "secrettwo-77aa01"},
    "app_secret_files": {"users.json": "secretthree-be92c4"},
    "app_files": {"config.py": "KEY = 'secretfour-9c81d0'"},
    "build_registry": "registry.example.com",
    "build_registry_user": "deploy",
    "build_registry_password": "secretfive-3be7aa",
    "backup_password": "secretsix-e07b52c6f419",
    "monitor_webhooks": {"ntfy": "https://hooks.example.com/secretseven"},
    "vault_unused": "secreteight-51d09a",
}
LEAST = {"site_domain": "shop.example.com", "build_source": str(ROOT / "app"), "app_wsgi": "flask_app:create_app()"}
LEAST |= {"app_name": "shop", "kubernetes_image": "registry.example.com/shop:1.4.0"}
NOBODY = {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_become": True}


@pytest.fixture
def export(playbook, tmp_path):
    """Run the playbook on an inventory whose hosts nobody answers for; return the run and where it writes."""

    def run(*arguments, hosts=("web1",), **own):
        (tmp_path / "hosts.yml").write_text(
            yaml.safe_dump({"web": {"hosts": dict.fromkeys(hosts), "vars": {**LEAST, **NOBODY, **own}}})
        )
        place = tmp_path / "out"
        return playbook("kubernetes", "-e", f"kubernetes_directory={place}", *arguments), place

    return run


def files(place):
    return {path.relative_to(place).as_posix(): path.read_text() for path in place.rglob("*") if path.is_file()}


@cache
def validator(version, kind, api):
    """Return what judges an object as the API's own schema does, where a field that it does not know is wrong."""
    folder = f"kubernetes-json-schema/v{version}.0-local-strict"
    schema = schema_contents(f"{folder}/{kind.lower()}-{api.replace('.k8s.io', '').replace('/', '-')}.json", version)
    definitions = schema_contents(f"{folder}/_definitions.json", version)
    registry = Resource.from_contents(definitions) @ (Resource.from_contents(schema) @ Registry())
    return jsonschema.Draft202012Validator(schema, registry=registry)


def wrong(thing, version):
    found = validator(version, thing["kind"], thing["apiVersion"]).iter_errors(thing)
    return [f"{thing['kind']}: {error.json_path}: {error.message}" for error in found]


def test_everything_is_what_the_api_takes_and_holds_no_secret(export):
    run, place = export(**{**yaml.safe_load(EVERYTHING), **SECRETS})
    assert run.returncode == 0, run.stdout + run.stderr
    texts = files(place)
    things = [yaml.safe_load(text) for path, text in texts.items() if path.endswith(".yaml")]
    assert len(things) == 12
    assert [line for thing in things for version in (OLDEST, NEWEST) for line in wrong(thing, version)] == []
    for thing in things:
        kubernetes_validate.validate(thing, NEWEST, strict=True)
    for text in [*texts.values(), run.stdout, run.stderr]:
        assert "secret" not in "".join(word for word in text.split() if word.startswith(("secretone", "secrettwo")))
        assert not [value for value in values(SECRETS) if value in text]
    assert any(word in texts["README.md"] for word in ("SECRET_KEY", "API_KEY"))


def values(given):
    """Return the texts of nested values, and the parts of them that name nothing else."""
    if isinstance(given, dict):
        return [text for each in given.values() for text in values(each)]
    if isinstance(given, list):
        return [text for each in given for text in values(each)]
    if "secret" not in given:  # a name or an address
        return []
    return [given, *(word for word in ("secretthree", "secretfour", "secretseven") if word in given)]


def test_the_smallest_inventory_is_written_once(export):
    run, place = export(hosts=("web1", "web2"))
    assert run.returncode == 0, run.stdout + run.stderr
    texts = files(place)
    things = [yaml.safe_load(text) for path, text in texts.items() if path.endswith(".yaml")]
    assert len(things) == 6
    assert [line for thing in things for version in (OLDEST, NEWEST) for line in wrong(thing, version)] == []
    assert yaml.safe_load(texts["2-app/web.yaml"])["spec"]["replicas"] == 2
    before = {path: os.stat(path).st_mtime_ns for path in place.rglob("*")}
    (place / "kustomization.yaml").write_text("resources: [2-app/web.yaml]\n")
    (place / "2-app/job-mine.yaml").write_text("kind: CronJob\n")
    (place / "2-app/job-gone.yaml").write_text(texts["2-app/web.yaml"])
    again, _ = export(hosts=("web1", "web2"))
    assert again.returncode == 0 and "removed 1" in again.stdout, again.stdout
    assert files(place).keys() == {*texts, "kustomization.yaml", "2-app/job-mine.yaml"}, "what is not ours stays"
    third, _ = export(hosts=("web1", "web2"))
    assert "nothing changed" in third.stdout
    assert {path: os.stat(path).st_mtime_ns for path in before if path.is_file()} == {
        path: time for path, time in before.items() if path.is_file()
    }


def test_a_dry_run_writes_nothing(export):
    run, place = export("--check")
    assert run.returncode == 0 and "would write 7 files" in run.stdout, run.stdout
    assert not place.exists()


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"app_memory": "lots"}, "app_memory: 'lots' is not valid"),
        ({"kubernetes_namespace": "Shop"}, "kubernetes_namespace: 'Shop' is not valid"),
        (
            {"app_jobs": {"purge": {"command": "a", "at": "Mon *-*-01 03:00"}}},
            "app_jobs: purge: at: 'Mon *-*-01 03:00'",
        ),
    ],
)
def test_bad_input_stops_before_anything_is_written(export, own, said):
    run, place = export(**own)
    assert run.returncode != 0 and said in run.stdout + run.stderr, run.stdout
    assert not place.exists()


def test_a_directory_of_others_is_not_overwritten(export, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/README.md").write_text("# mine\n")
    run, place = export()
    assert run.returncode != 0 and "is not of an earlier run; it is not overwritten" in run.stdout + run.stderr
    assert files(place) == {"README.md": "# mine\n"}


def test_a_place_that_cannot_be_written_to_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    assert action.refused(tmp_path / "file") == f"{tmp_path}/file is no directory"
    assert action.refused(tmp_path) == f"{tmp_path} is there and is not of an earlier run; it is not overwritten"
    (tmp_path / "README.md").write_text(f"{readme.MARK}\n# shop\n")
    assert action.refused(tmp_path) == ""
    assert action.refused(tmp_path / "new/below") == ""


def test_a_write_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "a.yaml"
    path.write_text("before")
    monkeypatch.setattr(action.os, "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        action.write(path, "after")
    assert [each.name for each in tmp_path.iterdir()] == ["a.yaml"] and path.read_text() == "before"


def test_text_of_the_command_line_is_read_as_its_type():
    names = dict.fromkeys(action.NUMBERS, "7")
    found = action.typed({**names, "cpus": "1.5", "keys": "false", "firewall": "yes", "env": {"A": "b"}})
    assert (found["uid"], found["cpus"], found["keys"], found["firewall"]) == (7, 1.5, False, True)
    assert json.loads(json.dumps(found)) == found and "10.0.0.0/8" in found["closed"]


def test_the_schemas_see_what_is_wrong():
    """Else a manifest that the API refuses would pass."""
    thing = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": [{"port": "80"}]}}
    (said,) = wrong(thing, NEWEST)
    assert "$.spec.ports[0].port" in said
    assert "unexpected" in wrong({**thing, "spec": {"prots": []}}, OLDEST)[0]
    assert Path(kubernetes_validate.__file__).exists()
