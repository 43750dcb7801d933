"""A strict HTTP/1.1 client connection: nothing is sent twice, nothing is overlooked (RFC 9112, by h11)."""

from __future__ import annotations

import asyncio

import h11

from bench.target import Failure


class Connection(asyncio.Protocol):
    """One connection, used until its server ends it."""

    def __init__(self, target):
        self.target = target
        self.machine = h11.Connection(h11.CLIENT)
        self.ended = ""  # how the server ended it
        self.inbox = []
        self.news = asyncio.Event()

    @classmethod
    async def open(cls, target):
        """Connect and shake hands.

        :raises OSError: no connection, or no TLS.
        """
        loop = asyncio.get_running_loop()
        where = target.address, target.port
        tls = {"ssl": target.tls("http/1.1"), "server_hostname": target.domain}
        return (await loop.create_connection(lambda: cls(target), *where, **tls))[1]

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.inbox.append(data)
        self.news.set()

    def eof_received(self):
        self.ended = "closed"
        self.news.set()

    def connection_lost(self, error):
        self.ended = self.ended or f"reset: {error}"
        self.news.set()

    @property
    def usable(self):
        """Whether the next request may be sent: the server's end of the connection has not been seen."""
        return not self.ended and self.machine.their_state in (h11.IDLE, h11.DONE) and not self.inbox

    @property
    def surplus(self):
        """What the server has said beyond the one answer, or ""."""
        return "more than one answer" if self.inbox or self.machine.trailing_data[0] else ""

    def close(self):
        self.transport.close()

    async def ask(self, request):
        """Send a request and return (status, headers, body) of its one answer.

        :raises Failure: why there is not one whole answer.
        """
        if self.machine.our_state is h11.DONE:
            self.machine.start_next_cycle()
        headers = [("Host", self.target.domain), *request.headers]
        if request.body:
            headers.append(("Content-Length", str(len(request.body))))
        head = h11.Request(method=request.method, target=request.target, headers=headers)
        parts = [head, *([h11.Data(data=request.body)] if request.body else []), h11.EndOfMessage()]
        self.transport.write(b"".join(self.machine.send(part) for part in parts))
        try:
            return await self._answer()
        except h11.RemoteProtocolError as error:
            raise Failure(f"truncated or malformed answer ({self.ended or 'open'}): {error}") from error

    async def _answer(self):
        status, headers, body = 0, {}, []
        while True:
            event = self.machine.next_event()
            if event is h11.NEED_DATA:
                await self._receive()
            elif isinstance(event, h11.Response):
                status = event.status_code
                headers = {name.decode(): value.decode("latin-1") for name, value in event.headers}
            elif isinstance(event, h11.Data):
                body.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                return status, headers, b"".join(body)
            else:
                raise Failure(f"no answer: {self.ended or event}")

    async def _receive(self):
        while not self.inbox and not self.ended:
            self.news.clear()
            await self.news.wait()
        if self.inbox:
            self.machine.receive_data(b"".join(self.inbox))
            self.inbox.clear()
        elif self.machine.their_state is h11.SEND_RESPONSE and not self.machine.trailing_data[0]:
            raise Failure(f"no answer: {self.ended}")
        else:
            self.machine.receive_data(b"")
