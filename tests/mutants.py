"""Change the code in thousands of small ways, and name each change that no test notices (mutation testing, by mutmut).

usage: python tests/mutants.py [FILE.py …]

Without a file, all of SETS; with EVERY=5 in the environment, each fifth change. It works in .cache/mutants. It fails
where the tests of a set notice less than LEAST of its changes, or where tests/mutants.yml accepts a change that is not
made or that a test notices.

A change is tried against the tests that reach its function: all of its own file, and of the others, the quickest first,
no more than PATIENCE takes. What a test beyond that would notice counts as unnoticed: the share is a lower bound.
A sentence for people, which is a text with a space in it, is not changed.

It runs in namespaces of its own (unshare(1)), where it sees no process, engine or systemd of the machine: a change of
code that ends processes would end them all. Where there can be none, it does not run.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import libcst as cst
import yaml
from mutmut import configuration
from mutmut.mutation import mutators
from mutmut.runners import harness
from mutmut.ui import terminal
from mutmut.utils import format_utils
from mutmut.workers import isolation

ROOT = Path(__file__).parents[1]
PLACE = ROOT / ".cache" / "mutants"
ACCEPTED = ROOT / "tests" / "mutants.yml"
LEAST = 85  # percent
EVERY = int(os.environ.get("EVERY") or 1)
PATIENCE = 20  # seconds of tests for one change
JOBS = 2 * (os.cpu_count() or 1)  # half of their time, tests wait
SETS = {
    "releases": (
        [
            "plugins/module_utils/flask_deploy/*/[!_]*.py",
            "roles/build/module_utils/*.py",
            "roles/app/library/app_release.py",
            "roles/app/library/app_lock.py",
        ],
        ["tests/plugins", "tests/roles"],
    ),
    "tokens": (["app/flask_jwt_keys/*.py"], ["app/tests"]),
}
# Python of a host has another name than its path; mutmut takes the path for the name.
PACKAGES = {
    "plugins.module_utils.": "ansible.module_utils.",
    "roles.build.module_utils.": "ansible.module_utils.",
    "roles.app.library.": "ansible.modules.",
    "app.": "",
}
# Tests that read the code itself, and of code that is carried elsewhere, where mutmut is not.
BLIND = [
    "tests/plugins/test_arrows.py",
    "tests/plugins/host/test_locks.py::test_no_lock_of_a_host_is_waited_for_without_end",
    "tests/plugins/switch/test_unit.py::test_the_program_finds_all_its_parts_by_itself",
    "tests/plugins/host/test_command.py::test_no_command_runs_without_a_limit",
    "app/tests/test_api.py::test_the_package_is_typed_throughout",
    "app/tests/test_bench.py",
]
PR_SET_PDEATHSIG = 1  # see prctl(2)
OUTSIDE = "MUTANTS_PID_NAMESPACE"  # the one that it was begun in
UNNOTICED = {0, 5, 33}  # pytest's exit codes, and mutmut's for what no test calls
TIMED_OUT = {24, -24, 36, 152, 255}


def stay_apart():
    """Begin anew where nothing that runs outside can be reached; a shell takes in what loses its parent there."""
    here = os.readlink("/proc/self/ns/pid")
    if os.environ.get(OUTSIDE, here) != here:
        return
    user = [] if os.getuid() == 0 else ["--user", "--map-current-user", "--keep-caps"]
    apart = ["unshare", *user, "--pid", "--fork", "--kill-child", "--mount-proc"]
    without_sockets = 'mount -t tmpfs tmpfs /run || exit; "$@"; exit $?'
    command = [*apart, "sh", "-c", without_sockets, "sh", sys.executable, *sys.argv]
    os.environ[OUTSIDE] = here
    os.execvp(command[0], command)


def each_alone(run_tests):
    """Let the tests of one change see no process of another's: what it ends would count as noticed.

    As the outer shell, a process of no other use takes in what loses its parent; all end with who waits for them.
    """

    def alone(runner, *, mutant_name, tests):
        if mutant_name is None:
            return run_tests(runner, mutant_name=mutant_name, tests=tests)
        os.unshare(os.CLONE_NEWPID | os.CLONE_NEWNS)
        if first := os.fork():
            return os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        subprocess.run(["mount", "-t", "proc", "proc", "/proc"], check=True)
        if not (worker := os.fork()):
            return run_tests(runner, mutant_name=mutant_name, tests=tests)
        while (ended := os.wait())[0] != worker:
            pass
        code = os.waitstatus_to_exitcode(ended[1])
        os._exit(code if code >= 0 else 128 - code)

    return alone


def take_names_from_packages():
    """Let mutmut know modules by the names that they are imported by."""
    by_path = format_utils.get_mutant_name

    def by_package(path, function):
        name = by_path(path, function)
        for begin, package in PACKAGES.items():
            if name.startswith(begin):
                return package + name.removeprefix(begin)
        return name

    format_utils.get_mutant_name = by_package


def choose_changes():
    """Leave out a command or a lock, which mutmut does not; change a text once, and no sentence for people."""

    def without_command(node):
        return [cst.Name("None")] if isinstance(node.value, cst.Call) else []

    def without_context(node):
        if any(item.asname for item in node.items):
            return []
        return [cst.If(test=cst.Name("True"), body=node.body, leading_lines=node.leading_lines)]

    def without_sentences(node):
        changed = list(all_changes(node))
        return [] if " " in getattr(node, "value", " ") else changed[:1]

    operators = mutators.mutation_operators
    place = operators.index((cst.BaseString, mutators.operator_string))
    all_changes = mutators.operator_string
    operators[place] = (cst.BaseString, without_sentences)
    operators.append((cst.Expr, lambda node: [node.with_changes(value=value) for value in without_command(node)]))
    operators.append((cst.With, without_context))


def copy_tree():
    """Work on a copy: neither a change nor its leavings reach the checkout."""
    shutil.rmtree(PLACE, ignore_errors=True)
    PLACE.mkdir(parents=True)
    listed = ["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, capture_output=True, check=True, text=True).stdout.split("\0")
    for name in filter(os.path.exists, filter(None, names)):
        (PLACE / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(name, PLACE / name, follow_symlinks=False)


def _named(path, name):
    """Tell whether a file is called so, by its name or by the end of its path."""
    return f"/{path}".endswith(f"/{name}")


def settings(names):
    """Return mutmut's settings for the files asked for, and which set each file is of."""
    files = {}
    for name, (patterns, _) in SETS.items():
        for path in sorted(found for pattern in patterns for found in Path().glob(pattern)):
            if not names or any(_named(path, each) for each in names):
                files[str(path)] = name
    unknown = {each for each in names if not any(_named(path, each) for path in files)}
    if unknown or not files:
        sys.exit(f"not among the files of SETS in {Path(__file__).name}: {' '.join(sorted(unknown))}")
    known = configuration.config()
    known.source_paths = sorted({Path(path).parent for path in files})
    known.only_mutate = sorted(files)
    known.also_copy = sorted(path for path in Path().iterdir() if path.name != "mutants")
    known.pytest_add_cli_args = ["-p", "no:cacheprovider", "-m", "not slow", *(f"--deselect={test}" for test in BLIND)]
    known.pytest_add_cli_args_test_selection = sorted({test for name in files.values() for test in SETS[name][1]})
    known.timeout_constant, known.timeout_multiplier = 15.0, 4.0  # a busy machine must not look like an endless loop
    known.use_git_change_detection = False
    return files


def reach_forked(files):
    """Give functions that only a child process calls, which mutmut does not see, the tests of their module."""
    from mutmut.stats import state

    for path in files:
        tests = {test for test in state().duration_by_test if f"/test_{Path(path).stem}.py::" in test}
        for function in state().current_function_hashes:
            if f".{Path(path).stem}.x" in function and not state().tests_by_mangled_function_name.get(function):
                state().tests_by_mangled_function_name[function] = tests


def choose_tests():
    """Leave of the tests of each function those that are worth their time."""
    from mutmut.stats import state

    known = state()
    for function, tests in known.tests_by_mangled_function_name.items():
        own = f"/test_{function.rpartition('.')[0].rpartition('.')[2]}.py::"
        takes = {test: known.duration_by_test.get(test, 0.0) for test in tests}
        known.tests_by_mangled_function_name[function] = worth_their_time(own, takes)


def worth_their_time(own, takes):
    """Return all tests with ``own`` in their names, and of the others the quickest, see PATIENCE; one at least.

    :param takes: {test: its seconds}.
    """
    ordered = sorted(takes, key=lambda test: (own not in test, takes[test], test))
    until = itertools.accumulate(0 if own in test else takes[test] for test in ordered)
    return [test for test, spent in zip(ordered, until, strict=True) if spent <= PATIENCE or test == ordered[0]]


def choose(made, files):
    """Return mutmut's own list of changes, thinned out."""

    def chosen(**more):
        reach_forked(files)
        choose_tests()
        changes, data = made(**more)
        return changes[::EVERY], data

    return chosen


def difference(name, path):
    """Return what a change takes away and puts there, each in one line."""
    from mutmut.mutation.diff_apply import get_diff_for_mutant  # knows names as they are when it is imported

    lines = get_diff_for_mutant(name, path=path).splitlines()[2:]
    return tuple(" ".join(line[1:].strip() for line in lines if line[0] == sign) for sign in "-+")


def results(files):
    """Return every change: file, function, what was there, what is there now, and what became of it."""
    from mutmut.mutation.data import SourceFileMutationData

    found = []
    for path in files:
        data = SourceFileMutationData(path=path)
        data.load()
        for name, code in data.exit_code_by_key.items():
            if code is None:  # see EVERY
                continue
            function = name.partition("__mutmut_")[0].rpartition(".")[2].removeprefix("x_").removeprefix("xǁ")
            ended = "survived" if code in UNNOTICED else "timeout" if code in TIMED_OUT else "killed"
            found.append((path, function.replace("ǁ", "."), *difference(name, path), ended))
    return found


def accepted(files):
    """Return the changes that make no difference, each by (file, function, before, after)."""
    known = yaml.safe_load(ACCEPTED.read_text()) or []
    return {
        (path, each["function"], each["before"], each["after"]): each["why"]
        for each in known
        for path in files
        if _named(path, each["file"])
    }


def report(files, found, known):
    """Print what became of the changes; return what is wrong with that."""
    wrong, left = [], defaultdict(list)
    ended = {(*change,): how for *change, how in found}
    for change in known:
        if ended.get(change) != "survived" and (EVERY == 1 or change in ended):
            state = "is noticed by a test" if change in ended else "is not made any more"
            wrong.append(f"{ACCEPTED.name} accepts what {state}: {change[0]} {change[1]}: {change[2]} -> {change[3]}")
    counts = defaultdict(Counter)
    for *change, how in found:
        how = "accepted" if how == "survived" and (*change,) in known else how
        if how == "survived":
            left[change[0]].append(change[1:])
        for each in (change[0], files[change[0]]):
            counts[each][how] += 1
    print(f"\n{'killed':>8}{'timeout':>9}{'survived':>10}{'accepted':>10}{'noticed':>9}")
    for each in [*files, *SETS]:
        seen = counts[each]
        share = 100 * (seen["killed"] + seen["timeout"]) / max(1, seen.total() - seen["accepted"])
        if seen:
            numbers = f"{seen['killed']:8}{seen['timeout']:9}{seen['survived']:10}{seen['accepted']:10}{share:8.1f}%"
            print(f"{numbers}  {each}")
        if seen and each in SETS and share < LEAST:
            wrong.append(f"the tests of {each} notice {share:.1f} % of the changes, which is less than {LEAST} %")
    for path, changes in left.items():
        print(f"\n{path}: no test notices")
        for function, before, after in changes:
            print(f"  {function}\n    - {before}\n    + {after}")
    return wrong


def main():
    stay_apart()
    os.chdir(ROOT)
    began = time.monotonic()
    copy_tree()
    os.chdir(PLACE)
    files = settings(sys.argv[1:])
    take_names_from_packages()
    choose_changes()
    if not sys.stdout.isatty():
        terminal.print_status = lambda *_, **__: None
    from mutmut import __main__ as mutmut  # knows names and changes as they are when it is imported

    mutmut.collect_source_file_mutation_data = choose(mutmut.collect_source_file_mutation_data, files)
    harness.PytestRunner.run_tests = each_alone(harness.PytestRunner.run_tests)
    isolation.ForkRunner.run_clean_tests = lambda *_, **__: 0  # they have just run, to tell what they reach
    mutmut._run((), JOBS)
    wrong = report(files, results(files), accepted(files))
    print(f"\n{round((time.monotonic() - began) / 60)} min")
    for line in wrong:
        print(line)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
