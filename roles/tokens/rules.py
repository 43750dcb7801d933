"""Which values of role tokens' variables can work."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from inventory_check.values import existing_file, number, pattern

# What judges keys on a host judges them here.
sys.path.append(os.path.join(os.path.dirname(__file__), "..", "..", "plugins", "module_utils"))

from flask_deploy.keys.pem import Pem, PemError

MAKE_KEY = {
    "RS256": "openssl genrsa 3072",
    "ES256": "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
    "EdDSA": "openssl genpkey -algorithm ed25519",
}
TO_VAULT = "ansible-playbook playbooks/vault_keys.yml -i inventories/production --ask-vault-pass"


CHECKS = {
    "tokens_rotate_after": number(0, 3650),
    "tokens_revoke": pattern(re.compile(r"(current|[A-Za-z0-9_-]{43})?"), "tokens_revoke: current"),
    "tokens_import": existing_file,
}
# Shown where a variable has no default that could serve as an example.
EXAMPLES: dict[str, Any] = {}


def check_together(values: dict[str, Any], hosts: list[str]) -> list[str]:
    """Return what is wrong with the keys that sign tokens; several hosts need the same."""
    texts, algorithm = values["tokens_keys"], values["tokens_algorithm"]
    if algorithm == "none" and texts:
        return ["tokens_keys: nothing signs with them; write tokens_algorithm: RS256, as the first is, or remove them"]
    if algorithm == "none":
        return []
    if len(hosts) > 1 and not texts:
        return [f"tokens_keys: several hosts must sign with the same keys; put them into the vault: {TO_VAULT}"]
    return [f"tokens_keys: {said}" for said in judge(texts, algorithm)][:1]


def unasked(values: dict[str, Any], variables: Mapping[str, Any]) -> list[str]:
    """Return a line on keys that a host holds, where the inventory does not say whether the app signs with them.

    They were made without a word before. The app finds them still; nothing looks after them.
    """
    if "tokens_algorithm" in variables:
        return []
    where = f"/etc/{values['app_name']}/jwt"
    return [
        f"tokens_algorithm: the keys in {where} stay, and no deploy looks after them; write tokens_algorithm: RS256, "
        "or none if the app signs no tokens"
    ]


def judge(texts: list[str], algorithm: str) -> Iterator[str]:
    """Say what is wrong with keys, the first of which signs with an algorithm."""
    kids: list[str] = []
    for text in texts:
        try:
            pem = Pem(text)
        except PemError as error:
            yield f"{error}; make one: {MAKE_KEY[algorithm]}"
            continue
        if not kids and not pem.private:
            yield f"the first is a public key and cannot sign; make one: {MAKE_KEY[algorithm]}"
        elif not kids and pem.algorithm != algorithm:
            yield f"the first is not a key for {algorithm}; make one: {MAKE_KEY[algorithm]}"
        elif pem.kid in kids:
            yield f"the key {pem.kid} is there twice; remove one"
        kids.append(pem.kid)
