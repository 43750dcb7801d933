"""Become a command of the app, with the environment that its operator wrote.

Usage: exec.py [--port PORT] COMMAND [ARGUMENT ...]. Later files win: release, then secrets. With a port the command is
a server of its own, and what comes to the release's socket is passed on to that port.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Iterable

FILES = ("/release/env.json", "/run/secrets/env.json")
SOURCE = "src"  # below the app's directory, where its packages do not lie beside it
SOCKET = "/release/run/gunicorn.sock"  # nginx asks here, whatever serves
RELEASE = b"Flask-Deploy-Release"  # header for nginx's log; clients do not see it
WAITING = b"GET /.flask-deploy/waiting "  # asked by the watch; nginx, which never asks so, always names a client
PIECE = 1 << 16  # bytes, also of a head at most
LINE = 100  # bytes of a first line that hold its status
END = b"\r\n\r\n"  # of a head


def know_the_app(wsgi: str) -> None:
    """Let `flask` find the app that app_wsgi names, and Python find its module; what the image says wins."""
    if not wsgi:
        return
    os.environ.setdefault("FLASK_APP", wsgi)
    name = wsgi.partition(":")[0].partition(".")[0]
    source = os.path.join(os.getcwd(), SOURCE)
    if not holds(os.getcwd(), name) and holds(source, name):
        known = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join([source, *([known] if known else [])])


def holds(folder: str, name: str) -> bool:
    """Tell whether a module or package of that name lies in a directory."""
    return os.path.isdir(os.path.join(folder, name)) or os.path.isfile(os.path.join(folder, f"{name}.py"))


class Door:
    """A way from the release's socket to the port of a server in this container.

    Each connection bears one request: so a switch leaves none behind on which nginx would ask again, and all that is
    expected of the server is HTTP.
    """

    def __init__(self, port: int) -> None:
        self.port, self.release = port, os.environ["APP_RELEASE"].encode()
        self.waiting: dict[asyncio.StreamWriter, float] = {}  # since when; none once an answer has begun
        self.lost = 0

    async def serve(self, words: list[str]) -> int:
        """Run the server until it ends; return its exit code."""
        child = await asyncio.create_subprocess_exec(*words)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            asyncio.get_running_loop().add_signal_handler(number, _tell, child, number)
        if os.path.lexists(SOCKET):
            os.unlink(SOCKET)
        os.umask(0)  # who gets to the socket, the directories around it decide
        await asyncio.start_unix_server(self.open, SOCKET, limit=PIECE)
        code = await child.wait()
        return code if code >= 0 else 128 - code

    async def open(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer a connection to the socket."""
        upstream = None
        try:
            head = await reader.readuntil(END)
            if head.startswith(WAITING) and b"\r\nx-real-ip:" not in head.lower():
                since = [round(time.monotonic() - began, 2) for began in self.waiting.values()]
                told = json.dumps({"waiting": since, "lost": self.lost}).encode()
                return self.answer(writer, b"200 OK", told, b"application/json")
            try:
                above, upstream = await asyncio.open_connection("127.0.0.1", self.port, limit=PIECE)
            except OSError:
                return self.answer(writer, b"502 Bad Gateway", b"nothing listens on port %d\n" % self.port)
            await self.exchange(head, reader, writer, above, upstream)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # one end has gone, or says what is no HTTP: nginx sees the connection end
        finally:
            for each in filter(None, (upstream, writer)):
                each.close()

    def answer(self, writer: asyncio.StreamWriter, status: bytes, body: bytes, kind: bytes = b"text/plain") -> None:
        """Answer in the server's place."""
        head = b"HTTP/1.1 %s\r\n%s: %s\r\nConnection: close\r\n" % (status, RELEASE, self.release)
        writer.write(head + b"Content-Type: %s\r\nContent-Length: %d\r\n\r\n" % (kind, len(body)) + body)

    async def exchange(
        self,
        head: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        above: asyncio.StreamReader,
        upstream: asyncio.StreamWriter,
    ) -> None:
        """Pass on a request and its answer, each as it comes, until both have ended or one end has gone."""
        websocket = b"\r\nupgrade: websocket" in head.lower()
        if not websocket:
            self.waiting[writer] = time.monotonic()
        upstream.write(head if websocket else changed(head, {b"connection"}, [b"Connection: close"]))
        sending = asyncio.ensure_future(pump(reader, upstream))
        taking = asyncio.ensure_future(self.take(above, writer))
        await asyncio.wait([sending, taking], return_when=asyncio.FIRST_COMPLETED)
        if not taking.done() and sending.exception() is None:  # nginx has closed: its client has gone
            self.waiting.pop(writer, None)
            taking.cancel()
        await asyncio.wait([taking])  # a server may answer before it has read all of a body
        sending.cancel()
        await asyncio.gather(sending, taking, return_exceptions=True)
        self.lost += self.waiting.pop(writer, None) is not None

    async def take(self, above: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on an answer, with the name of its release and the end of its connection."""
        while True:
            head = await above.readuntil(END)
            status = head[:LINE].split(None, 2)[1:2]
            if status == [b"101"] or not status or not status[0].startswith(b"1"):
                break
            writer.write(head)  # such as 103, before the answer itself
        self.waiting.pop(writer, None)
        close = [] if status == [b"101"] else [b"Connection: close"]
        drop = {RELEASE.lower(), *((b"connection", b"keep-alive") if close else ())}
        writer.write(changed(head, drop, [b"%s: %s" % (RELEASE, self.release), *close]))
        await pump(above, writer)


def changed(head: bytes, drop: Iterable[bytes], more: Iterable[bytes]) -> bytes:
    """Return the head of a message without some headers, and with others behind its first line."""
    first, *lines = head[: -len(END)].split(b"\r\n")
    kept = [line for line in lines if line.partition(b":")[0].strip().lower() not in drop]
    return b"\r\n".join([first, *more, *kept]) + END


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        piece = await reader.read(PIECE)
        if not piece:
            return
        writer.write(piece)
        await writer.drain()


def _tell(child: asyncio.subprocess.Process, number: int) -> None:
    if child.returncode is None:
        child.send_signal(number)


def main() -> None:
    with open("/release/release.json", encoding="utf-8") as file:
        record = json.load(file)
    os.environ["APP_RELEASE"] = record["id"]
    know_the_app(record.get("wsgi", ""))
    for path in FILES:
        with open(path, encoding="utf-8") as file:
            os.environ.update(json.load(file))
    if sys.argv[1] == "--port":
        os.environ.setdefault("PORT", sys.argv[2])  # many commands listen where it says
        sys.exit(asyncio.run(Door(int(sys.argv[2])).serve(sys.argv[3:])))
    try:
        os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - to become the command is what this is for
    except FileNotFoundError:
        sys.exit(f"{sys.argv[1]}: no such command in the image; its PATH is {os.environ.get('PATH', 'not set')}")


if __name__ == "__main__":
    main()
