"""What a token is made with beside what the app's handlers say of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True)
class Making:
    """What the caller asks of the token that is being made.

    :param sid: the id of its session; None outside sessions
    :param claims: what it says beside the payload
    :param headers: what its header says beside those of the headers handler
    :param lifetime: in seconds; None for what the payload says
    """

    sid: str | None = None
    claims: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, Any] = field(default_factory=dict)
    lifetime: float | None = None


_NOTHING = Making()
_making: ContextVar[Making] = ContextVar("flask_jwt_keys.making", default=_NOTHING)


def asked() -> Making:
    """What is asked of the token that is being made."""
    return _making.get()


@contextmanager
def asking(**changes: Any) -> Iterator[None]:
    """Ask for this too of tokens that are made meanwhile."""
    before = _making.set(replace(_making.get(), **changes))
    try:
        yield
    finally:
        _making.reset(before)
