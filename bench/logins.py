"""make bench-jwt: what logins and tokens cost, in process and through nginx on the demo's host, side by side.

Rounds alternate (A B A B), medians count. The user `quick` has a hash that costs next to nothing: a login without the
password check. `/` is asked at a steady rate, without and with logins beside it.
"""

from __future__ import annotations

import argparse
import http.client
import json
import statistics
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

from argon2 import PasswordHasher

from bench import demo
from bench.holders import Client

USERS = {"demo": None, "quick": PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("quick")}
DOMAIN = "localhost"
PAGES = 40  # requests of / a second
LOGINS = 5  # logins a second beside them


def main():
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=8, help="of a round")
    parser.add_argument("--tokens", action=argparse.BooleanOptionalAction, default=True, help="in process too")
    options = parser.parse_args()
    if options.tokens:
        subprocess.run([sys.executable, "app/bench/tokens.py"], cwd=demo.ROOT, check=True)
    with deployed() as password:
        rates(password, options.rounds, options.seconds)
        beside(password, options.rounds, options.seconds)


@contextmanager
def deployed():
    """Let the demo's app know a user whose hash costs nothing, and its site take any number of logins."""
    users = json.loads((demo.ROOT / "build/demo/users.json").read_text())
    more = {"app_secret_files": {"users.json": json.dumps({**users, "quick": USERS["quick"]})}}
    play({**more, "site_login_rate": 10000, "site_login_burst": 10000, "site_login_minute": 0})
    try:
        yield (demo.ROOT / "build/demo/password").read_text()
    finally:
        play({})


def play(values):
    command = ["ansible-playbook", "playbooks/app.yml", "-i", "inventories/local", "-e", json.dumps(values)]
    subprocess.run(command, cwd=demo.ROOT, check=True, stdout=subprocess.DEVNULL)


def rates(password, rounds, seconds):
    """Print requests a second of one connection, and their median and 99th percentile in milliseconds."""
    token = json.loads(login(Client(demo.address(), DOMAIN), "demo", password)[2])["access_token"]
    asks = {
        "login, password checked": lambda client: login(client, "demo", password),
        "login, check of no cost": lambda client: login(client, "quick", "quick"),
        "protected route": lambda client: client.ask("GET", "/protected", token=token),
        "/": lambda client: client.ask("GET", "/"),
    }
    seen = {name: [] for name in asks}
    for _ in range(rounds):
        for name, ask in asks.items():
            if name == "protected route":  # a token lives 300 s
                token = json.loads(login(Client(demo.address(), DOMAIN), "demo", password)[2])["access_token"]
            seen[name].append(closed_loop(ask, seconds / 4))
    say(f"\n{'through nginx, one connection':<34}{'a second':>10}{'median ms':>11}{'p99 ms':>9}")
    for name, runs in seen.items():
        rate, middle, worst = (statistics.median(run[part] for run in runs) for part in range(3))
        say(f"{name:<34}{rate:>10.0f}{middle:>11.1f}{worst:>9.1f}")


def login(client, name, password):
    return client.ask("POST", "/auth", {"username": name, "password": password})


def closed_loop(ask, seconds):
    client, times, began = Client(demo.address(), DOMAIN), [], time.monotonic()
    while time.monotonic() - began < seconds:
        start = time.monotonic()
        status, _, body = ask(client)
        times.append(time.monotonic() - start)
        if status != 200:
            raise SystemExit(f"{status}: {body[:200]}")
    took = time.monotonic() - began
    client.close()
    return len(times) / took, statistics.median(times) * 1000, percentile(times, 0.99)


def beside(password, rounds, seconds):
    """Print how long `/` takes without and with logins beside it, and the ratio of the medians."""
    alone, crowded = [], []
    for _ in range(rounds):
        alone.append(steady_pages(seconds))
        with logins(password):
            crowded.append(steady_pages(seconds))
    say(f"\n{f'/ at {PAGES} a second, ms':<34}{'median':>10}{'p99':>9}")
    for name, runs in {"alone": alone, f"{LOGINS} logins a second beside": crowded}.items():
        say(f"{name:<34}{statistics.median(r[0] for r in runs):>10.1f}{statistics.median(r[1] for r in runs):>9.1f}")
    ratio = statistics.median(r[1] for r in crowded) / statistics.median(r[1] for r in alone)
    say(f"p99 with logins: {ratio:.2f} times that without")


@contextmanager
def logins(password):
    ended = threading.Event()

    def work():
        client = Client(demo.address(), DOMAIN)
        while not ended.wait(2 / LOGINS):
            login(client, "demo", password)

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def steady_pages(seconds):
    """Ask for / at a steady rate over four connections; a late answer delays none of the others' due times."""
    times, count = [], int(seconds * PAGES / 4)

    def work(offset):
        client, began = Client(demo.address(), DOMAIN), time.monotonic() + offset
        for number in range(count):
            due = began + number * 4 / PAGES
            time.sleep(max(0, due - time.monotonic()))
            try:
                client.ask("GET", "/")
            except (OSError, http.client.HTTPException):
                client.close()
            times.append(time.monotonic() - due)

    threads = [threading.Thread(target=work, args=(part / PAGES,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statistics.median(times) * 1000, percentile(times, 0.99)


def percentile(times, part):
    return sorted(times)[min(len(times) - 1, int(len(times) * part))] * 1000


def say(*words):
    print(*words, flush=True)  # noqa: T201 - what the command is for


if __name__ == "__main__":
    main()
