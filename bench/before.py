"""make bench-before: what an earlier commit takes on the demo's host for the same runs as this one, A B A B.

- no-op: `site.yml` where nothing changes.
- deploy: one line of the code is another.

Medians of seconds and tasks count; the ratio is that of this commit to the earlier one.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import yaml

from bench import demo
from bench.deploys import middle, say

CASES = ("no-op", "deploy")


def main():
    """Print the table, and write build/bench-before.json."""
    parser = argparse.ArgumentParser(prog="make bench-before", description=__doc__)
    parser.add_argument("commit", help="the earlier one")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    demo.ensure()
    with tempfile.TemporaryDirectory() as place, checkout(options.commit, f"{place}/before") as before:
        seen = {"before": {case: [] for case in CASES}, "now": {case: [] for case in CASES}}
        source = Path(shutil.copytree(demo.ROOT / "bench/app", f"{place}/app"))
        for number in range(options.rounds):
            for side, root in (("before", before), ("now", demo.ROOT)):
                for case, run in measure(root, source).items():
                    seen[side][case].append(run)
            say(f"round {number + 1} of {options.rounds}")
        demo.play("site.yml")
    (demo.ROOT / "build/bench-before.json").write_text(json.dumps(seen, indent=1) + "\n")
    table(seen)


@contextmanager
def checkout(commit, place):
    """Give a checkout of an earlier commit that knows the demo's host."""
    git = ["git", "-C", demo.ROOT, "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", place, commit], check=True)
    try:
        Path(place, "build").symlink_to(demo.ROOT / "build")
        yield Path(place)
    finally:
        subprocess.run([*git, "remove", "--force", place], check=True)


def measure(root, source):
    """Run each case once by a checkout, on a host that it has just converged.

    :raises demo.RunError: the second run of site.yml changed something, or the deploy nothing.
    """
    settings = {source_variable(root): str(source)}
    demo.play("site.yml", root, **settings)
    same = demo.play("site.yml", root, **settings)
    if same.changed:
        raise demo.RunError(f"a second run of site.yml changed {same.changed} tasks")
    with (source / "judged.py").open("a") as code:
        code.write(f"# {time.time()}\n")
    other = demo.play("playbooks/app.yml", root, **settings)
    if not other.changed:
        raise demo.RunError("a deploy of other code changed nothing")
    return {case: {"seconds": run.seconds, "tasks": run.tasks} for case, run in zip(CASES, (same, other), strict=True)}


def source_variable(root):
    """Return what a checkout calls the app's source."""
    settings = yaml.safe_load((root / "bench/app.yml").read_text())
    return next(name for name, value in settings.items() if str(value).endswith("bench/app"))


def table(seen):
    say(f"\n{'medians':<20}{'before':>10}{'now':>10}{'ratio':>10}")
    for case in CASES:
        for part in ("seconds", "tasks"):
            before, now = (middle(seen[side][case], part) for side in ("before", "now"))
            say(f"{f'{case}, {part}':<20}{before:>10}{now:>10}{now / before:>10.2f}")


if __name__ == "__main__":
    sys.exit(main())
