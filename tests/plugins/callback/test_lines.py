"""What a run prints, with real playbooks on this machine."""

from __future__ import annotations

import os
import pty
import re
import select
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[3]
PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
SECRET = "not-for-you-8c1f"
ERASED = re.compile(r"[^\r\n]*\r\x1b\[K")
SLOW = """
import time
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        for word in ("half", "all"):
            time.sleep(self._task.args["seconds"])
            Display().display(f"build: {word} of it")
        return {"changed": False}
"""
WARN = """
from ansible.plugins.action import ActionBase

class ActionModule(ActionBase):
    def run(self, tmp=None, task_vars=None):
        return {"changed": False, "warnings": ["seldom meant"]}
"""
CAUSE = "it ended\n  its last lines:\n    KeyError\n  what to do: set it"
AGAIN = "it ended\n  what to do: set it"


def task(name, action, options=None, **more):
    return {"name": name, f"ansible.builtin.{action}": options or {}, **more}


def fail(name, text, **more):
    return task(name, "fail", {"msg": text}, **more)


def tell(name, *lines, **more):
    return task(name, "debug", {"msg": list(lines)}, **more)


ON_A, ON_B = {"when": "inventory_hostname == 'a'"}, {"when": "inventory_hostname == 'b'"}
GOOD = [
    tell("Greet", "hello from {{ inventory_hostname }}"),
    tell("Greet all", "hello", "you all"),
    task("Set", "set_fact", {"done": True}, changed_when="inventory_hostname == 'a'"),
    task("Skip", "assert", {"that": True}, when=False),
    fail("Miss", "nobody minds", ignore_errors=True),
    {"name": "Try", "block": [fail("Prepare", CAUSE, **ON_B)], "rescue": [task("Take away", "assert", {"that": True})]},
    tell("Summarise", "https://shop", "a: 1 s"),
    task("Look back", "assert", {"that": True}),
    tell("Say more", "and more"),
]
BAD = [
    {
        "name": "Try",
        "block": [fail("Prepare", CAUSE, **ON_B), fail("Hear", "another host refused", **ON_A)],
        "rescue": [fail("Say why", AGAIN, **ON_B), fail("Say why", "nothing here", **ON_A)],
    }
]


class Runs:
    """Runs a list of tasks on two hosts that are this machine."""

    def __init__(self, place):
        self.place = place
        (place / "actions").mkdir()
        (place / "actions/slow.py").write_text(SLOW)
        (place / "actions/warn.py").write_text(WARN)

    name, more = "play.yml", []

    def command(self, tasks, *arguments):
        path = self.place / self.name
        plays = [{"name": "First play", "hosts": "all", "gather_facts": False, "tasks": tasks}, *self.more]
        path.write_text(yaml.safe_dump(plays, sort_keys=False))
        return [PLAYBOOK, path, "-i", "a,b,", "-c", "local", *arguments]

    def environment(self, **more):
        return {**os.environ, "ANSIBLE_ACTION_PLUGINS": str(self.place / "actions"), "TERM": "xterm", **more}

    def __call__(self, tasks, *arguments, **more):
        """Run them without a terminal: (exit code, what it said)."""
        done = subprocess.run(
            self.command(tasks, *arguments),
            cwd=ROOT,
            env=self.environment(ANSIBLE_NOCOLOR="1", **more),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=300,
        )
        return done.returncode, done.stdout

    def on_terminal(self, tasks, *arguments, until="", type_=b""):
        """Run them on a terminal, and type something once a text is there: (exit code, all that was written)."""
        child, terminal = pty.fork()
        if child == 0:
            os.chdir(ROOT)
            command = self.command(tasks, *arguments)
            os.execve(command[0], command, self.environment(ANSIBLE_NOCOLOR="1"))
        said, end = "", time.monotonic() + 300
        while time.monotonic() < end:
            if until and until in said:
                time.sleep(1)  # a worker killed while it writes to Ansible's queue leaves it locked, and Ansible waits
                os.write(terminal, type_)
                until = ""
            if select.select([terminal], [], [], 0.2)[0]:
                try:
                    said += os.read(terminal, 65536).decode()
                except OSError:  # its end, on Linux
                    break
        else:
            os.kill(child, signal.SIGKILL)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said.replace("\r\n", "\n")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return Runs(tmp_path_factory.mktemp("lines"))


@pytest.fixture(scope="module")
def good(run):
    code, said = run(GOOD)
    assert code == 0, said
    return said


@pytest.fixture(scope="module")
def bad(run):
    code, said = run(BAD)
    assert code == 2, said
    return said


def steps(said):
    return re.findall(r"^ +\d+\.\d s  (.*)", said, re.MULTILINE)


def test_a_step_is_a_line_with_its_seconds_below_the_name_of_its_play(good):
    assert good.startswith("\nFirst play\n")
    assert [each for each in steps(good) if not each.startswith("Skip")] == [
        "Set, changed on 1 of 2 hosts",
        "Miss, failed and is ignored",
        "Prepare, FAILED on b of 2 hosts",
        "Take away",
        "Look back",
    ]


def test_a_message_is_plain_lines_once_and_named_where_hosts_differ(good):
    assert "\na:\nhello from a\nb:\nhello from b\nhello\nyou all\n" in good


def test_a_rescued_error_is_a_line_and_an_ignored_one_says_why(good):
    assert "it ended" not in good and "ERROR" not in good and "fatal" not in good
    assert good.count("nobody minds") == 1


def test_what_an_assertion_says_of_its_success_is_told_and_of_its_failure_too(run):
    good = task("Show", "assert", {"that": "true", "success_msg": "good of today", "fail_msg": "it failed"})
    assert run([good])[1] == "\nFirst play\ngood of today\n"
    bad = task("Show", "assert", {"that": "false", "success_msg": "good of today", "fail_msg": "it failed"})
    code, said = run([bad], "--limit", "a")
    assert code == 2 and said.endswith("\nERROR on a in Show:\nit failed\n") and "good of" not in said


def test_the_summary_and_what_is_said_after_it_end_the_run_as_plain_lines(good):
    assert good.endswith("Look back\n\nhttps://shop\na: 1 s\nand more\n")


def test_an_error_is_told_once_and_last_and_what_to_do_is_its_last_line(bad):
    assert bad.endswith(
        "\n\nsaid on a in Hear:\nanother host refused\n\nsaid on b in Prepare:\n  its last lines:\n    KeyError\n"
        "\nERROR on a in Hear:\nnothing here\n\nERROR on b in Prepare:\nit ended\n  what to do: set it\n"
    )
    for line in (*CAUSE.splitlines(), "nothing here"):
        assert bad.count(line) == 1, line


def test_where_one_failed_each_host_has_a_line_with_its_counts(bad, good):
    assert "\na: failed=1 skipped=2 rescued=1\nb: failed=1 rescued=1\n" in bad
    assert "failed=" not in good and "RECAP" not in good


def test_a_failing_item_and_a_failing_command_say_why(run):
    code, said = run([task("Try", "command", "sh -c 'echo oh no >&2; exit {{ item }}'", loop=[0, 3])], "--limit", "a")
    assert code == 2
    assert re.search(r"\n\nERROR on a in Try:\n3: .*non-zero return code\.?\noh no\n$", said), said


def test_v_brings_back_all_that_ansible_prints(run):
    code, said = run(BAD, "-v", "--limit", "b")
    assert (code, said) == run(BAD, "-v", "--limit", "b", ANSIBLE_STDOUT_CALLBACK="default")
    assert "PLAY RECAP" in said and "TASK [Prepare]" in said


def test_the_check_of_a_role_s_arguments_is_no_step_unless_it_fails(run):
    given = {"argument_spec": {"one": {"type": "str", "required": True}}, "provided_arguments": {"one": "x"}}
    _code, said = run([task("Validating arguments", "validate_argument_spec", given), tell("Tell", "x")])
    assert "Validating" not in said
    code, said = run([task("Validating arguments", "validate_argument_spec", {**given, "provided_arguments": {}})])
    assert code == 2 and "Validating arguments, FAILED" in said


def test_a_callback_that_the_user_names_is_kept(run):
    code, said = run(BAD, ANSIBLE_STDOUT_CALLBACK="default")
    assert code == 2 and "PLAY RECAP" in said and "fatal: [b]: FAILED!" in said


def test_a_dry_run_shows_what_would_change_and_its_diff(run, tmp_path):
    write = task("Write", "copy", {"content": "new\n", "dest": str(tmp_path / "{{ inventory_hostname }}")})
    code, said = run([write], "--check", "--diff")
    assert code == 0 and steps(said) == ["Write, would change"]
    for host in ("a", "b"):  # short: whole
        assert re.search(rf"\n{host}:\n--- before\n\+\+\+ after: {tmp_path}/{host}\n@@ -0,0 \+1 @@\n\+new\n", said), (
            said
        )


def test_a_host_that_is_not_reached_is_named_with_the_reason(run):
    away = '{"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}'
    code, said = run([task("Ask", "ping")], "-e", away, "--limit", "a")
    assert said.endswith("\nLog in by hand first, which also makes the host key known: ssh -p 1 127.0.0.1\n"), said
    assert code == 4 and steps(said) == ["Ask, UNREACHABLE"]
    reason = "(ssh: connect to host 127|Data could not be sent to remote host '127)"  # ssh may end before it is asked
    assert re.search(rf"\n\na: unreachable=1\n\nERROR on a in Ask:\n.*{reason}", said), said


def test_what_must_not_be_logged_is_shown_nowhere(run, tmp_path):
    hidden = {"no_log": True}
    tasks = [
        tell("Tell", SECRET, **hidden),
        task("Write", "copy", {"content": SECRET, "dest": str(tmp_path / "x")}, **hidden),
        fail("Miss", SECRET, ignore_errors=True, **hidden),
        fail("Fail", SECRET + "{{ item }}", loop=[SECRET], **hidden),
    ]
    code, said = run(tasks, "--diff", "--limit", "a")
    assert code == 2 and SECRET not in said
    assert "ERROR on a in Fail:\n" in said and "no_log: true" in said


def test_without_a_terminal_nothing_is_rewritten_and_progress_stays_as_it_is(run):
    code, said = run([{"name": "Build", "slow": {"seconds": 0.6}}], "--limit", "a")
    assert code == 0 and "\r" not in said and "\x1b" not in said
    assert re.fullmatch(r"build: half of it\nbuild: all of it\n\nFirst play\n +\d+\.\d s  Build\n", said), said


def test_a_reader_that_goes_away_ends_nothing(run, tmp_path):
    """As `flask-deploy logs | head -1`: the run goes on, without a word on the pipe."""
    many = [tell(f"Tell {number}", "x" * 9000) for number in range(12)]
    command = run.command(
        [*many, task("Write", "copy", {"content": "", "dest": str(tmp_path / "done")})], "--limit", "a"
    )
    words = f"set -o pipefail; {shlex.join(map(str, command))} | head -1"
    done = subprocess.run(
        ["bash", "-c", words], cwd=ROOT, env=run.environment(), capture_output=True, text=True, check=False, timeout=300
    )
    assert (done.returncode, done.stderr) == (0, "") and (tmp_path / "done").exists()


def test_on_a_terminal_the_running_step_is_a_line_that_is_rewritten_below_the_progress(run):
    code, said = run.on_terminal([{"name": "Build", "slow": {"seconds": 1.5}}, tell("Tell", "x")])
    assert code == 0
    assert len(re.findall(r" +\d+ s  Build, [01] of 2 hosts\r\x1b\[K", said)) > 1, said
    kept = ERASED.sub("", said)
    assert sorted(kept.splitlines()[:4]) == ["build: all of it"] * 2 + ["build: half of it"] * 2
    assert re.fullmatch(r"(build: .*\n){4}\nFirst play\n +\d+\.\d s  Build\nx\n", kept), said


def test_ctrl_c_tells_which_step_it_interrupted_and_what_failed_before(run):
    tasks = [fail("Prepare", CAUSE, **ON_B), {"name": "Build", "slow": {"seconds": 5}}]
    code, said = run.on_terminal(tasks, until="half of it", type_=b"\x03")
    kept = ERASED.sub("", said)
    assert code == 99 and "User interrupted execution" in kept
    assert re.search(r"\n +\d+\.\d s  Build, interrupted\n", kept), said
    assert f"\nERROR on b in Prepare:\n{CAUSE}\n" in kept, said
    assert kept.endswith(
        "\n\nstopped by Ctrl-C\n"
        "what is done stays; the same command goes on from there, and you have nothing to clean up by hand\n"
    ), said


@pytest.mark.parametrize(
    ("name", "options", "end"),
    [
        ("status", (), "stopped by Ctrl-C; nothing was changed\n"),
        ("app", ("--check",), "stopped by Ctrl-C; nothing was changed\n"),
        (
            "run",
            (),
            "stopped by Ctrl-C\nthe command may still run on its server: typed again, it runs a second time\n",
        ),
    ],
)
def test_ctrl_c_says_of_each_kind_of_run_what_is_true_of_it(run, monkeypatch, name, options, end):
    monkeypatch.setattr(run, "name", f"{name}.yml")
    build = {"name": "Build", "slow": {"seconds": 5}}
    code, said = run.on_terminal([build], *options, until="half of it", type_=b"\x03")
    assert code == 99 and ERASED.sub("", said).endswith(f"\n\n{end}"), said


def test_an_error_of_ansible_s_own_has_the_last_word(run, monkeypatch):
    monkeypatch.setattr(run, "more", [{"hosts": "nobody", "tasks": []}])
    code, said = run([task("Look", "assert", {"that": True})])
    assert code == 1 and "ignoring: nobody\n" in said and "stopped" not in said, said


def test_a_check_without_a_mistake_ends_with_its_verdict(run, monkeypatch):
    monkeypatch.setattr(run, "name", "check.yml")
    good = [task("Look", "assert", {"that": True})]
    code, said = run(good)
    assert code == 0 and said.endswith(
        "\n\nnothing is wrong: the inventory and 2 hosts are ready for setup or a deploy\n"
    )
    assert run(good, "--limit", "a")[1].endswith("the inventory and 1 host are ready for setup or a deploy\n")
    code, said = run(BAD)
    assert code == 2 and "nothing is wrong" not in said
    code, said = run([*good, {"name": "Warn", "warn": {}}])
    assert code == 0 and said.endswith(
        "\n\nnothing is wrong, but see the warnings above: the inventory and 2 hosts are ready for setup or a deploy\n"
    )


def test_a_dry_run_ends_with_what_would_change(run, tmp_path):
    make = {"path": str(tmp_path / "x"), "state": "directory"}
    tasks = [task("Make", "file", make, **ON_A), task("Note", "debug", {"msg": "so"})]
    assert run(tasks, "--check")[1].endswith("\n\ndry run: 1 step would change 1 of 2 hosts; nothing was changed\n")
    assert run(tasks[1:], "--check")[1].endswith("\n\ndry run: nothing would change on 2 hosts\n")
    assert "dry run" not in run(tasks[1:])[1]


def test_a_new_file_is_named_and_a_changed_one_shown_whole(run, tmp_path):
    lines = "".join(f"line {number}\n" for number in range(40))
    (tmp_path / "old").write_text(lines)
    files = {"new": lines, "old": lines.replace("line 7\n", "line seven\n")}
    tasks = [task("Make", "file", {"path": str(tmp_path / "folder"), "state": "directory"})]
    tasks += [task("Write", "copy", {"content": text, "dest": str(tmp_path / name)}) for name, text in files.items()]
    code, said = run(tasks, "--check", "--diff", "--limit", "a")
    assert code == 0 and f"\nnew: {tmp_path}/new (40 lines)\n" in said, said
    assert f"\nnew directory: {tmp_path}/folder\n" in said
    assert "\n-line 7\n+line seven\n" in said and "line 20" not in said
    assert said.endswith("; nothing was changed\nto see the new files whole: ansible-playbook … --verbose\n")
    assert "+line 20" in run(tasks, "--check", "--diff", "--limit", "a", "--verbose")[1]
