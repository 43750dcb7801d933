"""The vault's signing keys: the first signs, another private one is next, public ones are former."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.flask_deploy.keys.pem import Pem


class VaultError(Exception):
    """The vault cannot be brought forward; the message is for the person who types."""


def gather(known: list[str], exported: list[list[str]], imported: str) -> list[str]:
    """Return keys that log nobody out: those of the vault, of the hosts, and an imported one that signs next.

    :param known: PEM texts of the vault.
    :param exported: for each host the PEM texts on it, the one that signs first.
    :param imported: PEM text of a private key, or "".
    """
    keys = {pem.kid: pem for pem in map(Pem, known)}
    for texts in exported:
        for pem in map(Pem, texts):
            keys.setdefault(pem.kid, pem if not keys else pem.public())
    if imported:
        pem = Pem(imported)
        if not pem.private:
            raise VaultError("tokens_import: is a public key and cannot sign; name the private one")
        keys.setdefault(pem.kid, pem)
    return [pem.text for pem in keys.values()]


def condemned(known: list[str], looks: list[dict[str, Any]], revoke: str) -> str:
    """Return the id that a revocation means: `current` is what signs and what the vault no longer or first names."""
    kids = [pem.kid for pem in map(Pem, known)]
    signing = [look["signing"] for look in looks if look.get("signing")]
    if revoke == "current":
        return next((kid for kid in signing if kid not in kids), kids[0])
    here = {*kids, *(key["kid"] for look in looks for key in look["held"])}
    if revoke not in here:
        raise VaultError(f"tokens_revoke: there is no key {revoke}; there are: {', '.join(sorted(here))}")
    return revoke


def advance(
    known: list[str],
    looks: list[dict[str, Any]],
    rotate: bool = False,
    after: float = 0,
    gone: str | None = None,
    fresh: str | None = None,
) -> tuple[list[str], bool]:
    """Return (PEM texts that the vault should hold, whether a new key is wanted), one step on.

    No step is taken before every host has made the one before and waited as long as it must.

    :param looks: what module tokens_keep returned on each host.
    :param after: days below which the signing key is left.
    :param gone: id of a key to take out at once.
    :param fresh: PEM text of a new private key, used where one is wanted.
    """
    keys = [Pem(text) for text in known]
    if gone:
        return _without(keys, gone, fresh)
    signer, waiting = keys[0], [pem for pem in keys[1:] if pem.private]
    former = [pem for pem in keys if not pem.private]
    if any(look["signing"] != signer.kid or {key["kid"] for key in look["held"]} < _ids(keys) for look in looks):
        return known, False
    if waiting and _due(looks, waiting[0].kid):
        keys = [waiting[0], signer.public(), *waiting[1:], *former]
    elif not waiting and any(_due(looks, pem.kid) for pem in former):
        keys = [pem for pem in keys if pem.private or not _due(looks, pem.kid)]
    elif not waiting and not former and rotate and _age(looks, signer.kid) >= after:
        return ([*known, fresh], False) if fresh else (known, True)
    return [pem.text for pem in keys], False


def _without(keys: list[Pem], gone: str, fresh: str | None) -> tuple[list[str], bool]:
    left = [pem for pem in keys if pem.kid != gone]
    left.sort(key=lambda pem: not pem.private)
    if left and left[0].private:
        return [pem.text for pem in left], False
    texts = [pem.text for pem in left]
    return ([fresh, *texts], False) if fresh else ([pem.text for pem in keys], True)


def _ids(keys: list[Pem]) -> set[str]:
    return {pem.kid for pem in keys}


def _held(looks: list[dict[str, Any]], kid: str) -> list[dict[str, Any]]:
    return [key for look in looks for key in look["held"] if key["kid"] == kid]


def _due(looks: list[dict[str, Any]], kid: str) -> bool:
    """Tell whether a key's wait is over on every host."""
    return all(key["wait"] <= 0 for key in _held(looks, kid))


def _age(looks: list[dict[str, Any]], kid: str) -> float:
    return min(key["days"] for key in _held(looks, kid))
