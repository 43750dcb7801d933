"""A websocket client that judges its handshake, each echo and the way it ends (RFC 6455, by websockets)."""

from __future__ import annotations

import asyncio
import contextlib
import time

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.protocol import State

PROPER_END = (1001, 1012)  # going away, service restart (RFC 6455 section 7.4.1, IANA's registry)


class Talk:
    """One websocket: its handshake, its messages, its end; each is reported as an answer.

    :param report: takes an answer's kind, number, start, and status, release or failure.
    """

    def __init__(self, target, kind, number, agent, report):
        self.target, self.kind, self.number, self.agent, self.report = target, kind, number, agent, report
        self.release = ""

    async def hold(self, name, stopping):
        """Shake hands, echo until the kind's life is over, the load ends or the server closes."""
        started = time.time()
        try:
            socket = await self._open()
            self.release = await asyncio.wait_for(socket.recv(), 10)
        except (OSError, InvalidHandshake, ConnectionClosed, TimeoutError) as error:
            self.report(name, self.number, started, failure=f"handshake: {error!r}")
            return
        self.report(name, self.number, started, status=101, release=self.release)
        with contextlib.suppress(ConnectionClosed):
            await self._talk(socket, stopping, time.monotonic() + (self.kind.life or float("inf")))
        if socket.state is not State.OPEN:
            self._judge_end(socket)
        await socket.close()

    async def _open(self):
        return await connect(
            f"wss://{self.target.domain}:{self.target.port}{self.kind.path}",
            host=self.target.address,
            port=self.target.port,
            ssl=self.target.tls("http/1.1"),
            user_agent_header=self.agent,
            proxy=None,
            compression=None,
            ping_interval=None,
            close_timeout=5,
        )

    async def _talk(self, socket, stopping, until):
        count = 0
        while socket.state is State.OPEN and not stopping.is_set() and time.monotonic() < until:
            count += 1
            sent, started = f"{self.number} {count}", time.time()
            await socket.send(sent)
            try:
                got = await asyncio.wait_for(socket.recv(), 10)
            except TimeoutError:
                self.report("message", sent, started, failure="no echo in 10 s")
                return
            failure = "" if got == sent else "wrong echo"
            self.report("message", sent, started, status=200, release=self.release, failure=failure)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(socket.wait_closed(), self.kind.pause)

    def _judge_end(self, socket):
        code = socket.protocol.close_rcvd.code if socket.protocol.close_rcvd else 1006
        failure = "" if code in PROPER_END else f"closed by the server with code {code}"
        self.report("close", self.number, time.time(), status=code, release=self.release, failure=failure)
