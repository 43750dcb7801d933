"""Migrations by flask db upgrade: the database's own state decides whether a release can be gone back to."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

ROOM = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "molecule/schema"
ROLLBACK = "playbooks/rollback.yml"


@pytest.fixture(scope="module")
def deploy(play, tmp_path_factory):
    """Release the shop with an edited line, and with more revisions."""
    place = Path(shutil.copytree(ROOM / "app", tmp_path_factory.mktemp("source") / "app"))

    def run(name, *revisions, succeed=True):
        module = place / "shop.py"
        module.write_text((ROOM / "app/shop.py").read_text() + f"# {name}\n")
        for revision in revisions:
            shutil.copy(ROOM / f"later/{revision}.py", place / "migrations/versions")
        done = play("playbooks/app.yml", "-e", f"build_source={place}", succeed=succeed)
        for revision in revisions:
            (place / f"migrations/versions/{revision}.py").unlink()
        return done

    return run


@pytest.fixture(scope="module")
def known():
    """Return the releases that served, by a name for each."""
    return {}


def test_a_release_of_code_alone_says_how_to_go_back(deploy, release, known, get):
    known["first"] = release()
    run = deploy("second")
    known["second"] = release()
    assert known["second"] != known["first"]
    assert "schema: 0001, as before" in run.output
    assert f"roll back: ansible-playbook {ROLLBACK}" in run.output
    assert get("https://app.test/").body.strip() == '{"items":0}'


def test_a_failed_migration_is_named_and_the_old_release_serves(deploy, release, known, get, host):
    run = deploy("bad", "0002_broken", succeed=False)
    assert run.rc != 0
    assert "'flask db upgrade' FAILED: it ended with code 1" in run.output
    assert "no such table: no_such_table" in run.output
    assert "the schema is 0001, as before" in " ".join(run.output.split())
    assert release() == known["second"]
    assert get("https://app.test/").status == 200
    assert "-command" not in host.check_output("docker ps -a --format '{{.Names}}'")


def test_the_rollback_that_was_printed_works_though_a_migration_failed_meanwhile(play, release, known):
    run = play(ROLLBACK)
    assert release() == known["first"]
    assert "app_accept_schema_ahead" not in run.output


def test_a_rollback_behind_a_migration_is_refused_and_goes_with_the_word(deploy, play, release, known, get):
    run = deploy("third", "0002_prices")
    known["third"] = release()
    said = " ".join(run.output.split())
    assert "schema: 0001 -> 0002" in said
    assert f"a rollback to {known['first']} is refused, unless you accept the schema" in said
    refused = play(ROLLBACK, succeed=False)
    assert refused.rc != 0
    said = " ".join(refused.output.split())
    assert "its code ran with schema 0001, the database is at 0002 (now)" in said
    assert f"'flask db upgrade' of release {known['third']} ran at" in said
    assert release() == known["third"]
    play(ROLLBACK, "-e", "app_accept_schema_ahead=true")
    assert release() == known["first"]
    assert get("https://app.test/").status == 200


def test_status_and_a_second_run_change_nothing(play):
    """The release that serves is the one that the inventory says: its command ran."""
    run = play("playbooks/app.yml", "--check")
    assert run.changed == 0, run.output
