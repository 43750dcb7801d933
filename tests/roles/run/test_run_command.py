"""A one-off command: as it was typed, in the release that serves, with its own output and its own end."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from ansible import context
from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.module_utils.flask_deploy.release import aside
from ansible.module_utils.testing import patch_module_args
from ansible.modules import run_command as module
from ansible.plugins.action import run_command as plugin

from tests.deploys import deploy


@pytest.fixture
def run(app, monkeypatch, capsys):
    """Return a function that runs the module and returns what it answers with."""
    monkeypatch.setattr(module, "App", lambda name, uid: app)

    def answer(dry=False, **options):
        capsys.readouterr()
        told = {"app": "shop", "uid": 10001, **options, "_ansible_check_mode": dry}
        with patch_module_args(told), pytest.raises(SystemExit) as ended:
            module.main()
        return {**json.loads(capsys.readouterr().out), "rc": ended.value.code}

    return answer


def test_it_tells_what_was_printed(run, app):
    release = deploy(app)
    told = run(command="flask create-admin --name 'Ada L'")
    assert (told["changed"], told["code"], told["output"], told["release"]) == (True, 0, "migrated\n", release)


def test_it_fails_where_the_command_does_and_names_the_code(run, app):
    release = deploy(app)
    told = run(command="false")
    assert (told["failed"], told["code"], told["msg"]) == (True, 7, f"'false' in release {release} ended with code 7")


def test_a_command_whose_time_is_up_says_so(run, app, monkeypatch):
    release = deploy(app)
    monkeypatch.setattr(aside, "run", lambda *more: SimpleNamespace(code=None, out=b"half"))
    told = run(command="flask loop", timeout=5)
    assert told["msg"].startswith(f"'flask loop' in release {release} took longer than 5 s and was ended")
    assert told["output"] == "half"


@pytest.mark.parametrize("options", [{"command": "flask routes"}, {"program": True}])
def test_before_the_first_release_it_says_so_in_one_line(run, options):
    told = run(**options)
    assert told["failed"] and told["msg"].startswith("shop: no release serves here yet; deploy one: ")


def test_no_command_is_one_line_with_an_example(run, app):
    deploy(app)
    assert run()["msg"] == "there is no command to run; example: flask create-admin"


def test_check_mode_runs_nothing_and_says_so(run, app, engine):
    release = deploy(app)
    engine.forget()
    told = run(dry=True, command="flask create-admin")
    assert (told["changed"], told["would"]) == (
        False,
        f"would run 'flask create-admin' in release {release}; check mode runs nothing",
    )
    assert engine.calls("docker run") == []


def test_the_program_is_kept_where_people_find_it(run, app):
    deploy(app)
    assert run(program=True)["changed"] is False, "a deploy keeps it"
    open(app.tool, "w").close()
    assert run(dry=True, program=True)["changed"] is True
    told = run(program=True)
    assert (told["changed"], told["path"]) == (True, app.tool) and run(program=True)["changed"] is False


@pytest.mark.parametrize(
    ("extra", "given", "wanted"),
    [
        (["run_command=flask create-admin"], "flask", "flask create-admin"),
        (["run_command=flask set a=b --name=x 'A B'"], "flask", "flask set a=b --name=x 'A B'"),
        (["run_command='flask x'"], "flask x", "flask x"),
        (['{"run_command": "flask x"}'], "flask x", "flask x"),
        (["@file.yml", "run_on=all"], "flask x", "flask x"),
        (["run_command=flask a", "run_command=flask b"], "flask", "flask b"),
        ([], "flask x", "flask x"),
    ],
)
def test_the_command_is_what_was_typed(monkeypatch, extra, given, wanted):
    """Ansible would run its first word alone, and take the others for variables."""
    monkeypatch.setattr(context, "CLIARGS", {"extra_vars": tuple(extra)})
    assert plugin.typed(given) == wanted


def test_two_variables_in_one_option_are_refused(monkeypatch):
    monkeypatch.setattr(context, "CLIARGS", {"extra_vars": ("run_command=flask x run_on=all",)})
    with pytest.raises(AnsibleActionFail, match="give each variable an -e of its own"):
        plugin.typed("flask")


@pytest.fixture
def act(monkeypatch):
    """Return a function that runs the action plugin over an answer of the module; it returns (result, screen)."""

    def acted(answer, play=("web1",), **arguments):
        screen, action = [], object.__new__(plugin.ActionModule)
        action._task = SimpleNamespace(args={"command": "flask x", **arguments}, async_val=0)
        monkeypatch.setattr(plugin.ActionBase, "run", lambda *more: {})
        monkeypatch.setattr(plugin, "Display", lambda: SimpleNamespace(display=screen.append))

        def execute(name, told, task_vars):
            if isinstance(answer, Exception):
                raise answer
            return dict(answer)

        action._execute_module = execute
        return action.run(None, {"inventory_hostname": "web1", "ansible_play_hosts_all": list(play)}), screen

    return acted


def test_the_output_goes_to_the_screen_as_it_is(act):
    result, screen = act({"changed": True, "code": 0, "output": "a\n  {b} \x1b[31m\n\n"})
    assert screen == ["a\n  {b} \x1b[31m\n"] and result == {"changed": True, "code": 0}


def test_of_several_hosts_each_is_named_above_its_own(act):
    assert act({"output": "a\n"}, ("web1", "web2"), hosts="all")[1] == ["web1:\na"]
    assert act({"output": "a\n"}, ("web1", "web2"), hosts="one")[1] == ["a"]
    assert act({"output": ""}, ("web1", "web2"), hosts="all")[1] == []


def test_what_check_mode_would_run_is_shown(act):
    assert act({"would": "would run it"})[1] == ["would run it"]


def test_a_host_that_is_lost_says_what_may_run_on(act):
    with pytest.raises(AnsibleConnectionFailure, match="web1 was lost: the command may run on there until it ends"):
        act(AnsibleConnectionFailure("Connection reset"))
