"""A real terminal, and somebody who types at it."""

from __future__ import annotations

import os
import pty
import select
import signal
import time

LIMIT = 240  # seconds, for an answer on a busy machine


class Terminal:
    """A command on a terminal of its own."""

    def __init__(self, command, place, **environment):
        self.pid, self.side = pty.fork()
        if self.pid == 0:
            os.chdir(place)
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's jobs in the background have it ignored
            os.execvpe(command[0], command, {**os.environ, "TERM": "xterm", **environment})
        self.seen = ""

    def expect(self, text):
        """Wait until a text has been shown."""
        until = time.monotonic() + LIMIT
        while text not in self.seen:
            assert self._read(until), f"no {text!r} in {self.seen!r}"
        return self.seen

    def _read(self, until):
        if not select.select([self.side], [], [], max(0, until - time.monotonic()))[0]:
            return False
        try:
            self.seen += os.read(self.side, 4096).decode()
        except OSError:  # Linux's way to say that the other side is closed
            return False
        return True

    def type(self, text):
        os.write(self.side, text.encode())

    def interrupt(self):
        """Press Ctrl-C, and again where it was not heard: a terminal that changes its settings drops what is typed."""
        heard = 0.0
        while time.monotonic() > heard:  # before that the other side has closed
            self.type("\x03")
            heard = time.monotonic() + 10
            while self._read(heard):
                pass
        return self.end()

    def end(self):
        """Read what is left; return the exit code. Only then is the terminal closed, which would end the command."""
        until = time.monotonic() + LIMIT
        while self._read(until):
            pass
        if time.monotonic() > until:
            os.kill(self.pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.side)
        return code
