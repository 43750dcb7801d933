"""What all modules are made of."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.basic import AnsibleModule


class QuietModule(AnsibleModule):
    """Writes to the host's log that it ran, and not with what: environments and files are nobody else's to read.

    Marking options with `no_log` would mask each of their values, such as `1`, in all that Ansible says.
    """

    def log(self, msg: str, log_args: dict[str, Any] | None = None) -> None:
        super().log("Invoked" if log_args else msg)
