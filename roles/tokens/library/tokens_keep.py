#!/usr/bin/python
"""Keep the signing keys of an app on this host."""

from __future__ import annotations

import os
import time
from contextlib import nullcontext
from typing import Any

from ansible.module_utils.basic import missing_required_lib
from ansible.module_utils.flask_deploy.host import files, locks
from ansible.module_utils.flask_deploy.host.module import QuietModule
from ansible.module_utils.flask_deploy.release import places

try:
    from ansible.module_utils.flask_deploy.keys import directory, rotation
    from ansible.module_utils.flask_deploy.keys.pem import Pem, PemError
except ImportError as error:  # cryptography comes with the role's packages
    if (error.name or "").partition(".")[0] != "cryptography":
        raise
    directory = None

DOCUMENTATION = r"""
module: tokens_keep
short_description: Keep the signing keys of an app on this host
description:
  - Takes each step of a key's life that is due, and tells what comes next and when.
  - A key is published, signs once every cache has it, then verifies until its last token is dead, then goes.
  - A key that went does not come back.
  - Where the inventory holds none, the host makes its own; no other machine sees it.
options:
  app: {type: str, required: true, description: Name of the app.}
  uid: {type: int, required: true, description: User id the app runs as.}
  algorithm: {type: str, required: true, description: Algorithm of keys that the host makes for itself.}
  keys:
    type: list
    elements: str
    default: []
    description: PEM texts that the inventory holds, the first of which signs; without any the host keeps its own.
  rotate: {type: bool, default: false, description: Begin a rotation where none is under way.}
  rotate_after: {type: float, default: 0, description: Days; a key younger than that is left.}
  revoke: {type: str, default: "", description: "Id of a key to take away at once, or C(current)."}
  export: {type: bool, default: false, description: Only return the keys.}
author: [flask-deploy contributors]
"""

EXAMPLES = r"""
- name: Keep the signing keys
  tokens_keep:
    app: shop
    uid: 10001
    algorithm: RS256
"""

RETURN = r"""
actions: {type: list, returned: always, description: What was, or would be, done.}
signing: {type: str, returned: always, description: Id of the key that signs.}
held: {type: list, returned: always, description: Id, algorithm, use, since when and how long to wait of each key.}
next: {type: dict, returned: always, description: "The next step: what, key, at, and seconds until then; or empty."}
waits: {type: dict, returned: always, description: Seconds before a new key signs, and until the old one goes.}
message: {type: list, returned: always, description: The same for people.}
exported: {type: list, returned: with export, description: "PEM texts of the keys, the one that signs first."}
"""

WORDS = {"sign": "signs", "retire": "goes"}


def use(ring: directory.KeyDirectory, kid: str) -> str:
    if kid == ring.signer:
        return "signs"
    return "verifies" if kid in ring.former else "is published"


def describe(ring: directory.KeyDirectory, keeper: rotation.Keeper) -> dict[str, Any]:
    """Return what a run found and did, for the module's caller."""
    now, step = time.time(), keeper.next()
    keys = []
    for kid, pem in ring.keys.items():
        since = ring.former.get(kid, ring.published.get(kid, now))
        key = {"kid": kid, "algorithm": pem.algorithm, "use": use(ring, kid), "since": since}
        key["days"] = (now - since) / 86400
        key["wait"] = since + (keeper.waits.overlap if kid in ring.former else keeper.waits.publish) - now
        keys.append(key)
    if step:
        step["seconds"] = max(0, round(step["at"] - now + 0.5))
    lines = [f"{key['kid']} ({key['algorithm']}) {key['use']}" for key in keys]
    if step:
        at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(step["at"]))
        lines.append(f"next: {step['key']} {WORDS[step['what']]} at {at}, in {step['seconds']} s at the earliest")
    return {
        "actions": ring.actions,
        "signing": ring.signer,
        "held": keys,
        "next": step,
        "waits": vars(keeper.waits),
        "message": lines,
    }


def listing(folder: str) -> str:
    """Return the directory in words, for a diff; no key is in it."""
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    halves = {name: b"PRIVATE" in files.read(f"{folder}/{name}", b"") for name in names if name.endswith(".pem")}
    lines = [f"{name} ({'private' if private else 'public'})\n" for name, private in halves.items()]
    signing = files.read(f"{folder}/signing")
    return "".join([*lines, *([f"signing: {signing.decode(errors='replace')}"] if signing else [])])


def export(folder: str) -> list[str]:
    """Return the PEM texts on this host, the one that signs first."""
    signing = (files.read(f"{folder}/signing") or b"").decode(errors="replace").strip()
    names = [name for name in (os.listdir(folder) if os.path.isdir(folder) else []) if name.endswith(".pem")]
    names.sort(key=lambda name: (name != signing, name))
    return [files.read(f"{folder}/{name}", b"").decode(errors="replace") for name in names]


def pem(text: str, variable: str) -> Pem:
    try:
        return Pem(text)
    except PemError as error:
        raise directory.KeysError(f"{variable}: {error}") from None


def keep(app: places.App, folder: str, options: dict[str, Any], dry: bool) -> dict[str, Any]:
    ring = directory.KeyDirectory(folder, (app.uid, app.gid), dry, lenient=bool(options["revoke"]))
    declared = [pem(text, "tokens_keys") for text in options["keys"]]
    keeper = rotation.Keeper(ring, rotation.waits_of(app), options["algorithm"], declared)
    keeper.keep(options["rotate"], options["rotate_after"] * 86400, options["revoke"])
    if keeper.wants_key:
        ring.actions.append(f"a new key for {options['algorithm']}")
    return describe(ring, keeper)


def arguments() -> dict[str, Any]:
    return {
        "app": {"type": "str", "required": True},
        "uid": {"type": "int", "required": True},
        "algorithm": {"type": "str", "required": True},
        "keys": {"type": "list", "elements": "str", "default": [], "no_log": True},
        "rotate": {"type": "bool", "default": False},
        "rotate_after": {"type": "float", "default": 0},
        "revoke": {"type": "str", "default": ""},
        "export": {"type": "bool", "default": False},
    }


def main() -> None:
    module = QuietModule(argument_spec=arguments(), supports_check_mode=True)
    options, dry = module.params, module.check_mode
    app = places.App(options["app"], options["uid"])
    folder = f"{app.etc}/jwt"
    if options["export"]:
        module.exit_json(changed=False, exported=export(folder))
    if directory is None and not dry:
        module.fail_json(msg=missing_required_lib("python3-cryptography"))
    if directory is None:  # a dry run on a bare host
        module.exit_json(changed=True, actions=["a signing key"], next={}, message=[])
    try:
        if not dry and not os.path.isdir(folder):
            files.ensure_directory(app.etc)
            files.ensure_directory(folder, 0o500, app.uid, app.gid)
        with nullcontext() if dry else locks.locked(f"{locks.RUN}/{app.name}.keys"):  # the app can lock what it reads
            before = listing(folder)
            result = keep(app, folder, options, dry)
    except (directory.KeysError, locks.LockError) as error:
        module.fail_json(msg=str(error))
    revoked = not dry and any(action.endswith("is revoked") for action in result["actions"])
    if revoked:
        time.sleep(directory.SETTLE)  # now every worker refuses it
    after = listing(folder) if not dry else before + "".join(f"# {action}\n" for action in result["actions"])
    module.exit_json(
        changed=bool(result["actions"]),
        diff={"before_header": folder, "after_header": folder, "before": before, "after": after},
        **result,
    )


if __name__ == "__main__":
    main()
