"""Hostile and broken requests, byte for byte, at the real host: what nginx refuses, the app never sees."""

from __future__ import annotations

import concurrent.futures
import contextlib
import json
import re
import select
import socket
import ssl
import time

import pytest

DOMAIN = "app.test"
HOST = f"Host: {DOMAIN}\r\n"
CLOSED = 0  # no byte came back


@pytest.fixture(scope="module")
def connect(address):
    """Open a TLS connection to the host, for HTTP/1.1 unless told otherwise."""
    context, place = ssl.create_default_context(), (address(), 443)  # asked for once: that takes long on a busy machine
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    def opened(protocol="http/1.1", receive_buffer=None):
        context.set_alpn_protocols([protocol])
        plain = socket.socket()
        if receive_buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        plain.settimeout(20)
        plain.connect(place)
        return context.wrap_socket(plain, server_hostname=DOMAIN)

    return opened


def received(connection):
    """Return all bytes until the other end closes."""
    got = b""
    try:
        while part := connection.recv(65536):
            got += part
    except (ConnectionResetError, ssl.SSLError):
        pass
    return got


@pytest.fixture(scope="module")
def statuses(connect):
    """Send bytes and return the status of each answer; none where the connection was closed without a word."""

    def ask(request):
        with connect() as connection:
            connection.sendall(request if isinstance(request, bytes) else request.encode())
            return [int(code) for code in re.findall(rb"^HTTP/1\.1 (\d{3}) ", received(connection), re.MULTILINE)]

    return ask


def get(headers="", path="/", method="GET", version="HTTP/1.1", host=HOST):
    return f"{method} {path} {version}\r\n{host}Connection: close\r\n{headers}\r\n"


def post(headers, body=""):
    return get(headers, path="/auth", method="POST") + body


CHUNKED = "Transfer-Encoding: chunked\r\n"
REFUSED = {
    # 34
    "no Host": (get(host=""), 400),
    "two Hosts": (get(HOST), 400),
    # 35
    "unknown Host": (get(host="Host: unknown.test\r\n"), CLOSED),
    "absolute URI to another host": (get(path="https://unknown.test/"), CLOSED),
    # 36
    "CL and TE": (post(f"Content-Length: 5\r\n{CHUNKED}", "0\r\n\r\n"), 400),
    "two CL": (post("Content-Length: 5\r\nContent-Length: 6\r\n", "12345"), 400),
    "two equal CL": (post("Content-Length: 5\r\nContent-Length: 5\r\n", "12345"), 400),
    "CL list": (post("Content-Length: 5, 5\r\n", "12345"), 400),
    "CL +5": (post("Content-Length: +5\r\n", "12345"), 400),
    "CL -1": (post("Content-Length: -1\r\n"), 400),
    "two TE": (post(CHUNKED * 2, "0\r\n\r\n"), 400),
    "TE on HTTP/1.0": (get(CHUNKED, version="HTTP/1.0", method="POST") + "0\r\n\r\n", 400),
    "space before the colon": (post("Transfer-Encoding : chunked\r\n", "0\r\n\r\n"), 400),
    "folded line": (get("X-A: b\r\n c\r\n"), 400),
    "bare CR": (get("X-A: b\rX-C: d\r\n"), 400),
    "NUL": (get("X-A: b\0c\r\n"), 400),
    # 37
    "TE xchunked": (post("Transfer-Encoding: xchunked\r\n", "0\r\n\r\n"), 501),
    "TE chunked, identity": (post("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\n"), 501),
    # 38
    "chunk size overflow": (post(CHUNKED, "ffffffffffffffff1\r\nx\r\n0\r\n\r\n"), 400),
    # 40
    "header of 9 KiB": (get(f"X-A: {'a' * 9216}\r\n"), 400),
    "40 headers of 1 KiB": (get("".join(f"X-{n}: {'a' * 1024}\r\n" for n in range(40))), 400),
    "1001 long headers": (get("".join(f"X-{n:04}: {'a' * 30}\r\n" for n in range(1001))), 400),
    # 41
    "URI of 9 KiB": (get(path="/" + "a" * 9216), 414),
    "body over the limit": (post(f"Content-Length: {10 * 1024 * 1024 + 1}\r\n"), 413),
    # 42
    "path above the root": (get(path="/../../etc/passwd"), 400),
    "encoded path above the root": (get(path="/%2e%2e/%2e%2e/etc/passwd"), 400),
    "NUL in the path": (get(path="/%00"), 400),
    # 43
    "TRACE": (get(method="TRACE"), 405),
    "CONNECT": (get(method="CONNECT", path=f"{DOMAIN}:443"), 400),
    "lowercase method": (get(method="get"), 400),
    "HTTP/0.9": ("GET /\r\n", CLOSED),
    "HTTP/3.0": (get(version="HTTP/3.0"), 505),
}


@pytest.mark.parametrize(("request_bytes", "expected"), REFUSED.values(), ids=REFUSED)
def test_a_request_that_is_not_one_is_refused(statuses, request_bytes, expected):
    assert statuses(request_bytes) == ([expected] if expected else [])


@pytest.mark.parametrize(
    "request_bytes",
    [
        get().replace("\r\n", "\n"),
        get(CHUNKED, method="GET") + "0;a=b\n\r\n",
    ],
    ids=["bare LF", "chunk extension and LF"],
)
def test_what_is_read_leniently_is_one_request(statuses, host, request_bytes):
    agent = f"lenient-{len(request_bytes)}-{time.time_ns()}"
    assert len(statuses(request_bytes.replace("Connection: close", f"User-Agent: {agent}\nConnection: close"))) == 1
    logged = host.check_output(f"sleep 1.5; grep -c {agent} /var/log/nginx/access.log")
    assert logged == "1"


@pytest.mark.parametrize("headers", ["Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n", "Upgrade: TLS/1.0\r\n"])
def test_an_upgrade_to_anything_but_a_websocket_is_ignored(statuses, headers):
    assert statuses(get(headers, path="/healthz")) == [200]


# -- slow clients ----------------------------------------------------------------------------


def dripped(connection, head, drip):
    """Send a drop each second, for longer than any limit; tell whether the other end gave up."""
    connection.sendall(head.encode())
    connection.settimeout(1)
    for _ in range(40):
        try:
            if not connection.recv(1024):
                return True
        except TimeoutError:
            pass
        except OSError:
            return True
        try:
            connection.sendall(drip.encode())
        except OSError:
            return True
    return False


def never_read(connection):
    """Ask for much and read none of it; tell whether the other end gave up."""
    connection.sendall((f"GET /static/page.js HTTP/1.1\r\n{HOST}\r\n" * 900).encode())
    watch = select.poll()
    watch.register(connection.fileno(), select.POLLRDHUP)
    return bool(watch.poll(40_000))


@pytest.fixture(scope="module")
def slow(connect):
    """Let three kinds of slow clients wait side by side; return whether each was shown out."""
    stalled = f"POST /auth HTTP/1.1\r\n{HOST}Content-Length: 1000\r\n\r\n"
    with concurrent.futures.ThreadPoolExecutor() as threads, contextlib.ExitStack() as stack:
        dripping, waiting = (stack.enter_context(connect()) for _ in range(2))
        runs = {
            "dripping head": threads.submit(dripped, dripping, f"GET / HTTP/1.1\r\n{HOST}X-A: ", "a"),
            "stalled body": threads.submit(dripped, waiting, stalled, ""),
            "unread answer": threads.submit(never_read, stack.enter_context(connect(receive_buffer=4096))),
        }
        return {kind: run.result() for kind, run in runs.items()}


@pytest.mark.parametrize("kind", ["dripping head", "stalled body", "unread answer"])
def test_a_slow_client_is_shown_out(slow, kind):
    assert slow[kind]


# -- many ------------------------------------------------------------------------------------


def probe(host, times=20):
    """Ask from another address, the host's own; return the statuses."""
    command = f"curl -sk --resolve {DOMAIN}:443:127.0.0.1 -o /dev/null -w '%{{http_code}} ' https://{DOMAIN}/healthz"
    return set(host.check_output(f"for n in $(seq {times}); do {command}; done").split())


def test_idle_connections_of_one_client_keep_nobody_out(address, host, get):
    idle = [socket.create_connection((address(), 443), 10) for _ in range(500)]
    try:
        assert probe(host) == {"200"}
    finally:
        for connection in idle:
            connection.close()


def test_one_address_has_so_many_requests_under_way_and_no_more(connect, host):
    waiting, refused = [], 0
    try:
        for _ in range(110):
            connection = connect()
            waiting.append(connection)
            connection.sendall(f"POST /auth HTTP/1.1\r\n{HOST}Content-Length: 9\r\n\r\n".encode())
        for connection in waiting:
            connection.settimeout(0.05)
            with contextlib.suppress(TimeoutError, ConnectionResetError):
                refused += b" 429 " in connection.recv(1024)
        assert probe(host, 5) == {"200"}
    finally:
        for connection in waiting:
            connection.close()
    assert 10 <= refused < 110


def test_passwords_can_not_be_tried_without_end(connect):
    head = f"POST /auth HTTP/1.1\r\n{HOST}Accept: text/html\r\nContent-Length: 0\r\n"
    with connect() as connection:
        connection.sendall(f"{head}\r\n".encode() * 199 + f"{head}Connection: close\r\n\r\n".encode())
        got = received(connection).decode()
    codes = re.findall(r"^HTTP/1\.1 (\d{3}) ", got, re.MULTILINE)
    assert len(codes) == 200
    assert set(codes) == {"400", "429"}
    refused = got[got.index("HTTP/1.1 429 ") :]
    assert re.search(r"^retry-after: 1\r$", refused, re.MULTILINE | re.IGNORECASE)
    assert "<h1>Too many requests</h1>" in refused


def frame(kind, flags, stream, payload=b""):
    """Return an HTTP/2 frame (RFC 9113, section 4.1)."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def test_streams_that_are_opened_and_reset_end_the_connection(connect, host):
    """CVE-2023-44487; the head is HPACK's static table (RFC 7541, appendix A), authority as a literal."""
    head = bytes([0x82, 0x84, 0x87, 0x01, len(DOMAIN)]) + DOMAIN.encode()
    with connect("h2") as connection:
        assert connection.selected_alpn_protocol() == "h2"
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0))
        with concurrent.futures.ThreadPoolExecutor() as threads:
            probed = threads.submit(probe, host)
            try:
                for stream in range(1, 6001, 2):
                    connection.sendall(frame(1, 5, stream, head) + frame(3, 0, stream, bytes(4)))
            except OSError:
                pass
            got = received(connection)
    kinds, at = [], 0
    while at + 9 <= len(got):
        kinds.append(got[at + 3])
        at += 9 + int.from_bytes(got[at : at + 3], "big")
    assert 7 in kinds, "no GOAWAY"
    assert probed.result() == {"200"}


# -- what is answered ------------------------------------------------------------------------


@pytest.mark.parametrize(("accept", "kind"), [("text/html", "text/html"), ("*/*", "application/problem+json")])
def test_nginx_s_own_error_is_a_page_or_json_and_names_no_version(get, accept, kind):
    answer = get("https://app.test/", "-X", "TRACE", "-H", f"Accept: {accept}")
    assert answer.status == 405
    assert answer.headers["content-type"].startswith(kind)
    assert answer.headers["x-request-id"] in answer.body
    assert "nginx" not in answer.body and answer.headers["server"] == "nginx"
    assert answer.headers["cache-control"] == "no-store"


def test_a_client_s_request_id_is_not_taken(get, host):
    answer = get("https://app.test/", "-H", "X-Request-ID: chosen", "-A", "request-id-probe")
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
    line = json.loads(host.check_output("sleep 1.5; grep request-id-probe /var/log/nginx/access.log | tail -1"))
    assert line["request_id"] == answer.headers["x-request-id"]
    assert (line["app"], line["status"]) == ("app", 200)
    assert (line["tls"], line["resumed"]) == ("TLSv1.3", ".")
    assert line["cipher"] and line["group"] and line["at"] > 1e9
