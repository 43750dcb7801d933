"""Traffic that judges what a host does meanwhile.

In a test on a molecule host, with the bundled app::

    from bench.judge import Judge, switch_record

    def test_engine_restart_loses_nothing(address, host):
        with Judge(address(), "app.test") as load:
            host.check_output("systemctl restart docker")
        verdict = load.verdict()
        assert verdict.failed == 0, verdict

The load runs in its own process from ``with`` (which waits until each kind has been answered once) to the end of the
block; :meth:`Judge.verdict` then looks at every answer. ``kinds`` chooses clients: ``BUNDLED`` (the default) for the
bundled app, ``APP`` for the one in bench/app, or a dictionary of names in :data:`bench.kinds.KINDS` and numbers of
clients. With ``switches=None`` it does not judge which release answered; ``[]`` says that there was none (a deploy
that failed shows only the old release); ``[switch_record(host.check_output)]``, read after a switch and before the
next, says which and when. ``str(verdict)`` is a table with the first failures, made for an assertion's message;
``verdict.by_kind``, ``verdict.failures`` and ``verdict.in_flight`` hold the details.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from bench import history
from bench.kinds import APP, BUNDLED
from bench.switch import Switch, switch_record
from bench.verdict import judge

__all__ = ["APP", "BUNDLED", "Judge", "Switch", "switch_record"]

ROOT = Path(__file__).parents[1]
END_TIMEOUT = 90  # seconds


class Judge:
    """A load on one site, as a context, and the verdict on what it saw.

    :param address: where to connect to; the name in ``domain`` need not resolve.
    :param kinds: {name of a kind: number of clients}.
    """

    def __init__(self, address, domain, port=443, kinds=BUNDLED):
        handle, self.path = tempfile.mkstemp(prefix="judge-")
        os.close(handle)
        self.orders = {
            "target": {"address": address, "domain": domain, "port": port},
            "kinds": kinds,
            "history": self.path,
        }
        self.process = self.history = None

    def __enter__(self):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.load"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for who judges
        )
        self.process.stdin.write(json.dumps(self.orders) + "\n")
        self.process.stdin.flush()
        if not self.process.stdout.readline():
            self.stop()
            raise RuntimeError("the load ended before each kind of request had an answer")
        return self

    def __exit__(self, *_error):
        self.stop()

    def stop(self):
        """Let the clients finish what they have begun, and end the load.

        :raises RuntimeError: it did not end by itself, or ended by an error: then its history shows nothing.
        """
        if self.history is None:
            self._end()
            self.history = history.read(self.path)
            os.unlink(self.path)
        if self.process.returncode:
            raise RuntimeError(f"the load ended with code {self.process.returncode}; its history is not whole")

    def _end(self):
        self.process.stdin.close()
        try:
            self.process.wait(END_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    def seen(self):
        """Return the history so far."""
        return self.history or history.read(self.path)

    def verdict(self, switches=None, keepalive=4.0):
        """Judge the history; ends the load if it still runs.

        :param switches: :class:`Switch` in order; [] for none; None leaves releases unjudged.
        :param keepalive: seconds in which nginx may still ask the old release on a connection that it kept.
        """
        self.stop()
        return judge(self.seen(), switches, keepalive)
