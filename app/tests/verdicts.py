"""What can be wrong with an answer."""

from __future__ import annotations


class WrongAccept(AssertionError):
    """What does not count was accepted."""


class WrongRefusal(AssertionError):
    """What counts was refused."""


class ServerError(AssertionError):
    """A status from 500 on."""


def agree(accepted, expected):
    """Nothing, if what was accepted is what had to be."""
    if bool(accepted) != bool(expected):
        raise (WrongAccept if accepted else WrongRefusal)


def modest(answer):
    """The status of an answer, if it is none of the server's own fault."""
    if answer.status_code >= 500:
        raise ServerError(answer.status_code)
    return answer.status_code
