"""The load of make bench, by wrk and h2load of Debian: the commands, and what they print, read.

Both keep a fixed number of connections busy, each with one request at a time.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

SCALE = {"us": 0.001, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
SIZE = {"B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3}
LOG = "/run/bench-h2load.log"  # a line a request: start in us since 1970, status, us that it took
PARTS = "awk '{took[NR] = $3} END {print \"parts\", took[int(NR * .5) + 1], took[int(NR * .99) + 1]}'"


class UnreadableError(Exception):
    """A load printed something else than its figures; the message holds the last of it."""


@dataclass(frozen=True)
class Load:
    """What one load saw.

    :ivar requests: whole answers whose status is a success.
    :ivar rate: of these a second.
    :ivar errors: connections and requests that failed, and answers that are no success.
    :ivar p50: median of the milliseconds that an answer took.
    :ivar p99: 99th percentile of these.
    :ivar size: bytes of an answer, headers included.
    :ivar protocol: of HTTP, as it was agreed.
    """

    requests: int
    rate: float
    errors: int
    p50: float
    p99: float
    size: int
    protocol: str = "HTTP/1.1"


def wrk(url, seconds, connections, headers=(), script=""):
    """Return the command of a load over HTTP/1.1; `script` is a file of wrk's."""
    command = ["wrk", "-t2", f"-c{connections}", f"-d{seconds}s", "--latency", "--timeout", "10s"]
    return limited([*command, *(["-s", script] if script else []), *given(headers), url], seconds)


def h2load(url, seconds, connections, headers=(), socket="", http1=False):
    """Return the command of a load over what the server prefers, HTTP/2 first, or over HTTP/1.1 alone.

    :param socket: a Unix socket to connect to instead.
    """
    command = ["h2load", "-t2", f"-c{connections}", "-m1", f"-D{seconds}", f"--log-file={LOG}", *given(headers)]
    command += ["--h1"] if http1 else ["--alpn-list=h2,http/1.1"]
    command += [f"--base-uri=unix:{socket}"] if socket else []
    return f"rm -f {LOG}; {limited([*command, url], seconds)}; sort -nk3 {LOG} | {PARTS}"


def given(headers):
    return [word for header in headers for word in ("-H", header)]


def limited(command, seconds):
    return shlex.join(["timeout", str(seconds + 20), *command])


def read(said):
    """Return the figures in what wrk or h2load printed.

    :raises UnreadableError: there are none.
    """
    try:
        return of_h2load(said) if "finished in " in said else of_wrk(said)
    except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        raise UnreadableError(said.strip()[-600:] or "it printed nothing") from error


def of_wrk(said):
    requests = int(re.search(r"(\d+) requests in ", said)[1])
    read_bytes = re.search(r"requests in [^,]+, ([\d.]+)([KMG]?B) read", said)
    failed = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
    other = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    good = requests - int(other[1] if other else 0)
    return Load(
        requests=good,
        rate=float(re.search(r"Requests/sec: +([\d.]+)", said)[1]) * good / requests,
        errors=sum(map(int, failed.groups() if failed else ())) + requests - good,
        p50=milliseconds(re.search(r"\b50% +(\S+)", said)[1]),
        p99=milliseconds(re.search(r"\b99% +(\S+)", said)[1]),
        size=round(float(read_bytes[1]) * SIZE[read_bytes[2]] / requests),
    )


def of_h2load(said):
    names = r"total|started|done|succeeded|failed|errored|timeout"
    counts = {name: int(count) for count, name in re.findall(rf"(\d+) ({names})\b", said)}
    done = counts["done"]
    statuses = sum(int(count) for count in re.findall(r"(\d+) [45]xx", said))
    good = done - max(done - counts["succeeded"], statuses)
    p50, p99 = re.search(r"^parts (\d+) (\d+)$", said, re.M).groups()
    total = re.search(r"traffic: .*?\((\d+)\) total", said)
    agreed = re.search(r"Application protocol: (\S+)", said)
    return Load(
        requests=good,
        rate=float(re.search(r"finished in [^,]+, ([\d.]+) req/s", said)[1]) * good / done,
        errors=max(counts["failed"], statuses) + counts["timeout"],
        p50=int(p50) / 1000,
        p99=int(p99) / 1000,
        size=round(int(total[1]) / done),
        protocol="HTTP/2" if agreed and agreed[1] == "h2" else "HTTP/1.1",
    )


def milliseconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m|h)", text).groups()
    return float(number) * SCALE[unit]
