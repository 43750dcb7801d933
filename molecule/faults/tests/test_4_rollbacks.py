"""A rollback that cannot work is refused, and says what can."""

from __future__ import annotations

import shutil
from pathlib import Path

URL = "https://app.test/"
ROLLBACK = "playbooks/rollback.yml"


def test_rollback_to_a_release_without_its_image_lists_what_is_possible(play, deploy, host, get, release, tmp_path):
    deploy({"NAME": "possible"})
    possible = release()
    shutil.copytree(Path(__file__).parents[1] / "app", tmp_path / "app")
    (tmp_path / "app" / "more.py").write_text("MORE = True\n")
    deploy({"NAME": "pruned"}, "-e", f"app_source={tmp_path}/app")
    pruned = release()
    image = host.check_output(f"docker inspect --format '{{{{.Image}}}}' app-{pruned}")
    deploy({"NAME": "serving"})
    serving = release()
    host.check_output(f"docker rm -f app-{pruned}")
    host.check_output(f"docker rmi -f {image}")
    run = play(ROLLBACK, "-e", f"app_rollback_to={pruned}", succeed=False)
    assert f"cannot roll back to {pruned}; possible are:" in run.output
    listed = run.output.partition("possible are:")[2]
    assert possible in listed and pruned not in listed
    assert release() == serving == get(URL).headers["x-release"]


def test_rollback_to_a_release_that_never_served_is_refused(play, deploy, host, get, release):
    serving = release()
    deploy({"NAME": "never", "AT_START": "raise"}, succeed=False)
    failed = host.check_output("grep -l '\"failed\"' /srv/app/releases/*/state.json | head -1").split("/")[4]
    run = play(ROLLBACK, "-e", f"app_rollback_to={failed}", succeed=False)
    assert f"cannot roll back to {failed}; possible are:" in run.output
    assert release() == serving == get(URL).headers["x-release"]


def test_rollback_to_a_release_that_no_longer_starts_stays_on_the_current_one(
    play, deploy, host, get, load, release, running
):
    deploy({"NAME": "before"})
    before = release()
    deploy({"NAME": "after"})
    serving = release()
    host.check_output("touch /srv/app/data/breaks-before")
    with load() as traffic:
        run = play(ROLLBACK, "-e", f"app_rollback_to={before}", succeed=False)
    host.check_output("rm /srv/app/data/breaks-before")
    verdict = traffic.verdict(switches=[])
    assert verdict.failed == 0, verdict
    assert "what it needs is gone" in run.output
    assert release() == serving
    assert running() == [f"app-{serving}"]
    play(ROLLBACK, "-e", f"app_rollback_to={before}")
    assert release() == before


def test_dead_socket_of_a_release_is_replaced(play, deploy, host, get, release):
    deploy({"NAME": "dead-socket"})
    old = release()
    host.check_output(f"docker kill app-{old}; docker rm -f app-{old}")
    path = f"/srv/app/releases/{old}/run/gunicorn.sock"
    host.check_output(f"rm -f {path}; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"{path}\")'")
    assert get(URL).status == 502
    deploy({"NAME": "dead-socket"})
    assert release() == old == get(URL).headers["x-release"]
