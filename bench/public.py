"""python -m bench.public: public Flask applications, unmodified, by group_vars alone on the demo's host.

Each of bench/public.yml is fetched, deployed and asked over HTTPS. Then it is deployed twice more while it is asked all
the time: with another environment, and with one line of its code changed. Names choose some of them; PUBLIC_FROM is
where repositories are fetched from, https://github.com by default.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import yaml

from bench import demo
from bench.browser import Browser
from bench.holders import Client

HERE = Path(__file__).parent
KEPT = demo.ROOT / ".cache/public"
FROM = os.environ.get("PUBLIC_FROM", "https://github.com")
UID = 10100
SIZE = "docker image inspect -f '{{.Size}}' $(docker inspect -f '{{.Image}}' $(docker ps -qf name=^APP-))"
BASES = {"3.13": "trixie", "3.11": "bookworm"}  # Pythons that molecule/shared/base-image makes an image with
BASE = {
    "build_base_image": "flask-deploy/python:{python}",
    "build_base_image_archive": f"{demo.ROOT}/build/base-image-{{python}}.tar.gz",
}


@dataclass
class Trial:
    """What one application took: variables that a user writes, seconds, MB, and what was found of it."""

    name: str
    kind: str
    variables: int
    seconds: float = 0
    again: float = 0
    code: float = 0
    size: int = 0
    asked: int = 0
    failed: int = 0
    found: list[str] = field(default_factory=list)
    wrong: str = ""


def main():
    """Print the table, and write build/bench-public.json."""
    parser = argparse.ArgumentParser(prog="python -m bench.public", description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--keep", action="store_true", help="leave the applications on the host")
    options = parser.parse_args()
    apps = yaml.safe_load((HERE / "public.yml").read_text())
    demo.ensure()
    for python, suite in BASES.items():
        base(python, suite)
    trials = []
    for number, (name, app) in enumerate(apps.items()):
        if not options.names or name in options.names:
            trials.append(trial(name, app, UID + number, options.keep))
            show(trials[-1])
    table(trials)
    (demo.ROOT / "build/bench-public.json").write_text(json.dumps([asdict(each) for each in trials], indent=1) + "\n")
    return any(each.wrong or each.failed for each in trials)


def fetch(name, app):
    """Return the directory of an application's commit, as its repository has it."""
    place = KEPT / name
    if not place.exists():
        subprocess.run(["git", "clone", "-q", f"{FROM}/{app['repository']}", place], check=True)
    subprocess.run(["git", "-C", place, "checkout", "-q", "--force", "--detach", app["commit"]], check=True)
    return place


def trial(name, app, uid, keep):
    """Deploy one application, use it, and deploy it again while it is asked."""
    result = Trial(name, app["kind"], len(written(app["settings"])))
    short = name.lower()
    common = {
        "app_name": short,
        "site_domain": f"{short}.test",
        "build_source": str(fetch(name, app)),
        "app_uid": uid,
        "app_secret_files": {},
        "app_health_path": "/",
        "tokens_algorithm": "none",
    }
    values = {**common, **BASE, **app["settings"]}
    try:
        began = time.time()
        said = play("site.yml", values)
        result.seconds = round(time.time() - began, 1)
        result.found = re.findall(r"build: (.*?)(?:\"|\\n|$)", said, re.M)[:4]
        if "once" in app:
            play("playbooks/run.yml", {**values, "run_command": app["once"]})
        result.size = int(demo.shell(SIZE.replace("APP", short))) // 1_000_000
        with tempfile.TemporaryDirectory() as place:
            browser = Browser(values["site_domain"], place)
            pages = [browser.visit(words) for words in app["ask"]]
        if app["see"] not in pages[-1]:
            raise demo.RunError(f"{app['see']} is not in the answer: {pages[-1][:2000]}")
        result.again = again(result, values, app_env={**values.get("app_env", {}), "ROUND": "2"})
        with module(values).open("a") as code:
            code.write("\n# another line\n")
        result.code = again(result, values)
    except demo.RunError as error:
        result.wrong = str(error)
    finally:
        if not keep and result.seconds:
            demo.play("playbooks/remove.yml", **{**values, "remove_app": short, "remove_data": True})
    return result


def written(settings):
    """Return the variables that a user writes beyond name, domain and source; `flask-deploy new` writes SECRET_KEY."""
    made = {"SECRET_KEY"}
    return [name for name, value in settings.items() if name != "app_secrets" or set(value) - made]


def base(python, suite):
    """Make a base image's archive, under the name that the Python it has gives it."""
    archive, named = demo.ROOT / f"build/base-image-{python}.tar.gz", f"flask-deploy/python:{python}"
    subprocess.run([demo.ROOT / "molecule/shared/base-image", suite], check=True, capture_output=True)
    subprocess.run(["docker", "tag", f"flask-deploy/python:{suite}", named], check=True)
    with archive.open("wb") as file:
        saved = subprocess.run(["docker", "save", named], check=True, capture_output=True)
        file.write(gzip.compress(saved.stdout, 1))


def module(values):
    """Return the file of the module that app_wsgi names."""
    name = values["app_wsgi"].partition(":")[0].replace(".", "/")
    folder = Path(values["build_source"], values.get("build_subdir", ""))
    places = [folder / place for place in (f"{name}.py", f"{name}/__init__.py", f"src/{name}/__init__.py")]
    return next(place for place in places if place.exists())


def again(result, values, **other):
    """Deploy once more while somebody asks all the time; count who got no good answer, and return the seconds."""
    ended = threading.Event()

    def visit():
        client = Client(demo.address(), values["site_domain"])
        while not ended.is_set():
            result.asked += 1
            try:
                good = client.ask("GET", values["app_health_path"])[0] < 400
            except OSError:
                good = False
                client.close()
            result.failed += not good
            time.sleep(0.02)

    thread = threading.Thread(target=visit)
    thread.start()
    try:
        began = time.time()
        play("playbooks/app.yml", {**values, **other})
        seconds = round(time.time() - began, 1)
        time.sleep(3)
        return seconds
    finally:
        ended.set()
        thread.join()


def play(playbook, values):
    """Run a playbook with values; return what it said.

    :raises demo.RunError: it failed; the message is the end of what it said.
    """
    program = Path(sys.executable).with_name("ansible-playbook")
    command = [program, playbook, "-i", "inventories/local", "-e", json.dumps(values)]
    plain = {**os.environ, **demo.COUNTS}
    done = subprocess.run(command, cwd=demo.ROOT, env=plain, capture_output=True, text=True, check=False)
    if done.returncode:
        raise demo.RunError((done.stdout + done.stderr)[-3000:])
    return done.stdout


def show(one):
    """Print one application's row, and what is wrong with it."""
    numbers = f"{one.variables:>4}{one.seconds:>8}{one.again:>8}{one.code:>8}{one.size:>6}{one.asked:>7}{one.failed:>7}"
    say(f"{one.name:<22}{numbers}  {'; '.join(one.found)}")
    if one.wrong:
        say(f"  {one.wrong}")


def table(trials):
    names = {"vars": 4, "first s": 8, "again s": 8, "code s": 8, "MB": 6, "asked": 7, "failed": 7}
    say(f"\n{'application':<22}{''.join(f'{name:>{width}}' for name, width in names.items())}  found")
    for each in trials:
        show(each)


def say(words):
    print(words, flush=True)  # noqa: T201 - what the command is for


if __name__ == "__main__":
    sys.exit(main())
