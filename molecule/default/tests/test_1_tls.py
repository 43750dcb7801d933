"""What TLS clients get, and what they are refused, as the host's own OpenSSL sees it."""

from __future__ import annotations

import pytest

REQUEST = "GET /hello-world.txt HTTP/1.0\\r\\nHost: app.test\\r\\n\\r\\n"


@pytest.fixture
def connect(host):
    """Open a TLS connection with options of s_client, send a text, and return what was said."""

    def run(*options, name="-servername app.test", send=""):
        client = f"openssl s_client -connect 127.0.0.1:443 {name} {' '.join(options)}"
        return host.run(f"sh -c \"(printf '{send}'; sleep 1) | {client} 2>&1\"").stdout

    return run


def test_a_session_of_tls_1_2_and_1_3_is_had(connect):
    for version in ("-tls1_2", "-tls1_3"):
        assert "BEGIN CERTIFICATE" in connect(version)


def test_the_key_exchange_is_post_quantum_where_openssl_knows_it(connect, host):
    new = float(host.system_info.release) >= 13
    assert ("Negotiated TLS1.3 group: X25519MLKEM768" in connect("-tls1_3")) == new


@pytest.mark.parametrize(
    "options",
    [
        "-tls1 -cipher ALL:@SECLEVEL=0",
        "-tls1_1 -cipher ALL:@SECLEVEL=0",
        "-tls1_2 -cipher ECDHE-ECDSA-AES128-SHA256",
        "-tls1_2 -cipher ECDHE-ECDSA-AES256-SHA:@SECLEVEL=0",
        "-tls1_2 -cipher AES128-GCM-SHA256",
        "-tls1_2 -cipher DHE-RSA-AES128-GCM-SHA256",
        "-tls1_2 -cipher NULL-SHA256:@SECLEVEL=0",
    ],
)
def test_old_versions_and_weak_ciphers_are_refused(connect, options):
    said = connect(options)
    assert "BEGIN CERTIFICATE" not in said
    assert "alert protocol version" in said or "alert handshake failure" in said, "by the server, not the client"


def test_a_client_cannot_renegotiate(connect):
    said = connect("-tls1_2", send="R\\n" + REQUEST)
    assert "RENEGOTIATING" in said and "no renegotiation" in said
    assert "Hello World" not in said


def test_a_session_is_resumed_without_early_data(connect, host):
    first = connect("-tls1_3 -ign_eof -sess_out /run/session", send=REQUEST)
    assert "Hello World" in first and "Max Early Data: 0" in first
    again = connect("-tls1_3 -ign_eof -sess_in /run/session -early_data /etc/hostname", send=REQUEST)
    assert "Reused, TLSv1.3" in again and "Early data was not sent" in again
    host.check_output("rm /run/session")


@pytest.mark.parametrize("name", ["-servername unknown.test", "-servername app.test.evil.test", "-noservername"])
def test_a_name_that_is_not_served_gets_no_certificate(connect, name):
    said = connect(name=name)
    assert "no peer certificate available" in said and "unrecognized name" in said


def test_each_port_speaks_its_own_language(host):
    assert (
        host.run("curl -s -o /dev/null -w '%{http_code}' http://app.test:443/ --resolve app.test:443:127.0.0.1").stdout
        == "400"
    )
    said = host.run("openssl s_client -connect 127.0.0.1:80 </dev/null 2>&1").stdout
    assert "wrong version number" in said and "no peer certificate available" in said


def test_browsers_are_not_held_to_https_by_a_selfsigned_certificate(host):
    ask = "curl -skI --resolve app.test:443:127.0.0.1 https://app.test/"
    assert "strict-transport-security" not in host.check_output(ask).lower()
