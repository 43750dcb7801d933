"""What a session keeps of the claims of its access tokens."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from .store import NAME, Session

NOBODY = "null"  # the subject of claims that name no user
_PER_TOKEN = ("exp", "iat", "nbf", "jti", "sid")
_ADDED = "flask_jwt_keys.added"  # the names of those that no payload handler makes


def subject_of(claims: Mapping[str, Any]) -> str:
    """Whom claims speak of, as JSON: ``identity``, or else ``sub``; ``NOBODY`` without both."""
    identity = claims.get("identity")
    return json.dumps(claims.get("sub") if identity is None else identity, sort_keys=True)


def lasting(claims: Mapping[str, Any]) -> dict[str, Any]:
    """The claims of a token that say nothing of the token itself."""
    return {name: value for name, value in claims.items() if name not in _PER_TOKEN}


def with_added(claims: Mapping[str, Any], added: Iterable[str]) -> dict[str, Any]:
    """What a session keeps: claims, and which of them were added to the payload."""
    return {**claims, _ADDED: [name for name in added if name in claims]}


def split(kept: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Claims as the tokens of a session have them, and those of them that were added."""
    claims = {name: value for name, value in kept.items() if name not in (_ADDED, NAME)}
    return claims, {name: claims[name] for name in kept.get(_ADDED, ()) if name in claims}


def at_refresh(session: Session) -> dict[str, Any]:
    """What the identity handler sees at a refresh, where there is no access token."""
    began = {"iat": int(session.started)} if session.started else {}  # None before 2.0
    return {**split(session.claims)[0], **began, "sid": session.id}


def proved(session: Session, at: int | None) -> Session:
    """The session of a user who proved at that time who they are; an earlier time changes nothing.

    OpenID Connect Core, section 2: ``auth_time`` is when the user was asked, not when a token was.

    :param at: seconds since 1970; None if the user proved nothing
    """
    before = session.claims.get("auth_time")
    if at is None or (isinstance(before, int | float) and at <= before <= time.time()):
        return session
    claims, added = split(session.claims)
    proven = with_added({**claims, "auth_time": at}, {**added, "auth_time": at})
    return replace(session, claims={**session.claims, **proven})


def named(session: Session, names: Sequence[str]) -> Session:
    """The session of an app with these names: it has the first one unless it has one already."""
    if session.name is not None or not names:
        return session
    return replace(session, claims={**session.claims, NAME: names[0]})
