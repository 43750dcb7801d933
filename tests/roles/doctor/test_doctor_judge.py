"""What is seen of names and ports from here, with real servers; and what of all hosts becomes findings."""

from __future__ import annotations

import hashlib
import socket
import ssl
import threading

import pytest
from ansible.plugins.action import doctor_judge as judge

from tests.authority import certificate, keys, pem
from tests.roles.doctor.test_health_rules import GOOD, TOLD


@pytest.fixture
def server(tmp_path):
    """Serve TLS with a certificate of nobody on a free port of this machine: (port, certificate)."""
    key = keys()["p256"]
    made = certificate(key, "app.test")
    (tmp_path / "pair.pem").write_bytes(pem(key) + made)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "pair.pem")
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        while True:
            try:
                plain, _address = listener.accept()
            except OSError:
                return
            try:
                context.wrap_socket(plain, server_side=True).close()
            except OSError:
                plain.close()

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1], made
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def unjudged():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def test_the_certificate_that_is_served_is_told_and_judged(server):
    port, made = server
    expected = hashlib.sha256(ssl.PEM_cert_to_DER_cert(made.decode())).hexdigest()
    assert judge.served("127.0.0.1", port, "app.test", unjudged()) == (expected, "")
    assert "self-signed" in judge.served("127.0.0.1", port, "app.test", ssl.create_default_context())[1]


def test_a_port_answers_or_says_why_not(server):
    assert judge.shut("127.0.0.1", server[0]) == ""
    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        assert judge.shut("127.0.0.1", unheard.getsockname()[1]) == "Connection refused"


def test_a_public_name_is_looked_for_and_asked(server, monkeypatch):
    known = judge.of_name("localhost", server[0], True)
    assert "127.0.0.1" in known["addresses"] and known["ports"][server[0]] == ""
    assert "self-signed" in known["refused"]
    assert judge.of_name("localhost", server[0], False)["refused"] == ""
    nobody = judge.of_name("nobody.invalid", 443, True)
    assert nobody["addresses"] == [] and nobody["error"] and nobody["ports"] == {}
    asked = []
    monkeypatch.setattr(judge.socket, "getaddrinfo", lambda name, *more, **words: asked.append(name) or [])
    judge.of_name("*.example.com", 443, False)
    assert asked[0] == "flask-deploy.example.com"


def test_an_address_that_only_ssh_knows_is_not_asked():
    assert judge.of_host("web1-by-its-alias.invalid", "app.test") == {}


def seen(facts=GOOD, unseen=(), notes=(), compared=True):
    return {"facts": facts, "unseen": dict(unseen), "notes": list(notes), "compared": compared}


def judged(**more):
    good = {"healthy": True, "release": "3f9a0c41d2b7", "remarks": []}
    asked = {"asked": ["web1"], "seen": {"web1": seen()}, "statuses": {"web1": good}, "told": TOLD}
    return [(each.severity, each.host, each.what) for each in judge.judged({**asked, **more})]


def test_a_good_host_has_no_finding():
    assert judged() == []


def test_findings_are_of_their_host():
    bad = {**GOOD, "sshd": "bad"}
    found = judged(asked=["web1", "web2"], seen={"web1": seen(), "web2": seen(bad)})
    assert [(severity, host) for severity, host, _what in found] == [("broken", "web2")]


def test_what_nobody_could_see_is_told():
    assert judged(seen={"web1": seen(unseen={"disks": "OSError: no"})}) == [
        ("note", "web1", "disks could not be looked at: OSError: no")
    ]
    assert judged(seen={"web1": seen(compared=False)}) == [("note", "web1", judge.UNCOMPARED)]
    assert ("broken", "web2", "nobody could look: see the error") in judged(asked=["web1", "web2"])


def test_a_host_that_has_no_status_has_no_app_to_judge():
    assert judged(statuses={"web1": {"failed": True, "msg": "no Docker engine here"}}) == []
