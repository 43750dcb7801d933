"""Processes beside the web, of what several files say of them."""

from __future__ import annotations

import re
from collections.abc import Container

LONGEST = 16  # characters of a name, as app_processes allows


def named(name: str, taken: Container[str]) -> str:
    """Return a name that app_processes takes, as near to a given one as can be.

    :param taken: names that others have.
    """
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).lstrip("-0123456789").rstrip("-") or "worker"
    if len(plain) > LONGEST:
        plain = plain[: LONGEST + 1].rpartition("-")[0] or plain[:LONGEST]
    ends = ("", *(f"-{number}" for number in range(2, 1000)))
    return next(each for each in (f"{plain[: LONGEST - len(end)]}{end}" for end in ends) if each not in taken)
