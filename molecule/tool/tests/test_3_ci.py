"""The files for CI that `new` writes: their steps, run as a runner does, in a clone that is fresh each time."""

from __future__ import annotations

import json
import shlex
import threading

import pytest

from tests.runners import RUNNERS

SHOP = "/home/deploy/shop"
SECRETS = {
    "SSH_KEY": "~/.ssh/id_ed25519",
    "SSH_KNOWN_HOSTS": "~/.ssh/known_hosts",
    "VAULT_PASSWORD": "~/shop/deploy/.vault-password",
}


@pytest.fixture(scope="module")
def pushed(desk):
    """Have the app's repository, with the deploys in it, where runners can fetch it; return the secrets as settings."""
    desk.must("apt-get -qq install --yes --no-install-recommends python3-venv >/dev/null", user="root")
    desk.must("install -d -o deploy /srv/shop.git", user="root")
    desk.must("git clone --quiet --bare . /srv/shop.git && git remote add origin /srv/shop.git", place=SHOP)
    return {name: desk.must(f"cat {path}").strip() for name, path in SECRETS.items()}


@pytest.fixture(params=RUNNERS)
def ci(request, desk, pushed):
    """Return what runs a job as a user who is new each time, in a fresh clone."""
    known = request.param(desk.must(f"cat {request.param.file}", place=SHOP))

    def run(job, user="runner"):
        home = f"/home/{user}"
        desk.type(f"while pkill -KILL -u {user}; do sleep 0.1; done; userdel --remove {user}", user="root", place="/")
        desk.must(f"useradd --create-home --shell /bin/bash {user}", user="root")
        desk.must(
            "git config --global --add safe.directory '*' && git clone --quiet /srv/shop.git work"
            " && python3 -m venv venv",
            user=user,
            place=home,
        )
        settings = {**pushed, "CI": "true"}
        given = "\n".join(f"export {name}={shlex.quote(value)}" for name, value in settings.items())
        for place, lines in known.steps(job, "production"):
            desk.put(f"source ~/venv/bin/activate\n{given}\n", "settings", user=user)
            desk.put(lines, "lines", user=user)
            step = f"source ~/settings && cd ~/work/{place} && {shlex.join(known.shell)} ~/lines"
            code, said = desk.type(step, user=user, place=home)
            if code:
                break
        return code, said

    run.name = request.param.__name__
    return run


def change(desk, text):
    """Push a commit that visitors see."""
    line = f's/"status": "[^"]*"/"status": "{text}"/'
    desk.must(f"sed -i '{line}' shop.py && git commit -qam '{text}' && git push -q origin HEAD:main", place=SHOP)


def status(get):
    return json.loads(get("https://app.test/health").body)["status"]


def test_plan_says_what_would_change_and_changes_nothing(ci, desk, snapshot):
    change(desk, f"planned by {ci.name}")
    before = snapshot()
    code, said = ci("plan")
    assert code == 0, said
    assert snapshot() == before
    plan = desk.must("cat work/deploy/plan.txt", user="runner", place="/home/runner")
    assert "-> a new one" in plan and "PLAY RECAP" not in plan, plan


def test_deploy_deploys(ci, desk, get):
    change(desk, f"deployed by {ci.name}")
    code, said = ci("deploy")
    assert code == 0, said
    assert status(get) == f"deployed by {ci.name}"


def test_of_two_deploys_at_once_one_waits(ci, desk, get):
    change(desk, f"deployed twice by {ci.name}")
    ended = {}
    threads = [
        threading.Thread(target=lambda user=user: ended.update({user: ci("deploy", user)})) for user in ("a", "b")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [code for code, _said in ended.values()] == [0, 0], ended
    assert status(get) == f"deployed twice by {ci.name}"


def test_a_deploy_that_fails_fails_the_job(ci, desk, get):
    before = status(get)
    desk.must("echo 'raise RuntimeError(7 * 6)' >>shop.py && git commit -qam broken", place=SHOP)
    desk.must("git push -q origin HEAD:main", place=SHOP)
    code, said = ci("deploy")
    desk.must("git revert --no-edit HEAD && git push -q origin HEAD:main", place=SHOP)
    assert code != 0 and "RuntimeError: 42" in said, said
    assert status(get) == before
