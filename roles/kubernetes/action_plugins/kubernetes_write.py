"""Write an app's manifests on the controller, or say why they cannot be written; no host is asked."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import ansible.module_utils
from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

ROLE = Path(__file__).resolve().parents[1]
sys.path.append(str(ROLE / "plugin_utils"))
ansible.module_utils.__path__ += [
    str(ROLE.parents[1] / "plugins" / "module_utils"),
    str(ROLE.parent / "host" / "module_utils"),
]

from ansible.module_utils.host_ruleset import PRIVATE
from manifests import MARK, Refused, readme, render

NUMBERS = ("hosts", "uid", "command_timeout", "start_timeout", "stop_timeout", "watch", "keep")
BEGIN = 400  # bytes in which a file of ours says so
TOP = ("1-before", "2-app")  # directories of ours


class ActionModule(ActionBase):
    """Render everything first, then write what differs, and remove what an earlier run wrote and is no more."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        asked = dict(self._task.args)
        place = Path(asked.pop("directory")).expanduser().absolute()
        try:
            wanted = render(typed(asked))
        except Refused as error:
            lines = "\n".join(f"  {line}" for line in str(error).splitlines())
            raise AnsibleActionFail(f"nothing was written; to be mended:\n{lines}") from None
        if why := refused(place):
            raise AnsibleActionFail(f"kubernetes_directory: {why}; example: -e kubernetes_directory=shop-kubernetes")
        changed = [path for path, text in wanted.items() if read(place / path) != text]
        gone = [path for path in ours(place) if path not in wanted]
        would = "would write" if self._task.check_mode else "wrote"
        if not self._task.check_mode:
            for path in changed:
                write(place / path, wanted[path])
            for path in gone:
                (place / path).unlink()
        done = f"{would} {len(changed)} files, removed {len(gone)}" if changed or gone else "nothing changed"
        Display().display(f"\n{place}: {len(wanted)} files, {done}; read {place / readme.FILE}")
        return {"changed": bool(changed or gone), "path": str(place), "files": sorted(wanted)}


def typed(asked: dict[str, Any]) -> dict[str, Any]:
    """Return what was asked as its types: the command line gives text."""
    asked = json.loads(json.dumps(plain(asked)))  # without what Ansible notes of each value
    networks = [each.strip() for networks in PRIVATE.values() for each in networks.split(",")]
    numbers = {name: int(asked[name]) for name in NUMBERS}
    switches = {name: boolean(asked[name]) for name in ("keys", "firewall")}
    return {**asked, **numbers, **switches, "cpus": float(asked["cpus"]), "closed": networks}


def plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list) else value


def refused(place: Path) -> str:
    """Return why manifests cannot be written to a directory; "" where they can."""
    if place.exists() and not place.is_dir():
        return f"{place} is no directory"
    above = next(folder for folder in (place, *place.parents) if folder.exists())
    if not os.access(above, os.W_OK | os.X_OK):
        return f"the directory {above} cannot be written to"
    if not place.exists() or not any(place.iterdir()):
        return ""
    said = (read(place / readme.FILE) or "")[:BEGIN]
    return (
        "" if said.startswith(readme.MARK) else f"{place} is there and is not of an earlier run; it is not overwritten"
    )


def ours(place: Path) -> list[str]:
    """Return the manifests that an earlier run wrote, as paths below the directory; what others put there is theirs."""
    found = [path for top in TOP for path in sorted((place / top).glob("*.yaml"))]
    return [path.relative_to(place).as_posix() for path in found if (read(path) or "").startswith(MARK)]


def read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None


def write(path: Path, text: str) -> None:
    """Write a file at once or not at all, with the mode that new files have."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, made = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(made, 0o666 & ~mask)
        os.replace(made, path)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise
