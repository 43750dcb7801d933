"""The app's playbook alone makes no certificate: what that means is said before anything is built."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def refused(play):
    """Release with other values, by the app's playbook alone; return the run, which must fail."""

    def run(**values):
        done = play("playbooks/app.yml", "-e", json.dumps({"site_aliases": [], **values}), succeed=False)
        assert done.rc != 0
        assert "ansible-playbook site.yml" in done.output
        assert "Build the app's image" not in done.output
        return " ".join(done.output.split())

    return run


def test_a_second_app_by_its_playbook_alone_is_told_before_its_build(refused, host):
    said = refused(app_name="second", site_domain="second.test")
    assert "certificate: there is none on this host for second.test" in said
    assert not host.file("/srv/second").exists


def test_a_changed_domain_is_not_served_under_the_old_ones_certificate(refused, release, get):
    serving = release()
    said = refused(site_domain="new.test")
    assert "does not cover new.test, it is for app.test, www.app.test" in said
    assert release() == serving
    assert get("https://app.test/").status == 200


def test_the_whole_playbook_makes_it(play, host):
    play(
        "site.yml",
        "-e",
        json.dumps({"app_name": "second", "site_domain": "second.test", "site_aliases": [], "app_uid": 10002}),
    )
    assert host.file("/srv/second/current/release.json").exists
