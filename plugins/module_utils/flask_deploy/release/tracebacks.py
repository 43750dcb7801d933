"""What an app said that went wrong: Python's tracebacks and lines of errors, told apart from what its server adds."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

BEGIN = "Traceback (most recent call last):"
LINKS = ("During handling of the above exception", "The above exception was the direct cause")
FRAME = re.compile(r'\s*File "([^"]+)", line (\d+)')
SERVER = re.compile(r"/gunicorn/|/importlib/|<frozen importlib|/release/|/bin/(gunicorn|flask|alembic)$")
LIBRARY = re.compile(r"/(site|dist)-packages/|/lib/python3|<frozen|^<|^src/g(event|reenlet)/|\.pyx$")
# An error without a traceback: an exception that was printed, or a server's, a shell's or a command's own words.
ERROR = re.compile(
    r"[\w.]*(Error|Exception)\b|(\w+\.)+[A-Z]\w+: |Failed to (find|parse)|.*\] \[(ERROR|CRITICAL)\] |FATAL\b"
    r"|\S+: no such command in the image|(?!- ).*No module named"
    r"|.*(?i:executable file not found|command not found|address already in use|exec format error)"
    r"|\s*FAILED: |ERROR +\[(flask_migrate|alembic[\w.]*)\] |\[[^\]]*: (ERROR|CRITICAL)/MainProcess\] "
    r"|ERROR: +(Error loading ASGI app|\[Errno )|.*\bError -?\d+ connecting to |\S+: error: "
    r"|Bad (module|application) '|\d+\. module '|.* version [`'][^'`]+' not found \(required by "
    r"|\S*python\S*: can't open file |(\S*/)?env: \S+: No such|.*: bad interpreter"
    r"|exec \S+: no such file"
    r"|.*\b\d+: (exec: )?\S+: (not found|Permission denied|unbound variable|parameter (null or )?not set)$"
)
# What gunicorn and uvicorn say of every failure, and say nothing with.
EMPTY = re.compile(
    r"Exception in (worker process|ASGI application)|Error handling request|Application startup failed"
    r"|\(pid:\d+\) (exited with code|was sent SIG(TERM|ABRT|QUIT))"
    r"|Worker failed to boot|App failed to load|Shutting down: Master|^SystemExit|^KeyboardInterrupt|sent SIGKILL!"
)
# Flask's own word on an app that it cannot load; each command of the app is unknown to it then, and it says so last.
NOT_LOADED = re.compile(r"Error: (While importing|Could not import|Could not locate|Failed to (find|parse)|Detected )")
UNKNOWN = "Error: No such command"
HALT = "HaltServer"
LOG = re.compile(r"\[?\d{4}-\d\d-\d\d|(INFO|ERROR|WARNING|DEBUG|CRITICAL)\b|\(Background on this error")
MESSAGE = 4  # lines of an exception's message


@dataclass
class Cause:
    """Something that went wrong: an error's words, and where in the code it came from, as far as that is known."""

    words: list[str]
    frames: list[list[str]] = field(default_factory=list)
    end: int = 0  # of its lines among all

    @property
    def text(self) -> str:
        return "\n".join([*(line for frame in self.frames for line in frame), *self.words])

    def own(self, most: int = 2) -> list[str]:
        """Return the lines of the last places in the app's own code; of one that has none, of the last ones at all."""
        known = [frame for frame in self.frames if not SERVER.search(_path(frame))]
        mine = [frame for frame in known if not LIBRARY.search(_path(frame))]
        most = 1 if len(self.words) > 2 else most  # all of it is to be seen at once
        return [line for frame in (mine or known)[-most:] for line in frame if set(line) - set(" ~^")]


def _path(frame: Sequence[str]) -> str:
    return FRAME.match(frame[0])[1]


def causes(lines: Sequence[str]) -> list[list[Cause]]:
    """Return what went wrong, in its order: each a chain of exceptions, of which the last is what was not handled."""
    chains: list[list[Cause]] = []
    place, linked = 0, False
    while place < len(lines):
        if _begins(lines[place]):
            cause = _traceback(lines, place)
            if linked and chains:
                chains[-1].append(cause)
            else:
                chains.append([cause])
            place, linked = cause.end, False
            continue
        linked = lines[place].startswith(LINKS) or (linked and not lines[place].strip())
        if ERROR.match(lines[place]) and not EMPTY.search(lines[place]):
            words = [lines[place], *_more(lines, place)]
            chains.append([Cause(words, end=place + len(words))])
            place += len(words) - 1
        place += 1
    loaded = not any(NOT_LOADED.match(chain[-1].words[0]) for chain in chains)
    said = [chain for chain in chains if not EMPTY.search(chain[-1].words[0])]
    return [chain for chain in said if loaded or not chain[-1].words[0].startswith(UNKNOWN)]


def _begins(line: str) -> bool:
    """Tell whether a traceback begins; uvicorn writes its own word before that."""
    return line.strip().removeprefix("ERROR:").strip() == BEGIN


def _more(lines: Sequence[str], place: int) -> list[str]:
    """Return the lines that say what an error's first one announces, as Celery's "Invalid value for '-A':"."""
    more: list[str] = []
    if lines[place].rstrip().endswith(":"):
        for line in lines[place + 1 : place + MESSAGE]:
            if _ends(line):
                break
            more.append(line)
    return more


def _traceback(lines: Sequence[str], begin: int) -> Cause:
    frames: list[list[str]] = []
    place = begin + 1
    while place < len(lines) and (lines[place].startswith("  ") or not lines[place].strip()):
        if FRAME.match(lines[place]):
            frames.append([])
        if frames and lines[place].strip():
            frames[-1].append(lines[place].rstrip())
        place += 1
    words, first = [], place
    while place < len(lines) and place - first < MESSAGE and not _ends(lines[place]):
        if not words or not _again(words[0], lines[place]):
            words.append(lines[place])
        place += 1
    return Cause(words or [""], frames, place)


def _again(first: str, line: str) -> bool:
    """Tell whether a line says an exception's message once more, as gunicorn does of some."""
    said = first.partition(": ")[2]
    return bool(said) and (said in line or line in said)


def _ends(line: str) -> bool:
    """Tell whether a line is no more of an exception's message."""
    return not line.strip() or _begins(line) or line.startswith(LINKS) or bool(LOG.match(line))


def without_server(lines: Sequence[str]) -> list[str]:
    """Return lines without the tracebacks of gunicorn's own end, and without its frames in those of the app."""
    kept: list[str] = []
    place = 0
    while place < len(lines):
        if not _begins(lines[place]):
            kept.append(lines[place])
            place += 1
            continue
        cause = _traceback(lines, place)
        if HALT not in cause.text:
            mine = [line for frame in cause.frames if not SERVER.search(_path(frame)) for line in frame]
            kept += [lines[place], *mine, *cause.words]
        place = cause.end
    return _tidy(kept)


def _tidy(lines: Iterable[str]) -> list[str]:
    """Return lines without what linked a traceback that is left out, and without empty ones at the end."""
    kept = list(lines)
    while kept and (not kept[-1].strip() or kept[-1].startswith(LINKS)):
        kept.pop()
    return kept
