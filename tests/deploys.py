"""Deploys and rollbacks on a host in a directory, as a play would have them."""

from __future__ import annotations

import os
from pathlib import Path

from ansible.module_utils.flask_deploy.host import engine as engines
from ansible.module_utils.flask_deploy.host import files, nginx
from ansible.module_utils.flask_deploy.release import containers
from ansible.module_utils.flask_deploy.switch import concluding, progress, settling, steps, summary, switch
from ansible.modules import remove_app, status_look

SITE = "server {}\n"
MARK = "h5-Xq-and-more"


def options(**more):
    return {
        "domain": "shop.example.com",
        "health_path": "/",
        "start_timeout": 5,
        "drain_timeout": 0,
        "keep": 3,
        "first": True,
        "shares": False,
        "image": "sha256:one",
        "build": "b1",
        "source": {"kind": "directory", "digest": "d"},
        "by": "tester",
        "wsgi": "shop:app",
        "static": "static",
        "container": {
            "memory": "64m",
            "cpus": 0,
            "pids": 16,
            "stop_timeout": 10,
            "server": "",
            "writable": "",
            "files": "",
        },
        "files": {"site.conf": SITE, "gunicorn.conf.py": "", "exec.py": ""},
        "environment": {"A": "x"},
        "processes": {},
        "secrets": {"KEY": MARK},
        "secret_files": {"users.json": "[]"},
        "placed": None,
        "uid": 10001,
        "owner": {"id": "me"},
        "reason": "another host refused it",
        "reject": False,
        "accept_rejected": False,
        "accept_schema_ahead": False,
        "command": "",
        "schema_command": "",
        "release_key": None,
        "commanded": None,
        "command_timeout": 5,
        "watch": {"seconds": 0, "percent": 5, "samples": 20},
        "confirm": 5,
        "steps": {"build": 1.5},
        "switch": None,
        "outcomes": {},
        **more,
    }


def prepare(app, **more):
    """Prepare a release; return its id."""
    return steps.prepare(app, options(**more), dry=False)[0]


def deploy(app, **more):
    """Let a release serve, as if the one before it had been left long ago; return its id."""
    release = prepare(app, **more)
    serve(app, release, **more)
    app.set_state(release, "live", switched=app.state(release)["switched"] - 60)
    return release


def begin(app, release, **more):
    """Begin a switch; return its id. The unit is run by who calls."""
    return steps.begin_switch(app, options(release=release, **more), dry=False)[0]


def serve(app, release, well=True, **more):
    """Switch to a prepared release as the unit would, confirmed or not; return the deploy's record."""
    begun = begin(app, release, **more)
    told = {"well": well, "reason": None if well else "it was lost"}
    if begun:
        progress.decide(app, begun, well, told["reason"] or "", False)
        switch.carry_out(app)
    outcome = options(release=release, switch=begun, outcomes={"here": told}, **more)
    return concluding.retired(app, outcome, dry=False)[1]


def move(app, release):
    """Move traffic and go no further."""
    begin(app, release)
    switch.move(app, progress.pending(app))


def let_not_answer(monkeypatch, release):
    """Let a release refuse connections to its socket; all others answer."""

    def probe(path, *more):
        if release in path:
            raise OSError("connection refused")
        return 200

    monkeypatch.setattr(nginx, "probe_socket", probe)


def draining(app, release):
    return os.path.exists(app.path(release, "draining"))


def snapshot(root):
    return sorted((str(path), path.read_bytes() if path.is_file() else b"") for path in Path(root).rglob("*"))


def restore(app, release="", **more):
    return steps.restore(app, options(release=release, **more), dry=False)[0]


def roll_back(app, release=""):
    wanted = restore(app, release)
    serve(app, wanted, reject=True)
    return wanted


def kept(app, engine, count):
    """Let so many releases be on the host, each of which served; return the engine's calls of all that changes nothing.

    A deploy of what serves, a rollback's look at what is possible, and what the playbooks ask beside them.
    """
    releases = [deploy(app, build=f"b{number}", keep=count) for number in range(count)]
    assert app.known() == sorted(releases)
    engine.forget()
    settling.settle(app)
    assert steps.prepare(app, options(build=f"b{count - 1}"), dry=False)[1] == []
    assert concluding.retired(app, options(release=releases[-1], keep=count), dry=False)[0] == []
    assert steps.restore(app, options(release=releases[-2]), dry=True) and summary.way_back(app)
    assert remove_app.remove(app, data=False, dry=True)
    status_look.describe(app)
    containers.end_commands("shop")
    return engine.calls("docker")


def settled(app, engine, serving):
    """Return what contradicts that exactly this release serves."""
    wrong = [f"{name} left" for name in (app.pending,) if os.path.exists(name)]
    wrong += [f"drain marker of {r}" for r in app.known() if draining(app, r) is (r == serving)]
    for release in app.known():
        if os.path.isdir(engine.place / "containers" / app.container(release)):
            policy = engine.restart(app.container(release))
            wrong += (
                [f"{release} restarts {policy}"] if policy != ("unless-stopped" if release == serving else "no") else []
            )
    return wrong + ([] if app.serving() == serving else [f"serving {app.serving()}"])


EFFECTS = [
    (files, "write"),
    (files, "link"),
    (engines, "docker"),
    (nginx, "reload"),
    (os, "unlink"),
]


class Killed(BaseException):
    pass


def killed_before(step, monkeypatch, action):
    """Do something and be killed before its effect number ``step``; return whether that was so."""
    left = [step]

    def counted(real):
        def effect(*arguments, **more):
            if left[0] == 0:
                raise Killed
            left[0] -= 1
            return real(*arguments, **more)

        return effect

    with monkeypatch.context() as patched:
        for place, name in EFFECTS:
            patched.setattr(place, name, counted(getattr(place, name)))
        try:
            action()
        except Killed:
            return True
    return False


def changed(number):
    return {"files": {"site.conf": f"{SITE}# {number}\n", "gunicorn.conf.py": "", "exec.py": ""}, "build": f"b{number}"}
