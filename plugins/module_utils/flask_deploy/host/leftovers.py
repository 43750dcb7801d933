"""What could not be taken away: it is said to people, and no reason to fail for what was done already."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ansible.module_utils.flask_deploy.host import engine, files, nginx, systemd

ERRORS = (engine.EngineError, nginx.SiteError, systemd.UnitError, OSError)
LONGEST = 300  # characters of why something stays: the end says it
DEPLOY = "the next deploy tries again"


class Leftovers:
    """Collects what stays, why, and what to type.

    :ivar lines: one for each thing.
    """

    def __init__(self, again: str = DEPLOY) -> None:
        self.again = again
        self.lines: list[str] = []

    @contextmanager
    def unless_gone(self, what: str, look: str) -> Iterator[None]:
        """Take something away; if it does not go, say so and go on.

        :param look: command that shows what keeps it.
        """
        try:
            yield
        except ERRORS as error:
            self.add(what, error, look)

    def add(self, what: str, error: Exception, look: str) -> None:
        why = " ".join(str(error).split())
        why = why if len(why) <= LONGEST else f"... {why[-LONGEST:]}"
        line = f"{what} stays: {why.rstrip('.')}. What keeps it: {look}. Once that is mended, {self.again}"
        self.lines += [] if line in self.lines else [line]

    def remove_tree(self, path: str) -> None:
        with self.unless_gone(path, f"findmnt -R {path}; sudo lsattr -aR {path} | grep -e '-i-'"):
            files.remove_tree(path)

    def remove_file(self, path: str) -> None:
        with self.unless_gone(path, f"sudo lsattr -d {path.rpartition('/')[0]} {path}"):
            files.remove(path)

    def remove_container(self, name: str) -> bool:
        with self.unless_gone(f"container {name}", f"sudo docker inspect {name}; sudo journalctl -u docker"):
            engine.remove(name)
            return True
        return False

    def remove_image(self, tag: str, force: bool = False) -> bool:
        with self.unless_gone(f"image {tag}", f"sudo docker ps -a --filter ancestor={tag}"), engine.perhaps_gone():
            engine.docker("rmi", *(["-f"] if force else []), tag)
            return True
        return False

    def remove_network(self, name: str) -> bool:
        with self.unless_gone(f"network {name}", f"sudo docker network inspect {name}"), engine.perhaps_gone():
            engine.docker("network", "rm", name)
            return True
        return False
