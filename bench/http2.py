"""A strict HTTP/2 client connection with several streams (RFC 9113).

Its own frame loop on hyperframe and hpack: the library h2 takes no more frames of running streams after a GOAWAY,
which is just what is to be judged here.
"""

from __future__ import annotations

import asyncio

from hpack import Decoder, Encoder
from hyperframe import frame as frames
from hyperframe.exceptions import HyperframeError

from bench.target import Failure, Refused

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
WINDOW = 2**30


class Stream:
    """One request and what has come of its answer."""

    def __init__(self):
        self.done = asyncio.get_running_loop().create_future()
        self.head = b""
        self.headers = {}
        self.body = []

    def fail(self, error):
        if not self.done.done():
            self.done.set_exception(error)


class Connection(asyncio.Protocol):
    """One connection; it takes streams until its server says GOAWAY or ends it."""

    def __init__(self, target):
        self.target = target
        self.encoder, self.decoder = Encoder(), Decoder()
        self.buffer = b""
        self.streams = {}
        self.next_number = 1
        self.ended = ""  # how the server ended it
        self.leaving = False

    @classmethod
    async def open(cls, target):
        """Connect, shake hands and send the preface.

        :raises OSError: no connection, no TLS, or no HTTP/2.
        """
        loop = asyncio.get_running_loop()
        where = target.address, target.port
        tls = {"ssl": target.tls("h2"), "server_hostname": target.domain}
        transport, connection = await loop.create_connection(lambda: cls(target), *where, **tls)
        if transport.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
            raise ConnectionError("the server does not speak HTTP/2")
        settings = {frames.SettingsFrame.ENABLE_PUSH: 0, frames.SettingsFrame.INITIAL_WINDOW_SIZE: WINDOW}
        wide = frames.WindowUpdateFrame(0, window_increment=WINDOW)
        transport.write(PREFACE)
        connection.send(frames.SettingsFrame(0, settings=settings), wide)
        return connection

    @property
    def usable(self):
        return not self.ended and not self.leaving

    surplus = ""  # a stream has one answer

    def close(self):
        """Take no more streams, and end the connection with the last one."""
        self.leaving = True
        if not self.streams:
            self.transport.close()

    def send(self, *shown):
        self.transport.write(b"".join(frame.serialize() for frame in shown))

    async def ask(self, request):
        """Send a request as a new stream and return (status, headers, body) of its one answer.

        :raises Failure: why there is not one whole answer.
        :raises Refused: the server says that it did not process this request.
        """
        number, stream = self.next_number, Stream()
        self.next_number += 2
        self.streams[number] = stream
        head = frames.HeadersFrame(number, self.encoder.encode(self._head(request)), flags=["END_HEADERS"])
        if request.body:
            self.send(head, frames.DataFrame(number, request.body, flags=["END_STREAM"]))
        else:
            head.flags.add("END_STREAM")
            self.send(head)
        try:
            await stream.done
        finally:
            self.streams.pop(number, None)
            if self.leaving:
                self.close()
        return int(stream.headers[":status"]), stream.headers, b"".join(stream.body)

    def _head(self, request):
        pseudo = [(":method", request.method), (":scheme", "https"), (":authority", self.target.domain)]
        return [*pseudo, (":path", request.target), *((name.lower(), value) for name, value in request.headers)]

    def connection_made(self, transport):
        self.transport = transport

    def eof_received(self):
        self._lost("closed")

    def connection_lost(self, error):
        self._lost(f"reset: {error}" if error else "closed")

    def _lost(self, how):
        self.ended = self.ended or how
        for stream in self.streams.values():
            stream.fail(Failure(f"{'truncated' if stream.headers else 'no'} answer: {self.ended}"))

    def data_received(self, data):
        self.buffer += data
        try:
            while len(self.buffer) >= 9:
                frame, length = frames.Frame.parse_frame_header(memoryview(self.buffer[:9]))
                if len(self.buffer) < 9 + length:
                    break
                frame.parse_body(memoryview(self.buffer[9 : 9 + length]))
                self.buffer = self.buffer[9 + length :]
                self._take(frame)
        except HyperframeError as error:
            self._lost(f"malformed frame: {error}")
            self.transport.close()

    def _take(self, frame):
        stream = self.streams.get(frame.stream_id)
        match frame:
            case frames.SettingsFrame() if "ACK" not in frame.flags:
                self.send(frames.SettingsFrame(0, flags=["ACK"]))
            case frames.PingFrame() if "ACK" not in frame.flags:
                self.send(frames.PingFrame(0, frame.opaque_data, flags=["ACK"]))
            case frames.GoAwayFrame():
                self._go_away(frame)
            case frames.RstStreamFrame() if stream:
                stream.fail(Failure(f"stream reset with code {frame.error_code}"))
            case frames.HeadersFrame() | frames.ContinuationFrame():
                self._take_headers(frame, stream or Stream())
            case frames.DataFrame():
                self._take_data(frame, stream)

    def _go_away(self, frame):
        self.leaving = True
        for number, stream in self.streams.items():
            if number > frame.last_stream_id:
                stream.fail(Refused(f"GOAWAY with code {frame.error_code}"))

    def _take_headers(self, frame, stream):
        stream.head += frame.data
        if "END_HEADERS" in frame.flags:
            stream.headers |= {str(name): str(value) for name, value in self.decoder.decode(stream.head)}
            stream.head = b""
        self._end(frame, stream)

    def _take_data(self, frame, stream):
        if frame.flow_controlled_length:
            self.send(frames.WindowUpdateFrame(0, window_increment=frame.flow_controlled_length))
        if stream:
            stream.body.append(frame.data)
            self._end(frame, stream)

    def _end(self, frame, stream):
        if "END_STREAM" in frame.flags and not stream.done.done():
            stream.done.set_result(None)
