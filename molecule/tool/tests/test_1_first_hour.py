"""From a machine with nothing of ours to a page over HTTPS, and what that took."""

from __future__ import annotations

import json
import time

import yaml

INSTALL = "pipx install --include-deps git+ssh://git@localhost/srv/flask-deploy.git"
NEW = "flask-deploy new deploy --domain app.test --host deploy@app.test --wsgi 'shop:create_app()'"
WRITTEN = ["app_release_command: flask db upgrade"]  # into app.yml
WEB = "shop/deploy/inventories/production/group_vars/web"


def test_from_pipx_to_a_page(desk, server, get):
    began, before = time.monotonic(), (desk.received(), server.received())
    installed = desk.terminal(INSTALL)
    assert installed.end() == 0, installed.seen
    made = desk.terminal(NEW, place="/home/deploy/shop")
    assert made.end() == 0 and "  cd deploy" in made.seen and "  flask-deploy check -e production" in made.seen, (
        made.seen
    )
    desk.must(f"printf '%s\\n' '{WRITTEN[0]}' >>{WEB}/app.yml")
    desk.put(yaml.safe_dump(desk.settings), f"{WEB}/machine.yml")
    desk.must("git add --all && git commit --quiet --message 'Deploys'", place="/home/deploy/shop")
    looked = time.monotonic()
    plan = desk.terminal("flask-deploy plan -e production", place="/home/deploy/shop/deploy")
    assert plan.end() == 0, plan.seen
    lines = len(plan.seen.replace("\r\033[K", "\n").splitlines())
    assert lines < 200, plan.seen  # it names new files, and does not print them
    began += time.monotonic() - looked  # nobody has to ask for it
    setup = desk.terminal("flask-deploy setup -e production", place="/home/deploy/shop/deploy")
    assert setup.end() == 0, setup.seen
    answer = get("https://app.test/")
    assert (answer.status, json.loads(answer.body)) == (200, {"items": 0}), answer
    assert "https://app.test/" in setup.seen[-1500:], setup.seen
    took = time.monotonic() - began
    received = [now.received() - then for now, then in zip((desk, server), before, strict=True)]
    print(  # noqa: T201 - the figures of docs/explanation
        f"first page after {took / 60:.1f} minutes, 3 commands, {len(WRITTEN)} line written by hand,"
        f" {received[0] / 1e6:.0f} MB to the user's machine, {received[1] / 1e6:.0f} MB to the server;"
        f" its plan has {lines} lines"
    )


def test_the_terminal_shows_what_runs_and_the_summary_last(desk):
    """The line that is rewritten is erased before each other one, so none of it stays."""
    run = desk.terminal("flask-deploy deploy -e production", place="/home/deploy/shop/deploy")
    assert run.end() == 0, run.seen
    assert "\r\033[K" in run.seen
    lines = [line for line in run.seen.replace("\r\033[K", "\n").splitlines() if line.strip()]
    assert lines[0].endswith("playbooks/app.yml -i inventories/production"), lines[0]
    assert "PLAY RECAP" not in run.seen and "TASK [" not in run.seen
