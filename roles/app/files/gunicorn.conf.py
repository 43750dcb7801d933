"""How gunicorn serves a release, and what the release tells its host; the operator's settings are in gunicorn.json."""

from __future__ import annotations

import importlib.util
import json
import runpy

runpy.run_path("/release/output.py")["install"]()  # before gunicorn opens its log

with open("/release/gunicorn.json", encoding="utf-8") as _file:
    _settings = json.load(_file)

# gevent where the image has it: threads are enough for most apps, and all that other images have.
worker_class = _settings["worker_class"] or ("gevent" if importlib.util.find_spec("gevent") else "gthread")
if worker_class == "gevent":
    from gevent import monkey

    monkey.patch_all()  # before the app imports ssl, also where it is preloaded

import fcntl
import gc
import mmap
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

RUN = "/release/run"
DRAINING = "/release/draining"  # the app cannot write there
RESTED = 5  # seconds a worker's successor has to load the app before the next worker goes
RELEASE = "Flask-Deploy-Release"  # header for nginx's log; clients do not see it
WAITING = "/.flask-deploy/waiting"  # asked by the watch through the socket; see flask_deploy/switch/watch.py
WORKERS, HELD = 64, 1024  # workers at a time, and requests of one, that are known to those who ask there
LARGEST = 20_000  # requests told of at most
THREADS = 16  # of a worker of gthread: requests that it answers at a time
# Keys that are made of such words alone are committed in tutorials and templates; two more stand in Flask's own pages.
GUESSED = re.compile(
    "(a|an|and|app|change|default|dev|development|example|flask|for|guess|hard|here|in|insecure|is|it|jwt|key|me|my"
    "|never|not|password|please|production|random|replace|secret|set|so|some|string|super|test|testing|the|this|to"
    "|top|very|will|you|your)+|5y2lf4q8z.*|192b9bdd22ab.*"
)
KEYS = ("SECRET_KEY", "JWT_SECRET_KEY", "SECURITY_PASSWORD_SALT", "WTF_CSRF_SECRET_KEY")
SHORTEST = 8  # characters of a key
LOST = re.compile(r"(sqlite[+\w]*:///)?/tmp/|sqlite[+\w]*:(//)?$|.*:memory:")  # places of a database that goes
APART = re.compile(r"sqlite[+\w]*:|.*\.(db|sqlite3?)$", re.IGNORECASE)  # each host has its own
SEVERAL = os.environ.get("FLASK_JWT_HOSTS", "1") not in ("", "1")  # hosts, as role app tells
SHAKEN = 0.5  # seconds after which a websocket's handshake is over; some come on connections that nginx kept

bind = f"unix:{RUN}/gunicorn.sock"
umask = 0  # for its socket: who gets there, the directories around it decide; a group is not given away
threads = 1 if worker_class == "sync" else THREADS  # of gthread; gevent does not look
workers = _settings["workers"] or max(2, len(os.sched_getaffinity(0)))  # one serves while one is replaced
worker_tmp_dir = "/dev/shm"  # noqa: S108 - the container's own memory
control_socket_disable = True
max_requests = _settings["max_requests"]
max_requests_jitter = _settings["max_requests_jitter"]
timeout = _settings["timeout"]
graceful_timeout = _settings["graceful_timeout"]
keepalive = 75  # seconds; longer than nginx keeps an idle connection, so it is never the one that closes it
preload_app = _settings["preload"]

if preload_app:

    def when_ready(server: Any) -> None:
        gc.freeze()  # keep the loaded app's memory shared between workers


_risky: list[tuple[str, str]] = []
# Shared by all workers: a byte for each that has loaded the app, and one when all of them had.
_loaded = memoryview(mmap.mmap(-1, WORKERS + 1))
# Shared by all workers: for each a row with the number of requests that it lost, and when those began that it has not
# begun to answer; in the last row, what workers lost that have ended.
_held = memoryview(mmap.mmap(-1, 8 * HELD * (WORKERS + 1))).cast("d")


def pre_fork(server: Any, worker: Any) -> None:
    """Give a worker a row that no other has."""
    taken = {getattr(other, "row", None) for other in server.WORKERS.values()}
    worker.row = next((row for row in range(WORKERS) if row not in taken), None)
    _clear(worker.row)


def child_exit(server: Any, worker: Any) -> None:
    """Count as lost what an ended worker has not answered."""
    row = getattr(worker, "row", None)
    if row is not None:
        known = _held[row * HELD : (row + 1) * HELD].tolist()
        _held[WORKERS * HELD] += known[0] + sum(map(bool, known[1:]))
        _clear(row)


def _clear(row: int | None) -> None:
    if row is not None:
        _loaded[row] = 0
        _held[row * HELD : (row + 1) * HELD] = memoryview(bytes(8 * HELD)).cast("d")


def _wait_for_others(worker: Any) -> None:
    """Answer nothing until all workers have loaded the app: where it fails in one of them, gunicorn ends."""
    _loaded[getattr(worker, "row", None) or 0] = 1
    all_of_them, end = min(workers, WORKERS), time.monotonic() + (timeout or 60)
    while worker.alive and not _loaded[WORKERS] and sum(_loaded[:WORKERS]) < all_of_them and time.monotonic() < end:
        worker.notify()
        time.sleep(0.05)
    _loaded[WORKERS] = 1


def post_worker_init(worker: Any) -> None:
    websockets: dict[Any, float] = {}
    with suppress(Exception):  # settings of whatever kind an app may have
        _risky[:] = _risks(worker.wsgi)
    worker.wsgi = _mind_connections(_mind_waiting(worker.wsgi, getattr(worker, "row", None)), websockets)
    for task, what in ((_close_websockets, websockets), (_take_turns, RESTED)):
        threading.Thread(target=task, args=(worker, what), daemon=True).start()
    if _settings["proxy_fix"]:
        # address, scheme and host as nginx says them: nothing else reaches the socket
        from werkzeug.middleware.proxy_fix import ProxyFix

        worker.wsgi = ProxyFix(worker.wsgi, x_for=1, x_proto=1, x_host=1)
    _wait_for_others(worker)


def _risks(app: Any) -> list[tuple[str, str]]:
    """Return what of an app's settings no app should serve with, by their names: no value leaves this process."""
    config = app.config
    found = [("secret", name) for name in KEYS if _guessable(config.get(name))]
    found += [(name.lower(), name) for name in ("DEBUG", "TESTING") if config.get(name)]
    places = [name for name in config if {"DATABASE", "DB", "DATABASES"} & set(str(name).split("_"))]
    lost = [name for name in places if LOST.match(str(config[name]))]
    apart = [name for name in places if SEVERAL and name not in lost and APART.match(str(config[name]))]
    return found + [("database", name) for name in lost] + [("apart", name) for name in apart]


def _guessable(key: Any) -> bool:
    text = key.decode("latin-1") if isinstance(key, bytes) else key
    if not isinstance(text, str) or not text:
        return False
    return len(text) < SHORTEST or bool(GUESSED.fullmatch(re.sub(r"[\W_]+|\d+$", "", text.lower())))


def _mind_waiting(app: Callable[..., Iterable[bytes]], row: int | None) -> Callable[..., Iterable[bytes]]:
    """Let whoever asks through the socket know of requests that wait for an answer: their clients may never give up."""
    first = None if row is None else row * HELD
    free = [] if row is None else list(range(first + 1, first + HELD))

    def begin(environ: dict[str, Any]) -> int | None:
        if environ.get("HTTP_UPGRADE", "").lower() == "websocket":
            return None
        with suppress(IndexError):  # more threads at once than there is room for
            place = free.pop()
            _held[place] = time.monotonic()
            return place
        return None

    def minding(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == WAITING and "HTTP_X_REAL_IP" not in environ:  # nginx always says who asks
            return _tell_waiting(start_response)
        held = [begin(environ)]

        def end() -> None:
            place = held.pop() if held else None
            if place is not None:
                _held[place] = 0.0
                free.append(place)

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            end()
            return start_response(status, headers, exc_info)

        try:
            return app(environ, start)
        except BaseException:
            if held and row is not None:  # gunicorn answers in its place
                _held[first] += 1
            raise
        finally:
            end()

    return minding


def _tell_waiting(start_response: Callable[..., Any]) -> list[bytes]:
    rows, now = _held.tolist(), time.monotonic()
    since = sorted(began for place, began in enumerate(rows) if began and place % HELD)
    ages = [round(now - began, 2) for began in since[:LARGEST]]
    told = {"waiting": ages, "lost": int(sum(rows[::HELD])), "risks": _risky}
    body = json.dumps(told).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def _mind_connections(
    app: Callable[..., Iterable[bytes]], websockets: dict[Any, float]
) -> Callable[..., Iterable[bytes]]:
    """Let nginx drop its connections to a release that no longer serves, and know those that hold a websocket.

    A switch may come after an answer's first byte: one without a known length, which may last, leaves no connection on
    which nginx would ask again. Each names its release to nginx's log, for nginx cannot tell which one it asked.
    """
    release = os.environ.get("APP_RELEASE", "")  # as exec.py told

    def minding(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        connection = environ["gunicorn.socket"]

        def start(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
            websockets.pop(connection, None)  # it is an answer by HTTP
            if os.path.exists(DRAINING) or not any(name.lower() == "content-length" for name, _value in headers):
                start_response.__self__.force_close()
            headers = [header for header in headers if header[0].lower() != RELEASE.lower()]
            return start_response(status, [*headers, (RELEASE, release)], exc_info)

        if environ.get("HTTP_UPGRADE", "").lower() == "websocket":
            websockets[connection] = time.monotonic()
        try:
            return app(environ, start)
        finally:
            websockets.pop(connection, None)

    return minding


def _close_websockets(worker: Any, websockets: dict[Any, float]) -> None:
    """Tell who is still there when the worker stops to come back: code 1012 (RFC 6455 section 5.5.1, IANA)."""
    while True:
        time.sleep(0.2)
        young = time.monotonic() - SHAKEN
        for connection in [one for one, since in list(websockets.items()) if not worker.alive and since < young]:
            del websockets[connection]
            with suppress(OSError):  # its client has gone
                connection.sendall(b"\x88\x02\x03\xf4")


def _take_turns(worker: Any, rest: float) -> None:
    """Replace workers one at a time: one that is to go accepts nothing until its last connection has ended."""
    limit, worker.max_requests = worker.max_requests, sys.maxsize
    worker.turn = open(f"{RUN}/turn", "w")  # noqa: SIM115 - locked until this process ends
    while worker.nr < limit:
        time.sleep(1)
    while worker.alive:
        try:
            fcntl.flock(worker.turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
            time.sleep(rest)
            worker.alive = False
        except BlockingIOError:
            time.sleep(1)
