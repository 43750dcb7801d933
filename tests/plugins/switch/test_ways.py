"""A rollback that cannot be says which release lacks what, and the command that builds its code again."""

from __future__ import annotations

import os
import shutil

import pytest
from ansible.module_utils.flask_deploy.host import files
from ansible.module_utils.flask_deploy.switch import retire, steps, summary, ways

from tests.deploys import deploy, options, prepare

COMMIT = "1a2b3c4d5e6f7a8b9c0d1e2f3a4b5c6d7e8f9a0b"
GIT = {"kind": "git", "repository": "https://x/shop.git", "ref": "v1", "commit": COMMIT, "digest": "d"}
DIRECTORY = {"kind": "directory", "digest": "d"}


pytestmark = pytest.mark.usefixtures("two_images")


def refused(app, wanted=""):
    with pytest.raises(steps.ReleaseError) as raised:
        steps.restore(app, options(release=wanted), dry=False)
    return str(raised.value)


@pytest.mark.parametrize(
    ("source", "way"),
    [
        (GIT, f"again, with the settings of now: ansible-playbook site.yml -i inventories/... -e build_ref={COMMIT}"),
        ({**GIT, "repository": "git@y:a b.git"}, f"-e build_ref={COMMIT} -e build_source='git@y:a b.git'"),
        (
            {**DIRECTORY, "commit": COMMIT, "changes": False},
            f"a checkout of {COMMIT}: git checkout {COMMIT} there, then deploy",
        ),
        (
            {**DIRECTORY, "commit": COMMIT, "changes": True},
            "with changes that no commit holds: it cannot be built again",
        ),
        (DIRECTORY, "a directory that was no git checkout: this host cannot tell how to build it again"),
    ],
)
def test_a_release_whose_image_is_gone_is_named_with_the_way_out(app, engine, source, way):
    old = deploy(app, source=source)
    deploy(app, build="b2", image="sha256:two", source=GIT)
    (engine.place / "images").write_text("sha256:two\n")  # somebody typed docker image prune -a
    for wanted in ("", old):
        said = refused(app, wanted)
        assert said.startswith(f"cannot roll back to {wanted or 'a release before'}; possible are: none\n")
        assert f"\n    {old} retired " in said and "      its image is gone; " in said and said.rstrip().endswith(way)


@pytest.mark.parametrize("name", ["site.conf", "env.json", "gunicorn.conf.py", "exec.py", "static", "release.json"])
def test_a_damaged_release_is_not_gone_back_to(app, engine, name):
    engine.public("hello.txt")
    old = deploy(app, source=GIT)
    serving = deploy(app, build="b2")
    place = app.path(old, name)
    if name == "release.json":
        files.write(place, b"{")
    elif os.path.isdir(place):
        shutil.rmtree(place)
    else:
        os.unlink(place)
    said = refused(app, old)
    assert "possible are: none" in said and "damaged" in said and app.serving() == serving
    assert name == "release.json" or f"it lacks {name}; to build its commit again" in said


@pytest.mark.parametrize("state", retire.LEFT_FOR_CAUSE)
def test_what_was_left_for_a_cause_is_named_after_a_deploy_with_the_words_it_needs(app, state):
    """The command is one that does it, as printed."""
    old, _serving = deploy(app), deploy(app, build="b2")
    app.set_state(old, state)
    words = f"-e app_rollback_to={old} -e app_accept_rejected=true"
    assert summary.way_back(app).endswith(f"playbooks/rollback.yml -i inventories/... {words}")
    assert steps.restore(app, options(release=old, accept_rejected=True), dry=True)[0] == old


def test_what_is_possible_says_what_it_needs(app, engine):
    first, second = deploy(app), deploy(app, build="b2")
    third, never = deploy(app, build="b3"), prepare(app, build="b4")
    app.set_state(second, "rejected", reason="it failed")
    changes = [{"release": third, "command": "migrate", "code": 0, "at": 1, "before": "1a", "after": "2b"}]
    files.write_json(app.schema_file, {"state": "2b", "state_at": 1, "schema_command": "tell", "changes": changes})
    files.write_json(app.path(first, "schema.json"), {"state": "1a", "schema_command": "tell", "at": 1})
    said = refused(app, "000000000000")
    assert "there is no release 000000000000 on this host" in said
    possible, _, others = said.partition("not possible as they are:")
    assert (
        f"\n    {second} rejected" in possible
        and f"-e app_rollback_to={second} -e app_accept_rejected=true" in possible
    )
    assert (
        "its code ran with schema 1a, the database is at 2b" in possible
        and "-e app_accept_schema_ahead=true" in possible
    )
    assert f"\n    {never} " in others and "it never served" in others
    assert f"\n    {third} " not in said
    assert f"{third} serves already" in refused(app, third)


def test_a_release_that_needs_no_word_is_named_without_one(app):
    assert ways._needs(app, "abc") == ""


def test_a_source_of_which_no_address_is_known_is_that_of_what_serves(app, monkeypatch):
    for release, source in {"abc": GIT, "def": {"kind": "git", "commit": COMMIT}}.items():
        os.makedirs(app.path(release))
        files.write_json(app.path(release, "release.json"), {"source": source})
    monkeypatch.setattr(app, "serving", lambda: "abc")
    assert ways.way_out(app, "def").endswith(f"-e build_ref={COMMIT}")
