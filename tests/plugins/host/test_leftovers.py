"""What does not go is said, with why and what to type; what was done already is no failure, and the rest goes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from ansible.module_utils.flask_deploy.host import command as commands
from ansible.module_utils.flask_deploy.host import engine as engines
from ansible.module_utils.flask_deploy.host import files, leftovers, nginx, systemd
from ansible.module_utils.flask_deploy.switch import concluding, progress, switch, unit
from ansible.modules import remove_app

from tests.deploys import begin, deploy, options, prepare


def retired(app, release, **more):
    """Let a release serve and conclude that; return (the record of it, its summary)."""
    begun = begin(app, release)
    if begun:
        progress.decide(app, begun, True)
        switch.carry_out(app)
    told = options(release=release, switch=begun, outcomes={"here": {"well": True}}, **more)
    _actions, record, summary = concluding.retired(app, told, dry=False)
    return record, summary


@pytest.fixture
def many(app, engine):
    """Deploy three releases, each of an image of its own, and prepare a fourth; return their ids."""
    made = []
    for number in range(4):
        image = f"sha256:{number}"
        for name, line in {"images": image, "tags": f"{image} flask-deploy/shop:{number}"}.items():
            with open(engine.place / name, "a") as file:
                file.write(f"{line}\n")
        make = deploy if number < 3 else prepare
        made.append(make(app, build=f"b{number}", image=image, keep=9))
    return made


def refuse(monkeypatch, *words):
    """Let the engine refuse commands that begin so, or ``rm`` the paths that hold a word."""
    docker, run = engines.docker, commands.run

    def refusing(*arguments, **more):
        if arguments[: len(words)] == words:
            raise engines.EngineError(f"docker {' '.join(words)}: it is stuck")
        return docker(*arguments, **more)

    def keeping(*arguments, **more):
        if arguments[0] == "rm" and words[0] in arguments[-1]:
            raise OSError(f"rm: cannot remove '{arguments[-1]}': Operation not permitted")
        return run(*arguments, **more)

    monkeypatch.setattr(engines, "docker", refusing)
    monkeypatch.setattr(files.command, "run", keeping)


def serves(app, release):
    return app.serving() == release and app.state(release)["state"] == "live" and not os.path.exists(app.pending)


def test_an_image_that_somebody_else_uses_is_said_and_goes_with_a_later_deploy(app, engine, many):
    (engine.place / "in-use").touch()
    for _ in range(2):
        record, summary = retired(app, many[3], keep=3)
        (line,) = record["stays"]
        assert line.startswith("image flask-deploy/shop:0 stays: docker rmi: conflict: unable to remove")
        assert (
            "container 1a2b is using it. What keeps it: sudo docker ps -a --filter ancestor=flask-deploy/shop:0."
            in line
        )
        assert line.endswith("the next deploy tries again") and f"warning: {line}" in summary
        assert serves(app, many[3]) and many[0] not in app.known()
    (engine.place / "in-use").unlink()
    record, summary = retired(app, many[3], keep=3)
    assert record["removed"] == ["flask-deploy/shop:0"] and not [line for line in summary if "warning" in line]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("stop",), "container shop-{2} stays: docker stop: it is stuck. What keeps it: sudo docker inspect shop-{2}"),
        (("rm", "-f"), "container shop-{0} stays: docker rm -f: it is stuck"),
        (("/releases/",), "releases/{0} stays: rm: cannot remove '"),
        (("images",), "what served before stays: docker images: it is stuck. What keeps it: systemctl status docker"),
        (("ps",), "what served before stays: docker ps: it is stuck"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_what_does_not_go_fails_no_deploy_that_serves(app, engine, many, monkeypatch, words, said):
    with monkeypatch.context() as stuck:
        refuse(stuck, *words)
        record, summary = retired(app, many[3], keep=3)
    assert [line for line in record["stays"] if said.format(*many) in line], record["stays"]
    assert summary[-len(record["stays"]) :] == [f"warning: {line}" for line in record["stays"]]
    assert serves(app, many[3])
    record, _ = retired(app, many[3], keep=3)
    assert record["stays"] == [] and serves(app, many[3])
    assert sorted(os.listdir(app.releases)) == sorted(many[1:])
    assert engine.running() == [f"shop-{many[3]}"] and "shop:0" not in (engine.place / "tags").read_text()


def test_one_thing_that_does_not_go_keeps_nothing_else(app, engine, many, monkeypatch):
    refuse(monkeypatch, "/releases/", "x")
    (engine.place / "in-use").touch()
    record, _ = retired(app, many[3], keep=2)
    assert len(record["stays"]) == 4, "two directories, two images"
    assert sorted(path.name for path in (engine.place / "containers").iterdir()) == [
        f"shop-{r}" for r in sorted(many[2:])
    ]


def test_a_switch_that_went_back_ends_where_the_release_does_not_stop(app, engine, monkeypatch):
    """Else it would drain for ever, and every later deploy would wait for it."""
    deploy(app)
    new = prepare(app, build="b2")
    begun = begin(app, new, confirm=0)
    refuse(monkeypatch, "stop")
    assert switch.carry_out(app)["result"] == "reverted"
    assert progress.outcome(app, new, begun) and not os.path.exists(app.pending)


def test_a_switch_that_went_back_waits_for_an_engine_that_is_away(app, monkeypatch):
    deploy(app)
    begin(app, prepare(app, build="b2"), confirm=0)
    monkeypatch.setattr(engines, "in_flight", lambda pid, path: refuse(monkeypatch))
    with pytest.raises(engines.EngineError):
        switch.carry_out(app)
    assert progress.pending(app)["phase"] == "draining"


def test_why_something_stays_is_one_line_of_bounded_length():
    left = leftovers.Leftovers()
    with left.unless_gone("x", "look"):
        raise OSError("rm: cannot remove\n" * 1000 + "the cause")
    (line,) = left.lines
    assert "\n" not in line and len(line) < 500 and "the cause. What keeps it: look. " in line


# -- an app that is removed ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("rm", "-f"), "container shop-{0} stays: docker rm -f: it is stuck"),
        (("rmi",), "image flask-deploy/shop:0 stays: docker rmi: it is stuck"),
        (
            ("network", "rm"),
            "network shop stays: docker network rm: it is stuck. What keeps it: sudo docker network inspect",
        ),
        (("/srv/shop/releases",), "/srv/shop/releases stays: rm: cannot remove"),
        (("systemd",), "what starts it again stays: no answer. What keeps it: systemctl list-jobs"),
        (("nginx",), "its site in nginx stays: another site is broken. What keeps it: sudo nginx -t"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_an_app_goes_but_for_what_cannot(app, engine, many, monkeypatch, words, said):
    (engine.place / "tags").write_text("sha256:0 flask-deploy/shop:0\n")
    left = leftovers.Leftovers(remove_app.AGAIN)
    with monkeypatch.context() as stuck:
        refuse(stuck, *words)
        if words[0] in ("systemd", "nginx"):
            place, name = (unit, "disable") if words[0] == "systemd" else (nginx, "reload")
            error = (
                systemd.UnitError("no answer") if words[0] == "systemd" else nginx.SiteError("another site is broken")
            )
            stuck.setattr(place, name, lambda *given: (_ for _ in ()).throw(error))
        remove_app.remove(app, data=False, dry=False, left=left)
    (line,) = [line for line in left.lines if said.format(*sorted(many)) in line]
    assert line.endswith("the same command removes it")
    stays = ["data", *(["releases"] if words[0] == "/srv/shop/releases" else []), "writable"]
    assert sorted(os.listdir(app.root)) == stays and not os.path.lexists(app.include)
    assert (engine.place / "networks" / "shop").exists() is (words[0] == "network")
    (engine.place / "tags").write_text("")
    remove_app.remove(app, data=False, dry=False, left=(again := leftovers.Leftovers()))
    assert again.lines == [] and sorted(os.listdir(app.root)) == ["data", "writable"] and engine.running() == []
    assert not list(Path(app.systemd).rglob("flask-deploy*"))


def test_an_engine_that_goes_away_at_the_end_fails_no_deploy_that_serves(app, engine, many):
    begun = begin(app, many[3])
    progress.decide(app, begun, True)
    switch.carry_out(app)
    (engine.place / "bin/docker").write_text("#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2; exit 1\n")
    told = options(release=many[3], switch=begun, outcomes={"here": {"well": True}})
    _actions, record, summary = concluding.retired(app, told, dry=False)
    assert app.serving() == many[3] and files.read_json(app.path(many[3], "deploy.json")) == record
    assert "is a release to roll back to is not known: docker image inspect: Cannot connect" in "\n".join(summary)
    assert any(line.startswith("warning: what served before stays: ") for line in summary)
