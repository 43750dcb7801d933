"""A disk that forgets what was not flushed: all that a power cut can leave, at each step of the code under test.

Only what fsync(2) reached is sure: the content of a file, and the names in a directory, as they were when they were
flushed last. Each directory that changed since may be found as it was then or as it is now, and a file that was never
flushed is empty: a file system may write down a rename before the content that it makes visible.
"""

from __future__ import annotations

import os
import shutil
import stat
import threading
from contextlib import contextmanager
from dataclasses import dataclass

CHANGES = ("rename", "replace", "symlink", "link", "unlink", "remove", "mkdir", "rmdir")


@dataclass
class Cut:
    """What is sure, and what is visible, where the power may go; ``note`` is what was told of then."""

    step: str
    sure: dict
    contents: dict
    seen: dict
    note: object


class Disk:
    """Watch directories while code changes them.

    :param root: a directory; of what lies in it the ``parts`` are on this disk, durable as they are now.
    :param note: called at each cut; what it returns is kept with the cut.
    """

    def __init__(self, root, parts, note=lambda: None):
        self.root, self.parts, self.note = str(root), parts, note
        self.cuts, self.kinds, self.held = [], {}, {}
        self.lock = threading.RLock()
        self.sure, self.contents = self._look(), {}
        for inode, path in self.paths.items():
            if stat.S_ISREG(self.kinds[inode][0]):
                self.contents[inode] = _read(path)

    def close(self):
        for handle in self.held.values():
            os.close(handle)

    def _look(self):
        """Return {inode of a directory: {name: inode}} as it is now; an inode is held, so its number stays its own."""
        seen, self.paths = {}, {}
        top = {name: self._learn(os.path.join(self.root, name)) for name in self.parts}
        folders = [os.path.join(self.root, name) for name in self.parts]
        while folders:
            folder = folders.pop()
            names = seen[os.lstat(folder).st_ino] = {}
            for entry in os.scandir(folder):
                names[entry.name] = self._learn(entry.path)
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
        return {0: top, **seen}

    def _learn(self, path):
        info = os.lstat(path)
        if info.st_ino not in self.held:
            self.held[info.st_ino] = os.open(path, os.O_PATH | os.O_NOFOLLOW)
        target = os.readlink(path) if stat.S_ISLNK(info.st_mode) else None
        self.kinds[info.st_ino] = (info.st_mode, target)
        self.paths[info.st_ino] = path
        return info.st_ino

    def _flushed(self, handle):
        with self.lock:
            seen, inode = self._look(), os.fstat(handle).st_ino
            if inode in seen:
                self.sure = {**self.sure, inode: seen[inode]}
            elif inode in self.paths:
                self.contents = {**self.contents, inode: _read(f"/proc/self/fd/{handle}")}

    def cut(self, step):
        with self.lock:
            self.cuts.append(Cut(step, self.sure, self.contents, self._look(), self.note()))

    @contextmanager
    def watched(self, monkeypatch):
        """Note each change; what is done when this ends counts as a last cut."""
        with monkeypatch.context() as patched:
            for name in CHANGES:
                patched.setattr(os, name, self._noting(name, getattr(os, name)))
            flush = os.fsync

            def fsync(handle):
                flush(handle)
                self._flushed(handle if isinstance(handle, int) else handle.fileno())
                self.cut("fsync")

            patched.setattr(os, "fsync", fsync)
            yield self
        self.cut("the end")

    def _noting(self, name, real):
        def change(*arguments, **more):
            done = real(*arguments, **more)
            self.cut(" ".join([name, *(str(word) for word in arguments)]))
            return done

        return change

    def states(self):
        """Give each different thing that a power cut can leave, with its cut."""
        given = {}
        for cut in self.cuts:
            changed = [folder for folder, names in cut.seen.items() if cut.sure.get(folder, {}) != names]
            choices = [set(), set(changed)]
            choices += [{each} for each in changed] + [set(changed) - {each} for each in changed]
            for new in choices:
                tree = self._tree(cut, new, 0)
                known = given.setdefault(repr((tree, cut.note)), (cut, tree))
                if known[1] is tree:
                    yield cut, tree

    def _tree(self, cut, new, folder):
        """Return {name: bytes of a file, text of a link, or a directory's own}, modes beside."""
        names = cut.seen.get(folder) if folder in new or folder not in cut.sure else cut.sure[folder]
        if folder not in cut.sure and folder not in new:
            names = {}  # made, and never flushed
        tree = {}
        for name, inode in sorted((names or {}).items()):
            mode, target = self.kinds[inode]
            if stat.S_ISDIR(mode):
                tree[name] = (mode, self._tree(cut, new, inode))
            else:
                tree[name] = (mode, target if stat.S_ISLNK(mode) else cut.contents.get(inode, b""))
        return tree

    def restore(self, tree):
        """Make the directories what a power cut left."""
        for part in self.parts:
            shutil.rmtree(os.path.join(self.root, part), ignore_errors=True)
        _write(self.root, tree)


def _write(folder, tree):
    for name, (mode, what) in tree.items():
        path = os.path.join(folder, name)
        if isinstance(what, dict):
            os.mkdir(path)
            _write(path, what)
        elif isinstance(what, str):
            os.symlink(what, path)
            continue
        else:
            with open(path, "wb") as file:
                file.write(what)
        os.chmod(path, stat.S_IMODE(mode))


def _read(path):
    with open(path, "rb") as file:
        return file.read()
