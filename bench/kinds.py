"""Kinds of requests: what is asked, how, how often, and which answer is good."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """One kind of request.

    :ivar transport: "keepalive" and "fresh" (a connection for each request) are HTTP/1.1; "http2", "websocket".
    :ivar body: number of bytes to send, or the JSON text itself.
    :ivar good: "echo", "stream", "any", or a text that must be in the answer.
    :ivar pause: seconds between an answer and the client's next request, within half and one and a half of it.
    :ivar life: seconds after which the client itself ends a websocket; 0 to let the server do it.
    :ivar named: whether the answer names its release; nginx's own does not.
    """

    path: str = "/echo"
    method: str = "GET"
    transport: str = "keepalive"
    status: int = 200
    body: int | str = 0
    good: str = "echo"
    pause: float = 0.4
    life: float = 0.0
    named: bool = True


KINDS = {
    # the app in bench/app
    "get": Kind(),
    "post": Kind(method="POST", body=4000),
    "new": Kind(transport="fresh", pause=0.8),
    "slow": Kind("/slow", pause=0.1),
    "stream": Kind("/stream", good="stream", pause=0.1),
    "http2": Kind(transport="http2"),
    "http2-post": Kind(method="POST", body=4000, transport="http2"),
    "http2-slow": Kind("/slow", transport="http2", pause=0.1),
    "http2-stream": Kind("/stream", transport="http2", good="stream", pause=0.1),
    "websocket": Kind("/socket", transport="websocket", pause=0.5, life=3.0),
    "open-websocket": Kind("/socket", transport="websocket", pause=0.5),
    # the bundled app
    "page": Kind("/", good="hello"),
    "new-page": Kind("/", transport="fresh", good="hello", pause=0.4),
    "http2-page": Kind("/", transport="http2", good="hello"),
    "login": Kind("/auth", method="POST", body="{}", status=401, good="any", pause=1.0),
    "file": Kind("/hello-world.txt", good="hello", named=False),
}

# How many clients of each kind, for two processors that also run the host.
APP = {
    "get": 6,
    "post": 4,
    "new": 2,
    "slow": 12,
    "stream": 10,
    "http2": 4,
    "http2-post": 2,
    "http2-slow": 4,
    "http2-stream": 4,
    "websocket": 3,
    "open-websocket": 2,
}
BUNDLED = {"page": 8, "new-page": 2, "http2-page": 6, "login": 2, "file": 4}

# Kinds whose latency is the app's and the way's, not what was asked for.
QUICK = ("get", "post", "new", "http2", "http2-post", "page", "new-page", "http2-page", "file")


def complaint(kind, sent, status, body):
    """Return why an answer is not the good one, or "".

    :param sent: what the request carried: its number, for a POST its body.
    """
    if status != kind.status:
        return f"status {status}"
    if kind.good == "echo":
        return "" if body == sent else f"wrong body: {len(body)} bytes, not those that were sent"
    if kind.good == "stream":
        lines = body.count(b"\n")
        return "" if body == streamed(sent) else f"wrong stream: {lines} lines"
    if kind.good != "any" and kind.good.encode() not in body.lower():
        return f"wrong body: no {kind.good!r} in it"
    return ""


def streamed(number):
    """Return what /stream answers, as bench/app/judged.py says it."""
    return b"".join(b"%s %d\n" % (number, count) for count in range(30)) + b"end\n"
