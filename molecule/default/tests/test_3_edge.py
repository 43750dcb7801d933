"""A site with more names, uploads, and a balancer before it that ends TLS; these tests run where the balancer would."""

from __future__ import annotations

import json

import pytest

URL = "https://app.test"
PRIVATE = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]


@pytest.fixture(scope="module", autouse=True)
def edge(play, host):
    settings = {"site_names": ["other.test", "*.wide.test"], "site_uploads": {"/media/": "uploads"}}
    settings |= {"site_tls_in_front": True, "site_trusted_proxies": PRIVATE}
    play("site.yml", "-e", json.dumps(settings))
    host.check_output(
        "cd /srv/app/data && mkdir -m 777 uploads && cd uploads && echo pixels > a.png && echo '<script>' > b.html"
        " && ln -s /etc/passwd c.txt && chown -R 10001:10001 . && chmod 666 a.png b.html"
    )
    yield
    host.check_output("rm -r /srv/app/data/uploads")
    play("site.yml")


@pytest.fixture
def to(get, address):
    """Ask for a path under any name, by TLS or by plain HTTP."""
    return lambda name, path="/", *words, scheme="https": get(
        f"{scheme}://{name}{path}", "--resolve", f"{name}:{443 if scheme == 'https' else 80}:{address()}", *words
    )


def test_more_names_are_answered_under_themselves(to, host):
    for name in ("other.test", "a.wide.test"):
        answer = to(name, "/readyz")
        assert (answer.status, "location" in answer.headers) == (200, False)
    covered = host.check_output(
        "openssl x509 -in /etc/app/tls/current/fullchain.pem -noout -ext subjectAltName | tail -1"
    )
    assert "DNS:other.test" in covered and "DNS:*.wide.test" in covered


def test_a_balancer_that_ends_tls_is_believed_and_nobody_else(to, host):
    for told in ("X-Forwarded-Proto: https", "X-A: health check"):
        answer = to("app.test", "/", "-H", told, scheme="http")
        assert answer.status == 200 and answer.headers["strict-transport-security"].startswith("max-age=63072000")
    answer = to("app.test", "/a?b=c", "-H", "X-Forwarded-Proto: http", scheme="http")
    assert (answer.status, answer.headers["location"]) == (301, f"{URL}/a?b=c")
    assert "strict-transport-security" not in answer.headers
    forged = (
        "curl -s -o /dev/null -w '%{http_code}' -H 'Host: app.test' -H 'X-Forwarded-Proto: https' http://127.0.0.1/"
    )
    assert host.check_output(forged) == "301", "the host itself is not in the list"


def test_uploads_are_served_and_act_as_no_page(to):
    shown, saved = (to("app.test", f"/media/{name}") for name in ("a.png", "b.html"))
    assert (shown.status, shown.body, shown.headers["content-type"]) == (200, "pixels\n", "image/png")
    assert "content-disposition" not in shown.headers and saved.headers["content-disposition"] == "attachment"
    for answer in (shown, saved):
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"].endswith("sandbox")
    for path in ("c.txt", "", "../jwt/signing"):
        assert to("app.test", f"/media/{path}", "--path-as-is").status in (400, 404)
