"""What services beside an app give it, and where that meets what its user wrote."""

from __future__ import annotations

from typing import Any


def mistakes(
    values: dict[str, Any], need: str, variables: tuple[str, ...], hosts: list[str], fixed: frozenset[str] = frozenset()
) -> list[str]:
    """Return what stands against a need of an app.

    :param need: a word of app_needs.
    :param variables: those that hold the names of what it gives to the environment.
    :param fixed: names of what else it gives.
    """
    if need not in values.get("app_needs", []):
        return []
    lines = several(need, hosts)
    for variable in variables:
        name = values.get(variable, "")
        for place in ("app_env", "app_secrets"):
            if name and name in values.get(place, {}):
                lines.append(
                    f"{place}: {name} is what app_needs: [{need}] gives; remove it from {place}, or let {need} give "
                    f"it under another name, example: {variable}: {need.upper()}_{name}"
                )
    for place in ("app_env", "app_secrets"):
        both = sorted(fixed & set(values.get(place, {})))
        lines += [f"{place}: {name} is what app_needs: [{need}] gives; remove it from {place}" for name in both]
    return lines


def several(need: str, hosts: list[str]) -> list[str]:
    """Return what stands against a need beside an app that several hosts serve."""
    if len(hosts) < 2:
        return []
    return [
        f"app_needs: each of the {len(hosts)} hosts would have {need} of its own, with other data; give the app "
        f"the address of one that they share, in app_secrets, and take {need} out of app_needs"
    ]
