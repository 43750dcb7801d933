"""Clients that ask without ever asking again: each is a task that reports every answer."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import time

from bench.history import Answer, Note
from bench.kinds import complaint
from bench.target import Failure, Refused, Request
from bench.websocket import Talk

dice = random.SystemRandom()
PATIENCE = 40  # seconds for one answer
REST = 20  # seconds between two websockets that stay open, so that not every drain lasts to its limit


class Line:
    """A connection that is opened when it is needed; the clients of HTTP/2 share one, as streams."""

    def __init__(self, target, protocol):
        self.target, self.protocol = target, protocol
        self.connection = None
        self.opening = asyncio.Lock()

    async def ready(self, note):
        """Return a connection whose end has not been seen, a new one where that is needed."""
        async with self.opening:
            if self.connection and not self.connection.usable:
                if self.connection.ended:
                    note("closed idle")
                self.hang_up()
            if not self.connection:
                async with asyncio.timeout(PATIENCE):
                    self.connection = await self.protocol.Connection.open(self.target)
        return self.connection

    def hang_up(self):
        if self.connection:
            self.connection.close()
        self.connection = None


class Client:
    """One client: it waits for its answer before it asks again, and never asks the same twice."""

    numbers = itertools.count(1)

    def __init__(self, line, name, kind, tell, stopping):
        self.line, self.name, self.kind, self.tell, self.stopping = line, name, kind, tell, stopping

    async def run(self):
        """Ask again and again until the load stops."""
        await self._pause(dice.uniform(0, self.kind.pause))
        while not self.stopping.is_set():
            number = str(next(self.numbers))
            if self.kind.transport == "websocket":
                await self._websocket(number)
            else:
                await self._ask(number)
                await self._pause(self.kind.pause * dice.uniform(0.5, 1.5))
        self.line.hang_up()

    async def _pause(self, seconds):
        try:
            await asyncio.wait_for(self.stopping.wait(), seconds)
        except TimeoutError:
            return

    async def _ask(self, number):
        request = self._request(number)
        try:
            connection = await self.line.ready(self._note)
        except (OSError, TimeoutError) as error:
            self.report(self.name, number, time.time(), failure=f"no connection: {error!r}")
            return
        started = time.time()
        try:
            async with asyncio.timeout(PATIENCE):
                status, headers, body = await connection.ask(request)
        except Refused:
            self._note("refused")
        except (Failure, TimeoutError) as error:
            self.report(self.name, number, started, failure=str(error) or f"no answer in {PATIENCE} s")
            connection.close()
        else:
            release = headers.get("x-release", "")
            why = complaint(self.kind, request.body or number.encode(), status, body)
            self.report(self.name, number, started, status, release, why or connection.surplus)
        if self.kind.transport == "fresh":
            self.line.hang_up()

    def _note(self, what):
        self.tell(Note(what, self.name, time.time()))

    def _request(self, number):
        seconds = f"&seconds={dice.uniform(2, 5):.2f}" if self.kind.path == "/slow" else ""
        headers = [("User-Agent", f"judge/{self.name}/{number}")]
        body = b""
        if isinstance(self.kind.body, str):
            body = self.kind.body.encode()
            headers.append(("Content-Type", "application/json"))
        elif self.kind.body:
            body = os.urandom(self.kind.body)
            headers.append(("Content-Type", "application/octet-stream"))
        return Request(self.kind.method, f"{self.kind.path}?number={number}{seconds}", headers, body)

    async def _websocket(self, number):
        talk = Talk(self.line.target, self.kind, number, f"judge/{self.name}/{number}", self.report)
        await talk.hold(self.name, self.stopping)
        await self._pause(self.kind.pause if self.kind.life else REST)

    def report(self, name, number, started, status=0, release="", failure=""):
        """Tell what became of a request."""
        self.tell(Answer(name, number, started, time.time(), status, release, failure))
