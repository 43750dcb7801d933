"""Publish, wait, sign, wait, retire: what is due with the signing keys of a host, and what comes next when."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, Protocol

from ansible.module_utils.flask_deploy.host import files
from ansible.module_utils.flask_deploy.keys.directory import SETTLE, KeyDirectory, KeysError
from ansible.module_utils.flask_deploy.keys.pem import Pem, make

# Settings of the app that decide how long a key must overlap its successor, with the defaults of flask_jwt_keys.
# An app may make tokens that live longer than those of its logins: up to LONGEST, which never is below LIFETIME.
LIFETIME, LONGEST = "FLASK_JWT_EXPIRATION_DELTA", "FLASK_JWT_MAX_LIFETIME"
LEEWAY, MAX_AGE = "FLASK_JWT_LEEWAY", "FLASK_JWT_JWKS_MAX_AGE"
DEFAULTS = {LIFETIME: 300.0, LONGEST: 3600.0, LEEWAY: 10.0, MAX_AGE: 300.0}


class Releases(Protocol):
    """What is asked of an app's releases: `App` in release/places.py, which this room must not use."""

    def serving(self) -> str | None: ...
    def known(self) -> list[str]: ...
    def path(self, release: str, *names: str) -> str: ...
    def state(self, release: str) -> dict[str, Any]: ...


class Waits:
    """How long keys must overlap, in seconds.

    :param lifetime: of a token.
    :param leeway: after its end.
    :param max_age: how long others keep the published keys.
    :ivar publish: from the publication of a key until it may sign.
    :ivar overlap: from its last signature until a key may go.
    """

    def __init__(self, lifetime: float, leeway: float, max_age: float) -> None:
        self.publish = max_age + SETTLE
        self.overlap = max_age + lifetime + leeway + SETTLE


def waits_of(app: Releases) -> Waits:
    """Return the longest waits of any release whose tokens, or copies of its published keys, may still live."""
    serving, figures = app.serving(), []
    for release in app.known():
        environment = files.read_json(app.path(release, "env.json"), {})
        mine = {name: _seconds(environment.get(name), default) for name, default in DEFAULTS.items()}
        mine[LONGEST] = max(mine[LONGEST], mine[LIFETIME])
        state = app.state(release)
        last = time.time() if release == serving else state.get("since", 0) if "switched" in state else 0
        if last + max(mine[LONGEST] + mine[LEEWAY], mine[MAX_AGE]) > time.time():
            figures.append(mine)
    longest = {name: max((mine[name] for mine in figures), default=DEFAULTS[name]) for name in DEFAULTS}
    return Waits(longest[LONGEST], longest[LEEWAY], longest[MAX_AGE])


def _seconds(text: Any, default: float) -> float:
    try:
        return max(float(text), 0.0)
    except (TypeError, ValueError):
        return default


class Keeper:
    """Do what is due.

    :param ring: the host's :class:`KeyDirectory`.
    :param declared: keys that the inventory holds, the first of which signs; none if the host makes its own.
    :param algorithm: of a key that the host makes.
    :ivar wants_key: whether a dry run would have made a key.
    """

    def __init__(self, ring: KeyDirectory, waits: Waits, algorithm: str, declared: Iterable[Pem] = ()) -> None:
        self.ring, self.waits, self.algorithm = ring, waits, algorithm
        self.declared = {pem.kid: pem for pem in declared}
        self.wants_key = False

    def keep(self, rotate: bool = False, after: float = 0.0, revoke: str = "") -> None:
        """Take each step that is due; with `rotate` begin a rotation where none is under way.

        :param after: age in seconds below which the signing key is left.
        :param revoke: id of a key to take away at once, or `current`.
        """
        self._refuse_gone()
        self.ring.tidy(self.declared)
        idle = not self.next()
        if revoke:
            self._condemn(revoke)
        for pem in self.declared.values():
            self.ring.publish(pem)
        self._replace_signer()
        self._sign()
        self._retire()
        if not self.declared and not self.wants_key and idle and not revoke:
            self._begin(rotate and time.time() - self.ring.published[self.ring.signer] >= after)
        self.ring.save()

    def _refuse_gone(self) -> None:
        for kid in self.declared.keys() & self.ring.gone.keys():
            at, why = self.ring.gone[kid]
            on = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at))
            raise KeysError(
                f"tokens_keys: the key {kid} was {why} here on {on} and does not come back; "
                "your inventory is older than the host: fetch its newest version"
            )

    def _condemn(self, revoke: str) -> None:
        ring = self.ring
        pending = [kid for kid in ring.keys if kid in ring.gone]
        kid = ring.signer if revoke == "current" and not pending else revoke
        if kid == "current" or kid in ring.gone:
            return  # a revocation that was cut off, or is done
        if kid not in ring.keys and not self.declared:
            raise KeysError(f"tokens_revoke: there is no key {kid}; there are: {', '.join(ring.keys) or 'none'}")
        if kid in self.declared:
            raise KeysError(f"tokens_revoke: tokens_keys still holds {kid}; take it out first")
        ring.condemn(kid, "revoked")

    def _replace_signer(self) -> None:
        """Let another key sign at once where none does or the one that does must go; drop what must go."""
        ring = self.ring
        if ring.signer is None or ring.signer in ring.gone:
            successor = self._successor() or self._make()
            if not successor:
                return
            ring.sign(successor)
        for kid in [kid for kid in ring.keys if kid in ring.gone]:
            ring.drop(kid)

    def _successor(self) -> str | None:
        """Return the id of the key that signs next: the inventory's first, or the one that waits."""
        return next(iter(self.declared)) if self.declared else self._waiting()

    def _waiting(self) -> str | None:
        """Return the id of the key that has been published longest and did not sign yet."""
        waiting = [
            kid
            for kid, pem in self.ring.keys.items()
            if pem.private and kid != self.ring.signer and kid not in self.ring.former and kid not in self.ring.gone
        ]
        return min(waiting, key=lambda kid: self.ring.published.get(kid, 0), default=None)

    def _make(self) -> str | None:
        """Publish a new key and return its id; a dry run makes none."""
        if self.ring.dry:
            self.wants_key = True
            return None
        pem = make(self.algorithm)
        self.ring.publish(pem)
        return pem.kid

    def _sign(self) -> None:
        successor = self._successor()
        if successor and successor != self.ring.signer and time.time() >= self._signs_at(successor):
            self.ring.sign(successor)

    def _signs_at(self, kid: str) -> float:
        return self.ring.published[kid] + self.waits.publish

    def _retire(self) -> None:
        """Take away keys whose last token is dead; of the inventory's it takes those that it no longer holds."""
        ring = self.ring
        for kid in list(ring.keys):
            unused = self.declared and kid != ring.signer and kid not in ring.former  # never signed
            due = time.time() >= ring.former.get(kid, float("inf")) + self.waits.overlap
            if kid not in self.declared and (due or unused):
                ring.condemn(kid, "retired")
                ring.drop(kid)

    def _begin(self, rotate: bool) -> None:
        """Publish a new key where one is asked for, or where the one that signs is of another kind."""
        if not rotate and self.ring.keys[self.ring.signer].algorithm == self.algorithm:
            return
        self._make()

    def next(self) -> dict[str, Any]:
        """Return the next step as {what, key, at}, `at` in seconds since 1970; {} if none is to come."""
        successor = self._successor()
        if successor == self.ring.signer:
            successor = self._waiting()
        if self.ring.signer and successor:
            at = self._signs_at(successor) if successor in self.ring.published else time.time()
            return {"what": "sign", "key": successor, "at": at}
        if self.ring.former:
            kid = min(self.ring.former, key=self.ring.former.get)
            return {"what": "retire", "key": kid, "at": self.ring.former[kid] + self.waits.overlap}
        return {}
