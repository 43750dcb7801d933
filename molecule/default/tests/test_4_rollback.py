"""Back to an older release, with the settings of then, and without a build."""

from __future__ import annotations

import json

URL = "https://app.test/"


def test_rollback_restores_code_and_settings_and_rejects_the_release_left(host, play, get, release, source):
    play("playbooks/app.yml")
    old = release()
    (source / "static" / "newer.txt").write_text("newer")
    newer = ["playbooks/app.yml", "-e", f"build_source={source}", "-e", '{"app_env": {"FLAG": "newer"}}']
    play(*newer)
    new = release()
    assert get(f"{URL}newer.txt").status == 200
    host.check_output(f"docker rm -f -v app-{old}")
    host.check_output("mv /etc/resolv.conf /etc/resolv.off 2>/dev/null || cp /etc/resolv.conf /etc/resolv.off; true")
    run = play("playbooks/rollback.yml")
    host.check_output("cat /etc/resolv.off > /etc/resolv.conf; rm /etc/resolv.off")
    assert f"release {new} -> {old}" in run.output
    assert release() == old == get(URL).headers["x-release"]
    assert get(f"{URL}newer.txt").status == 404
    pid = host.check_output(f"pgrep -P $(docker inspect -f '{{{{.State.Pid}}}}' app-{old}) | head -1")
    assert b"FLAG=plain\0" in host.file(f"/proc/{pid}/environ").content
    refused = play(*newer, succeed=False)
    assert "app_accept_rejected=true" in refused.output
    assert release() == old
    assert play("playbooks/app.yml").changed == 0


def test_rollback_to_what_is_not_there_lists_what_is(play, release):
    run = play("playbooks/rollback.yml", "-e", "app_rollback_to=000000000000", succeed=False)
    assert "cannot roll back to 000000000000; possible are:" in run.output
    assert (
        "app_rollbak_to: no role knows"
        in play("playbooks/rollback.yml", "-e", "app_rollbak_to=x", succeed=False).output
    )


def test_what_a_release_printed_outlives_its_container(host, play, release, source):
    (source / "static" / "logged.txt").write_text("logged")
    play("playbooks/app.yml", "-e", f"build_source={source}")
    gone = release()
    play("playbooks/rollback.yml")
    host.check_output(f"docker rm -f -v app-{gone}")
    shown = play("playbooks/logs.yml", "-e", f"logs_release={gone}", "-e", "logs_grep='listening at'")
    assert shown.changed == 0
    lines = [line for line in shown.output.splitlines() if "Listening at: unix:" in line]
    assert lines and all(f" web {gone} " in line for line in lines)
    assert "sudo journalctl --follow --output=cat FLASK_DEPLOY_APP=app" in shown.output
    assert "app printed nothing since" in play("playbooks/logs.yml", "-e", "logs_grep=gone-and-gone").output
    refused = play("playbooks/logs.yml", "-e", "logs_process=nobody", succeed=False)
    assert refused.rc and "to follow" not in refused.output
    assert "logs_process: app has no process nobody; it has: web, " in refused.output
    play("playbooks/app.yml")


def test_status_and_history_name_the_serving_release(play, release):
    status = play("playbooks/status.yml")
    assert status.changed == 0
    row = next(line for line in status.output.splitlines() if release() in line)
    assert "ok 200" in row
    assert "364 d" in row or "365 d" in row
    assert json.dumps(release()).strip('"') in play("playbooks/releases.yml").output
