"""The verbs that take something away, each once: back to an earlier release, and off the server."""

from __future__ import annotations

DEPLOYS = "/home/deploy/shop/deploy"
SERVES = "basename $(readlink /srv/app/current)"


def serving(server):
    return server.must(SERVES, user="root").strip()


def test_rollback_goes_to_the_release_before_and_to_one_by_its_id(desk, server, get):
    newest = serving(server)
    desk.must("flask-deploy rollback -e production", place=DEPLOYS)
    before = serving(server)
    assert before != newest
    terminal = desk.terminal(
        f"flask-deploy rollback {newest} -e production -- -e app_accept_rejected=true", place=DEPLOYS
    )
    assert terminal.end() == 0, terminal.seen
    assert serving(server) == newest and get("https://app.test/").status == 200


def test_keys_that_nobody_uses_are_not_exchanged(desk):
    code, said = desk.type("flask-deploy keys rotate -e production", place=DEPLOYS)
    assert code == 2 and "tokens_algorithm" in said, said


def test_remove_wants_the_app_s_name_and_takes_it_off_the_server(desk, server, get):
    code, said = desk.type("flask-deploy remove shop -e production", place=DEPLOYS)
    assert code == 2 and get("https://app.test/").status == 200, said
    terminal = desk.terminal("flask-deploy remove app -e production", place=DEPLOYS)
    assert terminal.end() == 0, terminal.seen
    assert get("https://app.test/").status != 200
    assert server.must("ls /srv/app", user="root")
