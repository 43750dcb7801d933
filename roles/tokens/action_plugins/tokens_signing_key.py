"""Make a signing key on the controller, with what ansible-core itself depends on; it is never written down here."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

MAKE = {
    "RS256": lambda: rsa.generate_private_key(65537, 3072),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


def make(algorithm: str) -> str:
    """Return the PEM text of a new private key (PKCS#8)."""
    return MAKE[algorithm]().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


class ActionModule(ActionBase):
    """Returns ``privatekey``, a new one for ``algorithm``; a dry run makes none."""

    _requires_connection = False
    _supports_check_mode = False
    _VALID_ARGS = frozenset({"algorithm"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        # What holds a key is shown nowhere, whatever the task says.
        return {"changed": True, "privatekey": make(self._task.args["algorithm"]), "_ansible_no_log": True}
