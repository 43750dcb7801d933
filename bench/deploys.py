"""make bench-deploy: how long deploys and rollbacks take on the demo's host, by step.

Rounds alternate (A B A B), medians count:

- deploy: one line of the code is another; until nginx answers from the new release, and until the playbook ends.
- raw: what no deploy can do without, typed on the host: build the changed image, start it, move a link.
- rollback: to a release whose container was removed, on a host that finds no name and reaches nobody but the one who
  rolls back; until nginx answers from the older release.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from bench import demo
from bench.holders import Client

DOMAIN, NAME = "judged.test", "judged"
STEPS = ("build", "prepare", "switch", "watch", "retire")
RAW = r"""
now() { date +%s.%N; }
current=$(readlink -f /srv/judged/current)
docker tag "$(docker inspect -f '{{.Image}}' judged-$(basename $current))" flask-deploy/raw:base
mkdir -p /srv/raw/context && cd /srv/raw && rm -rf release && cp -a $current release && rm -f release/run/sock/*.sock
docker cp -q judged-$(basename $current):/app/judged.py context/ && echo "# $(now)" >> context/judged.py
printf 'FROM flask-deploy/raw:base\nCOPY judged.py /app/\n' > context/Dockerfile
began=$(now)
DOCKER_BUILDKIT=1 docker build -q -t flask-deploy/raw:new context >/dev/null
built=$(now)
docker run -d --name raw --init --user 10077:10077 --read-only --tmpfs /tmp --network none \
  --mount type=bind,source=/srv/raw/release,target=/release,readonly \
  --mount type=bind,source=/srv/raw/release/run/sock,target=/release/run \
  --mount type=bind,source=/etc/judged/secrets,target=/run/secrets,readonly \
  --entrypoint python3 flask-deploy/raw:new /release/exec.py gunicorn -c /release/gunicorn.conf.py judged:app >/dev/null
until curl -sf -o /dev/null --unix-socket release/run/gunicorn.sock http://raw/; do sleep 0.02; done
started=$(now)
ln -s release current.new && mv -T current.new current
echo "$began $built $started $(now)"
docker rm -f -v raw >/dev/null && docker rmi -f flask-deploy/raw:new flask-deploy/raw:base >/dev/null && rm -rf /srv/raw
"""
CUT = """
cat /etc/resolv.conf > /run/resolv.kept && : > /etc/resolv.conf
iptables -I OUTPUT -o eth0 -m conntrack ! --ctstate ESTABLISHED -j REJECT; iptables -I FORWARD -j REJECT
"""
MEND = """
cat /run/resolv.kept > /etc/resolv.conf
iptables -D OUTPUT -o eth0 -m conntrack ! --ctstate ESTABLISHED -j REJECT; iptables -D FORWARD -j REJECT
"""


def main():
    """Print the table, and write build/bench-deploy.json."""
    parser = argparse.ArgumentParser(prog="make bench-deploy", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    demo.ensure()
    seen = {"deploy": [], "raw": [], "rollback": []}
    with tempfile.TemporaryDirectory() as place:
        source = Path(shutil.copytree(demo.ROOT / "bench/app", f"{place}/app"))
        for number in range(rounds):
            seen["deploy"].append(deploy(source, number))
            seen["raw"].append(raw())
            seen["rollback"].append(rollback())
            say(f"round {number + 1} of {rounds}")
    medians = {name: {part: middle(runs, part) for part in runs[0]} for name, runs in seen.items()}
    (demo.ROOT / "build/bench-deploy.json").write_text(
        json.dumps({"rounds": seen, "medians": medians}, indent=1) + "\n"
    )
    table(medians)


def deploy(source, number):
    """Release one changed line; return seconds by step."""
    with (source / "judged.py").open("a") as code:
        code.write(f"# {time.time()} {number}\n")
    with answers() as until_other:
        played = demo.play("playbooks/app.yml", build_source=str(source))
    steps = json.loads(demo.shell(f"cat /srv/{NAME}/current/deploy.json"))["seconds"]
    return {**{name: steps[name] for name in STEPS}, "new answers": until_other(played.began), "whole": played.seconds}


def raw():
    """Do by hand what a deploy cannot do without; return seconds by step."""
    began, built, started, moved = map(float, demo.shell(RAW).split())
    return {"build": built - began, "prepare": started - built, "switch": moved - started, "whole": moved - began}


def rollback():
    """Go back to the release before, whose container is gone; return seconds."""
    demo.shell(f"docker rm -f -v {NAME}-$(basename $(readlink /srv/{NAME}/previous))")
    demo.shell(CUT)
    try:
        with answers() as until_other:
            played = demo.play("playbooks/rollback.yml")
    finally:
        demo.shell(MEND)
    return {"older answers": until_other(played.began), "whole": played.seconds}


@contextmanager
def answers():
    """Ask all the while; give what tells the seconds from a time to the first answer of another release."""
    ended, first = threading.Event(), []

    def work():
        client, serving = Client(demo.address(), DOMAIN), None
        while not ended.is_set():
            release = client.ask("GET", "/")[1]["X-Release"]
            serving = serving or release
            if release != serving:
                first.append(time.time())
                return
            time.sleep(0.02)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield lambda began: round(first[0] - began, 2)
    finally:
        ended.set()
        thread.join()


def middle(runs, part):
    return round(statistics.median(run[part] for run in runs), 2)


def table(medians):
    columns = list(medians)
    say(f"\n{'seconds, medians':<20}" + "".join(f"{name:>10}" for name in columns))
    for part in dict.fromkeys(part for figures in medians.values() for part in figures):
        say(f"{part:<20}" + "".join(f"{medians[name].get(part, ''):>10}" for name in columns))


def say(*words):
    print(*words, flush=True)  # noqa: T201 - what the command is for


if __name__ == "__main__":
    sys.exit(main())
