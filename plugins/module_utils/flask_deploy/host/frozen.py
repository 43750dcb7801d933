"""What pip freeze writes of the machine that it ran on, as uv and pip refuse it on another, and what to do about it."""

from __future__ import annotations

ABSENT = r"[^\n]{0,40}?(?:has no (?:usable )?wheels|was not found in|doesn't have a source)"
# Of Debian's and Ubuntu's own Python; no index has them.
OF_DEBIAN = (
    "apturl|command-not-found|cupshelpers|language-selector|python-apt|screen-resolution-extra|ubuntu-\\w[\\w-]*|ufw|"
    "unattended-upgrades|usb-creator|xkit"
)
FROZEN = [
    (
        r"Distribution not found at: file:///(?:[A-Za-z]:/|home/|Users/|private/|croot/|tmp/|opt/|work/|[^\n]*conda)",
        "pip freeze wrote where conda had that package. There, type: pip list --format=freeze > requirements.txt",
    ),
    (
        r"\b(pkg[-_]resources) was not found|No matching distribution found for (pkg[-_]resources)",
        "there is no package {0}; pip freeze of Ubuntu lists it. Take the line {0}==0.0.0 out of the app's list",
    ),
    (
        rf"\b({OF_DEBIAN}) was not found in|No matching distribution found for ({OF_DEBIAN})\b",
        "{0} is a part of Ubuntu, and pip freeze listed all that it found there. Install what the app needs into a "
        "virtual environment, and type pip freeze in that",
    ),
    (
        rf"\b(pywin32|pypiwin32|pywinpty|windows-curses|winsdk|wmi)\b{ABSENT}|Failed to build `(pywinpty|wmi)[=@`]"
        r"|No matching distribution found for (pywin32|pypiwin32|pywinpty|windows-curses|winsdk|wmi)\b",
        "{0} is for Windows alone. Where the app lists it: {0}; sys_platform == 'win32'",
    ),
    (
        rf"\b(pyobjc[\w-]*){ABSENT}|Failed to build `(pyobjc[\w-]*)",
        "{0} is for macOS alone. Where the app lists it: {0}; sys_platform == 'darwin'",
    ),
    (
        r"Unexpected '([^'\x00]+)', expected '-c'[^\n]*: ([^:\s]+:\d+):\d+",
        "correct {1} (file:line): {0} begins no requirement",
    ),
    (
        r"Error parsing included file in `([^`]+)`[^\n]*\n[^\n]*`([^`]+)`: No such file",
        "{0} includes {1}, which the source does not have: git has to list it, or take that line out",
    ),
    (
        r"unauthenticated git protocol on port 9418",
        "GitHub answers git:// no more: write git+https:// where the app lists it",
    ),
]
