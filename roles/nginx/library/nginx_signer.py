#!/usr/bin/python
"""Tell the CA that signs for an app's hosts behind balancers."""

from __future__ import annotations

import os
import tempfile

from ansible.module_utils.flask_deploy.host import command, files
from ansible.module_utils.flask_deploy.host.module import QuietModule

DOCUMENTATION = r"""
module: nginx_signer
short_description: Tell the CA that signs for an app's hosts behind balancers
description:
  - Reads the CA that this host has, and makes another one for where no host has any. Writes nothing.
options:
  owner: {type: str, required: true, description: Directory of the app below /etc.}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Ask for the CA that balancers trust
  nginx_signer:
    owner: shop
"""

RETURN = r"""
signer: {type: dict, returned: success, description: "certificate and key in PEM that this host has; empty for none."}
fresh: {type: dict, returned: success, description: The same of one that was just made.}
"""

DAYS = 7300  # the hosts get certificates of a year, each by itself
PATIENCE = 60  # seconds


class SignerError(Exception):
    """There is no CA; the message is for the person who deploys."""


def fresh(owner: str) -> dict[str, str]:
    """Return a new CA (openssl-req(1)).

    :raises SignerError: openssl makes none.
    """
    with tempfile.TemporaryDirectory(prefix="flask-deploy-ca-", dir="/run") as place:
        paths = {"certificate": f"{place}/ca.crt", "key": f"{place}/ca.key"}
        words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        words += ["-days", str(DAYS), "-subj", f"/CN=hosts of {owner}", "-out", paths["certificate"]]
        words += ["-addext", "keyUsage=critical,keyCertSign,cRLSign", "-keyout", paths["key"]]
        command.run(*words, error=SignerError, limit=PATIENCE)
        return {name: (files.read(path) or b"").decode() for name, path in paths.items()}


def main() -> None:
    module = QuietModule(argument_spec={"owner": {"type": "str", "required": True}}, supports_check_mode=True)
    owner = module.params["owner"]
    known = files.read_json(f"/etc/{owner}/tls/settings.json", {}).get("signer") or {}
    made: dict[str, str] = {}
    if not known and not (module.check_mode and not os.path.exists("/usr/bin/openssl")):
        try:
            made = fresh(owner)
        except SignerError as error:
            module.fail_json(msg=str(error))
    module.exit_json(changed=False, signer=known, fresh=made)


if __name__ == "__main__":
    main()
