"""What a disk holds for sure if the power fails: what was flushed to it, and nothing else."""

from __future__ import annotations

import os
import re
import shutil
import signal
from pathlib import Path

_CALL = re.compile(
    r"(?P<thread>\d+) +"
    r"((?P<call>\w+)\(\d+<(?P<file>[^>]+)>(?P<rest>.*)|<\.\.\. \w+ resumed>(?P<more>.*))"
)


class Recorder:
    """Runs a program under strace, which notes what it writes and flushes.

    :ivar command: what begins the program's command line
    """

    def __init__(self, log: Path):
        strace = shutil.which("strace")
        assert strace, "strace is not here: make tools installs it"
        self._log = log
        calls = "trace=write,pwrite64,fsync,fdatasync"
        self.command = [strace, "-f", "-y", "-s", "0", "-e", calls, "-e", "signal=none", "-o", log]

    def cut(self, process, ending):
        """Kill the program, and take from its file of that name's ending what was not flushed."""
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        for child in children.split():
            os.kill(int(child), signal.SIGKILL)
        process.wait(20)
        ((file, size),) = [each for each in self._flushed().items() if each[0].endswith(ending)]
        os.truncate(file, size)

    def _flushed(self) -> dict[str, int]:
        """How far each file is on the disk; a flush counts for what was written before it began."""
        written: dict[str, int] = {}
        flushed: dict[str, int] = {}
        begun: dict[str, tuple[str, str, str, int]] = {}  # by thread
        for match in filter(None, map(_CALL.match, self._log.read_text().splitlines())):
            thread, file = match["thread"], match["file"]
            if match["call"]:
                begun[thread] = (match["call"], file, match["rest"], written.get(file, 0))
            call, file, rest, before = begun[thread]
            result = re.search(r"\) += (\d+)$", match["rest"] or match["more"])
            if result is None:
                continue
            if "sync" in call:
                flushed[file] = max(before, flushed.get(file, 0))
                continue
            begin = before if call == "write" else int(re.search(r", (\d+)(\)| <)", rest)[1])
            written[file] = max(written.get(file, 0), begin + int(result[1]))
            flushed.setdefault(file, 0)
        return flushed
