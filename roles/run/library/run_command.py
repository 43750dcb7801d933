#!/usr/bin/python
"""Run a command in the release that serves on this host."""

from __future__ import annotations

from ansible.module_utils.flask_deploy.host import engine, files
from ansible.module_utils.flask_deploy.host.module import QuietModule
from ansible.module_utils.flask_deploy.release import aside, tool
from ansible.module_utils.flask_deploy.release.places import App, ReleaseError

DOCUMENTATION = r"""
module: run_command
short_description: Run a command in the release that serves on this host
description:
  - The command has what the release's processes have, in a container of its own. It fails where the command does.
  - The action plugin of the same name takes the command as it was typed, and shows what it printed.
options:
  app: {type: str, required: true, description: Name of the app.}
  uid: {type: int, required: true, description: User id the app runs as.}
  command: {type: str, default: "", description: Words as a shell would split them; no shell runs.}
  timeout: {type: int, default: 3600, description: Seconds it may take.}
  hosts: {type: str, default: one, choices: [one, all], description: "Which run it, as the task's condition has it."}
  program: {type: bool, default: false, description: Run nothing; keep the program that people use on the host.}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Make an admin
  run_command:
    app: shop
    uid: 10001
    command: flask create-admin
"""

RETURN = r"""
release: {type: str, returned: success, description: Id of the release.}
code: {type: int, returned: when it ran, description: Its exit code, or null where its time was up.}
output: {type: str, returned: when it ran, description: What it printed, which the action plugin shows instead.}
would: {type: str, returned: in check mode, description: What would run.}
path: {type: str, returned: "with C(program)", description: Path of the program.}
"""


def run(module: QuietModule, app: App) -> None:
    """Run the command and end the module."""
    options, release = module.params, aside.release_of(app)
    words = aside.split(options["command"])
    if module.check_mode:
        said = f"would run {options['command']!r} in release {release}; check mode runs nothing"
        module.exit_json(changed=False, release=release, would=said)
    done = aside.run(app, release, words, options["timeout"])
    told = {"release": release, "code": done.code, "output": done.out.decode(errors="replace")}
    if done.code == 0:
        module.exit_json(changed=True, **told)
    how = f"took longer than {options['timeout']} s and was ended; to give it more: -e run_timeout=7200"
    how = how if done.code is None else f"ended with code {done.code}"
    module.fail_json(changed=True, msg=f"{options['command']!r} in release {release} {how}", **told)


def keep_program(module: QuietModule, app: App) -> None:
    """Keep the program on the host and end the module."""
    release = aside.release_of(app)
    wanted = files.differs(app.tool, tool.code(app), 0o755, 0, 0)
    if not module.check_mode:
        tool.ensure(app)
    module.exit_json(changed=wanted, release=release, path=app.tool)


def main() -> None:
    module = QuietModule(
        argument_spec={
            "app": {"type": "str", "required": True},
            "uid": {"type": "int", "required": True},
            "command": {"type": "str", "default": ""},
            "timeout": {"type": "int", "default": 3600},
            "hosts": {"type": "str", "default": "one", "choices": ["one", "all"]},
            "program": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    app = App(module.params["app"], module.params["uid"])
    try:
        (keep_program if module.params["program"] else run)(module, app)
    except (ReleaseError, engine.EngineError, OSError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
