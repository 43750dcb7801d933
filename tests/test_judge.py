"""The judge of traffic: each kind of loss, in a history and from a server that commits it, is seen."""

from __future__ import annotations

import asyncio
import datetime
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bench import http1
from bench.clients import Client, Line
from bench.history import Answer, History, Note, line, read
from bench.judge import Judge, Switch, switch_record
from bench.kinds import KINDS
from bench.target import Target
from bench.verdict import judge

SWITCH = Switch(old="a", new="b", began=100.0, ended=100.2)


def told(started, ended, release, kind="get", failure=""):
    return Answer(kind, "1", started, ended, 200, release, failure)


@pytest.mark.parametrize(
    ("started", "ended", "release"),
    [
        (90, 91, "a"),
        (99, 103, "a"),
        (99, 103, "b"),
        (104, 104.5, "a"),  # on a connection that nginx kept
        (104, 109, "a"),
        (104, 104.5, "b"),
        (106, 106.1, "b"),
    ],
)
def test_an_answer_from_a_release_that_may_give_it_is_good(started, ended, release):
    assert judge(History([told(50, 51, "a"), told(started, ended, release)]), [SWITCH]).failed == 0


@pytest.mark.parametrize(
    ("started", "ended", "release"),
    [(90, 91, "b"), (99, 99.9, "b"), (106, 106.1, "a"), (120, 121, "a"), (90, 91, "c"), (106, 107, "")],
)
def test_an_answer_from_another_release_is_a_failure(started, ended, release):
    verdict = judge(History([told(50, 51, "a"), told(started, ended, release)]), [SWITCH])
    assert [failure.release for failure in verdict.failures] == [release]
    assert "answered by release" in str(verdict)


def test_a_deploy_that_failed_shows_only_the_old_release():
    seen = History([told(1, 2, "a"), told(2, 3, "a"), told(3, 4, "b"), told(4, 5, "a")])
    assert judge(seen, []).failed == 1
    assert judge(History(seen.answers[:2]), []).failed == 0


def test_releases_are_not_judged_where_no_switch_is_known_and_files_never():
    assert judge(History([told(1, 2, "a"), told(3, 4, "b")]), None).failed == 0
    assert judge(History([told(1, 2, "a"), told(3, 4, "", kind="file")]), []).failed == 0


def test_two_switches_close_together_allow_three_releases():
    switches = [SWITCH, Switch("b", "c", 102.0, 102.1)]
    assert judge(History([told(50, 51, "a"), *(told(99, 103, release) for release in "abc")]), switches).failed == 0
    assert judge(History([told(50, 51, "a"), told(106, 107, "a")]), switches).failed == 1


def test_a_loss_is_counted_by_its_kind():
    verdict = judge(History([told(1, 2, "a"), told(1, 2, "", "post", "no answer: closed")]), None)
    assert (verdict.failed, verdict.by_kind) == (1, {"get": (1, 0), "post": (1, 1)})


def test_requests_in_flight_at_a_switch_are_counted():
    seen = History([told(99, 101, "a"), told(98, 99, "a"), told(100.5, 101, "b"), told(99, 101, "a", "message")])
    assert judge(seen, [SWITCH]).in_flight == [1]


def test_a_history_without_a_request_shows_nothing():
    with pytest.raises(ValueError, match="shows nothing"):
        judge(History(), [])


def test_a_history_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "history"
    path.write_text(line(told(1, 2, "a")) + line(Note("refused", "http2", 3.0)) + '{"kind": "ge')
    assert read(path) == History([told(1, 2, "a")], [Note("refused", "http2", 3.0)])


def test_the_hosts_record_says_when_it_switched():
    printed = 'releases/b\n100.25\n{"state": "live", "previous": "a", "switched": 100.5}'
    assert switch_record(lambda command: printed) == Switch("a", "b", 100.25, 100.5)
    bare = "releases/b\n100.25\n{}"
    assert switch_record(lambda command: bare, old="a") == Switch("a", "b", 100.25, 100.25)


# -- servers that lose requests --------------------------------------------------------------


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


async def asked(tls, answer, name, seconds=0.3):
    """Let one client ask a server for some time; return the history."""
    seen, stopping = History(), asyncio.Event()

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

    def tell(entry):
        (seen.notes if isinstance(entry, Note) else seen.answers).append(entry)

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as server:
        target = Target("127.0.0.1", "judge.test", server.sockets[0].getsockname()[1])
        client = Client(Line(target, http1), name, KINDS[name], tell, stopping)
        task = asyncio.create_task(client.run())
        while not seen.answers or (answer is closes_after_each and not seen.notes):
            await asyncio.sleep(0.05)
        stopping.set()
        await task
    return seen


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
    if kind == "new" and answer is closes_after_each:
        return
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
