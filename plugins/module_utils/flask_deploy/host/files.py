"""Files whose change is all or nothing, and digests of what a release is made of."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import os
import stat
import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from ansible.module_utils.flask_deploy.host import command, process

PART = ".new-"  # begins the name of a file that is being written
REMOVAL_PATIENCE = 600  # seconds for one tree
FLUSHES = 16  # files that are flushed at a time


def canonical(value: Any) -> bytes:
    """Return JSON bytes (UTF-8) that are equal for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest(*parts: Any) -> str:
    """Return the SHA-256 (64 hex digits) of JSON-able values, in order."""
    return hashlib.sha256(canonical(parts)).hexdigest()


def keyed_digest(key: bytes, value: Any) -> str:
    """Return the HMAC-SHA-256 (RFC 2104, hex) of a value: it tells equality, and nothing without the key.

    :raises ValueError: there is no key.
    """
    if not key:
        raise ValueError("a digest without a key tells what it is of")
    return hmac.new(key, canonical(value), hashlib.sha256).hexdigest()


def tree_digest(root: str) -> str:
    """Return the SHA-256 of a directory's names, modes, owners and contents; "" where there is none.

    What goes away meanwhile counts as not there.
    """
    if not os.path.isdir(root):
        return ""
    seen = hashlib.sha256()
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in [*folders, *sorted(files)]:
            with contextlib.suppress(FileNotFoundError):
                seen.update(_described(os.path.join(folder, name), root))
    return seen.hexdigest()


def _described(path: str, root: str) -> bytes:
    info, content = os.lstat(path), b""
    if stat.S_ISREG(info.st_mode):
        with open(path, "rb") as file:
            content = hashlib.file_digest(file, "sha256").digest()
    elif stat.S_ISLNK(info.st_mode):
        content = os.fsencode(os.readlink(path))
    name = os.fsencode(os.path.relpath(path, root)).decode(errors="backslashreplace")  # it may be any bytes
    return canonical([name, info.st_mode, info.st_uid, info.st_gid]) + content


def read(path: str, missing: bytes | None = None) -> bytes | None:
    """Return a file's bytes, or ``missing`` where there is no such file."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return missing


def read_json(path: str, missing: Any = None) -> Any:
    """Return a file's JSON object, or ``missing`` where there is no such file, it is cut short or holds none."""
    try:
        known = json.loads(read(path, b""))
    except (ValueError, RecursionError):
        return missing
    return known if isinstance(known, dict) else missing


def write(path: str, content: bytes, mode: int = 0o644, uid: int = 0, gid: int = 0) -> None:
    """Put bytes at a path by write, flush and rename (rename(2)), so a crash leaves the old or the new file."""
    folder = os.path.dirname(path)
    me = os.getpid()
    handle, temporary = tempfile.mkstemp(prefix=f"{PART}{me}-{process.started(me)}-", dir=folder)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            os.fchmod(file.fileno(), mode)
            os.fchown(file.fileno(), uid, gid)
            file.flush()
            os.fsync(file.fileno())
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    sync(folder)


def write_json(path: str, value: Any, mode: int = 0o644) -> None:
    write(path, json.dumps(value, indent=2, sort_keys=True).encode() + b"\n", mode)


def link(path: str, target: str) -> None:
    """Make ``path`` a link to ``target`` in one step, also where it was a link before."""
    temporary = f"{path}.new"
    if os.path.lexists(temporary):
        os.unlink(temporary)
    os.symlink(target, temporary)
    os.rename(temporary, path)
    sync(os.path.dirname(path))


def remove(path: str) -> None:
    """Remove a file or link for good: a power loss does not bring it back."""
    os.unlink(path)
    sync(os.path.dirname(path))


def remove_tree(path: str) -> None:
    """Remove a directory with all that is in it, however deep an app nested it: shutil's way is recursive or slow.

    :raises OSError: something of it stays.
    """
    command.run("rm", "-rf", "--", path, error=OSError, limit=REMOVAL_PATIENCE)
    sync(os.path.dirname(path))


def flush(root: str) -> None:
    """Put a tree on disk, files and directories, so that it is whole under whatever name it gets next.

    Many at once, as a journal writes those together: 10,000 files one by one take a slow disk minutes. What goes away
    meanwhile needs no flush.
    """
    paths = [os.path.join(folder, name) for folder, _folders, names in os.walk(root) for name in [*names, ""]]
    with ThreadPoolExecutor(FLUSHES) as pool:
        for _done in pool.map(_flush, [path for path in paths if not os.path.islink(path)]):
            pass


def _flush(path: str) -> None:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sweep(folder: str) -> None:
    """Remove what killed writes left in a directory; what a process that is alive writes there just now stays."""
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        if name.startswith(PART) and os.path.isfile(f"{folder}/{name}") and not _is_written(name):
            with contextlib.suppress(FileNotFoundError):  # somebody else sweeps, too
                remove(f"{folder}/{name}")


def _is_written(name: str) -> bool:
    """Tell whether the process that a part is of still runs; other names are those of earlier versions."""
    pid, _, rest = name.removeprefix(PART).partition("-")
    return pid.isdecimal() and str(process.started(int(pid))) == rest.partition("-")[0]


def sync(folder: str) -> None:
    """Make a folder's renames survive a power loss."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def differs(path: str, content: bytes, mode: int, uid: int, gid: int) -> bool:
    """Tell whether a file is not as wanted, in content, mode or owner."""
    try:
        info = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return True
    if (stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid) != (mode, uid, gid):
        return True
    return not stat.S_ISREG(info.st_mode) or read(path) != content


def _make_directory(path: str) -> None:
    """Make a directory, and those above it that are missing, open to all whatever the umask is (mkdir(2))."""
    if not os.path.isdir(path):
        _make_directory(os.path.dirname(path))
        with contextlib.suppress(FileExistsError):
            os.mkdir(path)
        os.chmod(path, 0o755)
        sync(os.path.dirname(path))


def ensure_directory(path: str, mode: int = 0o755, uid: int = 0, gid: int = 0, dry: bool = False) -> bool:
    """Make a directory with a mode and owner; return whether that is, or would be, a change."""
    if not os.path.isdir(path):
        if not dry:
            _make_directory(path)
            os.chown(path, uid, gid)
            os.chmod(path, mode)
            sync(path)
        return True
    info = os.stat(path)
    if (stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid) == (mode, uid, gid):
        return False
    if not dry:
        os.chown(path, uid, gid)
        os.chmod(path, mode)
    return True


def ensure_file(path: str, content: bytes, mode: int = 0o644, uid: int = 0, gid: int = 0, dry: bool = False) -> bool:
    """Make a file as wanted; return whether that is, or would be, a change."""
    if not differs(path, content, mode, uid, gid):
        return False
    if not dry:
        write(path, content, mode, uid, gid)
    return True
