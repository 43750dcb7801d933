"""Passwords that are guessed one account at a time: after some wrong ones, each takes longer.

A limit by address, which nginx has, does not stop guesses from many addresses. This one counts by
account, known or not, so that it does not tell which ones there are. Nobody is locked out for good.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from math import ceil
from typing import TypeVar

from flask_jwt_keys import JWTError

Result = TypeVar("Result")

FREE = 5  # wrong passwords in a row that cost no time: people mistype
LONGEST = 60.0  # seconds to wait after further ones, which double from one
MEMORY = 15 * 60.0  # seconds without a wrong password, after which all is forgotten
MOST = 10_000  # accounts that are counted; those with the oldest wrong password are forgotten first


class TooManyTries(JWTError):
    """The account has to wait; the password was not looked at.

    :param wait: how long, in whole seconds
    """

    def __init__(self, wait: int) -> None:
        description = "Too many wrong passwords for this account"
        super().__init__("Too Many Requests", description, 429, {"Retry-After": str(wait)})


@dataclass
class _Tries:
    """Of one account.

    :param wrong: passwords in a row
    :param last: when the last of them was wrong
    :param under_way: passwords that are looked at now
    """

    wrong: int = 0
    last: float = 0.0
    under_way: int = 0


class Slowing:
    """Wrong passwords in a row, by account, in the memory of one worker.

    :param clock: seconds, which only grow
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tries: OrderedDict[bytes, _Tries] = OrderedDict()
        self._ended = threading.Condition()

    def look(self, account: str, check: Callable[[], Result]) -> Result:
        """What ``check`` finds for a password: something false for a wrong one.

        Tries at once get no further than tries in turn: those that could be one too many wait for
        the others to end. An error in ``check`` counts neither as right nor as wrong.

        :raises TooManyTries: the account has to wait
        """
        key = _key(account)
        tries, right = self._begin(key), None
        try:
            found = check()
            right = bool(found)
        finally:
            self._end(key, tries, right)
        return found

    def _begin(self, key: bytes) -> _Tries:
        with self._ended:
            while True:
                tries, now = self._tries.setdefault(key, _Tries()), self._clock()
                if tries.wrong and now - tries.last >= MEMORY:
                    tries.wrong = 0
                if tries.wrong and (left := tries.last + _wait(tries.wrong) - now) > 0:
                    raise TooManyTries(ceil(left))
                if not tries.under_way or tries.wrong + tries.under_way < FREE:
                    tries.under_way += 1
                    return tries
                self._ended.wait()

    def _end(self, key: bytes, tries: _Tries, right: bool | None) -> None:
        with self._ended:
            tries.under_way -= 1
            if right is not None:
                tries.wrong, tries.last = 0 if right else tries.wrong + 1, self._clock()
            self._tries.pop(key, None)
            if tries.wrong or tries.under_way:
                self._tries[key] = tries
            if len(self._tries) > MOST:
                self._tries.popitem(last=False)
            self._ended.notify_all()


def _wait(count: int) -> float:
    """How long an account waits after so many wrong passwords, in seconds."""
    return min(LONGEST, 2.0 ** min(count - FREE, 10)) if count >= FREE else 0.0


def _key(account: str) -> bytes:
    """A few bytes for a name of any length."""
    return blake2b(account.encode(errors="surrogatepass"), digest_size=16).digest()
