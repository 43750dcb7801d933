"""Passwords that are guessed one account at a time: after some wrong ones, each takes longer.

A limit by address, which nginx has, does not stop guesses from many addresses. This one counts by
account, known or not, so that it does not tell which ones there are. Nobody is locked out for good.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from math import ceil

from flask_jwt_keys import JWTError

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


class Slowing:
    """Wrong passwords in a row, by account, in the memory of one worker.

    :param clock: seconds, which only grow
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._wrong: OrderedDict[bytes, tuple[int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def ask(self, account: str) -> None:
        """Let a password be tried.

        :raises TooManyTries: the account has to wait
        """
        with self._lock:
            count, last = self._wrong.get(_key(account), (0, 0.0))
        since = self._clock() - last
        left = _wait(count) - since
        if count and since < MEMORY and left > 0:
            raise TooManyTries(ceil(left))

    def tell(self, account: str, right: bool) -> None:
        """Count how a try ended."""
        key, now = _key(account), self._clock()
        with self._lock:
            count, last = self._wrong.pop(key, (0, now))
            if right:
                return
            self._wrong[key] = (count + 1 if now - last < MEMORY else 1, now)
            if len(self._wrong) > MOST:
                self._wrong.popitem(last=False)


def _wait(count: int) -> float:
    """How long an account waits after so many wrong passwords, in seconds."""
    return min(LONGEST, 2.0 ** min(count - FREE, 10)) if count >= FREE else 0.0


def _key(account: str) -> bytes:
    """A few bytes for a name of any length."""
    return blake2b(account.encode(errors="surrogatepass"), digest_size=16).digest()
