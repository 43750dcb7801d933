"""What make bench asks, and of which sides: the tables behind CASES= and SIDES=."""

from __future__ import annotations

from dataclasses import dataclass

from bench import loads

DOMAIN = "measured.test"
WARM = 1  # seconds of the same load before anything is counted
SLOW = "slowhttptest -H -c 300 -r 300 -i 5 -l 600 -u"  # 300 clients that send a line of their header each 5 s
CONTAINER = "docker inspect -f '{{.State.Pid}}' "
SERVING = CONTAINER + 'measured-"$(basename "$(readlink -f /srv/measured/current)")"'


@dataclass(frozen=True)
class Side:
    """Something that answers.

    :ivar says: what it is, in a line of the table's legend.
    :ivar port: where it listens for TLS; 0 for none.
    :ivar socket: a Unix socket in its place.
    :ivar roots: a shell command that prints the ids of its first processes.
    :ivar offers: kinds of cases that it can answer.
    """

    says: str
    roots: str
    offers: frozenset
    port: int = 0
    socket: str = ""


@dataclass(frozen=True)
class Case:
    """A kind of request, and how many clients send it.

    :ivar kind: what a side has to offer for it.
    :ivar tool: wrk, h2load (HTTP/2 where the server offers it), or h2load1 (HTTP/1.1 alone).
    :ivar login: the user whose token is sent; "" for none.
    :ivar script: of wrk, below bench/peers.
    :ivar beside: a command that runs all the while; the address follows it.
    """

    says: str
    path: str
    kind: str
    tool: str = "wrk"
    connections: int = 50
    headers: tuple = ()
    login: str = ""
    script: str = ""
    beside: str = ""


def server(name):
    return f"systemctl show -P MainPID {name}; "


ALL = frozenset({"page", "h1", "slow", "app", "files"})
SIDES = {
    "recipe": Side(
        "the recipe: plain nginx, gunicorn behind a published port",
        server("bench-recipe") + CONTAINER + "app-1; pgrep -f '[d]ocker-proxy.* -host-port 5000'",
        ALL,
        8443,
    ),
    "project": Side("this project, as site.yml makes it", server("nginx") + SERVING, ALL, 443),
    "caddy": Side("Caddy before this project's gunicorn", server("bench-caddy") + SERVING, ALL, 8444),
    "haproxy": Side("HAProxy before this project's gunicorn", server("bench-haproxy") + SERVING, ALL - {"files"}, 8445),
    "limit": Side(
        "nginx with TLS and `return 200`: the most that the front can do",
        server("bench-limit"),
        frozenset({"page", "h1"}),
        8446,
    ),
    "socket": Side(
        "this project's gunicorn alone, asked at its socket",
        SERVING,
        frozenset({"h1", "slow"}),
        socket="/srv/measured/current/run/gunicorn.sock",
    ),
    "gthread": Side(
        "the same with threads for greenlets, asked at its socket",
        CONTAINER + "bench-gthread",
        frozenset({"h1", "slow"}),
        socket="/srv/bench/gthread/run/gunicorn.sock",
    ),
}
PACKED = "Accept-Encoding: gzip"
CASES = {
    "page": Case("`/`, connections kept", "/", "page"),
    "page-new": Case("`/`, a connection for each request", "/", "page", headers=("Connection: close",)),
    "page-h1": Case("`/`, HTTP/1.1 by h2load", "/", "h1", "h2load1"),
    "page-h2": Case("`/`, HTTP/2 where it is offered", "/", "page", "h2load"),
    "login": Case("login, password by Argon2", "/auth", "app", connections=8, script="login.lua"),
    "login-signing": Case("login, password of no cost", "/auth", "app", connections=8, script="signing.lua"),
    "protected": Case("`/protected` with a token", "/protected", "app", login="quick"),
    "file-13b": Case("static file, 13 B", "/hello-world.txt", "files"),
    "file-10k": Case("static file, 10 KB", "/10k.txt", "files"),
    "file-1m": Case("static file, 1 MB", "/1m.txt", "files", connections=16),
    "file-10k-gzip": Case("static file, 10 KB, compressed", "/10k.txt", "files", headers=(PACKED,)),
    "file-1m-gzip": Case("static file, 1 MB, compressed", "/1m.txt", "files", connections=16, headers=(PACKED,)),
    "slow": Case("handler of 1 s, 200 at a time", "/slow", "slow", "h2load1", connections=200),
    "slow-clients": Case("`/` beside 300 slow clients", "/", "app", beside=SLOW),
}
QUICK = {"cases": ("page", "page-new", "protected", "file-13b"), "sides": ("recipe", "project")}


def chosen(names, table, what):
    """Return the names of a table that were asked for, in its order; all of them for none.

    :raises SystemExit: one is not in it.
    """
    unknown = set(names) - set(table)
    if unknown:
        raise SystemExit(f"no such {what}: {' '.join(sorted(unknown))}; there are: {' '.join(table)}")
    return [name for name in table if name in names or not names]


def answers(side, case):
    """Tell whether a side can answer a case, both by name."""
    return CASES[case].kind in SIDES[side].offers


def command(side, case, seconds, token=""):
    """Return the shell command of a case's load on a side, both by name."""
    side, case = SIDES[side], CASES[case]
    url = f"https://{DOMAIN}:{side.port}{case.path}" if side.port else f"http://{DOMAIN}{case.path}"
    headers = [*case.headers, *([f"Authorization: Bearer {token}"] if case.login else [])]
    if case.tool == "wrk":
        script = f"/srv/bench/peers/{case.script}" if case.script else ""
        return loads.wrk(url, seconds, case.connections, headers, script)
    return loads.h2load(url, seconds, case.connections, headers, side.socket, http1=case.tool == "h2load1")


def beside(side, case):
    """Return the command that runs beside a case's load on a side, or ""."""
    side, case = SIDES[side], CASES[case]
    return f"{case.beside} https://{DOMAIN}:{side.port}{case.path}" if case.beside else ""
