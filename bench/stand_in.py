"""A stand-in for a server: a container of a scenario, looked at round the network."""

from __future__ import annotations

import os
import subprocess


class Host:
    """One of a scenario's hosts; what is cut off can still be looked at."""

    def __init__(self, name, container):
        self.name, self.container = name, container

    def sh(self, command, check=True):
        done = subprocess.run(
            ["docker", "exec", self.container, "bash", "-c", command], capture_output=True, text=True, check=False
        )
        if check and done.returncode:
            raise AssertionError((command, done.stdout, done.stderr))
        return done.stdout.strip()

    @property
    def release(self):
        return os.path.basename(self.sh("readlink /srv/app/current"))
