"""A dry run shows what a deploy would change."""

from __future__ import annotations

import json

MARK = "xyzzy-4711"


def test_a_dry_run_shows_what_changes_and_no_value_of_environment_or_secrets(play, release):
    values = {
        "app_env": {"FLASK_APP": "shop", "GREETING": MARK},
        "app_secrets": {"SECRET_KEY": MARK * 4},
        "site_max_body": "20m",
        "app_memory": "300m",
    }
    serving = release()
    run = play("playbooks/app.yml", "--check", "--diff", "-e", json.dumps(values))
    for line in (
        f"release: {serving} -> ",
        "app_env: +GREETING",
        "app_secrets: +SECRET_KEY",
        "app_memory: 512m -> 300m",
    ):
        assert line in run.output
    assert "+    client_max_body_size 20m;" in run.output
    assert f"stops: {serving}" in run.output
    assert "app_release_command: 'flask db upgrade' runs" in run.output.replace("''", "'")
    assert MARK not in run.output
    assert release() == serving


def test_a_dry_run_of_code_that_is_not_built_yet_shows_the_same(play, source, release):
    run = play(
        "playbooks/app.yml", "--check", "-e", json.dumps({"build_source": str(source), "app_env": {"OTHER": "x"}})
    )
    for line in (f"release: {release()} -> a new one", "image: is to be built", "app_env: +OTHER -FLASK_APP"):
        assert line in run.output


def test_a_dry_run_of_a_rollback_shows_where_it_goes(play, host, release):
    known = host.check_output("ls /srv/app/releases").split()
    other = next(each for each in known if each != release())
    arguments = [
        "-e",
        f"app_rollback_to={other}",
        "-e",
        "app_accept_rejected=true",
        "-e",
        "app_accept_schema_ahead=true",
    ]
    run = play("playbooks/rollback.yml", "--check", *arguments)
    assert f"release: {release()} -> {other}" in run.output
