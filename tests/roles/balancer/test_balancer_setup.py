"""What role balancer leaves on balancers and on the hosts behind them: whole, or as it was before."""

from __future__ import annotations

import os
import shutil
import socket

import pytest
from ansible.module_utils import balancer_haproxy as haproxy
from ansible.module_utils.flask_deploy.host import fragment, nginx
from ansible.modules import balancer_member as member
from ansible.modules import balancer_servers as servers

from tests.conftest import ROOT

NAMES = ["shop.example.com", "*.shop.example.net"]
OURS = "# Ansible managed\n"
OPTIONS = {
    "names": NAMES,
    "config": OURS,
    "backend": "backend shop\n",
    "trusted": "a CA",
    "unit": "[Service]\n",
    "moves": "[Unit]\n",
    "pages": {"503.http": "HTTP/1.1 503 Service Unavailable\n"},
    "keepalived": "",
}


@pytest.fixture
def balancer(tmp_path, monkeypatch, host, engine):
    """Let a balancer be a directory; HAProxy refuses a file with the word in it."""
    host()
    names = ("CONF", "PLACE", "STATE", "DROP_IN", "KEEPALIVED", "MOVES_DROP_IN")
    for name in names:
        monkeypatch.setattr(haproxy, name, f"{tmp_path}{getattr(haproxy, name)}")
    monkeypatch.setattr(haproxy, "LOCK", str(tmp_path / "haproxy.lock"))
    monkeypatch.setattr(haproxy, "PORTS", ())
    stand_in = engine.place / "bin/haproxy"
    stand_in.write_text(f'#!/bin/sh\n! grep -rl REFUSED "{tmp_path}/etc/haproxy" >&2\n')
    stand_in.chmod(0o755)
    return tmp_path


def kept(dry=False, app="shop", **changed):
    return haproxy.present(app, {**OPTIONS, **changed}, dry)


def test_all_is_written_and_twice_is_no_change(balancer, engine):
    assert f"{haproxy.PLACE}/shop.cfg" in kept()
    assert engine.calls("systemctl daemon-reload") and engine.calls("systemctl enable --quiet haproxy.service")
    assert engine.calls("systemctl start haproxy.service")
    (engine.place / "bin/systemctl").write_text(ANSWERS)
    engine.forget()
    assert kept() == [] and not engine.calls("systemctl reload") and not engine.calls("systemctl restart")
    assert kept(backend="backend shop # another\n") == [f"{haproxy.PLACE}/shop.cfg", "haproxy.service reloaded"]
    assert engine.calls("systemctl reload haproxy.service") and not engine.calls("systemctl restart")


ANSWERS = """#!/bin/sh
echo "systemctl $*" >> "$ENGINE/calls"
case $1 in is-active) echo active ;; is-enabled) echo enabled ;; esac
"""


def test_a_dry_run_foretells_and_writes_nothing(balancer, engine):
    assert set(kept(dry=True)) >= {haproxy.CONF, f"{haproxy.PLACE}/shop.cfg", f"{haproxy.PLACE}/503.http"}
    assert not os.path.exists(balancer / "etc/haproxy") and not os.path.exists(haproxy.STATE)
    assert engine.calls("systemctl") == [f"systemctl is-active {haproxy.UNIT}"]


def test_files_that_haproxy_refuses_are_put_back(balancer):
    kept()
    before = {path: path.read_bytes() for path in (balancer / "etc/haproxy").rglob("*") if path.is_file()}
    with pytest.raises(haproxy.BalancerError):
        kept(backend="REFUSED")
    with pytest.raises(haproxy.BalancerError):
        kept(app="blog", backend="REFUSED")
    assert {path: path.read_bytes() for path in (balancer / "etc/haproxy").rglob("*") if path.is_file()} == before


def test_a_run_that_was_killed_before_haproxy_heard_of_it_is_made_good(balancer, engine, monkeypatch):
    kept()
    (engine.place / "bin/systemctl").write_text(ANSWERS)

    def killed(*_words):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(haproxy, "_take_effect", killed)
        with pytest.raises(KeyboardInterrupt):
            kept(backend="backend shop # another\n")
    engine.forget()
    assert kept(backend="backend shop # another\n") == ["haproxy.service reloaded"]
    assert len(engine.calls("systemctl reload haproxy.service")) == 1


def test_several_apps_share_a_balancer(balancer):
    kept()
    kept(app="blog", names=["blog.example.com"])
    exact = (balancer / "etc/haproxy/flask-deploy/names.map").read_text()
    assert exact == "blog.example.com blog\nshop.example.com shop\n"
    assert (balancer / "etc/haproxy/flask-deploy/suffixes.map").read_text() == ".shop.example.net shop\n"
    certificates = (balancer / "etc/haproxy/flask-deploy/certificates.list").read_text().split()
    assert certificates == ["/etc/blog/tls/current/fullchain.pem", "/etc/shop/tls/current/fullchain.pem"]


def test_an_app_that_goes_leaves_the_others_and_the_last_one_nothing(balancer, engine):
    kept()
    kept(app="blog", names=["blog.example.com"])
    (engine.place / "bin/systemctl").write_text(ANSWERS)
    engine.forget()
    assert haproxy.absent("shop", dry=True) == [f"{haproxy.PLACE}/shop.{kind}" for kind in ("cfg", "json", "pem")]
    assert haproxy.absent("shop", dry=False)
    assert (balancer / "etc/haproxy/flask-deploy/names.map").read_text() == "blog.example.com blog\n"
    assert not engine.calls("systemctl disable") and haproxy.absent("shop", dry=False) == []
    assert haproxy.absent("blog", dry=False)
    assert engine.calls("systemctl disable") == ["systemctl disable --now keepalived.service haproxy.service"]
    assert not os.path.exists(haproxy.CONF) and not os.path.exists(haproxy.DROP_IN)
    assert haproxy.foreign() == []


def test_what_is_somebody_else_s_is_named_and_stays(balancer, engine):
    shutil.copy("/bin/false", engine.place / "bin/dpkg-query")
    for path in (haproxy.CONF, haproxy.KEEPALIVED):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write("theirs\n")
        assert [line.split()[0] for line in haproxy.foreign()] == [path]
        with pytest.raises(haproxy.BalancerError, match=r"is somebody else's; move it away"):
            kept()
        with open(path) as file:
            assert file.read() == "theirs\n"
        os.unlink(path)


def test_a_port_that_is_taken_is_named_with_what_to_type(balancer, monkeypatch):
    with socket.socket() as door:
        door.bind(("", 0))
        door.listen()
        port = door.getsockname()[1]
        monkeypatch.setattr(haproxy, "PORTS", (port,))
        assert haproxy.foreign() == [f"port {port} is taken; see by whom, there: sudo ss -ltnp 'sport = :{port}'"]
    assert haproxy.foreign() == []


def test_an_haproxy_that_does_not_answer_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(haproxy, "SOCKET", str(tmp_path / "none"))
    with pytest.raises(haproxy.BalancerError, match="type there: systemctl status haproxy"):
        haproxy.servers("shop")


# -- which hosts get requests ----------------------------------------------------------------


def known(**states):
    """Return the states of hosts: up, down, out, drained."""
    flags = {
        "up": {"up": True, "out": False, "drained": False},
        "down": {"up": False, "out": False, "drained": False},
        "out": {"up": False, "out": True, "drained": False},
        "drained": {"up": True, "out": False, "drained": True},
    }
    return {name: {**flags[state], "sessions": 0} for name, state in states.items()}


@pytest.mark.parametrize(
    ("state", "hosts", "states", "changes"),
    [
        ("left_out", ["web3"], {"web1": "up", "web3": "down"}, ["web3"]),
        ("left_out", ["web3"], {"web1": "up", "web3": "drained"}, ["web3"]),
        ("left_out", ["web3"], {"web1": "up", "web3": "out"}, []),
        ("left_out", ["web4"], {"web1": "up"}, []),
        ("level", ["web1", "web3"], {"web1": "up", "web3": "out"}, ["web3"]),
        ("level", ["web2"], {"web1": "up", "web2": "drained"}, []),
        ("drained", ["web2"], {"web1": "up", "web2": "up"}, ["web2"]),
        ("drained", ["web2"], {"web1": "up", "web2": "drained"}, []),
        ("undrained", ["web1", "web2"], {"web1": "up", "web2": "drained", "web3": "out"}, ["web2"]),
    ],
)
def test_which_hosts_change(state, hosts, states, changes):
    assert servers.due(state, hosts, known(**states)) == changes


@pytest.mark.parametrize(
    ("state", "hosts", "states", "said"),
    [
        ("left_out", ["web3"], {"web1": "up", "web3": "up"}, "web3 would go on serving the release before"),
        ("undrained", ["web3"], {"web1": "up", "web3": "out"}, "web3 was left out of a deploy, and would serve"),
        ("drained", ["web1"], {"web1": "up", "web2": "down"}, "no other host than web1 serves"),
        ("drained", ["web1"], {"web1": "up", "web2": "drained"}, "no other host than web1 serves"),
        ("drained", ["web1"], {"web1": "up", "web2": "out"}, "no other host than web1 serves"),
    ],
)
def test_what_visitors_would_notice_is_refused(state, hosts, states, said):
    with pytest.raises(haproxy.BalancerError, match=said):
        servers.due(state, hosts, known(**states))


# -- a host behind balancers -----------------------------------------------------------------


@pytest.fixture
def place(tmp_path, monkeypatch, host):
    host()
    monkeypatch.setattr(member, "UNIT_PATH", str(tmp_path / member.UNIT))
    return tmp_path


def test_a_host_says_whether_it_may_get_requests_and_twice_is_no_change(place, engine):
    site = f"{nginx.CONF}/conf.d/shop_balanced.conf"
    assert fragment.ensure("balancer.nginx", member.site_path("shop"), b"server {}\n", dry=True) == [site]
    assert not os.path.exists(site)
    assert fragment.ensure("balancer.nginx", member.site_path("shop"), b"server {}\n", dry=False) == [site]
    assert len(engine.calls("systemctl reload nginx")) == 1
    assert fragment.ensure("balancer.nginx", member.site_path("shop"), b"server {}\n", dry=False) == []
    assert len(engine.calls("systemctl reload nginx")) == 1


def test_a_server_that_nginx_refuses_is_taken_away(place, engine):
    (engine.place / "nginx-refuses").touch()
    with pytest.raises(nginx.SiteError):
        fragment.ensure("balancer.nginx", member.site_path("shop"), b"nonsense", dry=False)
    assert not os.path.exists(member.site_path("shop"))


def test_the_unit_that_tells_of_a_shutdown_runs(place, engine):
    text = (ROOT / "roles/balancer/files/flask-deploy-leave.service").read_bytes()
    assert member.stay(text, dry=True) == [member.UNIT_PATH] and not engine.calls("systemctl enable")
    assert member.stay(text, dry=False) == [member.UNIT_PATH]
    assert engine.calls("systemctl daemon-reload")
    assert engine.calls("systemctl enable") == [f"systemctl enable --now {member.UNIT}"]
    (engine.place / "bin/systemctl").write_text(ANSWERS)
    engine.forget()
    assert member.stay(text, dry=False) == [] and not engine.calls("systemctl enable")


def test_systemd_stops_the_unit_before_what_serves():
    """Units stop in the reverse order of their start (systemd.unit(5), After=)."""
    text = (ROOT / "roles/balancer/files/flask-deploy-leave.service").read_text()
    (after,) = (line.partition("=")[2].split() for line in text.splitlines() if line.startswith("After="))
    assert {"nginx.service", "docker.service"} <= set(after)
