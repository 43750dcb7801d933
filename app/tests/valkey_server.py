"""A real Valkey or Redis server for tests and benches."""

from __future__ import annotations

import shutil
import subprocess
import time

import redis


class Server:
    """A server on a socket of its own.

    :param fsync: when it waits for the disk: ``always``, ``everysec`` or ``no``
    :param under: what begins its command line
    """

    def __init__(self, directory, fsync="everysec", under=()):
        self.directory, self.fsync, self.under = directory, fsync, under
        self.url = f"unix://{directory}/s"
        self.process = None

    def start(self):
        binary = shutil.which("valkey-server") or shutil.which("redis-server")
        assert binary, "neither valkey-server nor redis-server is here: make tools installs one"
        fixed = ["--port", "0", "--unixsocket", f"{self.directory}/s", "--dir", self.directory]
        kept = ["--save", "", "--appendonly", "yes", "--appendfsync", self.fsync]
        command = [*self.under, binary, *fixed, *kept]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        for _ in range(400):
            try:
                return self.client.ping()
            except redis.RedisError:
                time.sleep(0.05)
        raise AssertionError("the server does not start")

    def stop(self):
        self.process.terminate()
        self.process.wait(60)

    def kill(self):
        """At once, without a last word to its disk."""
        self.process.kill()
        self.process.wait(20)

    @property
    def client(self):
        return redis.Redis.from_url(self.url)
