"""What the status says to somebody who did not deploy."""

from __future__ import annotations

MAINTENANCE = "playbooks/maintenance.yml"


def test_maintenance_is_shown_and_who_made_a_release(play, release):
    play(MAINTENANCE, "-e", "site_maintenance=on")
    closed = " ".join(play("playbooks/status.yml").output.split())
    unsaid = " ".join(play(MAINTENANCE, succeed=False).output.split())
    assert "say what visitors are to see: -e site_maintenance=on shows the page" in unsaid
    assert "maintenance page" in play("playbooks/status.yml").output, "it stands"
    assert "visitors see the maintenance page" in " ".join(play("playbooks/app.yml").output.split())
    play(MAINTENANCE, "-e", "site_maintenance=off")
    assert "host: visitors see the maintenance page; to show the app again: ansible-playbook" in closed
    assert "maintenance page" not in play("playbooks/status.yml").output
    (line,) = [line for line in play("playbooks/releases.yml").output.splitlines() if release() in line]
    assert "unknown" not in line and " directory " in line


def test_status_fails_where_the_app_does_not_answer(play, host, release):
    host.check_output(f"docker stop app-{release()}")
    try:
        down = play("playbooks/status.yml", succeed=False)
        assert down.rc != 0 and "the app does not answer here" in down.output
    finally:
        play("playbooks/app.yml")
    assert play("playbooks/status.yml").rc == 0


def test_a_dry_run_that_would_change_nothing_says_so(play, release):
    assert f"nothing would change: release {release()} serves" in play("playbooks/app.yml", "--check").output


def test_a_rollback_says_who_may_go_where(play, host, release):
    """The list that a rollback shows is one line a release."""
    run = play("playbooks/rollback.yml", "-e", "app_rollback_to=000000000000", succeed=False)
    known = host.check_output("ls /srv/app/releases").split()
    assert "cannot roll back to 000000000000; possible are:" in run.output
    assert any(each in run.output for each in known if each != release())
