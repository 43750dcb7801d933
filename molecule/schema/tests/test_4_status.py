"""What the status says to somebody who did not deploy."""

from __future__ import annotations

MAINTENANCE = "playbooks/maintenance.yml"


def test_maintenance_is_shown_and_who_made_a_release(play, release):
    play(MAINTENANCE, "-e", "site_maintenance=on")
    closed = " ".join(play("playbooks/status.yml").output.split())
    play(MAINTENANCE, "-e", "site_maintenance=off")
    assert "host: visitors see the maintenance page; to show the app again: ansible-playbook" in closed
    assert "maintenance page" not in play("playbooks/status.yml").output
    (line,) = [line for line in play("playbooks/releases.yml").output.splitlines() if release() in line]
    assert "unknown" not in line and " directory " in line


def test_a_rollback_says_who_may_go_where(play, host, release):
    """The list that a rollback shows is one line a release."""
    run = play("playbooks/rollback.yml", "-e", "app_rollback_to=000000000000", succeed=False)
    known = host.check_output("ls /srv/app/releases").split()
    assert "cannot roll back to 000000000000; possible are:" in run.output
    assert any(each in run.output for each in known if each != release())
