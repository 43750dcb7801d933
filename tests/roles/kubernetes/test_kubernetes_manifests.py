"""What an app is on a host is what its pods are, by value."""

from __future__ import annotations

import json
import re

import crossplane
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from manifests import MARK, Refused, names, render, written

from tests.conftest import ROOT

EVERYTHING = """
app_env: {CURRENCY: EUR, COUNTRY: "NO", ANSWER: "y", OCTAL: "0o17", TEXT: "one\\ntwo\\n", MONEY: "$(HOME) $$"}
app_secrets: {SECRET_KEY: 5f0c5f0c5f0c}
app_secret_files: {users.json: '{"ada": 1}', ca.pem: "PEM"}
app_files: {config.py: "KEY = 'hidden'", /etc/shop.ini: "[shop]"}
app_needs: [postgres, valkey]
app_uid: 10077
app_memory: 1g
app_cpus: 1.5
app_drain_timeout: 45
app_start_timeout: 61
app_health_path: /healthz?deep=1
app_watch_seconds: 20
app_keep_releases: 4
app_writable: [uploads, /var/lib/shop, "cache:memory", "thumbs:20m", "/tmp:200m"]
app_release_command: flask db upgrade
app_release_command_timeout: 900
app_processes:
  worker: {command: "celery -A shop worker -n '$(HOSTNAME)'", count: 3, memory: 2g, cpus: 0.5, stop_timeout: 300}
  beat: {command: [celery, -A, shop, beat], hosts: one}
app_jobs:
  purge: {command: flask purge, at: "*-*-* 03:00"}
  warm_cache:
    {command: "sh -c 'a && b'", at: "Mon..Fri *:0/15 Europe/Berlin", timeout: 60, catch_up: false, memory: 64m}
site_aliases: [www.shop.example.com, shop.example.net]
site_names: ["*.shop.example.org"]
site_uploads: {/media/: uploads, /avatars/: users/avatars}
site_max_body: 20m
site_trusted_proxies: [192.0.2.0/24, 10.0.0.0/8]
host_firewall: true
host_egress:
  database: {to: [10.0.0.5, host], port: 5432}
  mail: {to: [host], port: 25}
  farm: {to: ["fd00::/64", 10.1.0.0/16], port: ["7000-7010", 53], protocol: udp}
  all: {to: [192.168.7.0/24]}
tokens_algorithm: RS256
kubernetes_namespace: shops
kubernetes_data: 10g
kubernetes_nginx_image: registry.example.com/nginx:1.30
"""
PODS = ("Deployment", "CronJob", "Job")


def pod(thing):
    """Return the pod of an object."""
    spec = thing["spec"]
    spec = spec["jobTemplate"]["spec"] if thing["kind"] == "CronJob" else spec
    return spec["template"]["spec"]


def pods(things):
    return {path: pod(thing) for path, thing in things.items() if thing["kind"] in PODS}


def container(thing, name="app"):
    (found,) = [each for each in pod(thing)["containers"] if each["name"] == name]
    return found


def mounted(one):
    return {mount["mountPath"]: mount for mount in one["volumeMounts"]}


def volumes(thing):
    return {volume["name"]: volume for volume in pod(thing)["volumes"]}


# -- all pods --------------------------------------------------------------------------------


def test_every_part_of_an_inventory_has_its_object(made):
    found = {path: thing["kind"] for path, thing in made(EVERYTHING).items()}
    assert found == {
        "1-before/release.yaml": "ConfigMap",
        "1-before/environment.yaml": "ConfigMap",
        "1-before/data.yaml": "PersistentVolumeClaim",
        "1-before/network.yaml": "NetworkPolicy",
        "1-before/command.yaml": "Job",
        "2-app/web.yaml": "Deployment",
        "2-app/service.yaml": "Service",
        "2-app/ingress.yaml": "Ingress",
        "2-app/process-worker.yaml": "Deployment",
        "2-app/process-beat.yaml": "Deployment",
        "2-app/job-purge.yaml": "CronJob",
        "2-app/job-warm_cache.yaml": "CronJob",
    }
    least = ["release", "environment", "data"], ["web", "service", "ingress"]
    assert sorted(made()) == sorted(
        f"{top}/{n}.yaml" for top, n in zip(("1-before", "2-app"), least, strict=True) for n in n
    )


def test_every_container_is_locked_down_as_on_a_host(made):
    for path, one in pods(made(EVERYTHING)).items():
        assert one["automountServiceAccountToken"] is False and one["enableServiceLinks"] is False, path
        assert one["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": 10077,
            "runAsGroup": 10077,
            "fsGroup": 10077,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        for each in [*one["initContainers"], *one["containers"]]:
            context = dict(each["securityContext"])
            assert context.pop("runAsUser", 101) == 101, "nginx's own"
            assert context == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert each["resources"]["limits"] == each["resources"]["requests"]
            assert "memory" in each["resources"]["limits"]
        assert not {"hostNetwork", "hostPID", "hostIPC", "hostPath"} & set(re.findall(r"\w+", json.dumps(one)))


def test_limits_are_those_of_the_inventory(made):
    found = made(EVERYTHING)
    limits = {
        path: container(found[path], name)["resources"]["limits"]
        for path, name in [
            ("2-app/web.yaml", "app"),
            ("2-app/process-worker.yaml", "process"),
            ("2-app/process-beat.yaml", "process"),
            ("2-app/job-purge.yaml", "command"),
            ("2-app/job-warm_cache.yaml", "command"),
            ("1-before/command.yaml", "command"),
        ]
    }
    web = {"memory": "1Gi", "cpu": "1500m"}
    assert limits == {
        "2-app/web.yaml": web,
        "2-app/process-worker.yaml": {"memory": "2Gi", "cpu": "500m"},
        "2-app/process-beat.yaml": web,
        "2-app/job-purge.yaml": web,
        "2-app/job-warm_cache.yaml": {"memory": "64Mi", "cpu": "1500m"},
        "1-before/command.yaml": web,
    }
    assert container(made()["2-app/web.yaml"])["resources"]["limits"] == {"memory": "512Mi"}


def test_all_run_the_image_but_nginx(made):
    found = made(EVERYTHING)
    images = {(each["name"], each["image"]) for one in pods(found).values() for each in one["containers"]}
    assert images == {
        ("app", "registry.example.com/shop:1.4.0"),
        ("nginx", "registry.example.com/nginx:1.30"),
        ("process", "registry.example.com/shop:1.4.0"),
        ("command", "registry.example.com/shop:1.4.0"),
    }


def test_every_mount_has_its_volume_and_every_volume_its_source(made):
    found = made(EVERYTHING)
    maps = {thing["metadata"]["name"] for thing in found.values() if thing["kind"] == "ConfigMap"}
    for path, one in pods(found).items():
        named = {volume["name"]: volume for volume in one["volumes"]}
        assert len(named) == len(one["volumes"])
        for each in [*one["initContainers"], *one["containers"]]:
            assert {mount["name"] for mount in each["volumeMounts"]} <= named.keys(), path
            assert len(mounted(each)) == len(each["volumeMounts"]), "one place has two mounts"
        used = {v["configMap"]["name"] for v in one["volumes"] if "configMap" in v}
        used |= {
            s["configMapRef"]["name"] for e in one["containers"] for s in e.get("envFrom", []) if "configMapRef" in s
        }
        assert used <= maps


def test_a_service_s_own_selector_takes_no_pod_but_the_web(made):
    """A job may be named web, and a process as a job."""
    found = made("""
app_jobs: {web: {command: flask one, at: daily}, a: {command: flask two, at: daily}}
app_processes: {job-a: {command: flask three}, a: {command: flask four}}
app_release_command: flask five
""")
    chosen = [found["2-app/service.yaml"]["spec"]["selector"]]
    chosen += [thing["spec"]["selector"]["matchLabels"] for thing in found.values() if thing["kind"] == "Deployment"]
    assert len({json.dumps(each) for each in chosen[1:]}) == 3
    labels = []
    for thing in found.values():
        if thing["kind"] in PODS:
            spec = thing["spec"]["jobTemplate"]["spec"] if thing["kind"] == "CronJob" else thing["spec"]
            labels.append(spec["template"]["metadata"]["labels"])
    assert [sum(each.items() <= label.items() for label in labels) for each in chosen] == [1, 1, 1, 1]


# -- the web ---------------------------------------------------------------------------------


def test_gunicorn_serves_by_the_settings_of_a_release(made, known, render_gunicorn):
    inventory = "app_timeout: 77\napp_max_requests: 500\napp_drain_timeout: 12\n"
    data = made(inventory)["1-before/release.yaml"]["data"]
    host = render_gunicorn(app_timeout=77, app_max_requests=500, app_drain_timeout=12)
    assert json.loads(data["gunicorn.json"]) == {**host, "workers": 2}
    for name in ("gunicorn.conf.py", "exec.py", "output.py"):
        assert data[name] == (ROOT / "roles/app/files" / name).read_text()
    assert container(made()["2-app/web.yaml"])["command"] == [
        *("python3", "/release/exec.py", "gunicorn", "-c", "/release/gunicorn.conf.py", "shop:create_app()"),
    ]
    assert json.loads(data["release.json"])["wsgi"] == "shop:create_app()"


@pytest.fixture
def render_gunicorn(render):
    return lambda **own: json.loads(render("app", "__app_gunicorn_json", **own))


@pytest.mark.parametrize(
    ("settings", "workers"), [("", 2), ("app_cpus: 3.5", 4), ("app_cpus: 0.5", 2), ("app_workers: 7", 7)]
)
def test_workers_do_not_follow_the_processors_of_a_node(made, settings, workers):
    assert json.loads(made(settings)["1-before/release.yaml"]["data"]["gunicorn.json"])["workers"] == workers


def test_probes_ask_the_health_path_by_way_of_nginx(made):
    app = container(made(EVERYTHING)["2-app/web.yaml"])
    asks = {"path": "/healthz?deep=1", "port": 8081}
    assert app["startupProbe"]["httpGet"] == app["readinessProbe"]["httpGet"] == asks
    assert app["startupProbe"]["periodSeconds"] * app["startupProbe"]["failureThreshold"] >= 61
    alive = app["livenessProbe"]
    assert "httpGet" not in alive, "a database that is away would have all pods start anew"
    assert "/release/run/gunicorn.sock" in alive["exec"]["command"][-1]


def test_the_command_of_the_liveness_probe_tells_whether_somebody_listens(made, tmp_path):
    import socket
    import subprocess
    import sys

    words = container(made()["2-app/web.yaml"])["livenessProbe"]["exec"]["command"]
    words = [sys.executable, *(word.replace("/release/run", str(tmp_path)) for word in words[1:])]
    assert subprocess.run(words, stderr=subprocess.DEVNULL, check=False).returncode != 0
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{tmp_path}/gunicorn.sock")
        listener.listen()
        assert subprocess.run(words, check=False).returncode == 0


@pytest.mark.parametrize("drain", [0, 30, 3600])
def test_a_pod_has_longer_to_end_than_its_app_needs(made, drain):
    web = made(f"app_drain_timeout: {drain}")["2-app/web.yaml"]
    waits = {name: container(web, name)["lifecycle"]["preStop"]["sleep"]["seconds"] for name in ("app", "nginx")}
    assert waits["app"] > waits["nginx"] > 0, "nginx asks until it stops"
    settings = json.loads(made(f"app_drain_timeout: {drain}")["1-before/release.yaml"]["data"]["gunicorn.json"])
    assert settings["graceful_timeout"] > drain
    assert pod(web)["terminationGracePeriodSeconds"] > waits["app"] + settings["graceful_timeout"]


def test_a_rollout_takes_no_pod_away_before_another_is_ready(made):
    spec = made(EVERYTHING, hosts=("web1", "web2", "web3"))["2-app/web.yaml"]["spec"]
    assert (spec["replicas"], spec["minReadySeconds"], spec["revisionHistoryLimit"]) == (3, 20, 3)
    assert spec["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert spec["progressDeadlineSeconds"] > 61 + spec["minReadySeconds"]
    (spread,) = spec["template"]["spec"]["topologySpreadConstraints"]
    assert spread["labelSelector"]["matchLabels"] == spec["selector"]["matchLabels"]


def test_the_socket_of_a_release_lies_between_gunicorn_and_nginx(made):
    web = made()["2-app/web.yaml"]
    app, nginx = mounted(container(web)), mounted(container(web, "nginx"))
    assert app["/release/run"]["name"] == nginx["/srv/shop/current/run"]["name"] == "run"
    assert volumes(web)["run"] == {"name": "run", "emptyDir": {}}
    assert nginx["/srv/shop/current/run"]["readOnly"] and nginx["/srv/shop/current/static"]["readOnly"]


def test_an_image_s_own_command_serves_at_its_port(made):
    found = made("app_server: port:8080\napp_env: {A: b}")
    app = container(found["2-app/web.yaml"])
    assert "command" not in app and "args" not in app
    assert app["livenessProbe"]["tcpSocket"] == {"port": 8080}
    assert app["readinessProbe"]["httpGet"]["port"] == 8082
    (port,) = container(found["2-app/web.yaml"], "nginx")["ports"]
    assert port["containerPort"] == 8081, "another one than the app's"
    data = found["1-before/release.yaml"]["data"]
    assert "server 127.0.0.1:8080 max_fails=0;" in data["site.conf"] and "server unix:" not in data["site.conf"]
    assert set(re.findall(r"listen (?:\[::\]:)?(\d+)", data["site.conf"] + data["nginx.conf"])) == {"8081", "8082"}
    assert found["1-before/environment.yaml"]["data"].items() >= {("PORT", "8080"), ("FLASK_APP", "shop:create_app()")}


def test_every_name_leads_to_the_app(made):
    found = made(EVERYTHING)
    every = ["shop.example.com", "www.shop.example.com", "shop.example.net", "*.shop.example.org"]
    spec = found["2-app/ingress.yaml"]["spec"]
    assert spec["tls"] == [{"hosts": every, "secretName": "shop-tls"}]
    assert [rule["host"] for rule in spec["rules"]] == every
    for rule in spec["rules"]:
        (path,) = rule["http"]["paths"]
        assert path["backend"]["service"] == {"name": "shop", "port": {"name": "http"}}
    service = found["2-app/service.yaml"]["spec"]
    (port,) = service["ports"]
    (own,) = container(found["2-app/web.yaml"], "nginx")["ports"]
    assert (port["name"], port["targetPort"]) == ("http", own["name"])
    assert service["selector"].items() <= found["2-app/web.yaml"]["spec"]["template"]["metadata"]["labels"].items()


# -- nginx in the pod ------------------------------------------------------------------------


def directives(text, tmp_path):
    (tmp_path / "nginx.conf").write_text(text)
    answer = crossplane.parse(str(tmp_path / "nginx.conf"), single=True, check_ctx=False)
    assert answer["errors"] == []
    return answer["config"][0]["parsed"]


def flat(block):
    for each in block:
        yield " ".join([each["directive"], *each["args"]])
        yield from flat(each.get("block", []))


@pytest.mark.parametrize("own", ["", EVERYTHING])
def test_the_site_file_is_that_of_a_host_behind_a_load_balancer(made, known, render, tmp_path, own):
    site = made(own)["1-before/release.yaml"]["data"]["site.conf"]
    host = known(own)["site"]
    gone, new = (set(flat(directives(text, tmp_path))) for text in (host, site))
    lost = gone - new
    assert {line.partition(" ")[0] for line in lost} == {
        *("listen", "http2", "ssl_certificate", "ssl_certificate_key"),
        *("brotli", "brotli_static", "brotli_comp_level", "brotli_min_length", "brotli_types"),
    }
    assert {line for line in lost if line.startswith("listen")} == {
        *("listen 443 ssl", "listen [::]:443 ssl", "listen 80", "listen [::]:80"),
    }
    assert new - gone == {"listen 8080", "listen [::]:8080"}
    assert "ssl" not in " ".join(new) and "$site_shop__scheme" in site
    for network in ("10.0.0.0/8", "fc00::/7", *(["192.0.2.0/24"] if own else [])):
        assert f"set_real_ip_from {network}" in new
    assert site.count("10.0.0.0/8 1;") == 1


def test_probes_reach_the_health_path_alone(made, tmp_path):
    text = made(EVERYTHING)["1-before/release.yaml"]["data"]["nginx.conf"]
    (http,) = [each["block"] for each in directives(text, tmp_path) if each["directive"] == "http"]
    servers = [each["block"] for each in http if each["directive"] == "server"]
    (probe,) = [block for block in servers if "listen 8081" in set(flat(block))]
    place, other = [each for each in probe if each["directive"] == "location"]
    assert place["args"] == ["=", "/healthz"]
    assert (other["args"], list(flat(other["block"]))) == (["/"], ["return 404"]), "nginx's image has a page of its own"
    lines = set(flat(place["block"]))
    assert {"proxy_pass http://shop", "proxy_set_header Host shop.example.com"} <= lines
    assert "proxy_set_header X-Forwarded-Proto https" in lines, "or an app that redirects is never asked"


def test_nginx_s_port_is_the_one_of_its_container(made):
    data = made("app_server: port:8081")["1-before/release.yaml"]["data"]
    assert "listen 8080 default_server;" in data["nginx.conf"] and "listen 8082;" in data["nginx.conf"]


def test_uploads_are_what_nginx_sees_of_the_data(made):
    web = made(EVERYTHING)["2-app/web.yaml"]
    seen = {place: mount for place, mount in mounted(container(web, "nginx")).items() if mount["name"] == "data"}
    assert {place: (mount["subPath"], mount["readOnly"]) for place, mount in seen.items()} == {
        "/srv/shop/data/uploads": ("data/uploads", True),
        "/srv/shop/data/users/avatars": ("data/users/avatars", True),
    }


# -- where an app may write ------------------------------------------------------------------


def test_what_is_kept_lies_on_the_claim_in_each_pod(made):
    found = made(EVERYTHING)
    for path, one in pods(found).items():
        places = mounted(one["containers"][0])
        kept = {place: mount["subPath"] for place, mount in places.items() if mount["name"] == "data"}
        assert kept == {
            "/data": "data",
            "/app/uploads": "writable/uploads",
            "/var/lib/shop": "writable/var+lib+shop",
            "/app/instance": "writable/instance",
        }, path
        (volume,) = [each for each in one["volumes"] if each["name"] == "data"]
        assert volume["persistentVolumeClaim"] == {"claimName": "shop-data"}
        memory = {v["name"]: v["emptyDir"] for v in one["volumes"] if v["name"].startswith("memory")}
        sizes = {place: memory[mount["name"]] for place, mount in places.items() if mount["name"] in memory}
        assert sizes == {
            "/app/cache": {"medium": "Memory", "sizeLimit": "64Mi"},
            "/app/thumbs": {"medium": "Memory", "sizeLimit": "20Mi"},
        }
    spec = found["1-before/data.yaml"]["spec"]
    assert spec == {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "10Gi"}}}


@pytest.mark.parametrize(
    ("writable", "wanted"),
    [
        ("[]", {"medium": "Memory", "sizeLimit": "64Mi"}),
        ('["/tmp:100m"]', {"medium": "Memory", "sizeLimit": "100Mi"}),
        ('["/tmp:200m"]', {"sizeLimit": "200Mi"}),
    ],
)
def test_tmp_is_in_memory_where_that_is_little(made, writable, wanted):
    web = made(f"app_writable: {writable}")["2-app/web.yaml"]
    assert volumes(web)["tmp"]["emptyDir"] == wanted
    assert mounted(container(web))["/tmp"]["name"] == "tmp"


def test_an_app_that_keeps_nothing_has_no_claim(made, readme):
    found = made('kubernetes_data: ""')
    assert "1-before/data.yaml" not in found
    assert volumes(found["2-app/web.yaml"])["data"] == {"name": "data", "emptyDir": {}}
    assert "goes with it" in readme('kubernetes_data: ""')


def test_a_first_container_copies_what_the_image_has(made):
    found = made("app_writable: [uploads]\napp_processes: {worker: {command: flask work}}\nsite_static: shop/static")
    (web,) = pod(found["2-app/web.yaml"])["initContainers"]
    assert web["command"] == [
        *("python3", "-I", "/release/prepare.py", "--static", "shop/static"),
        *("/app/uploads", "/kept/writable/uploads", "/app/instance", "/kept/writable/instance"),
    ]
    assert (
        mounted(web)["/kept"] == {"name": "data", "mountPath": "/kept"} and mounted(web)["/static"]["name"] == "static"
    )
    (worker,) = pod(found["2-app/process-worker.yaml"])["initContainers"]
    assert "--static" not in worker["command"] and "/static" not in mounted(worker)
    assert "prepare.py" in found["1-before/release.yaml"]["data"]


def test_directories_are_found_below_the_workdir_of_an_image(made):
    web = made("app_writable: [uploads]\nkubernetes_workdir: /srv/code\napp_files: {a.cfg: b}")["2-app/web.yaml"]
    assert {"/srv/code/uploads", "/srv/code/instance", "/srv/code/a.cfg"} <= mounted(container(web)).keys()


# -- environment and secrets -----------------------------------------------------------------


def test_variables_come_from_the_environment_and_then_from_secrets(made):
    found = made(EVERYTHING)
    name = found["1-before/environment.yaml"]["metadata"]["name"]
    for one in pods(found).values():
        assert one["containers"][0]["envFrom"] == [
            {"configMapRef": {"name": name}},
            {"secretRef": {"name": "shop-env"}},
        ]
        assert "env" not in one["containers"][0], "it would win over secrets, and expand $(NAME)"
    data = found["1-before/environment.yaml"]["data"]
    assert data.items() >= {"CURRENCY": "EUR", "COUNTRY": "NO", "ANSWER": "y", "MONEY": "$(HOME) $$"}.items()
    assert data["TEXT"] == "one\ntwo\n" and data["APP_DATA_DIR"] == "/data" and data["HOME"] == "/tmp"
    assert not {"SECRET_KEY", "DATABASE_URL", "PGHOST"} & data.keys()
    assert "secretRef" not in json.dumps(made())


def test_the_operator_s_words_win_over_the_role_s(made):
    assert made("app_env: {HOME: /data}")["1-before/environment.yaml"]["data"]["HOME"] == "/data"


@pytest.mark.parametrize(("hosts", "said"), [(("web1",), None), (("web1", "web2"), "2")])
def test_an_app_knows_that_several_pods_serve_it(made, hosts, said):
    assert made(hosts=hosts)["1-before/environment.yaml"]["data"].get("FLASK_JWT_HOSTS") == said


def test_secret_files_and_keys_are_found_where_a_host_has_them(made):
    web = made(EVERYTHING)["2-app/web.yaml"]
    places, own = mounted(container(web)), volumes(web)
    assert places["/run/secrets"]["name"] == "secrets" and places["/run/jwt"]["name"] == "keys"
    config, secret = own["secrets"]["projected"]["sources"]
    assert secret == {"secret": {"name": "shop-files"}}
    assert config["configMap"]["items"] == [{"key": "env.json", "path": "env.json"}], "exec.py reads it"
    assert own["keys"]["secret"] == {"secretName": "shop-jwt", "optional": False, "defaultMode": 0o440}
    assert (places["/app/config.py"]["subPath"], places["/etc/shop.ini"]["subPath"]) == ("file-1", "file-0")
    assert own["files"]["secret"]["secretName"] == "shop-placed"
    assert volumes(made()["2-app/web.yaml"])["keys"]["secret"]["optional"] is True


def test_the_readme_names_each_secret_and_the_commands_that_make_it(readme):
    text = readme(EVERYTHING)
    for line in (
        "kubectl -n shops create secret generic shop-env --from-env-file=secrets.env   "
        "# CELERY_BROKER_URL, DATABASE_URL, REDIS_URL, SECRET_KEY",
        "kubectl -n shops create secret generic shop-files --from-file=ca.pem --from-file=users.json",
        "kubectl -n shops create secret generic shop-placed --from-file=file-0=/etc/shop.ini "
        "--from-file=file-1=config.py",
        "kubectl -n shops create secret generic shop-jwt --from-file=keys",
        "kubectl -n shops create secret tls shop-tls --cert=fullchain.pem --key=privkey.pem",
        "skopeo copy docker-archive:shop.tar docker://registry.example.com/shop:1.4.0",
    ):
        assert line in text
    assert "generic" not in readme(), "an app without secrets needs none"


def test_the_readme_says_what_an_inventory_loses(readme):
    text = readme(EVERYTHING + "app_jobs: {warm: {command: flask warm, at: daily, hosts: all}}\n")
    assert "Job `warm` ran on each host. Here it runs once." in text
    assert "on the host itself is not there: `database`, `mail`" in text
    assert "nginx takes bodies of 20m" in text
    for word in ("The watch", "All or none", "Restore points", "Rotation of the keys", "`app_pids`", "`VOLUME`"):
        assert word in text


# -- a release -------------------------------------------------------------------------------


CHANGES = ["app_env: {A: b}", "kubernetes_image: registry.example.com/shop:2", "app_memory: 1g", "site_max_body: 11m"]
CHANGES += ["app_release_command: flask db upgrade", "app_wsgi: other:app", "app_processes: {a: {command: b}}"]


def test_whatever_differs_is_another_release_and_nothing_else_is(made):
    ids = [made(own)["1-before/release.yaml"]["metadata"]["name"] for own in ["", "", *CHANGES]]
    assert ids[0] == ids[1] and len(set(ids)) == len(CHANGES) + 1
    assert all(re.fullmatch("shop-[0-9a-f]{12}", each) for each in ids)


def test_the_files_of_a_release_never_change_under_its_name(made):
    found = made(EVERYTHING)
    for path in ("1-before/release.yaml", "1-before/environment.yaml"):
        assert found[path]["immutable"] is True
    record = json.loads(found["1-before/release.yaml"]["data"]["release.json"])
    assert found["1-before/release.yaml"]["metadata"]["name"] == f"shop-{record['id']}"


def test_the_release_command_runs_once_in_a_release(made, readme):
    job = made(EVERYTHING)["1-before/command.yaml"]
    release = made(EVERYTHING)["1-before/release.yaml"]["metadata"]["name"].removeprefix("shop-")
    assert job["metadata"]["name"] == f"shop-release-{release}"
    assert job["spec"]["backoffLimit"] == 0 and job["spec"]["activeDeadlineSeconds"] == 900
    assert pod(job)["restartPolicy"] == "Never"
    assert container(job, "command")["command"] == ["python3", "/release/exec.py", "flask", "db", "upgrade"]
    text = readme(EVERYTHING)
    steps = ["kubectl apply -f 1-before/", f"--timeout=900s job/shop-release-{release}", "kubectl apply -f 2-app/"]
    assert sorted(steps, key=text.index) == steps


# -- beside the web --------------------------------------------------------------------------


def test_processes_run_as_often_as_on_all_hosts(made):
    found = made(EVERYTHING.replace("app_needs: [postgres, valkey]", ""), hosts=("web1", "web2"))
    worker, beat = found["2-app/process-worker.yaml"], found["2-app/process-beat.yaml"]
    assert (worker["spec"]["replicas"], beat["spec"]["replicas"]) == (6, 1)
    assert worker["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert beat["spec"]["strategy"] == {"type": "Recreate"}, "two schedulers would do all twice"
    assert [pod(each)["terminationGracePeriodSeconds"] for each in (worker, beat)] == [300, 60]


def test_a_process_that_is_off_has_no_pod(made):
    assert made("app_processes: {worker: {command: a, count: 0}}")["2-app/process-worker.yaml"]["spec"]["replicas"] == 0


def expanded(text):
    """Return a word as the kubelet hands it on, with every variable set (third_party/forked/golang/expansion)."""
    return re.sub(r"\$(\$|\(([^)]*)\))", lambda found: "$" if found[1] == "$" else "<expanded>", text)


def test_the_words_of_a_command_arrive_as_they_are_written(made):
    words = container(made(EVERYTHING)["2-app/process-worker.yaml"], "process")["command"]
    assert [expanded(word) for word in words[2:]] == ["celery", "-A", "shop", "worker", "-n", "$(HOSTNAME)"]
    words = container(made(EVERYTHING)["2-app/job-warm_cache.yaml"], "command")["command"]
    assert words == ["python3", "/release/exec.py", "sh", "-c", "a && b"]


@settings(deadline=None)
@given(st.text(alphabet="$()a {}", max_size=12))
def test_no_word_is_expanded(word):
    assert expanded(names.plain([word])[0]) == word


def test_a_job_keeps_its_times_its_zone_and_its_limits(made):
    found = made(EVERYTHING)
    purge, warm = found["2-app/job-purge.yaml"]["spec"], found["2-app/job-warm_cache.yaml"]["spec"]
    assert (purge["schedule"], purge["timeZone"]) == ("0 3 * * *", "Etc/UTC")
    assert (warm["schedule"], warm["timeZone"]) == ("*/15 * * * 1-5", "Europe/Berlin")
    assert purge["concurrencyPolicy"] == warm["concurrencyPolicy"] == "Forbid", "never twice at once"
    assert "startingDeadlineSeconds" not in purge and warm["startingDeadlineSeconds"] == 60
    runs = [each["jobTemplate"]["spec"] for each in (purge, warm)]
    assert [each["activeDeadlineSeconds"] for each in runs] == [3600, 60]
    assert {each["backoffLimit"] for each in runs} == {0}
    assert {each["template"]["spec"]["restartPolicy"] for each in runs} == {"Never"}
    assert {each["template"]["spec"]["terminationGracePeriodSeconds"] for each in runs} == {30}
    assert found["2-app/job-warm_cache.yaml"]["metadata"]["name"] == "shop-warm-cache"


# -- networks --------------------------------------------------------------------------------


def test_a_closed_egress_is_closed_in_the_cluster_too(made):
    spec = made(EVERYTHING)["1-before/network.yaml"]["spec"]
    assert spec["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": "shop"}}
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert spec["ingress"] == [{"ports": [{"protocol": "TCP", "port": 8080}]}]
    dns, internet, *opened = spec["egress"]
    assert dns == {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}
    blocks = {each["ipBlock"]["cidr"]: set(each["ipBlock"]["except"]) for each in internet["to"]}
    assert blocks["0.0.0.0/0"] >= {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10"}
    assert blocks["::/0"] >= {"fc00::/7", "fe80::/10", "::1/128"}
    assert opened == [
        {"to": [{"ipBlock": {"cidr": "192.168.7.0/24"}}]},
        {"to": [{"ipBlock": {"cidr": "10.0.0.5/32"}}], "ports": [{"protocol": "TCP", "port": 5432}]},
        {
            "to": [{"ipBlock": {"cidr": "fd00::/64"}}, {"ipBlock": {"cidr": "10.1.0.0/16"}}],
            "ports": [{"protocol": "UDP", "port": 7000, "endPort": 7010}, {"protocol": "UDP", "port": 53}],
        },
    ]


def test_without_a_firewall_nothing_is_closed(made):
    assert "1-before/network.yaml" not in made()


# -- what is written -------------------------------------------------------------------------


def test_the_same_inventory_has_the_same_text(known):
    assert render(known(EVERYTHING)) == render(known(EVERYTHING))


def test_every_manifest_says_who_wrote_it(known):
    texts = render(known(EVERYTHING))
    assert all(text.startswith(MARK) for path, text in texts.items() if path.endswith(".yaml"))


# Read otherwise by YAML 1.1, which the tools of Kubernetes follow in part (go-yaml), or by 1.2.
ODD = [
    "y",
    "n",
    "Y",
    "no",
    "on",
    "NO",
    "null",
    "~",
    "",
    "0o17",
    "0x1f",
    "1_000",
    "1:30",
    ".5",
    "1e3",
    "-",
    "= ",
    "a: b",
]
ODD += [
    "a #b",
    "- a",
    "\ttab",
    "é",
    "a\nb",
    "a\nb\n",
    " a\n",
    "a \nb",
    "\n",
    "2026-11-29",
    "*a",
    "&a",
    "!a",
    "%a",
    "@a",
    "`a",
]


@pytest.mark.parametrize("text", ODD)
def test_text_stays_text_for_each_reader(text):
    out = written({"a": text})
    assert yaml.safe_load(out) == {"a": text}
    plain = re.fullmatch(r"a: ([^\"'|].*)\n", out)
    assert not plain or (re.fullmatch(r"[A-Za-z_/é][^:#]*", plain[1]) and plain[1].lower() not in ("y", "n"))


@settings(deadline=None)
@given(st.text(max_size=40))
def test_any_text_is_read_as_it_was(text):
    assert yaml.safe_load(written({"data": {"a": text}})) == {"data": {"a": text}}


@settings(deadline=None)
@given(st.lists(st.from_regex(r"\A[a-z][a-z0-9_-]{0,40}\Z"), min_size=1, max_size=3), st.sampled_from([52, 63]))
def test_every_name_is_one_that_the_api_takes(parts, most):
    name = names.label(*parts, most=most)
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name) and len(name) <= most


def test_names_that_are_cut_stay_apart():
    long = "a" * 40
    assert len({names.label("shop", f"{long}{end}", most=30) for end in "bcd"}) == 3
    assert names.label("shop", "worker-") != names.label("shop", "worker")


# -- refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("inventory", "said"),
    [
        (
            "app_jobs: {purge: {command: a, at: 'Mon *-*-01 03:00'}}",
            "app_jobs: purge: at: 'Mon *-*-01 03:00' cannot be",
        ),
        ("kubernetes_image: ''", "kubernetes_image: is required"),
        ("app_health_path: /a%20b", "app_health_path: % is not carried over"),
        ("kubernetes_data: ''\nsite_uploads: {/media/: uploads}", "kubernetes_data: site_uploads would be lost"),
        ("kubernetes_data: ''\napp_writable: [uploads]", "kubernetes_data: /app/uploads of app_writable would be lost"),
        (f"app_env: {{A: {'x' * 950_000}}}", "app_env: "),
    ],
)
def test_what_cannot_be_exported_is_told_in_a_line(known, inventory, said):
    with pytest.raises(Refused) as caught:
        render(known(inventory))
    (line,) = str(caught.value).splitlines()
    assert line.startswith(said)


def test_all_of_it_is_told_at_once(known):
    with pytest.raises(Refused) as caught:
        render(known("kubernetes_image: ''\napp_jobs: {a: {command: b, at: '*:*:0/9'}, c: {command: d, at: '*-*~1'}}"))
    assert len(str(caught.value).splitlines()) == 3


def test_an_image_that_is_ready_is_the_one_that_the_cluster_pulls(known):
    source = f"image:registry.example.com/team/shop@sha256:{'5f' * 32}"
    asked = known(f"build_source: {source}\nkubernetes_image: '{{{{ build_source.removeprefix(\"image:\") }}}}'")
    assert asked["image"] == source.removeprefix("image:")


def test_names_of_services_are_those_that_a_host_gives(known):
    defaults = {r: yaml.safe_load((ROOT / f"roles/{r}/defaults/main.yml").read_text()) for r in ("postgres", "valkey")}
    text = (ROOT / "roles/kubernetes/vars/main.yml").read_text()
    for role, name in [
        ("postgres", "variable"),
        *(("valkey", name) for name in ("variable", "celery_variable", "use")),
    ]:
        assert f"{role}_{name} | default('{defaults[role][f'{role}_{name}']}')" in text
    assert known("app_needs: [valkey]\nvalkey_use: cache\nvalkey_variable: CACHE_URL")["needs"] == ["CACHE_URL"]
