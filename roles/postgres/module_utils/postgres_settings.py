"""What PostgreSQL is set to beside apps: a small table by the host's memory, each row with its reason."""

from __future__ import annotations

from typing import Any

STEP = 512  # MB; a kernel that takes a little more or less of the memory changes nothing
HEAD = "# Managed by Ansible: flask-deploy. Your own settings: postgres_settings.\n"


def rounded(kilobytes: int) -> int:
    """Return a host's memory (MemTotal of proc(5), meminfo) in MB, as it is sold."""
    return -(-kilobytes // (STEP << 10)) * STEP


def table(memory: int) -> list[tuple[str, str, str]]:
    """Return (setting, value, reason) for a host of so many MB."""
    return [
        ("listen_addresses", "", "no network: apps come by the socket, and are known by their user id"),
        (
            "shared_buffers",
            f"{within(memory // 8, 64, 2048)}MB",
            "an eighth of the memory; the apps have theirs beside",
        ),
        ("effective_cache_size", f"{memory // 2}MB", "what the kernel caches of its files; takes no memory"),
        ("work_mem", f"{within(memory // 512, 4, 32)}MB", "for each sort of each connection, so it stays small"),
        ("maintenance_work_mem", f"{within(memory // 32, 32, 512)}MB", "for an index that a migration builds"),
        ("max_connections", "100", "two releases serve at once in a switch, each with a pool for each worker"),
        ("random_page_cost", "1.1", "the disks of servers have no heads that move"),
        ("log_lock_waits", "on", "a migration that waits for a lock is told in the log"),
        ("idle_in_transaction_session_timeout", "10min", "a forgotten transaction ends, which locks a migration out"),
    ]


def within(value: int, low: int, high: int) -> int:
    return min(max(value, low), high)


def text(memory: int, wanted: dict[str, Any]) -> str:
    """Return the file of settings.

    :param wanted: the user's own, which win.
    """
    rows = [(name, value, reason) for name, value, reason in table(memory) if name not in wanted]
    rows += [(name, written(value), "postgres_settings") for name, value in sorted(wanted.items())]
    lines = [f"{name} = {quoted(value)}  # {reason}\n" for name, value, reason in rows]
    return HEAD + "".join(lines)


def written(value: Any) -> str:
    return ("off", "on")[value] if isinstance(value, bool) else str(value)


def quoted(value: str) -> str:
    """Return a value as the file has it (postgresql.org, Setting Parameters: a quote is doubled)."""
    return "'{}'".format(value.replace("\\", "\\\\").replace("'", "''"))
