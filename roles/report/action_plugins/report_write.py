"""Write the page on the controller; or, before anything is asked, say why it could not be written."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

sys.path += [
    os.path.join(os.path.dirname(os.path.dirname(__file__)), "plugin_utils"),
    os.path.join(os.path.dirname(os.path.dirname(__file__)), "..", "..", "plugins", "callback"),
]

import tool_words
from html_page import MARK, page

STYLE = Path(__file__).resolve().parents[1] / "files" / "report.css"
BEGIN = 400  # bytes in which a page of ours says so
SAID = ("what", "type")  # of a finding: these name commands
KNOWN = ("app", "environment", "told", "seen", "statuses", "findings")


class ActionModule(ActionBase):
    """Write the page from what all hosts told; without that, only look whether it can be written."""

    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        super().run(tmp, task_vars)
        asked = self._task.args
        path = Path(asked["file"]).expanduser().absolute()
        if why := refused(path):
            raise AnsibleActionFail(f"report_file: {why}; example: -e report_file=report.html")
        if "told" not in asked:
            return {"changed": False}
        known = {**{name: asked[name] for name in KNOWN}, "hosts": asked["asked"], "at": time.time()}
        known["told"] = {host: told for host, told in known["told"].items() if "traffic" in told}
        known["findings"] = in_words_of_the_tool(known["findings"])
        if self._task.check_mode:
            Display().display(f"\nwould write the report {path}")
            return {"changed": True}
        write(path, page(known, STYLE.read_text(encoding="utf-8")))
        Display().display(f"\nreport: {path}")
        return {"changed": False, "path": str(path)}


def in_words_of_the_tool(findings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return findings whose commands are those of flask-deploy, where that began the run."""
    environment = os.environ.get("FLASK_DEPLOY_ENVIRONMENT")
    if environment is None:
        return findings
    return [{**each, **{name: tool_words.typed(each[name], environment) for name in SAID}} for each in findings]


def refused(path: Path) -> str:
    """Return why no page can be written to a path; "" where it can."""
    if not path.parent.is_dir():
        return f"there is no directory {path.parent}"
    if not os.access(path.parent, os.W_OK):
        return f"the directory {path.parent} cannot be written to"
    if path.is_dir():
        return f"{path} is a directory"
    try:
        with path.open("rb") as file:
            ours = MARK.encode() in file.read(BEGIN)
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"{path}: {error.strerror}"
    return "" if ours else f"{path} is there and is no report; it is not replaced"


def write(path: Path, text: str) -> None:
    """Write a file at once or not at all, with the mode that new files have."""
    handle, made = tempfile.mkstemp(dir=path.parent, prefix=".report-")
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
