"""On a bare host: a dry run foretells and changes nothing; a mistake is named before anything has changed."""

from __future__ import annotations

import contextlib
import json

import pytest


def test_dry_run_foretells_changes_and_makes_none(play, snapshot):
    before = snapshot()
    run = play("site.yml", "--check", "--diff")
    assert {"Install the engine", "Install nginx", "Configure nginx", "Prepare the release"} <= set(run.changed_tasks)
    assert snapshot() == before


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"app_name": "my/app"}, ["app_name", "my/app", "example: app_name: shop"]),
        ({"app_name": "two words"}, ["app_name", "two words"]),
        ({"app_name": "../etc"}, ["app_name", "../etc"]),
        ({"app_name": "a" * 200}, ["app_name"]),
        ({"site_domain": None}, ["site_domain"]),
        ({"site_domain": "https://shop.example.com"}, ["site_domain", "example: site_domain: shop.example.com"]),
        ({"site_domain": "shop.example.com:8443"}, ["site_domain", "shop.example.com:8443"]),
        ({"site_domain": "*.example.com"}, ["site_domain", "*.example.com"]),
        ({"site_domain": "bücher.example"}, ["site_domain", "punycode"]),
        ({"site_aliases": ["app.test"]}, ["site_aliases", "app.test is there twice"]),
        ({"app_workers": "many"}, ["app_workers", "'many'", "example"]),
        ({"app_workers": -1}, ["app_workers", "-1"]),
        ({"site_https_port": 0}, ["site_https_port", "between 1 and 65535"]),
        ({"app_memory": "lots"}, ["app_memory", "'lots'", "example: app_memory: 512m"]),
        ({"site_domian": "x"}, ["site_domian", "did you mean site_domain?"]),
        ({"nginx_keepalive_timout": 5}, ["nginx_keepalive_timout", "did you mean nginx_keepalive_timeout?"]),
        ({"docker_daemon_options": {"live-restor": True}}, ["docker_daemon_options", "did you mean 'live-restore'?"]),
        ({"app_secrets": {"SECRET_KEY": ""}}, ["app_secrets", "SECRET_KEY", "openssl rand -hex 32"]),
        ({"app_secrets": {"SECRET_KEY": "changeme"}}, ["app_secrets", "SECRET_KEY"]),
        ({"build_ref": "", "build_source": "https://git.example.com/a.git"}, ["build_ref", "example"]),
        (
            {"build_ref": "--upload-pack=x", "build_source": "ssh://git@git.example.com/a.git"},
            ["build_ref", "--upload-pack=x"],
        ),
        ({"build_source": "/no/such/place"}, ["build_source", "/no/such/place", "example"]),
        ({"app_health_path": "healthz"}, ["app_health_path", "example: app_health_path: /healthz"]),
        ({"app_health_path": "https://x.test/"}, ["app_health_path"]),
        ({"app_health_path": "/a\nb"}, ["app_health_path"]),
        ({"site_max_body": "10m; } server {"}, ["site_max_body", "example: site_max_body: 10m"]),
        ({"site_cors_origins": ['https://x.test"; }']}, ["site_cors_origins", "example"]),
        ({"site_static": "static; }"}, ["site_static", "example: site_static: static"]),
        ({"nginx_certificate": "provided"}, ["nginx_certificate", "nginx_certificate_file"]),
        ({"tokens_algorithm": "HS1024"}, ["tokens_algorithm", "RS256"]),
        ({"tokens_keys": ["-----BEGIN PUBLIC KEY-----"]}, ["tokens_keys", "not a key in PEM"]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else None,
)
def test_wrong_inventory_stops_before_any_change(play, snapshot, variables, words):
    before = snapshot()
    run = play("site.yml", "-e", json.dumps(variables), succeed=False)
    assert run.rc != 0
    assert "nothing was changed" in run.output
    message = next(line for line in run.output.splitlines() if line.strip().startswith(f"{next(iter(variables))}:"))
    assert [word for word in words if word not in message] == [], message
    assert snapshot() == before


@contextlib.contextmanager
def altered(host, do, undo):
    host.check_output(do)
    try:
        yield
    finally:
        host.check_output(undo)


@pytest.mark.parametrize(
    ("do", "undo", "words"),
    [
        (
            "cp /etc/os-release /root/os; printf 'ID=fedora\\nVERSION_ID=43\\n' > /run/os; "
            "mount --bind /run/os /etc/os-release",
            "umount /etc/os-release; rm /root/os /run/os",
            "runs fedora 43; supported are Debian 12 and Debian 13",
        ),
        (
            "mv /usr/bin/python3 /usr/bin/python3.off",
            "mv /usr/bin/python3.off /usr/bin/python3",
            "sudo apt install python3",
        ),
        (
            "systemd-run -q --unit=squatter python3 -m http.server 80",
            "systemctl stop squatter",
            "; type there: sudo systemctl disable --now squatter.service",
        ),
        (
            "setsid -f python3 -m http.server 80 >/dev/null 2>&1",
            "pkill -f '[h]ttp.server 80'",
            ", which is no unit of systemd; type there: ps -fp ",
        ),
        (
            "mkdir /etc/app; touch /etc/app/settings.ini",
            "rm -r /etc/app",
            "app_name: /etc/app belongs to something else",
        ),
        ("mount -t tmpfs -o size=10m none /srv", "umount /srv", "/srv has"),
    ],
    ids=["other system", "no python", "port taken by a unit", "port taken", "name taken", "disk full"],
)
def test_unfit_host_is_named_before_any_change(host, play, snapshot, do, undo, words):
    with altered(host, do, undo):
        before = snapshot()
        run = play("site.yml", succeed=False)
        assert run.rc != 0
        assert words in run.output
        assert snapshot() == before


def test_user_who_is_not_root_is_told_so(play, snapshot):
    before = snapshot()
    run = play("site.yml", "-e", "ansible_become_user=nobody", succeed=False)
    assert "needs sudo to root" in run.output
    assert snapshot() == before


def test_the_doctor_finds_one_thing_and_changes_nothing(play, snapshot):
    before = snapshot()
    run = play("playbooks/doctor.yml", succeed=False)
    lines = [line for line in run.output.splitlines() if line.startswith(("broken ", "soon ", "note "))]
    assert run.rc == 2 and any("there is no Docker engine; the host is not set up; type: " in line for line in lines)
    assert snapshot() == before
