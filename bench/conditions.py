"""The conditions of make bench: what a reader has to know of a run before a figure of it means anything."""

from __future__ import annotations

import subprocess
import time

from bench import cases, demo

PACKAGES = "nginx docker.io openssl caddy haproxy wrk nghttp2-client slowhttptest"
NAMES = ("flask", "gunicorn", "gevent")
PYTHON = (
    "import platform, importlib.metadata as m; "
    f"print('Python', platform.python_version(), *(f'{{n}} {{m.version(n)}}' for n in {NAMES}))"
)
CONTAINERS = {"project": 'measured-"$(basename "$(readlink -f /srv/measured/current)")"', "recipe": "app-1"}
LIKE = (
    "all sides serve the same app and static files with the same certificate; the recipe's image starts from Debian's "
    "Python (molecule/shared/base-image) with pip instead of python:3.7.2, its packages are the newest of that day, "
    "its signing key has 2048 bits as in its text, and the addresses, ports and names that its text lacks are filled in"
)


def conditions(run, options):
    """Return {what: how it is}, the load before the first measurement included."""
    found = {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "commit": commit(),
        "rounds": f"{options.rounds} of {options.seconds} s, after {cases.WARM} s of the same load",
        "machine": run(
            'echo "$(nproc) cores, $(awk \'/model name/ {sub(/.*: /, ""); print; exit}\' /proc/cpuinfo), '
            "$(free -g | awk 'NR == 2 {print $2}') GB, Linux $(uname -r)\""
        ).strip(),
        "system": run('. /etc/os-release && echo "$PRETTY_NAME", a container under systemd').strip(),
        "versions": ", ".join(run(f"dpkg-query -W -f '${{Package}} ${{Version}}\\n' {PACKAGES}").split("\n")[:-1]),
    }
    for side, container in CONTAINERS.items():
        if side in options.sides:
            found[f"image of {side}"] = image(run, container)
    found["sides"] = "; ".join(f"{name}: {cases.SIDES[name].says}" for name in options.sides)
    found["alike"] = LIKE
    found["load before"] = run("cut -d' ' -f1-3 /proc/loadavg").strip()
    return found


def image(run, container):
    """Return what a container runs, and the size of its image."""
    said = run(f'docker exec {container} python3 -c "{PYTHON}"').strip()
    size = run(f"docker image inspect -f '{{{{.Size}}}}' \"$(docker inspect -f '{{{{.Image}}}}' {container})\"")
    return f"{said}, {int(size) / 1_000_000:.0f} MB"


def commit():
    """Return the commit that is measured, and whether files differ from it."""
    git = ["git", "-C", demo.ROOT]
    name = subprocess.run([*git, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
    changed = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True).stdout
    return name.strip() + (", with changes" if changed else "")
