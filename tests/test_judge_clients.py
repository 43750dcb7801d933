"""The judge's clients: whatever a server does to a request is seen, by HTTP/1.1, HTTP/2 and websocket."""

from __future__ import annotations

import asyncio
import datetime
import logging
import ssl
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hpack import Encoder
from hyperframe import frame as frames
from websockets.asyncio.server import serve as serve_websockets

from bench import http1, http2
from bench.clients import Client, Line
from bench.history import History, Note
from bench.judge import Judge
from bench.kinds import KINDS
from bench.target import Target
from bench.verdict import judge


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    """Return a server's TLS context with a certificate of its own."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "judge.test")])
    now = datetime.datetime.now(datetime.UTC)
    until = now + datetime.timedelta(days=1)
    built = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, until)
    certificate = built.sign(key, hashes.SHA256())
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain
    (folder / "pem").write_bytes(key.private_bytes(*pem) + certificate.public_bytes(serialization.Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "pem")
    return context


def number(head):
    return head.partition(b"number=")[2].partition(b" ")[0].partition(b"&")[0]


def whole(head, text=None, more=b""):
    body = text if text is not None else number(head)
    return b"HTTP/1.1 200 OK\r\nX-Release: a\r\n%sContent-Length: %d\r\n\r\n%s" % (more, len(body), body)


def good(head):
    return whole(head), False


def truncates(head):
    return whole(head, b"x" * 50)[:-20], True


def truncates_chunks(head):
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", True


def says_nothing(head):
    return b"", True


def answers_twice(head):
    return whole(head) * 2, False


def answers_something_else(head):
    return whole(head, b"other"), False


def fails(head):
    return b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", False


def says_nonsense(head):
    return b"nonsense\r\n\r\n", False


def closes_after_each(head):
    return whole(head), True


def says_that_it_closes(head):
    return whole(head, more=b"Connection: close\r\n"), True


async def ask(server, protocol, name, enough=lambda seen: seen.answers):
    """Let one client ask a server until enough has been seen; return the history."""
    seen, stopping = History(), asyncio.Event()

    def tell(entry):
        (seen.notes if isinstance(entry, Note) else seen.answers).append(entry)

    target = Target("127.0.0.1", "judge.test", server.sockets[0].getsockname()[1])
    client = Client(Line(target, protocol), name, KINDS[name], tell, stopping)
    task = asyncio.create_task(client.run())
    while not enough(seen):
        await asyncio.sleep(0.05)
    stopping.set()
    await task
    return seen


async def asked(tls, answer, name):
    """Return the history of an HTTP/1.1 client whose server answers in a certain way."""

    async def serve(reader, writer):
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                said, closing = answer(head)
                writer.write(said)
                if closing:
                    break
        except asyncio.IncompleteReadError:
            pass
        writer.close()

    enough = (lambda seen: seen.notes) if answer is closes_after_each and name == "get" else lambda seen: seen.answers
    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as server:
        return await ask(server, http1, name, enough)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (truncates, "truncated"),
        (truncates_chunks, "truncated"),
        (says_nothing, "no answer: "),
        (answers_twice, "more than one answer"),
        (answers_something_else, "wrong body"),
        (fails, "status 502"),
        (says_nonsense, "malformed"),
    ],
)
@pytest.mark.parametrize("kind", ["get", "new"])
def test_a_server_that_loses_a_request_is_seen(tls, answer, words, kind):
    seen = asyncio.run(asked(tls, answer, kind))
    assert words in seen.answers[0].failure


@pytest.mark.parametrize("answer", [good, closes_after_each, says_that_it_closes])
@pytest.mark.parametrize("kind", ["get", "new"])
def test_a_server_that_loses_nothing_is_seen_as_good(tls, answer, kind):
    seen = asyncio.run(asked(tls, answer, kind))
    assert judge(seen, []).failed == 0


def test_a_connection_that_was_closed_before_the_request_is_counted_and_no_failure(tls):
    seen = asyncio.run(asked(tls, closes_after_each, "get"))
    assert {note.what for note in seen.notes} == {"closed idle"}
    assert judge(seen, []).failed == 0


def test_a_server_that_is_not_there_is_a_failure():
    with Judge("127.0.0.1", "judge.test", 1, {"get": 1}) as load:
        pass
    verdict = load.verdict()
    assert verdict.failed == verdict.requests > 0
    assert "no connection" in str(verdict)


# -- HTTP/2 ----------------------------------------------------------------------------------


def response(stream):
    return frames.HeadersFrame(
        stream, Encoder().encode([(":status", "200"), ("x-release", "a")]), flags=["END_HEADERS"]
    )


def answers(stream, body):
    return [response(stream), frames.DataFrame(stream, body, flags=["END_STREAM"])], False


def refuses(stream, _body):
    return [frames.GoAwayFrame(0, last_stream_id=max(stream - 2, 0))], True


def answers_while_it_leaves(stream, body):
    return [frames.GoAwayFrame(0, last_stream_id=stream), *answers(stream, body)[0]], True


def resets(stream, _body):
    return [frames.RstStreamFrame(stream, error_code=2)], False


def hangs_up(_stream, _body):
    return [], True


def hangs_up_midway(stream, body):
    return [response(stream), frames.DataFrame(stream, body[:1])], True


def sends_nonsense(_stream, _body):
    return [SimpleNamespace(serialize=lambda: b"\0\0\1\0\0\0\0\0\0x")], False  # data of no stream


async def asked_by_http2(tls, answer):
    """Return the history of an HTTP/2 client whose server answers in a certain way."""

    async def serve(reader, writer):
        body, closing = b"", False
        try:
            await reader.readexactly(len(http2.PREFACE))
            writer.write(frames.SettingsFrame(0).serialize())
            while not closing:
                frame, length = frames.Frame.parse_frame_header(memoryview(await reader.readexactly(9)))
                content = await reader.readexactly(length)
                body += content if isinstance(frame, frames.DataFrame) else b""
                if "END_STREAM" in frame.flags:
                    said, closing = answer(frame.stream_id, body)
                    writer.write(b"".join(one.serialize() for one in said))
                    body = b""
        except asyncio.IncompleteReadError:
            pass
        writer.close()

    tls.set_alpn_protocols(["h2"])
    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as server:
        return await ask(server, http2, "http2-post", lambda seen: seen.answers or seen.notes)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (resets, "stream reset with code 2"),
        (hangs_up, "no answer: closed"),
        (hangs_up_midway, "truncated answer: closed"),
        (sends_nonsense, "malformed frame"),
    ],
)
def test_an_http2_server_that_loses_a_request_is_seen(tls, answer, words):
    seen = asyncio.run(asked_by_http2(tls, answer))
    assert words in seen.answers[0].failure


@pytest.mark.parametrize("answer", [answers, answers_while_it_leaves])
def test_an_http2_answer_is_whole_also_after_a_goaway(tls, answer):
    seen = asyncio.run(asked_by_http2(tls, answer))
    assert [answer.failure for answer in seen.answers] == [""] * len(seen.answers)
    assert seen.answers[0].release == "a"


def test_a_request_that_goaway_refuses_is_counted_and_no_failure(tls):
    seen = asyncio.run(asked_by_http2(tls, refuses))
    assert {note.what for note in seen.notes} == {"refused"} and seen.answers == []


# -- websockets ------------------------------------------------------------------------------


async def closes_properly(socket):
    await socket.send("a")
    await socket.close(1012)


async def goes_without_a_word(socket):
    await socket.send("a")
    socket.transport.abort()


async def says_a_wrong_word(socket):
    await socket.send("a")
    await socket.recv()
    await socket.send("something else")
    await socket.wait_closed()


def has_no_place(connection, request):
    return connection.respond(503, "no place")


async def asked_by_websocket(tls, handler, process_request=None):
    enough = lambda seen: seen.answers[-1:] and (seen.answers[-1].kind != "websocket" or seen.answers[-1].failure)  # noqa: E731
    async with serve_websockets(
        handler, "127.0.0.1", 0, ssl=tls, process_request=process_request, logger=logging.getLogger("quiet")
    ) as server:
        return await ask(server, http1, "websocket", enough)


@pytest.mark.parametrize(
    ("handler", "process_request", "words"),
    [
        (goes_without_a_word, None, "closed by the server with code 1006"),
        (says_a_wrong_word, None, "wrong echo"),
        (closes_properly, has_no_place, "handshake: "),
    ],
)
def test_a_websocket_that_is_lost_is_seen(tls, handler, process_request, words):
    seen = asyncio.run(asked_by_websocket(tls, handler, process_request))
    assert words in seen.answers[-1].failure


def test_a_websocket_that_is_closed_properly_is_good(tls):
    seen = asyncio.run(asked_by_websocket(tls, closes_properly))
    assert [(one.kind, one.status) for one in seen.answers if one.kind != "message"] == [
        ("websocket", 101),
        ("close", 1012),
    ]
    assert judge(seen, []).failed == 0
