"""A release's container is made as its release says, and only one that answers gets to serve."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import pytest
from ansible.module_utils.flask_deploy.host import engine as engines
from ansible.module_utils.flask_deploy.host import files, nginx
from ansible.module_utils.flask_deploy.release import containers, inside, places
from ansible.module_utils.flask_deploy.switch import steps

from tests.deploys import MARK, deploy, options, prepare, restore


@pytest.fixture
def change_role(monkeypatch):
    """Return a function that lets the role start containers with one more argument, as its next version may."""
    known = containers.places

    def change(*words):
        monkeypatch.setattr(containers, "places", lambda *of: [*known(*of), *words])

    return change


def test_how_the_role_starts_containers_decides_the_release(app, engine, change_role):
    """Or a new flag would reach a host whose inventory stays the same only by chance."""
    old = deploy(app)
    change_role("--ipc", "none")
    planned = steps.prepare(app, options(), dry=True)
    assert "container: +--ipc +none" in planned[2]["lines"]
    new = deploy(app)
    assert new == planned[0] != old and "--ipc none" in engine.calls("docker create --name")[-1]
    engine.forget()
    assert steps.prepare(app, options(), dry=False)[:2] == (new, [])
    assert not engine.calls("docker create")


def test_what_is_printed_goes_to_the_journal_with_its_labels(app, engine):
    """Of the web and of commands beside it; a container that the journal keeps waiting does not wait itself."""
    release = deploy(app)
    steps.command(app, options(release=release, command="flask db upgrade"))
    for call in engine.calls("docker create --name")[-1], engine.calls("docker run --name")[-1]:
        assert " --log-driver journald --log-opt mode=non-blocking " in call
        assert " --log-opt labels=flask-deploy.app,flask-deploy.release,flask-deploy.process " in call
        assert " --label flask-deploy.app=shop " in call


def test_a_release_has_one_id_on_hosts_that_differ(app, host, monkeypatch):
    """Nothing of a host is in it: its groups, its paths, its images."""
    one = prepare(app, release_key="a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=")
    monkeypatch.setattr(places.pwd, "getpwnam", lambda name: SimpleNamespace(pw_uid=101, pw_gid=101))
    other = host()
    other.root, other.releases = f"{app.root}/other", f"{app.root}/other/releases"
    assert (app.nginx_gid, other.nginx_gid) == (33, 101)
    assert (
        prepare(other, release_key="a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=", image="sha256:one", build="b1")
        == one
    )
    assert (
        steps.prepare(
            other, options(release_key="a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s=", image="sha256:two"), dry=True
        )[0]
        == one
    )


@pytest.mark.parametrize("gone", [False, True], ids=["its container is left", "its container is gone"])
def test_a_rollback_starts_a_release_as_it_was_started(app, engine, change_role, gone):
    old = deploy(app)
    change_role("--ipc", "none")
    deploy(app)
    if gone:
        engines.remove(f"shop-{old}")
    engine.forget()
    assert restore(app, old) == old
    assert [("--ipc" in call) for call in engine.calls("docker create")] == [False] * gone
    assert f"shop-{old}" in engine.running()


def test_a_container_that_was_made_otherwise_is_made_again(app, engine):
    """By hand, or from an image that was lost and built anew since: it is not the release's."""
    old, release = deploy(app), prepare(app, build="b2")
    made_with = engine.place / "containers" / f"shop-{release}" / "arguments"
    for runs in (True, False):
        right = made_with.read_text()
        made_with.write_text("otherwise")
        if not runs:
            engines.docker("stop", "-t", "0", f"shop-{release}")
        assert prepare(app, build="b2") == release
        assert made_with.read_text() == right and f"shop-{release}" in engine.running()
    assert app.serving() == old
    (engine.place / "images").write_text("sha256:two\n")
    engines.docker("stop", "-t", "0", f"shop-{release}")
    assert prepare(app, build="b2", image="sha256:two") == release
    assert "sha256:two" in engine.calls("docker create --name")[-1] and made_with.read_text() != right


def test_what_serves_is_not_made_again_while_it_answers(app, engine):
    release = deploy(app)
    (engine.place / "containers" / f"shop-{release}" / "arguments").write_text("otherwise")
    engine.forget()
    prepare(app)
    assert not [call for call in engine.calls() if call.split()[1] in ("create", "start", "stop", "rm")]


def test_a_release_of_an_earlier_version_keeps_its_container(app, engine):
    old = deploy(app)
    record = app.record(old)
    del record["arguments"]
    files.write_json(app.path(old, "release.json"), record)
    (engine.place / "containers" / f"shop-{old}" / "arguments").unlink()
    assert (
        "container: is started as this version of the role does it"
        in (steps.prepare(app, options(build="b2"), dry=True)[2]["lines"])
    )
    deploy(app, build="b2")
    engine.forget()
    assert restore(app, old) == old and f"shop-{old}" in engine.running()
    assert not engine.calls("docker create") and engine.calls("docker start")


def test_a_stopped_container_is_started(app, engine):
    release = deploy(app)
    (engine.place / "containers" / f"shop-{release}" / "running").unlink()
    assert steps.prepare(app, options(), dry=True)[1] == [f"container shop-{release}"]
    assert engine.running() == []
    assert steps.prepare(app, options(), dry=False)[1] == [f"container shop-{release}"]
    assert engine.running() == [f"shop-{release}"]


@pytest.mark.parametrize(
    ("root", "point", "lost"),
    [
        ("/srv/shop/releases/1a2b//deleted", "/release", True),
        ("/srv/shop/releases/1a2b/run/sock//deleted", "/release/run", True),
        ("/srv/shop/releases/1a2b", "/release", False),
        ("/etc/shop/secrets//deleted", "/run/secrets", False),
    ],
)
def test_a_container_whose_release_was_removed_beneath_it_is_made_anew(
    app, engine, monkeypatch, tmp_path, root, point, lost
):
    """The engine was away while a failed release went, or somebody removed its directory."""
    release = deploy(app)
    (tmp_path / "mountinfo").write_text(
        f"24 1 0:5 / /proc rw - proc proc rw\n36 35 8:1 {root} {point} rw - ext4 x rw\n"
    )
    monkeypatch.setattr(containers, "MOUNTS", f"{tmp_path}/mountinfo")
    engine.forget()
    prepare(app)
    assert bool(engine.calls("docker create")) is lost
    assert engine.running() == [f"shop-{release}"]


def test_a_container_that_ends_while_it_is_looked_at_is_no_error(app, engine, monkeypatch):
    release = deploy(app)
    monkeypatch.setattr(containers, "MOUNTS", "/proc/{}/net/none")
    assert prepare(app) == release
    monkeypatch.setattr(containers.files, "read", lambda path: (_ for _ in ()).throw(ProcessLookupError()))
    assert not containers._cut_off({"State": {"Pid": 1}})


def test_a_container_that_cannot_start_is_made_anew(app, engine):
    release = deploy(app)
    place = engine.place / "containers" / f"shop-{release}"
    (place / "running").unlink()
    (place / "broken").touch()
    prepare(app)
    assert engine.running() == [f"shop-{release}"]


def test_a_container_has_no_port_no_right_and_no_secret_on_its_command_line(app, engine):
    release = prepare(app)
    (created,) = engine.calls(f"docker create --name shop-{release} ")
    for said in (
        "--read-only",
        "--cap-drop ALL",
        "--security-opt no-new-privileges",
        "--user 10001:10001",
        "--restart no",
        "--pids-limit 16",
        "--memory 64m --memory-swap 64m",
        "target=/run/secrets,readonly",
        "--network shop",
    ):
        assert said in created
    assert "--publish" not in created and " -p " not in created and "--privileged" not in created
    assert "--cpus" not in created and MARK not in created


def test_an_app_s_network_connects_no_two_containers(app, engine):
    """Not even two releases of one app: they share no state but what is mounted."""
    prepare(app)
    (created,) = engine.calls("docker network create")
    assert "--opt com.docker.network.bridge.enable_icc=false" in created and created.split()[-1] == app.name
    assert engine.calls("docker create --name") and "--network shop " in engine.calls("docker create --name")[-1]


def test_directories_are_mounted_never_single_files(app, engine):
    release = prepare(app)
    (created,) = engine.calls(f"docker create --name shop-{release} ")
    sources = [part.split("source=")[1].split(",")[0] for part in created.split() if "type=bind" in part]
    sources.remove(app.path(release, "passwd"))  # its release's own, which nobody replaces
    assert len(sources) == 6 and all(os.path.isdir(source) for source in sources)
    assert app.path(release) in sources and f"{app.root}/data" in sources


def test_a_release_that_does_not_answer_is_taken_away_and_the_old_one_serves_on(app, engine, monkeypatch):
    old = deploy(app)
    monkeypatch.setattr(nginx, "probe_socket", lambda *arguments: 503)
    with pytest.raises(containers.NotReady, match=r"/ did not answer below 400 in 0 s \(status 503\)"):
        prepare(app, build="b2", start_timeout=0)
    assert app.serving() == old and engine.running() == [f"shop-{old}"]
    assert app.known() == [old]


def test_one_good_answer_is_not_enough(app, engine, monkeypatch):
    answers = iter([200])

    def answer_once(*arguments):
        for status in answers:
            return status
        raise PermissionError("Permission denied")

    monkeypatch.setattr(nginx, "probe_socket", answer_once)
    with pytest.raises(containers.NotReady, match="Permission denied"):
        prepare(app, start_timeout=1)


def test_a_container_that_ends_is_noticed_at_once(app, engine, monkeypatch):
    def end(*arguments):
        for name in engine.running():
            (engine.place / "containers" / name / "running").unlink()
        raise ConnectionRefusedError

    monkeypatch.setattr(nginx, "probe_socket", end)
    with pytest.raises(containers.NotReady, match="its container ended with code 3"):
        prepare(app, start_timeout=60)


def test_what_is_known_of_a_release_comes_with_what_to_do(app, engine, monkeypatch):
    """The names of its environment and of its secrets, and what its module could mean."""
    (engine.place / "inside").write_text(
        json.dumps({"passwd": "", "instance": "/app/instance", "gunicorn": True, "names": ["application"]})
    )
    said = []
    monkeypatch.setattr(containers.engine, "logs", lambda name, lines: said)
    monkeypatch.setattr(nginx, "probe_socket", lambda *arguments: 500)
    python = ["Traceback (most recent call last):", '  File "<frozen os>", line 1, in x']
    for words, advice in {
        ("Failed to find attribute 'app' in 'shop'.",): "app_wsgi: shop:application; in shop there are application",
        (*python, "KeyError: 'a'"): "the app asks for the variable a, and A is set",
        (*python, "KeyError: 'Key'"): "the app asks for the variable Key, and KEY is set",
    }.items():
        said[:] = words
        with pytest.raises(containers.NotReady) as error:
            prepare(app, start_timeout=0)
        assert str(error.value).splitlines()[-1].startswith(f"  what to do: {advice}")


def test_a_container_that_had_too_little_memory_says_so():
    ended = {"State": {"ExitCode": 137, "OOMKilled": True}}
    assert containers.how_it_ended(ended) == "its container ended with code 137, killed for want of memory"
    ended["State"]["OOMKilled"] = False
    assert containers.how_it_ended(ended) == "its container ended with code 137"


def test_what_cannot_start_leaves_no_volume(app, engine):
    release = deploy(app)
    place = engine.place / "containers" / f"shop-{release}"
    (place / "running").unlink()
    (place / "broken").touch()
    engine.forget()
    prepare(app)
    containers.end_commands("shop")
    assert engine.calls("docker rm ") and all(" -v " in call for call in engine.calls("docker rm "))


def test_what_served_and_still_runs_is_left_alone_however_it_was_made(app, engine):
    """It may have requests in flight; a candidate has none."""
    release = prepare(app)
    (engine.place / "containers" / f"shop-{release}" / "arguments").write_text("otherwise")
    app.set_state(release, "retired", switched=1.0)
    assert not containers.ensure_running(app, release, app.record(release))
    files.write_json(app.path(release, "state.json"), {"state": "prepared"})
    assert containers.ensure_running(app, release, app.record(release))


@pytest.mark.parametrize("known", [None, [], "words", ["--init", 1]], ids=str)
def test_a_record_without_whole_arguments_is_started_as_this_role_does_it(app, known):
    record = {"container": options()["container"], "wsgi": "shop:app", "image": "sha256:one", "found": inside.ANYTHING}
    made = containers.create_arguments(app, "abc", record)
    assert containers.arguments(app, "abc", {**record, "arguments": known}) == made
    assert containers.arguments(app, "abc", {**record, "arguments": ["--init"]}) == ["--init"]


def test_the_process_of_a_release_is_that_of_its_container(app, monkeypatch):
    known = {("container", "shop-abc"): {"State": {"Pid": 4711}}}
    monkeypatch.setattr(engines, "inspect", lambda *of: known.get(of))
    assert (containers.process(app, "abc"), containers.process(app, "def")) == (4711, None)
