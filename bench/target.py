"""Where the requests go, and what one of them is."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field


class Failure(Exception):
    """A request has no good answer; the message says why."""


class Refused(Exception):
    """The server said that it did not process a request, and never will."""


@dataclass(frozen=True)
class Target:
    """A site behind TLS.

    :ivar address: IP address or name to connect to.
    :ivar domain: name that is asked for, by SNI and Host. Its certificate is not judged.
    """

    address: str
    domain: str
    port: int = 443

    def tls(self, *protocols):
        """Return a TLS context that offers these protocols by ALPN (RFC 7301)."""
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        context.set_alpn_protocols(list(protocols))
        return context


@dataclass
class Request:
    """One request, for any version of HTTP."""

    method: str
    target: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
