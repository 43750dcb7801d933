"""What a session is after its refresh token was shown."""

from __future__ import annotations

import hmac
import secrets
import time
from dataclasses import replace

from . import refresh_tokens
from .store import Session


def turn(session: Session, secret: str, grace: float, skew: float) -> Session | None:
    """The session after a refresh; None if the refresh token is outdated.

    :param secret: the changing part of the refresh token
    :param grace: how long the refresh token before the current one counts, in seconds
    :param skew: how far the clocks of hosts may be apart, in seconds
    """
    shown, now = refresh_tokens.digest(secret), time.time()
    if hmac.compare_digest(shown, session.current):
        seed = secrets.token_bytes(32)
        current = refresh_tokens.digest(refresh_tokens.successor(secret, seed))
        return replace(session, current=current, previous=shown, seed=seed, changed=now)
    if session.previous is None or not hmac.compare_digest(shown, session.previous):
        return None
    is_lost = grace > 0 and -skew <= now - session.changed < grace + skew
    return session if is_lost else None
