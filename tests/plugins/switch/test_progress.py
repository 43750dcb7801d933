"""What several write and read of a switch: whatever a file holds, each reader goes on."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.module_utils.flask_deploy.host import engine as engines
from ansible.module_utils.flask_deploy.host import files
from ansible.module_utils.flask_deploy.release import containers, places
from ansible.module_utils.flask_deploy.switch import progress, retire, settling, switch

from tests.deploys import begin, deploy, move, prepare, restore, settled


def pending_of_a4f4d54(old, new, phase, **more):
    """Return a switch as the commit before this form wrote it."""
    known = {"id": "0123456789abcdef", "from": old, "to": new, "leaving": "retired", "phase": phase, "drain": 0}
    rules = {"seconds": 0, "percent": 5, "samples": 20}
    return {**known, "rules": rules, "confirm": 0, "reload": False, "moved": 1.0, **more}


FOREIGN = {"a list": b"[1]", "a number": b"1", "cut short": b'{"id": "0', "no text": b"\xff\xfe", "empty": b""}
FOREIGN |= {"nothing known": b'{"other": 1}', "deep": b"[" * 100_000}

SHARED = {
    "switch.json": lambda app, old, new: app.pending,
    "switch.decision": lambda app, old, new: app.decision,
    "schema.json": lambda app, old, new: app.schema_file,
    "revived.json": lambda app, old, new: app.revived,
    "release.json of the serving one": lambda app, old, new: app.path(new, "release.json"),
    "release.json of the one before": lambda app, old, new: app.path(old, "release.json"),
    "state.json of the serving one": lambda app, old, new: app.path(new, "state.json"),
    "state.json of the one before": lambda app, old, new: app.path(old, "state.json"),
    "outcome of a switch": lambda app, old, new: app.path(new, "switch.json"),
    "command.json": lambda app, old, new: app.path(new, "command.json"),
}


def said_or_done(*actions):
    """Do each; what goes wrong has to be an error with words for people."""
    for action in actions:
        try:
            action()
        except (places.ReleaseError, engines.EngineError, containers.NotReady) as error:
            assert str(error)


@pytest.mark.parametrize("content", FOREIGN.values(), ids=FOREIGN.keys())
@pytest.mark.parametrize("where", SHARED.values(), ids=SHARED.keys())
def test_each_reader_takes_whatever_a_file_holds(app, engine, where, content):
    """A default or an error that is said; never a traceback."""
    old, new = deploy(app), deploy(app, build="b2")
    Path(where(app, old, new)).write_bytes(content)
    said_or_done(
        lambda: settling.settle(app, dry=True),
        lambda: [app.describe(release) for release in app.known()],
        lambda: sorted(app.known(), key=app.order),
        lambda: retire.targets(app),
        lambda: retire.surplus(app, 2),
        lambda: progress.outcome(app, new, "0123"),
        lambda: progress.hear(app, "0123"),
        lambda: settling.settle_links(app),
        lambda: settling.settle_at_boot(app),
        lambda: restore(app, old),
        lambda: prepare(app, build="b3"),
        lambda: settling.settle(app),
        lambda: deploy(app, build="b3"),
    )
    assert app.serving() in (old, new, *app.known())
    last = deploy(app, build="b4")
    assert app.serving() == last and settled(app, engine, last) == []


@pytest.mark.parametrize("phase", ["moving", "watching", "waiting", "confirming", "reverting"])
@pytest.mark.parametrize("reader", ["the unit", "the next run", "the boot"])
def test_a_switch_that_an_earlier_version_began_is_ended(app, engine, phase, reader):
    old, new = deploy(app), prepare(app, build="b2")
    more = {"waiting": {"deadline": 0.0}, "reverting": {"reason": "x", "reject": True}}.get(phase, {})
    if phase != "moving":
        move(app, new)
    files.write_json(app.pending, pending_of_a4f4d54(old, new, phase, **more))
    files.write_json(app.decision, {"id": "0123456789abcdef", "heard": 1.0})
    if reader == "the unit":
        switch.carry_out(app)
    elif reader == "the next run":
        settling.settle(app)
    else:
        settling.settle_links(app)
        settling.settle_at_boot(app)
    assert settled(app, engine, app.serving()) == []
    assert app.serving() == (new if phase == "confirming" else old)


def test_a_word_of_an_earlier_version_is_heard(app):
    deploy(app)
    new = prepare(app, build="b2")
    begun = begin(app, new, confirm=30)
    files.write_json(app.decision, {"id": begun, "confirm": True, "reason": "", "reject": False})
    assert switch.carry_out(app)["result"] == "confirmed"
