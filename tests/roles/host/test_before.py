"""A host that was in use before: what roles docker and nginx would break is said, and what they take over is kept."""

from __future__ import annotations

import hashlib
import json
import os
import types
from pathlib import Path

import pytest
from ansible.module_utils import host_before as before
from ansible.module_utils import host_containers
from ansible.modules import host_docker, host_nginx

WANTED = {
    "builder": {"gc": {"enabled": True}},
    "icc": False,
    "live-restore": True,
    "log-driver": "local",
    "log-opts": {"max-size": "10m"},
    "no-new-privileges": True,
    "userland-proxy": False,
}
THEIRS = {"log-driver": "json-file", "log-opts": {"labels": "x"}, "insecure-registries": ["registry.lan:5000"]}
CONF = "http {\n    include /etc/nginx/conf.d/*.conf;\n}\n"


class Ended(Exception):
    """The module has ended; ``said`` is its answer."""

    def __init__(self, **said):
        super().__init__(said)
        self.said = said


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Return a host: its commands answer as told, its files lie in a directory."""
    answers, calls = {}, []

    def run(*command, timeout=60):
        line = " ".join(command)
        calls.append(line)
        said = next((said for begin, said in answers.items() if line.startswith(begin)), (127, ""))
        return (said.pop(0) if len(said) > 1 else said[0]) if isinstance(said, list) else said

    monkeypatch.setattr(before, "run", run)
    monkeypatch.setattr(before, "RECORD", f"{tmp_path}/var/lib/flask-deploy/host.json")
    for module, names in ((host_docker, ("DAEMON", "CONTAINERD")), (host_nginx, ("CONF", "OWED"))):
        for name in names:
            monkeypatch.setattr(module, name, f"{tmp_path}{getattr(module, name)}")
    monkeypatch.setattr(host_nginx, "INCLUDE", "include /etc/nginx/conf.d/*.conf;")
    monkeypatch.setattr(host_docker, "shutil", types.SimpleNamespace(which=lambda name: None))
    monkeypatch.setattr(host_containers, "CONTAINERS", f"{tmp_path}/var/lib/docker/containers")
    for folder in ("etc/docker", "etc/containerd", "etc/nginx/conf.d", "etc/nginx/sites-enabled", "var/lib"):
        (tmp_path / folder).mkdir(parents=True)
    return types.SimpleNamespace(root=tmp_path, answers=answers, calls=calls)


@pytest.fixture
def call(monkeypatch):
    """Run a module; return what it says."""

    def run(module, check=False, **params):
        def end(**said):
            raise Ended(**said)

        def fail(**said):
            raise Ended(failed=True, **said)

        given = {"adopt": [], "take": False, **params}
        stand_in = types.SimpleNamespace(params=given, check_mode=check, exit_json=end, fail_json=fail)
        monkeypatch.setattr(module, "QuietModule", lambda **spec: stand_in)
        with pytest.raises(Ended) as ended:
            module.main()
        return ended.value.said

    return run


@pytest.fixture
def docker(machine, call):
    return lambda **more: call(host_docker, packages=["docker.io"], daemon=WANTED, **more)


@pytest.fixture
def nginx(machine, call):
    return lambda **more: call(host_nginx, packages=["nginx"], conf=CONF, **more)


def files(root):
    return {str(path): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def put(machine, path, text):
    target = machine.root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text if isinstance(text, str) else json.dumps(text))
    return target


# -- the engine ------------------------------------------------------------------------------


def test_a_bare_host_takes_the_role_as_it_is(docker, machine):
    said = docker(take=True)
    assert said == {
        "changed": False,
        "told": [],
        "packages": ["docker.io"],
        "containerd": True,
        "base": {},
        "yields": [],
    }
    assert json.loads((machine.root / "var/lib/flask-deploy/host.json").read_text()) == {
        "docker": {"base": {}, "yields": []}
    }
    assert (machine.root / "var/lib/flask-deploy").stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("take", [False, True])
def test_settings_of_others_stop_the_run_before_any_change(docker, machine, take):
    put(machine, "etc/docker/daemon.json", THEIRS)
    state = files(machine.root)
    said = docker(take=take)
    assert said["failed"] and said["msg"].startswith("nothing was changed; to be mended:")
    assert "is not ours and would be replaced; it sets insecure-registries, log-driver, log-opts" in said["msg"]
    assert 'type -e \'{"host_adopt": ["docker"]}\' to take it over' in said["msg"]
    assert files(machine.root) == state


@pytest.mark.parametrize("take", [False, True])
def test_containers_of_others_stop_the_run_before_any_change(docker, monkeypatch, take, machine):
    monkeypatch.setattr(host_docker, "containers", lambda: ["legacy-api", "legacy-db"])
    said = docker(take=take)
    assert said["failed"] and "containers of others are here: legacy-api, legacy-db" in said["msg"]
    assert not (machine.root / "var/lib/flask-deploy").exists()


def test_taken_over_settings_stay_where_ours_say_nothing(docker, machine):
    daemon = put(machine, "etc/docker/daemon.json", THEIRS)
    said = docker(adopt=["docker"], take=True)
    assert said["base"] == {"log-driver": "json-file", "insecure-registries": ["registry.lan:5000"]}
    assert any(line.endswith("docker_daemon_options sets it otherwise") for line in said["told"])
    (copy,) = daemon.parent.glob("daemon.json.before-flask-deploy-*")
    assert json.loads(copy.read_text()) == THEIRS and said["changed"]
    daemon.write_text(json.dumps(WANTED))
    again = docker(take=True)
    assert again["base"] == said["base"] and not again["changed"] and again["told"] == []
    assert len(list(daemon.parent.iterdir())) == 2


def test_a_dry_run_of_a_take_over_changes_nothing(docker, machine):
    put(machine, "etc/docker/daemon.json", THEIRS)
    state = files(machine.root)
    assert docker(adopt=["docker"], take=True, check=True)["base"]
    assert files(machine.root) == state


def test_running_containers_are_held_before_the_engine_restarts(docker, machine, monkeypatch):
    monkeypatch.setattr(host_docker, "containers", lambda: ["legacy-api"])
    daemon = put(machine, "etc/docker/daemon.json", THEIRS)
    machine.answers |= {
        "systemctl is-active": (0, ""),
        "docker info --format {{.Live": [(0, "false\n"), (0, "true\n")],
        "docker info": (0, "inactive\n"),
    }
    said = docker(adopt=["docker"], take=True)
    assert json.loads(daemon.read_text()) == {**THEIRS, "live-restore": True}
    assert "systemctl reload docker.service" in machine.calls
    assert said["yields"] == ["icc", "no-new-privileges", "userland-proxy"]


def test_an_engine_that_holds_them_already_is_not_told_to(docker, machine, monkeypatch):
    monkeypatch.setattr(host_docker, "containers", lambda: ["legacy-api"])
    daemon = put(machine, "etc/docker/daemon.json", THEIRS)
    machine.answers |= {"systemctl is-active": (0, ""), "docker info --format {{.Live": (0, "true\n")}
    assert "failed" not in docker(adopt=["docker"], take=True)
    assert json.loads(daemon.read_text()) == THEIRS and "systemctl reload docker.service" not in machine.calls


def test_settings_that_cannot_be_read_stop_the_run(docker, machine):
    put(machine, "etc/docker/daemon.json", "{")
    said = docker(adopt=["docker"], take=True)
    assert said["failed"] and "daemon.json is not JSON" in said["msg"] and before.record() == {}


def test_who_only_looks_writes_nothing_down(docker, machine):
    put(machine, "etc/docker/daemon.json", THEIRS)
    state = files(machine.root)
    assert docker(adopt=["docker"])["base"] and files(machine.root) == state


def test_an_engine_that_no_package_brought_stops_the_run(docker, machine, monkeypatch):
    monkeypatch.setattr(host_docker, "shutil", types.SimpleNamespace(which=lambda name: "/usr/local/bin/dockerd"))
    machine.answers["dpkg --search"] = (1, "no path found")
    said = docker(take=True)
    assert said["failed"] and "/usr/local/bin/dockerd was not installed by apt; supported are" in said["msg"]
    machine.answers["dpkg --search"] = (0, "docker.io: /usr/sbin/dockerd")
    assert "failed" not in docker()


def test_an_engine_that_does_not_hold_them_is_left_as_it_was(docker, machine, monkeypatch):
    monkeypatch.setattr(host_docker, "containers", lambda: ["legacy-api"])
    daemon = put(machine, "etc/docker/daemon.json", THEIRS)
    machine.answers |= {"systemctl is-active": (0, ""), "docker info": (0, "false\n"), "sleep": (0, "")}
    said = docker(adopt=["docker"], take=True)
    assert said["failed"] and said["msg"].startswith("nothing was changed: the engine does not take live restore")
    assert json.loads(daemon.read_text()) == THEIRS and before.record() == {}


def test_a_host_of_an_earlier_version_is_ours(docker, machine, monkeypatch):
    put(machine, "etc/docker/daemon.json", {**WANTED, "dns": ["192.0.2.53"]})
    put(machine, "etc/containerd/config.toml", "# Managed by Ansible: flask-deploy\n")
    monkeypatch.setattr(host_docker, "containers", lambda: ["somebody-s"])
    said = docker(take=True)
    assert "failed" not in said and said["base"] == {} and said["yields"] == []


def test_containerd_s_settings_of_others_stay(docker, machine):
    path = put(machine, "etc/containerd/config.toml", "version = 3\n")
    assert docker()["containerd"] is False
    digest = hashlib.md5(path.read_bytes()).hexdigest()
    machine.answers["dpkg-query --show --showformat=${Conffiles}"] = (0, f" {path} {digest}\n")
    assert docker()["containerd"] is True


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (
            {"dpkg-query --show --showformat=${db": (0, "installed podman-docker\n")},
            "podman-docker stands in for docker",
        ),
        (
            {"dpkg-query --show --showformat=${db": (0, "installed docker-ce\n"), "docker buildx": (1, "")},
            "docker-ce lacks its builder; type there: sudo apt install docker-buildx-plugin",
        ),
        ({"apt-get --simulate": (0, "Remv containerd.io [1]\nInst docker.io\n")}, "apt would remove containerd.io to"),
        (
            {"apt-get --simulate": (100, "The following packages have unmet dependencies:\n a : Depends: b\n")},
            "apt cannot install docker.io: a : Depends: b",
        ),
        (
            {"systemctl show": (0, "argv[]=/usr/sbin/dockerd -H fd:// --icc=true ; ")},
            "docker.service is started with icc",
        ),
        ({"systemctl is-active": (0, ""), "docker info": (0, "active\n")}, "the host is in a swarm"),
        (
            {"systemctl is-active": (0, ""), "docker ps --filter publish=80/": (0, "proxy\n")},
            "port 80 is published by the container proxy",
        ),
    ],
    ids=["podman", "no builder", "removal", "broken", "flag", "swarm", "port"],
)
@pytest.mark.parametrize("adopt", [[], ["docker"]])
def test_what_nothing_takes_over_stops_the_run(docker, machine, answers, said, adopt):
    machine.answers |= answers
    result = docker(adopt=adopt, take=True)
    assert result["failed"] and said in result["msg"]
    assert before.record() == {}


def test_the_engine_of_docker_com_is_used_as_it_is(docker, machine):
    machine.answers |= {
        "dpkg-query --show --showformat=${db": (0, "installed docker-ce\n"),
        "docker buildx": (0, ""),
        "apt-get": (0, "Remv docker-ce\n"),
    }
    assert docker(take=True)["packages"] == []


CONTAINERS = [  # name, whether it runs, labels, restart policy
    ("app-1", True, {"flask-deploy.app": "app"}, "unless-stopped"),
    ("runs", True, None, "no"),
    ("rests", False, {"a": "b"}, "unless-stopped"),
    ("ended", False, None, "no"),
    ("ended-too", False, None, ""),
]


def test_containers_of_others_are_those_that_run_or_would_be_started(machine):
    listed = [
        {
            "Name": f"/{name}",
            "State": {"Running": runs},
            "Config": {"Labels": labels},
            "HostConfig": {"RestartPolicy": {"Name": policy}},
        }
        for name, runs, labels, policy in CONTAINERS
    ]
    machine.answers |= {
        "systemctl is-active": (0, ""),
        "docker ps --all": (0, "a\nb\n"),
        "docker container inspect": (0, json.dumps(listed)),
    }
    assert host_containers.containers() == ["rests", "runs"]


def test_an_engine_that_rests_is_not_started_by_asking_it(machine):
    for name, _runs, labels, policy in CONTAINERS:
        put(
            machine,
            f"var/lib/docker/containers/{name}/config.v2.json",
            {"Name": f"/{name}", "Config": {"Labels": labels}},
        )
        put(machine, f"var/lib/docker/containers/{name}/hostconfig.json", {"RestartPolicy": {"Name": policy}})
    assert host_containers.containers() == ["rests"]
    assert [call for call in machine.calls if call.startswith("docker")] == []


def test_a_resting_engine_is_taken_over_without_a_reload(docker, machine):
    put(machine, "var/lib/docker/containers/a/config.v2.json", {"Name": "/rests", "Config": {}})
    put(machine, "var/lib/docker/containers/a/hostconfig.json", {"RestartPolicy": {"Name": "always"}})
    assert docker(adopt=["docker"], take=True)["yields"]
    assert not (machine.root / "etc/docker/daemon.json").exists()


# -- nginx -----------------------------------------------------------------------------------

MAIN = """\
include /etc/nginx/modules-enabled/*.conf;
http {
    include mime.types;
    # include old/*;
    include conf.d/*.conf;
    include sites-enabled/*;
}
"""


@pytest.fixture
def ship(machine):
    """Let files be as Debian's packages brought them."""
    shipped = []

    def done(path, text):
        target = put(machine, path, text)
        shipped.append(f" {target} {hashlib.md5(target.read_bytes()).hexdigest()}\n")
        machine.answers["dpkg-query --show --showformat=${Conffiles}"] = (0, "".join(shipped))
        return target

    return done


@pytest.fixture
def debian(machine, ship):
    """An nginx as Debian brings it."""
    ship("etc/nginx/nginx.conf", MAIN)
    ship("etc/nginx/mime.types", "types { }\n")
    ship("etc/nginx/sites-available/default", "server { listen 80 default_server; }\n")
    (machine.root / "etc/nginx/sites-enabled/default").symlink_to("../sites-available/default")


def test_a_bare_host_s_nginx_is_ours(nginx, machine):
    assert nginx(take=True) == {"changed": False, "sites": [], "told": []}
    assert before.record() == {"nginx": {"sites": []}}


def test_debian_s_own_files_are_nobody_s(nginx, machine, debian):
    put(
        machine,
        "etc/nginx/conf.d/shop.conf",
        "# Managed by Ansible: flask-deploy\ninclude /srv/shop/current/site.con[f];\n",
    )
    assert nginx(take=True) == {"changed": False, "sites": [], "told": []}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("sites-enabled/blog", "would no longer be served: sites-enabled/blog"),
        ("sites-enabled/default", "would no longer be served: sites-enabled/default"),
        ("conf.d/wiki.conf", "would be under role nginx's settings: conf.d/wiki.conf"),
        ("nginx.conf", "nginx.conf was changed by somebody and would be replaced"),
    ],
)
@pytest.mark.parametrize("take", [False, True])
def test_nginx_of_others_stops_the_run_before_any_change(nginx, machine, debian, path, said, take):
    (machine.root / "etc/nginx" / path).unlink(missing_ok=True)  # Debian's default site is a link
    put(machine, f"etc/nginx/{path}", "server { server_name x.test; }\n")
    state = files(machine.root)
    result = nginx(take=take)
    assert result["failed"] and said in result["msg"]
    assert 'type -e \'{"host_adopt": ["nginx"]}\' to take it over' in result["msg"]
    assert files(machine.root) == state


def test_sites_of_others_are_served_on(nginx, machine, debian):
    main = put(machine, "etc/nginx/nginx.conf", MAIN + "include vhosts/*; include ours.conf;\n")
    own = [
        put(machine, f"etc/nginx/{path}", f"{word} x {{ }}\n")
        for path, word in (("sites-enabled/blog", "server"), ("vhosts/a", "server"), ("vhosts/b", "upstream"))
    ]
    put(machine, "etc/nginx/ours.conf", "gzip on;\n")
    put(machine, "etc/nginx/unused/c", "server { }\n")
    machine.answers |= {"nginx -v": (0, ""), "nginx -t": (0, "")}
    said = nginx(adopt=["nginx"], take=True)
    assert said["sites"] == [str(path) for path in own] and said["changed"]
    (copy,) = main.parent.glob("nginx.conf.before-flask-deploy-*")
    assert copy.read_text() == main.read_text()
    main.write_text(CONF)
    later = put(machine, "etc/nginx/sites-enabled/later", "server { }\n")
    own[1].rename(f"{own[1]}.left-out")
    assert nginx(take=True) == {"changed": False, "sites": [str(path) for path in [*own, later]], "told": []}
    assert not list(main.parent.glob(".flask-deploy-*")), "what was tested is gone"


def test_a_dry_run_of_nginx_s_take_over_changes_nothing(nginx, machine, debian):
    put(machine, "etc/nginx/nginx.conf", MAIN + "include vhosts/*;\n")
    put(machine, "etc/nginx/vhosts/a", "server { }\n")
    machine.answers |= {"nginx -v": (0, ""), "nginx -t": (0, "")}
    state = files(machine.root)
    assert nginx(adopt=["nginx"], take=True, check=True)["sites"] and files(machine.root) == state


def test_what_is_commented_out_or_an_app_s_is_no_site_of_others(nginx, machine, debian, monkeypatch):
    put(machine, "etc/nginx/nginx.conf", MAIN + "# include vhosts/*;\n")
    put(machine, "etc/nginx/vhosts/a", "server { }\n")
    put(machine, "etc/nginx/conf.d/shop.conf", "include /srv/shop/current/site.con[f];\n")
    assert host_nginx.included() == [] and host_nginx.fragments() != []
    monkeypatch.setattr(host_nginx.os.path, "isdir", lambda path: path == "/etc/shop/tls")
    assert host_nginx.fragments() == []


def test_a_configuration_that_nginx_may_not_have_read_is_a_change_until_it_is_reloaded(nginx, machine):
    """Its handler was lost with the run that wrote it: another host failed, or it was killed."""
    assert not nginx(take=True)["changed"]
    put(machine, host_nginx.OWED.removeprefix(f"{machine.root}/"), "")
    assert nginx(take=True)["changed"] and nginx(take=True)["changed"]
    assert not nginx()["changed"] and not nginx(take=True, check=True)["changed"], "only role nginx reloads it"


def test_what_is_tested_is_ours_with_their_sites(machine):
    assert host_nginx.with_sites(CONF, ["/etc/nginx/sites-enabled/blog"]).splitlines() == [
        "http {",
        "    include /etc/nginx/conf.d/*.conf;",
        '    include "/etc/nginx/sites-enabled/blog";',
        "}",
    ]
    rendered = CONF.replace("}", '    include "/etc/nginx/sites-enabled/blo[g]";\n}')
    assert host_nginx.with_sites(rendered, ["/etc/nginx/sites-enabled/blog"]) == rendered


def test_sites_that_do_not_go_with_ours_are_named_in_nginx_s_words(nginx, machine, debian):
    put(machine, "etc/nginx/sites-enabled/blog", "server { listen 80 default_server; }\n")
    machine.answers |= {"nginx -v": (0, ""), "nginx -t": (1, "[emerg] a duplicate default server for 0.0.0.0:80\n")}
    state = files(machine.root)
    said = nginx(adopt=["nginx"], take=True)
    assert said["failed"] and "beside role nginx's nginx.conf: [emerg] a duplicate default server" in said["msg"]
    assert files(machine.root) == state


@pytest.mark.parametrize("text", ["server { listen 80; }", "server { server_name _; }", "server { server_name a _; }"])
def test_a_site_that_answered_for_all_names_is_told(nginx, machine, debian, text):
    put(machine, "etc/nginx/sites-enabled/all", text)
    assert any("answered for names that no site claims" in line for line in nginx(adopt=["nginx"])["told"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("stream {\n}\n# mail {", "has a block stream, which cannot be taken over; deploy to a host of its own"),
        ("http { server { listen 80; } }", "has a block server, which cannot be taken over; move it to a file in"),
    ],
)
def test_a_block_that_cannot_be_taken_over_is_named(nginx, machine, text, said):
    put(machine, "etc/nginx/nginx.conf", text)
    result = nginx(adopt=["nginx"], take=True)
    assert result["failed"] and said in result["msg"] and "mail" not in result["msg"]
    assert before.record() == {}


def test_nginx_of_an_earlier_version_is_ours(nginx, machine):
    put(machine, "etc/nginx/nginx.conf", "map $realpath_root $release {}\n")
    put(machine, "etc/nginx/conf.d/own.conf", "server {}\n")
    assert nginx(take=True) == {"changed": False, "sites": [], "told": []}


# -- copies ----------------------------------------------------------------------------------


def test_a_copy_is_kept_once_with_its_mode(tmp_path):
    path = tmp_path / "nginx.conf"
    path.write_text("one")
    path.chmod(0o600)
    copy = Path(before.keep_copy(str(path)))
    assert copy.read_text() == "one" and copy.stat().st_mode & 0o777 == 0o600
    assert before.keep_copy(str(path)) is None
    assert os.listdir(tmp_path).count(copy.name) == 1


def test_a_command_that_is_missing_or_hangs_is_an_answer():
    assert before.run("no-such-command-here")[0] == 127
    assert before.run("sleep", "5", timeout=0.1)[0] == 124
