"""make bench-words: what site.yml takes where nothing changes, with all words on and with each of them off.

The host is one of its own. Medians of seconds count; tasks are those that ran, and those that ran for the word itself.
The command fails if a word that is off runs a task.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys

from bench import demo, own_host
from bench.deploys import middle, say

WORDS = {  # the play of site.yml that a word has, and its role there if others work in it too
    "host": ("Keep the host", "host : "),
    "kernel": ("Keep the host", "kernel : "),
    "postgres": ("Give apps a database", ""),
    "valkey": ("Give apps a queue or a cache", ""),
    "backup": ("Keep backups", ""),
    "monitor": ("Watch the hosts", ""),
}
PASSWORD = secrets.token_hex(16)


def main():
    """Print the table, and write build/bench-words.json."""
    parser = argparse.ArgumentParser(prog="make bench-words", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    cases = {"all words": [], **{f"without {word}": [word] for word in WORDS}, "no word": list(WORDS)}
    seen = {}
    with own_host.standing("words") as (_shell, play):
        for case, off in cases.items():
            seen[case] = measure(play, off, rounds)
            say(f"{case}: done")
    (demo.ROOT / "build/bench-words.json").write_text(json.dumps(seen, indent=1) + "\n")
    return table(seen)


def settings(off):
    """Return variables with which each word but these has something to do."""
    on = WORDS.keys() - set(off)
    return {
        **dict.fromkeys(("host_firewall", "host_ssh", "host_updates"), "host" in on),
        **dict.fromkeys(("kernel_settings", "kernel_clock", "kernel_apparmor"), "kernel" in on),
        "kernel_core_dumps": "kernel" not in on,
        "app_needs": sorted({"postgres", "valkey"} & on),
        "backup_to": "/mnt/backup/judged" if "backup" in on else "",
        "backup_password": PASSWORD,
        "monitor_ping": "http://127.0.0.1:9/" if "monitor" in on else "",
    }


def measure(play, off, rounds):
    """Converge the host without these words, then run the same again; return seconds, tasks, and tasks by word.

    :raises demo.RunError: a run that should change nothing changed something.
    """
    play("site.yml", **settings(off))
    runs = []
    for _ in range(rounds):
        run = play("site.yml", **settings(off))
        if run.changed:
            raise demo.RunError(f"without {off or 'nothing'}: a run of site.yml once more changed {run.changed} tasks")
        own = {word: count(run.steps, *WORDS[word]) for word in WORDS}
        runs.append({"seconds": run.seconds, "tasks": run.tasks, "own": own})
    return {**runs[-1], "seconds": middle(runs, "seconds"), "off": off, "runs": runs}


def count(steps, play, role):
    return sum(where == play and task.startswith(role) for where, task in steps)


def table(seen):
    """Print it; return whether a word that is off costs a task, or one that is on was not seen at all."""
    say(f"\n{'site.yml, no change':<24}{'seconds':>10}{'tasks':>8}   tasks by word")
    wrong = []
    for case, row in seen.items():
        own = "  ".join(f"{word} {tasks}" for word, tasks in row["own"].items())
        say(f"{case:<24}{row['seconds']:>10}{row['tasks']:>8}   {own}")
        wrong += [f"{case}: {word} runs {n} tasks" for word, n in row["own"].items() if bool(n) == (word in row["off"])]
    for line in wrong:
        say(f"wrong: {line}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
