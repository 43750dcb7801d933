"""Check a whole inventory on the controller, then the host, before anything changes: one line a mistake."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from ansible import constants as C
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase

# A role's plugins find no code beside them by themselves; a collection's do, under this name.
sys.path.append(os.path.join(os.path.dirname(os.path.dirname(__file__)), "plugin_utils"))

from inventory_check.inventory import (
    calendars,
    check_names,
    check_outside,
    check_together,
    check_types,
    check_values,
    load_defaults,
    load_specs,
    warnings,
    with_examples,
    with_new_names,
)
from inventory_check.reach import swallowed

CLOCK_SKEW = 60  # seconds; tokens and certificates are judged by the host's clock
SYSTEMS = {"debian:12", "debian:13"}
MACHINES = {"x86_64", "aarch64"}


class ActionModule(ActionBase):
    """Fail with one line for each mistake; change nothing.

    ``reach`` is how far to look: at the ``names`` of variables and the values of the role that asks, at the whole
    ``inventory``, or at the ``host`` too.
    """

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        reach = self._task.args.get("reach", "host")
        where = f"the inventory, for host {task_vars['inventory_hostname']}"
        lines: list[str] = []
        values, mistakes = (self._check_own if reach == "names" else self._check_inventory)(task_vars)
        if not mistakes and reach == "host":
            where = f"host {task_vars['inventory_hostname']}"
            mistakes = self._check_system()
            seen = {} if mistakes else self._check_host(values, task_vars)
            mistakes = mistakes or seen["mistakes"]
            lines = [] if mistakes else warnings(values, task_vars, seen) + self._swallowed(task_vars)
        if not mistakes:
            return {"changed": False, "warnings": lines}
        return {
            "failed": True,
            "msg": "\n".join([f"{where}: nothing was changed; to be mended:", *(f"  {line}" for line in mistakes)]),
        }

    def _check_own(self, task_vars: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Judge all names, and of values those of the role that asks: what it does needs no whole inventory."""
        own = tuple(f"{role}_" for role in task_vars["ansible_parent_role_names"])
        specs = {name: {**spec, "required": False} for name, spec in load_specs().items() if name.startswith(own)}
        typed, mistakes = self._judge(task_vars, specs)
        return typed, check_names(load_specs(), task_vars) + mistakes

    def _check_inventory(self, task_vars: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        specs = load_specs()
        typed, mistakes = self._judge(task_vars, specs)
        mistakes = check_names(specs, task_vars) + mistakes
        if any(line.startswith("site_domain:") for line in mistakes):  # which the aliases are often made of
            mistakes = [line for line in mistakes if not line.startswith("site_aliases:")]
        if not mistakes:
            mistakes += check_together(typed, task_vars["groups"])
        return typed, mistakes or check_outside(typed, C.DEFAULT_LOCAL_TMP)

    def _judge(self, task_vars: dict[str, Any], specs: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """Return the values of variables as their types, and what is wrong with each by itself."""
        defaults = load_defaults()
        known = {**defaults, **with_new_names(task_vars)}
        templar = self._templar.copy_with_new_env(available_variables=known)
        # What is wrong with a default follows from what it is made of.
        said = {name for name in specs if name in known and (name not in defaults or known[name] != defaults[name])}
        values, errors = {}, []
        for name in specs:
            if name in known:
                try:
                    values[name] = templar.template(known[name])
                except AnsibleError as error:
                    errors.append(f"{name}: {str(error).splitlines()[0]}")
        errors += [
            f"{name}: is required; {specs[name]['description'].rstrip('.')}"
            for name in specs
            if specs[name].get("required") and name not in known
        ]
        typed, wrong_types = check_types(specs, values)
        errors += wrong_types + check_values(typed)
        errors = [line for line in errors if line.partition(":")[0] in said or ": is required; " in line]
        return typed, with_examples(specs, errors)

    def _check_system(self) -> list[str]:
        probe = '. /etc/os-release; echo "$(id -u) $ID:$VERSION_ID $(uname -m) $(date +%s) $(command -v python3)"'
        try:
            done = self._low_level_execute_command(probe)
        except AnsibleConnectionFailure:
            raise
        except AnsibleError as error:
            return [f"cannot become root: {str(error).splitlines()[0]}; try: ansible-playbook … --ask-become-pass"]
        words = done["stdout"].split()
        if done["rc"] or len(words) < 4:
            said = (done["stderr"] or done["stdout"]).strip().splitlines() or ["no answer"]
            return [f"cannot become root: {said[-1]}; give the user sudo, or try: ansible-playbook … --ask-become-pass"]
        user, system, machine, clock, *python = words
        mistakes = []
        if user != "0":
            mistakes.append(f"tasks run as user id {user}; the SSH user needs sudo to root")
        if system not in SYSTEMS:
            mistakes.append(f"runs {system.replace(':', ' ')}; supported are Debian 12 and Debian 13")
        if machine not in MACHINES:
            mistakes.append(f"is a {machine} machine; supported are {' and '.join(sorted(MACHINES))}")
        if abs(int(clock) - time.time()) > CLOCK_SKEW:
            mistakes.append(
                f"its clock is {int(clock) - int(time.time()):+d} s off; type there: sudo timedatectl set-ntp true"
            )
        if not python:
            mistakes.append("has no python3; type there: sudo apt install python3")
        return mistakes

    def _swallowed(self, task_vars: dict[str, Any]) -> list[str]:
        """Ask the host's web ports, where it is reached over the network by an address of its own."""
        if getattr(self._connection, "transport", "") not in ("ssh", "paramiko_ssh"):
            return []
        return swallowed(task_vars.get("ansible_host", task_vars["inventory_hostname"]))

    def _check_host(self, values: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """Return what role check's module says of the host: its mistakes, its processors, whether keys are there."""
        builds = task_vars["inventory_hostname"] == task_vars["ansible_play_hosts"][0]
        local = builds and values["build_source"].startswith("file://")
        arguments = {
            "repository": values["build_source"] if local else "",
            "app": values["app_name"],
            "domain": values["site_domain"],
            "aliases": values["site_aliases"] + values["site_names"],
            "wsgi": values["app_wsgi"],
            "calendars": calendars(values),
            "needs": [need for need in values["app_needs"] if not task_vars["groups"].get(need)],
            "uid": values["app_uid"],
            "sets_up": task_vars.get("__check_neighbours", True),
            "metrics": {"address": values["metrics_address"], "port": values["metrics_port"]},
        }
        result: dict[str, Any] = self._execute_module("check_host", module_args=arguments, task_vars=task_vars)
        return {"mistakes": [result["msg"]]} if result.get("failed") else result
