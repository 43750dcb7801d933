"""Commands in what a run prints, as its user types them: where flask-deploy began it, they are those of flask-deploy.

Messages come from hosts, roles and rules, and name ansible-playbook. One method of Ansible's prints them all, whichever
callback plugin tells of a run, so they are put into the user's words there.
"""

from __future__ import annotations

import os
import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

PROJECT = Path(__file__).resolve().parents[2]
sys.path += [str(PROJECT / "plugins"), str(PROJECT.parent.parent)]  # of a checkout, and of an installed tool

DOCUMENTATION = """
name: tool_words
type: aggregate
short_description: name commands of flask-deploy in what its runs print
description: Does nothing in a run that flask-deploy did not begin.
"""
PREFIXES = (
    "app|archive|backup|balancer|build|docker|doctor|host|kernel|kubernetes|logs|metrics|monitor|nginx|postgres|remove"
    "|report|restore|run|site"
    "|tokens|valkey"
)
OPTION = r"-i [^\s;,)\"]+|-e '[^']*'|-e \w+=[^\s;,)\"]*|--(?:limit|tags) (?:'[^']*'|[^\s;,)\"]+)|--[\w-]+"
CALL = re.compile(rf"ansible-playbook (…|site\.yml|playbooks/\w+\.yml)((?: (?:{OPTION}))*)")
ALONE = re.compile(rf"(?<![\w-])(?<!-- )-e (?:{PREFIXES})_\w+=[^\s;,)\"]+(?: -e \w+=[^\s;,)\"]+)*")
NOBODY = re.compile(r"Could not match supplied host pattern, ignoring: (\S+)")
WRITE = r"the inventory has no server in the group \1; write one into its hosts.yml"
ANY = "…"  # in a message that fits each playbook
ASKED = "--ask-vault-pass"  # the tool knows when


@cache
def playbooks() -> dict[str, tuple[str, dict[str, Any]]]:
    """Return {playbook: what is typed for it, and {variable: the word that sets it}}."""
    from flask_deploy_tool.verbs import VERBS  # a copy of the playbooks without the tool has none, and needs none

    known = {ANY: (ANY, {})}
    for verb in (verb for verb in VERBS if not verb.arguments):  # a plan is another verb's dry run
        words = {word.variable: word for word in verb.words}
        for action in verb.words[0].choices if "{" in verb.playbook else ("",):
            known[verb.playbook.format(action=action)] = (f"{verb.name} {action}".strip(), words)
    return known


def typed(text: str, environment: str) -> str:
    """Return a text with its calls of ansible-playbook as calls of the tool.

    :param environment: as it was typed; empty where the only one was meant.
    """
    known, text = playbooks(), NOBODY.sub(WRITE, text)
    parts, end = [], 0
    for call in CALL.finditer(text):
        parts += [_alone(text[end : call.start()]), _call(call, known, environment)]
        end = call.end()
    return "".join([*parts, _alone(text[end:])])


def _alone(text: str) -> str:
    """Put variables that are to be added as the tool takes them: as an option, or behind two dashes."""
    return ALONE.sub(lambda found: _option(found[0]) or f"-- {found[0]}", text)


def _option(added: str) -> str:
    """Return a variable as the tool's own option for it, with its value; "" where it has none."""
    variable, _, value = added.removeprefix("-e ").partition("=")
    word = next((words[variable].name for _verb, words in playbooks().values() if variable in words), "")
    return f"{word} {value}" if word.startswith("--") and " -e " not in added else ""


def _call(call: re.Match[str], known: dict[str, tuple[str, dict[str, Any]]], environment: str) -> str:
    options = [each for each in re.findall(OPTION, call[2]) if not each.startswith("-i ") and each != ASKED]
    if call[1] not in known:  # a playbook that is no verb
        return call[0]
    name, words = known[call[1]]
    own, rest = ["-e", environment] if environment and name != ANY else [], []
    for option in options:
        variable, _, value = option.removeprefix("-e ").partition("=")
        word = words.get(variable)
        if not word:
            rest.append(option)
        elif word.name.startswith("--"):
            own += [word.name] if word.flag else [word.name, value]
        else:
            own.append(value)
    return " ".join(["flask-deploy", name, *own, *(["--", *rest] if rest else [])])


class CallbackModule(CallbackBase):
    """Puts what is printed into the words of who began the run."""

    CALLBACK_VERSION, CALLBACK_TYPE, CALLBACK_NAME = 2.0, "aggregate", "tool_words"

    def __init__(self) -> None:
        super().__init__()
        environment = os.environ.get("FLASK_DEPLOY_ENVIRONMENT")
        if environment is None:
            self.disabled = True
            return
        plain = self._display.display

        def display(msg: str, *arguments: Any, **options: Any) -> None:
            plain(typed(msg, environment) if isinstance(msg, str) else msg, *arguments, **options)

        self._display.display = display
