"""What was on a host before: whose a file is, what apt would remove, what was taken over, and copies of it."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import Any

RECORD = "/var/lib/flask-deploy/host.json"
COPY = "before-flask-deploy"
WAY_OUT = (
    'type -e \'{{"host_adopt": ["{0}"]}}\' to take it over: copies are kept, and what can work on does '
    "(roles/host/README.md); or deploy to a host of its own"
)


def run(*command: str, timeout: float = 60) -> tuple[int, str]:
    """Return (exit code, output) of a command; 127 where there is none, 124 where it does not end."""
    environment = {**os.environ, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, timeout=timeout, env=environment
        )
    except FileNotFoundError:
        return 127, f"there is no {command[0]}"
    except subprocess.TimeoutExpired:
        return 124, f"{' '.join(command)} did not end within {timeout} s"
    return done.returncode, done.stdout + done.stderr


def read(path: str) -> str | None:
    """Return a file's text; None where there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


# -- packages --------------------------------------------------------------------------------


def installed(*packages: str) -> set[str]:
    """Return which of these packages are installed."""
    _code, said = run("dpkg-query", "--show", "--showformat=${db:Status-Status} ${Package}\\n", *packages)
    return {line.split()[1] for line in said.splitlines() if line.startswith("installed ")}


def shipped(path: str) -> bool:
    """Tell whether a file is as its package brought it (dpkg-query(1), Conffiles)."""
    _code, said = run("dpkg-query", "--show", "--showformat=${Conffiles}\\n")
    found = re.search(rf"^ {re.escape(path)} ([0-9a-f]{{32}})", said, re.MULTILINE)
    text = read(path)
    return bool(found and text is not None and hashlib.md5(_bytes(path)).hexdigest() == found[1])  # noqa: S324


def _bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def removed_by(packages: Sequence[str]) -> list[str]:
    """Return a line where apt would remove a package, or break one, to install these."""
    if not packages or installed(*packages) >= set(packages):
        return []
    code, said = run("apt-get", "--simulate", "--no-install-recommends", "install", *packages, timeout=120)
    gone = sorted(set(re.findall(r"^Remv (\S+)", said, re.MULTILINE)))
    if gone:
        return [
            f"apt would remove {', '.join(gone)} to install {', '.join(packages)}; remove what nothing needs yourself: "
            f"sudo apt remove {' '.join(gone)}; or deploy to a host of its own"
        ]
    if code and re.search("unmet dependencies|held broken", said):
        why = " ".join(line.strip() for line in said.splitlines() if re.search("Depends|Conflicts|Breaks", line))
        return [f"apt cannot install {', '.join(packages)}: {why[:400]}; type there: sudo apt install -f"]
    return []


# -- what was taken over ---------------------------------------------------------------------


def record() -> dict[str, Any]:
    """Return {"docker" or "nginx": what was found when it became ours}."""
    try:
        return json.loads(read(RECORD) or "{}")
    except ValueError:
        return {}


def remember(what: str, found: dict[str, Any]) -> None:
    """Write down that something is ours from now on, and what to keep of what was there."""
    open_directory(os.path.dirname(RECORD))
    write(RECORD, json.dumps({**record(), what: found}, indent=2, sort_keys=True) + "\n")


def open_directory(path: str) -> None:
    """Make a directory, where it is missing, that everybody may read, whatever the umask."""
    if not os.path.isdir(path):
        os.makedirs(path)
        os.chmod(path, 0o755)


def write(path: str, text: str, mode: int = 0o644) -> None:
    """Put a text at a path in one step."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=os.path.dirname(path), delete=False) as file:
        file.write(text)
        os.fchmod(file.fileno(), mode)
        file.flush()
        os.fsync(file.fileno())
    os.replace(file.name, path)


def keep_copy(path: str) -> str | None:
    """Keep a dated copy beside a file that is to be replaced; return its path, or None where one is there."""
    copies = glob.glob(f"{glob.escape(path)}.{COPY}-*")
    if any(_bytes(copy) == _bytes(path) for copy in copies):
        return None
    copy = f"{path}.{COPY}-{time.strftime('%Y%m%dT%H%M%S')}"
    shutil.copy2(path, copy)
    return copy
