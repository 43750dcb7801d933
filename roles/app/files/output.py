"""Keep a log that nobody reads from stopping the app: what does not fit is dropped, and counted.

With live restore the app runs on while the engine is stopped, and nobody reads its output meanwhile. A pipe holds
64 KiB (pipe(7)); the next write would wait, and a worker's every request with it.
"""

import io
import os
import stat
import sys
from select import select  # as it is before gevent's patches: a write may come from its hub

PATIENCE = 1  # seconds that a burst has to be read, once in an outage


class Output(io.RawIOBase):
    """A pipe opened anew, so that only this process's own writes never wait.

    :ivar lost: number of writes dropped since the last one that fitted.
    """

    def __init__(self, descriptor: int) -> None:
        self.inherited = descriptor
        self.pipe = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK)
        self.lost = 0

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self.inherited

    def write(self, data: bytes) -> int:
        left = bytes(data)
        if self.lost:
            left = b"\n[%d writes were lost: nobody read the log]\n" % self.lost + left
        while left:
            try:
                left = left[os.write(self.pipe, left) :]
            except BlockingIOError:
                if self.lost or not select([], [self.pipe], [], PATIENCE)[1]:
                    self.lost += 1
                    return len(data)
        self.lost = 0
        return len(data)


def install() -> None:
    """Put it in the place of stdout and stderr where they are pipes, as an engine's are."""
    for name, descriptor in (("stdout", 1), ("stderr", 2)):
        if stat.S_ISFIFO(os.fstat(descriptor).st_mode):
            output = io.TextIOWrapper(Output(descriptor), "utf-8", "backslashreplace", line_buffering=True)
            setattr(sys, name, output)
