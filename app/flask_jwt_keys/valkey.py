"""The session store for several hosts: a Valkey or Redis server that all of them reach."""

from __future__ import annotations

import json
import logging
import socket
import time
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from importlib import resources
from ipaddress import ip_address
from typing import Any, TypeVar

from .errors import ConfigError, StoreError
from .store import Session

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

_MARGIN = 24 * 3600  # seconds that keys stay after their time: more than clocks are off
_WAIT = 2.0  # seconds for an answer, and for a connection
_THIS_HOST = ("localhost", "ip6-localhost", "ip6-loopback")
_OBJECTS = ("retry", "credential_provider", "redis_connect_func", "command_packer")
_BYTES = ("current", "previous", "seed")


class ValkeyStore:
    """Sessions in Valkey, or in Redis from version 6.2 on.

    Each method is one script, so it is atomic. The server itself deletes what is over, a day late:
    its clock may be wrong by so much. Apps that share a server tell their sessions by
    :attr:`Session.name`; what a token id ends, it ends for all of them.

    What is acknowledged is as durable as the server's settings make it: ``appendonly yes`` keeps it
    over a restart. A server that evicts keys when it is full (``maxmemory-policy``) could forget a
    logout, so it is refused.

    :ivar shared: whether the address can mean one server for several hosts
    :param url: such as ``redis://10.0.0.5:6379/0``, ``rediss://…`` or ``unix:///run/valkey.sock``;
        options of redis-py may follow a ``?``
    :param name: what the names of its keys begin with
    :raises ConfigError: if redis-py is not installed, or the address or an option in it is none
    """

    def __init__(self, url: str, name: str = "flask_jwt_keys") -> None:
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError:
            raise ConfigError("a Valkey store needs redis-py: pip install redis") from None
        try:
            self._server: Any = redis.Redis.from_url(
                url,
                socket_timeout=_WAIT,
                socket_connect_timeout=_WAIT,
                retry=Retry(NoBackoff(), 1),  # a connection may be of before the server's restart
            )
            pool = self._server.connection_pool
            _check_options(pool)
        except (ValueError, TypeError, AttributeError, redis.RedisError) as error:
            raise ConfigError(f"JWT_STORE_URL: {error}") from None
        self.shared = not _is_of_this_host(pool.connection_kwargs)
        self._errors = (redis.RedisError, OSError)
        self._prefix = f"{{{name}}}:"  # one slot of a cluster
        source = resources.files(__package__).joinpath("valkey.lua").read_text()
        self._script = self._server.register_script(source)
        self._is_checked = False

    def close(self) -> None:
        """Close the connections; the next use opens one."""
        self._server.close()

    def add(self, session: Session) -> None:
        """Keep a new session."""
        self._run("add", *_arguments(session))

    def find(self, sid: str) -> Session | None:
        """The session, unless it has ended or its time is over."""
        data = self._answer(lambda: self._server.hget(f"{self._prefix}s:{_name(sid)}", "data"))
        session = _session(data) if data else None
        if session is None or session.until <= time.time():
            return None
        # Its tokens do not name it: an older one ended by itself.
        out = session.nameless is not None and self.ended(*(jti for jti, _ in session.tokens))
        return None if out else session

    def replace(self, session: Session) -> bool:
        """Write a session over the version before it; False if that is no longer there."""
        return bool(self._run("replace", *_arguments(session)))

    def end(self, sid: str) -> None:
        """End a session; its id counts as ended until its last access token has expired."""
        self._run("end", _name(sid))

    def end_all(self, subject: str, names: Collection[str] = ()) -> int:
        """End all sessions of a :attr:`Session.subject` in an app; gives their number."""
        return int(self._run("end_all", _name(subject), *map(_name, names)))

    def revoke(self, jti: str, until: int, sid: str | None) -> None:
        """End an access token, and the session that it names or that knows it as ``nameless``."""
        self._run("revoke", _name(jti), until, "" if sid is None else _name(sid))

    def ended(self, *names: str) -> bool:
        """Whether any of these session ids and token ids is ended."""
        keys = [f"{self._prefix}r:{_name(name)}" for name in names]
        return bool(keys) and bool(self._answer(lambda: self._server.exists(*keys)))

    def check(self) -> None:
        """Return if sessions can be read and written.

        :raises StoreError: otherwise
        """
        self._is_checked = False
        self._answer(lambda: self._server.set(f"{self._prefix}check", 1, ex=10))

    def _run(self, *arguments: Any) -> Any:
        sent = [*arguments[:1], _MARGIN, *arguments[1:]]
        return self._answer(lambda: self._script(keys=[self._prefix], args=sent))

    def _answer(self, ask: Callable[[], Result]) -> Result:
        try:
            if not self._is_checked:
                self._check_settings()
            return ask()
        except self._errors as error:
            logger.error("the Valkey store cannot answer: %s", error)
            raise StoreError(f"the Valkey store cannot answer: {error}") from error

    def _check_settings(self) -> None:
        """What the server does when it is full."""
        memory = self._server.info("memory")
        policy = memory.get("maxmemory_policy", "noeviction")
        if memory.get("maxmemory") and policy != "noeviction":
            raise StoreError(
                f"the Valkey store would forget logouts: its maxmemory-policy is {policy}; "
                "set it to noeviction"
            )
        self._is_checked = True


def _check_options(pool: Any) -> None:
    """Nothing, if a connection can be made with them; it does not connect yet.

    :raises TypeError: or another error of redis-py, if not
    """
    pool.connection_class(**pool.connection_kwargs)
    for name in _OBJECTS:
        if isinstance(pool.connection_kwargs.get(name), str):
            raise TypeError(f"{name} cannot be given in an address")


def _is_of_this_host(connection: Mapping[str, Any]) -> bool:
    """Whether an address means another server on each host: a socket, or the host itself."""
    host = str(connection.get("host", "localhost")).lower().rstrip(".")
    if "path" in connection or host in _THIS_HOST or host.endswith(".localhost"):
        return True
    with suppress(OSError):
        host = socket.inet_ntoa(socket.inet_aton(host))  # 127.1 is an address too
    try:
        address = ip_address(host)
    except ValueError:
        return False  # a name
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_loopback or address.is_unspecified


def _name(text: str) -> str:
    """Any text, also one that UTF-8 cannot hold, in characters without a meaning."""
    return urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode()


def _arguments(session: Session) -> list[Any]:
    """What the script is told of a session."""
    values = {**vars(session), "claims": dict(session.claims)}
    for name in _BYTES:
        values[name] = None if values[name] is None else b64encode(values[name]).decode()
    return [
        _name(session.id),
        json.dumps(values),
        session.version,
        max(session.until, session.access_until),
        session.access_until,
        " ".join(f"{_name(jti)} {until}" for jti, until in session.tokens),
        _name(session.subject),
        "" if session.nameless is None else _name(session.nameless),
        "" if session.name is None else _name(session.name),
    ]


def _session(data: bytes) -> Session:
    values: dict[str, Any] = json.loads(data)
    for name in _BYTES:
        values[name] = None if values[name] is None else b64decode(values[name])
    values["tokens"] = tuple((jti, until) for jti, until in values["tokens"])
    return Session(**values)
