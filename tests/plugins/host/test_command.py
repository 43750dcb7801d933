"""A command on a host ends in time, takes no more memory than it may, and leaves nothing at work behind it."""

from __future__ import annotations

import ast
import os
import re
import stat
import subprocess
import sys
import threading
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
from ansible.module_utils import build_repositories, build_run
from ansible.module_utils.flask_deploy.host import command, nginx, process, systemd
from ansible.module_utils.flask_deploy.host import engine as engines
from ansible.module_utils.flask_deploy.release import release_command
from ansible.module_utils.flask_deploy.switch import retire, unit
from ansible.modules import app_release

from tests.conftest import ROOT
from tests.deploys import deploy, prepare

# Programs of their own, which a host runs without Ansible, another role, and what runs on the controller.
APART = re.compile(
    r"roles/((nginx|backup)/files/|host/module_utils/|\w+/(action_plugins/|plugin_utils/|rules\.py$))|plugins/flask_deploy_tool/"
)
UNLIMITED = {"system", "popen", "spawnl", "spawnv", "spawnvp", "posix_spawn", "posix_spawnp"}


class Fault(Exception):
    """What a caller wants raised."""


def hang(engine, program, words=""):
    """Let a program hang; or only its calls that begin with these words."""
    place = engine.place / "bin" / program
    kept = place.read_text() if place.exists() else "#!/bin/sh\n"
    begin = f'case "$*" in "{words}"*) exec sleep 60 ;; esac\n'
    place.write_text(kept.replace("#!/bin/sh\n", f"#!/bin/sh\n{begin}", 1))
    place.chmod(0o755)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def gone(pid, within=5):
    end = time.monotonic() + within
    while alive(pid) and time.monotonic() < end:
        time.sleep(0.05)
    return not alive(pid)


# -- time ------------------------------------------------------------------------------------


def test_a_command_that_hangs_is_ended_with_all_that_it_started(tmp_path):
    script = f"sleep 60 & echo $! > {tmp_path}/child; wait"
    with pytest.raises(Fault, match=r"^sh -c took longer than 0\.5 s and was ended; the host may be busy"):
        command.run("sh", "-c", script, error=Fault, limit=0.5)
    assert gone(int((tmp_path / "child").read_text()))


def test_what_its_children_started_is_ended_too(tmp_path):
    script = f"sh -c 'sleep 60 & echo $! > {tmp_path}/child; wait; :'; :"
    assert command.attempt("sh", "-c", script, limit=0.5).code is None
    assert gone(int((tmp_path / "child").read_text()))


def test_what_starts_while_a_command_is_ended_is_ended_too():
    words = ["sleep", f"60.{os.getpid()}"]
    for _time in range(5):
        with pytest.raises(KeyError), command.reading("sh", "-c", f"echo; {' '.join(words)}; :", error=Fault, limit=5):
            raise KeyError
    time.sleep(0.3)
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it ended meanwhile
            lines.append(path.read_bytes())
    assert "\0".join(words).encode() + b"\0" not in lines


def test_a_command_is_called_as_its_caller_says():
    for script, said in (
        ("sleep 60", "it does not start: sh -c took longer than"),
        ("exit 3", "it does not start: it e"),
    ):
        with pytest.raises(Fault, match=f"^{said}"):
            command.run("sh", "-c", script, error=Fault, limit=0.5, called="it does not start")


def test_a_command_ends_with_who_ran_it(tmp_path):
    """A module that is killed leaves no docker, git or nginx at work beside the next run's."""
    script = f"echo $$ > {tmp_path}/child; exec sleep 60"
    code = f"import ansible.module_utils as m; m.__path__.append({str(ROOT / 'plugins/module_utils')!r}); "
    code += "from ansible.module_utils.flask_deploy.host import command; "
    code += f"command.attempt('sh', '-c', {script!r}, limit=60)"
    with subprocess.Popen([sys.executable, "-c", code]) as module:
        while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text().strip():
            assert module.poll() is None
            time.sleep(0.05)
        module.kill()
    assert gone(int((tmp_path / "child").read_text()))


def test_what_stays_in_the_background_does_not_hold_up_a_command_that_ended():
    began = time.monotonic()
    assert command.run("sh", "-c", "sleep 20 & echo done", error=Fault, limit=30) == b"done\n"
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("program", "limit", "call", "error", "advice"),
    [
        ("nginx", (nginx, "PATIENCE"), lambda app: nginx.test(), nginx.SiteError, "systemctl status nginx"),
        ("systemctl", (nginx, "PATIENCE"), lambda app: nginx.reload(), nginx.SiteError, "systemctl list-jobs"),
        ("systemctl", (systemd, "PATIENCE"), unit.active, systemd.UnitError, "systemctl list-jobs"),
        ("systemctl", (unit, "STOP_PATIENCE"), unit.disable, systemd.UnitError, "systemctl list-jobs"),
        ("systemd-run", (systemd, "PATIENCE"), unit.start, systemd.UnitError, "systemctl list-jobs"),
        (
            "docker",
            (engines, "QUERY"),
            lambda app: engines.inspect("image", "x"),
            engines.EngineError,
            "journalctl -u docker",
        ),
        (
            "git",
            (build_repositories, "TIMEOUT"),
            lambda app: build_repositories.Repository("shop", "x", None).git("fetch"),
            build_repositories.RepositoryError,
            "git ls-remote",
        ),
        (
            "tar",
            (build_run, "UNPACK_PATIENCE"),
            lambda app: build_run.unpack("x", "y"),
            build_run.BuildError,
            "top",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_time_limit_is_an_error_of_its_caller_s_own_kind(
    host, engine, monkeypatch, program, limit, call, error, advice
):
    app = host()
    os.makedirs(app.root)
    hang(engine, program)
    monkeypatch.setattr(*limit, 0.3)
    with pytest.raises(error, match=rf"{program}.* took longer than 0\.3 s and was ended; .*{advice}"):
        call(app)


@pytest.mark.parametrize(("program", "limit"), [("nginx", (nginx, "PATIENCE")), ("docker", (engines, "QUERY"))])
def test_a_gate_that_hangs_takes_the_candidate_away(host, engine, monkeypatch, program, limit):
    app = host()
    monkeypatch.setattr(retire, "DRAIN_FLOOR", 0)
    old = deploy(app)
    hang(engine, program, "image inspect" if program == "docker" else "")
    monkeypatch.setattr(*limit, 0.3)
    with pytest.raises(app_release.ERRORS, match="took longer than"):
        prepare(app, build="b2")
    assert app.serving() == old and engine.running() == [f"shop-{old}"]


def test_a_release_has_as_long_to_stop_as_it_was_promised(host, engine, monkeypatch):
    """A stop of 3,610 s is no engine that hangs."""
    app = host()
    asked = []
    monkeypatch.setattr(engines, "docker", lambda *words, timeout=600: asked.append((words, timeout)))
    monkeypatch.setattr(retire, "_drain", lambda *arguments: 0)
    retire._stop(app, "shop-aaa", 3600, 3610)
    ((words, timeout),) = asked
    assert words == ("stop", "-t", "3610", "shop-aaa") and timeout > 3610


def test_a_program_that_is_not_there_is_named(engine):
    with pytest.raises(Fault, match=r"no-such-program is not installed here; type: ansible-playbook site.yml"):
        command.run("no-such-program", error=Fault, limit=5)


# -- memory ----------------------------------------------------------------------------------


def peak(function):
    tracemalloc.start()
    try:
        result = function()
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_of_much_that_is_said_the_beginning_and_the_end_stay():
    script = "echo begin; head -c 60000000 /dev/zero; echo; echo end"
    done, memory = peak(lambda: command.attempt("sh", "-c", script, limit=60, together=True))
    assert done.out.startswith(b"begin\n") and done.out.endswith(b"\nend\n") and b"bytes are left out" in done.out
    assert memory < 2 << 20 and done.code == 0
    said = command.run("sh", "-c", script, error=Fault, limit=60, together=True)
    assert said == done.out, "what people read may be cut"


def test_an_answer_that_does_not_fit_is_an_error_not_half_an_answer(monkeypatch):
    monkeypatch.setattr(process, "WHOLE", 1 << 20)
    script = "head -c 60000000 /dev/zero"
    with pytest.raises(Fault, match="printed more than 1 MB"):
        command.run("sh", "-c", script, error=Fault, limit=60)
    _done, memory = peak(lambda: command.attempt("sh", "-c", script, limit=60))
    assert memory < 6 << 20


def test_an_app_s_endless_line_does_not_fill_the_host_s_memory(engine):
    (engine.place / "bin" / "docker").write_text("#!/bin/sh\nhead -c 60000000 /dev/zero\necho end\n")
    lines, memory = peak(lambda: engines.logs("shop-aaa"))
    assert lines[-1].endswith("end") and memory < 2 << 20


def test_a_release_command_s_output_is_kept_from_its_beginning_and_its_end(host, engine):
    app = host()
    release = prepare(app)
    text = (engine.place / "bin" / "docker").read_text()
    shout = '"run --name") echo first; head -c 60000000 /dev/zero; seq 1 100; exit 1 ;;\n"run --name")'
    (engine.place / "bin" / "docker").write_text(text.replace('"run --name")', shout, 1))
    done, memory = peak(lambda: release_command.run(app, release, "flask db upgrade", 60))
    assert done["code"] == 1 and done["said"][0] == "first" and done["said"][-1] == "100"
    assert len(done["said"]) < 70 and memory < 2 << 20


# -- commands that feed one another -----------------------------------------------------------


def test_one_command_reads_what_the_other_writes(tmp_path):
    with open(tmp_path / "out", "wb") as file:
        command.pipe(("echo", "hello"), ("tr", "a-z", "A-Z"), error=Fault, limit=5, stdout=file)
    assert (tmp_path / "out").read_text() == "HELLO\n"


@pytest.mark.parametrize("first", ["yes", "sleep 60", "trap '' PIPE; while :; do echo; sleep 0.1; done 2>/dev/null"])
def test_a_second_command_that_fails_ends_the_first(first):
    began = time.monotonic()

    def fail():
        with pytest.raises(Fault, match=r"^sh -c: no room$"):
            command.pipe(("sh", "-c", first), ("sh", "-c", "echo no room >&2; exit 3"), error=Fault, limit=50)

    _none, memory = peak(fail)
    assert time.monotonic() - began < 20 and memory < 2 << 20


def test_a_first_command_that_fails_is_the_one_that_is_named():
    with pytest.raises(Fault, match=r"^sh -c: gone$"):
        command.pipe(("sh", "-c", "echo gone >&2; exit 1"), ("cat",), error=Fault, limit=5)


def test_a_first_command_whose_reader_ended_is_named_where_nothing_else_failed():
    with pytest.raises(Fault, match=r"^yes: it ended with code -13$"):
        command.pipe(("yes",), ("head", "-n", "1"), error=Fault, limit=5)


def test_commands_that_hang_together_end_together():
    began = time.monotonic()
    with pytest.raises(Fault, match=r"sleep 60 took longer than 0\.5 s"):
        command.pipe(("sleep", "60"), ("cat",), error=Fault, limit=0.5)
    assert time.monotonic() - began < 10


# -- what is too large to be held --------------------------------------------------------------


def test_what_is_read_as_a_file_is_whole_and_need_not_be_read_to_its_end():
    with command.reading("sh", "-c", "seq 100000", error=Fault, limit=30) as file:
        assert file.readline() == b"1\n"  # the rest is still to come, and its end is no broken pipe
    with command.reading("sh", "-c", "echo hello", error=Fault, limit=30) as file:
        assert file.read() == b"hello\n"


def test_what_fails_while_it_is_read_is_an_error_in_its_words():
    with (
        pytest.raises(Fault, match=r"^sh -c: no such container$"),
        command.reading("sh", "-c", "echo part; echo no such container >&2; exit 1", error=Fault, limit=30) as file,
    ):
        assert file.read() == b"part\n"


def test_what_hangs_while_it_is_read_is_ended(tmp_path):
    began = time.monotonic()
    script = f"sleep 60 & echo $! > {tmp_path}/child; wait"
    with (
        pytest.raises(Fault, match=r"^sh -c took longer than 0\.5 s and was ended; "),
        command.reading("sh", "-c", script, error=Fault, limit=0.5) as file,
    ):
        assert file.read() == b""
    assert time.monotonic() - began < 20 and gone(int((tmp_path / "child").read_text()))


# -- everywhere ------------------------------------------------------------------------------


def unlimited(path):
    """Return the lines of a file that run a command without a limit of time."""
    inside, tree = str(path.relative_to(ROOT)), ast.parse(path.read_text())
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
        limited = any(word.arg == "timeout" for word in node.keywords)
        if owner == "subprocess" and not (limited and APART.match(inside)) and node.func.attr != "TimeoutExpired":
            found.append(node.lineno)
        if owner == "os" and node.func.attr in UNLIMITED:
            found.append(node.lineno)
    imports = [each for each in ast.walk(tree) if isinstance(each, ast.ImportFrom) and each.module == "subprocess"]
    return found + [each.lineno for each in imports]


def test_no_command_runs_without_a_limit():
    """On a host through this module alone; programs of their own and the controller say a limit at each call."""
    sources = [path for room in ("roles", "plugins") for path in (ROOT / room).rglob("*.py")]
    sources.remove(ROOT / "plugins/module_utils/flask_deploy/host/process.py")
    assert len(sources) > 60
    assert {str(path): lines for path in sources if (lines := unlimited(path))} == {}


def test_what_it_prints_for_people_can_be_read_while_it_runs(tmp_path):
    """All of it, also what no message holds; and the message holds what it did."""
    printed = tmp_path / "printed"
    many = process.ENDS * 3
    script = f"printf '%{many}s\\n' first >&2; until [ -e {tmp_path}/seen ]; do sleep 0.01; done; echo last >&2; exit 3"

    def look():
        while printed.stat().st_size < many:
            time.sleep(0.01)
        (tmp_path / "seen").touch()

    with printed.open("wb", buffering=0) as copy, pytest.raises(RuntimeError, match="last"):
        reader = threading.Thread(target=look)
        reader.start()
        command.run("sh", "-c", script, error=RuntimeError, limit=30, copy=copy)
    reader.join()
    assert printed.read_text().split() == ["first", "last"]


def test_what_a_build_prints_is_for_who_logs_in_and_never_follows_a_link(tmp_path):
    path, other = tmp_path / "progress", tmp_path / "other"
    with build_run.shown(str(path)) as file:
        file.write(b"line")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("line", 0o644)
    other.write_text("mine")
    path.unlink()
    path.symlink_to(other)
    with pytest.raises(OSError, match="symbolic"), build_run.shown(str(path)):
        pass
    assert other.read_text() == "mine"
