"""Whatever kills a deploy, at any step: the site answers, the next run ends well, and the run after it changes nothing.

EVERY=n looks at each n-th step only, FIRST=m begins at the m-th: together they share the sweep out among hosts.
CUTS=n is how often the power goes at a random moment, SEED=m which moments those are.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from zlib import crc32

import pytest

from bench.judge import Judge

DEPLOY = "playbooks/app.yml"
KINDS = {"new-page": 2, "http2-page": 2}  # a reload of nginx cuts kept HTTP/1.1 connections, deploy or not
EVERY, FIRST = (int(os.environ.get(name, default)) for name, default in (("EVERY", "1"), ("FIRST", "0")))
CUTS, SEED = (int(os.environ.get(name, default)) for name, default in (("CUTS", "20"), ("SEED", str(os.getpid()))))
KILLER = (Path(__file__).parent / "killer.py").read_text()
ROOT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
PATIENT = ["-e", "app_confirm_timeout=60"]  # of a run that heals: a busy machine is not what is tested
KEPT = 5  # seconds after a switch in which nginx may ask the release before by a connection that it kept
UNDER_WAY = 0.3  # seconds after its name is printed, a task does something on the host
POWER = {"module": 6, "unit": 1}  # each how many-th step loses the power: of a module's, most only write a file aside

# What a deploy is made of: each of these must be among the steps that are killed.
STEPS = {
    "module": [
        r"os.rename \S+ /srv/app/releases/\.new-\w+/env\.json",
        r"os.rename /srv/app/releases/\.new-\w+ /srv/app/releases/\w+$",
        r"os.rename \S+ /srv/app/releases/\w+/state\.json",
        r"docker create --name app-\w+",
        r"docker start app-\w+",
        r"nginx -t",
        r"os.rename \S+ /srv/app/switch\.json",
        r"systemd-run",
        r"os.rename \S+ /srv/app/switch\.decision",
        r"docker stop -t",
        r"os.rename \S+ /srv/app/releases/\w+/deploy\.json",
    ],
    "unit": [
        r"docker update --restart unless-stopped app-\w+",
        r"os.remove /srv/app/releases/\w+/draining",
        r"os.symlink releases/\w+",
        r"os.rename /srv/app/current\.new /srv/app/current",
        r"os.rename /srv/app/previous\.new /srv/app/previous",
        r"nginx -t",
        r"systemctl reload nginx",
        r"os.rename \S+ /srv/app/releases/\w+/draining",
        r"docker update --restart no app-\w+",
        r"os.rename \S+ /srv/app/releases/\w+/state\.json",
        r"os.rename \S+ /srv/app/switch\.json",
        r"os.rename \S+ /srv/app/releases/\w+/switch\.json",
        r"os.remove /srv/app/switch\.json",
        r"os.remove /srv/app/switch\.decision",
    ],
}


TASKS = [
    "Lock the app",
    "Build the app's image",
    "Prepare the release",
    "Switch to the release",
    "Watch it serve",
    "Retire the release before",
]


def changed(name):
    """Return what makes a new release, in each run of the tests another one, and nginx reload for its site file."""
    number = f"{name} {os.getpid()}"
    seconds = 10 + crc32(number.encode()) % 900
    return ["-e", f'{{"app_env": {{"NUMBER": "{number}"}}, "site_client_body_timeout": {seconds}}}']


def chosen(steps, stride=1):
    """Return the numbers of the steps to look at, one at least: a share that is empty would prove nothing."""
    numbers = range(FIRST * stride, len(steps), EVERY * stride)
    assert numbers, f"FIRST={FIRST} is beyond the last of {len(steps)} steps, {stride} apart"
    return numbers


@pytest.fixture(scope="module")
def sh(container):
    """Run a command on the host as root, round the network: its address changes when it loses power."""

    def run(command, stdin=None):
        done = subprocess.run(
            ["docker", "exec", "-i", container, "bash", "-c", command],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, (command, done.stdout, done.stderr)
        return done.stdout.strip()

    return run


@pytest.fixture(scope="module", autouse=True)
def killer(sh):
    """Let python3 on the host read the killer at its start."""
    place = sh("python3 -c 'import sysconfig; print(sysconfig.get_path(\"stdlib\"))'")
    customize = f"{place}/sitecustomize.py"
    sh(f"mkdir -p /run/kill; mv {customize} {customize}.kept; cat > {customize}", stdin=KILLER)
    yield
    sh(f"mv {customize}.kept {customize}; rm -rf /run/kill")


@pytest.fixture
def arm(sh):
    """Choose who is killed, and before which effect."""

    def plan(who, number, how="killed"):
        sh(f"mkdir -p /run/kill; rm -f /run/kill/*; echo '{who} {number} {how}' > /run/kill/plan")

    yield plan
    sh("rm -rf /run/kill/*")


@pytest.fixture
def deploy(play, address):
    """Run a deploy against the host's address of now."""
    return lambda arguments: play(DEPLOY, *arguments, "-e", f"ansible_host={address()}", succeed=False)


@pytest.fixture
def settled(sh):
    """Fail where something of a deploy is left, or where not exactly the serving release runs."""

    def check():
        serving = sh("basename $(readlink /srv/app/current)")
        assert sh("ls /srv/app/switch.json /srv/app/switch.decision 2>/dev/null; true") == ""
        assert sh("docker ps --format '{{.Names}}'") == f"app-{serving}"
        policies = sh("docker ps -aq | xargs docker inspect -f '{{.HostConfig.RestartPolicy.Name}} {{.Name}}'")
        assert re.findall(r"unless-stopped (.*)", policies) == [f"/app-{serving}"]
        marked = sh("cd /srv/app/releases; ls -d */draining 2>/dev/null | cut -d/ -f1; true").split()
        assert sorted([*marked, serving]) == sorted(sh("ls /srv/app/releases").split())

    return check


@pytest.fixture
def heal(deploy, settled):
    """The next run ends well, and the run after it changes nothing."""

    def run(arguments, what):
        arguments = [*arguments, *PATIENT]
        healing = deploy(arguments)
        assert healing.rc == 0, f"{what}: the next run failed:\n{healing.output}"
        again = deploy(arguments)
        assert (again.rc, again.changed_tasks) == (0, []), f"{what}: the run after it:\n{again.output}"
        settled()

    return run


@pytest.fixture
def steps_of(deploy, arm, sh):
    """Return the steps that a deploy takes on the host; fail where one that must be killed is not among them."""

    def record(who):
        arm("nobody", 0)
        assert deploy(changed(f"record {who}")).rc == 0
        steps = sh(f"cat /run/kill/{who}").splitlines()
        missing = [step for step in STEPS[who] if not any(re.search(step, line) for line in steps)]
        assert not missing, "\n".join([f"not among the steps that are killed: {missing}", *steps])
        return steps

    return record


@pytest.mark.parametrize("who", ["module", "unit"])
def test_killed_on_the_host_at_any_step(deploy, arm, sh, address, heal, steps_of, who):
    steps = steps_of(who)
    with Judge(address(), "app.test", kinds=KINDS) as load:
        for number in chosen(steps):
            what, arguments = f"{who} {number}, before {steps[number]}", changed(f"{who} {number}")
            arm(who, number)
            killed = deploy(arguments)
            assert len(sh(f"cat /run/kill/{who}").splitlines()) > number, f"{what}: nothing was killed"
            if who == "unit":
                assert killed.rc == 0, f"{what}: the switch did not go on where it was:\n{killed.output}"
            arm("nobody", 0)
            heal(arguments, what)
    verdict = load.verdict()
    assert verdict.failed == 0, str(verdict)


@pytest.fixture
def begin(address):
    """Begin a deploy and do not wait for it."""

    def run(arguments, output=subprocess.DEVNULL):
        command = ["ansible-playbook", DEPLOY, "-i", os.environ["MOLECULE_INVENTORY_FILE"], *arguments]
        plain = {"ANSIBLE_FORCE_COLOR": "0", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
        return subprocess.Popen(
            [*command, "-e", f"ansible_host={address()}"],
            cwd=ROOT,
            env={**os.environ, "ANSIBLE_STDOUT_CALLBACK": "default", **plain},
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    return run


def end(deploying):
    os.killpg(deploying.pid, signal.SIGKILL)
    deploying.wait()


def test_controller_is_killed_in_any_task(deploy, begin, address, heal):
    told = deploy(changed("record controller"))
    tasks = re.findall(r"^TASK \[(?:\w+ : )?(.*?)\] \*", told.output, re.MULTILINE)
    assert set(TASKS) <= set(tasks), tasks
    with Judge(address(), "app.test", kinds=KINDS) as load:
        for number in chosen(tasks):
            what, arguments = f"controller in task {number}, {tasks[number]}", changed(f"controller {number}")
            deploying, seen = begin(arguments, subprocess.PIPE), 0
            with deploying.stdout as lines:
                for line in lines:
                    seen += line.startswith("TASK [")
                    if seen > number:
                        break
                assert seen > number, f"{what}: there was no such task"
                time.sleep(UNDER_WAY)
                end(deploying)
            heal(arguments, what)
    verdict = load.verdict()
    assert verdict.failed == 0, str(verdict)


@pytest.mark.parametrize("who", ["module", "unit"])
def test_host_loses_its_power_at_any_step(begin, arm, sh, container, get, heal, until, steps_of, who):
    """It comes back by itself with the old release or the new one, and the next run ends well."""
    steps = steps_of(who)
    for number in chosen(steps, POWER[who]):
        what, arguments = f"power of {who} {number}, before {steps[number]}", changed(f"power {who} {number}")
        old = sh("basename $(readlink /srv/app/current)")
        arm(who, number, "power")
        deploying = begin(arguments)
        until(lambda: sh("ls /run/kill").split().count("reached"), 120)
        known = sh("ls /srv/app/releases").split()
        subprocess.run(["docker", "kill", container], check=True, capture_output=True)
        end(deploying)
        subprocess.run(["docker", "start", container], check=True, capture_output=True)
        answer = until(lambda: (found := get("https://app.test/")).status == 200 and found, 60)
        assert answer.headers["x-release"] in {old, *known}, what
        until(lambda: sh("ls /srv/app/switch.json 2>/dev/null; true") == "", 60)
        arm("nobody", 0)
        heal(arguments, what)


class Visitor:
    """A client that asks and asks, and notes when which release answered: [(seconds, release)]."""

    def __init__(self, get):
        self.get, self.seen, self.ended = get, [], threading.Event()
        self.thread = threading.Thread(target=self.ask)

    def ask(self):
        while not self.ended.wait(0.05):
            release = self.get("https://app.test/", "--max-time", "2").headers.get("x-release")
            if release:
                self.seen.append((time.monotonic(), release))


def course(seen):
    """Return the releases that answered, in their order, without what connections that nginx had kept still brought.

    Each of those carries one more request to the release before, see KEPT.
    """
    first, told = {}, []
    for at, release in seen:
        first.setdefault(release, at)
        newest = max(first.values())
        if told[-1:] != [release] and not (told and first[release] < newest and at < newest + KEPT):
            told.append(release)
    return told


@contextmanager
def visited(get):
    visitor = Visitor(get)
    visitor.thread.start()
    try:
        yield visitor.seen
    finally:
        visitor.ended.set()
        visitor.thread.join()


@pytest.fixture
def start(container, until):
    """Start the host that lost its power; wait for its sshd and for nothing else."""
    knock = ["docker", "exec", container, "bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/22 && read -t 2 -u 3 hello"]

    def run():
        subprocess.run(["docker", "start", container], check=True, capture_output=True)
        until(lambda: subprocess.run(knock, check=False, capture_output=True).returncode == 0, 60)

    return run


def test_power_cut_at_random_moments_then_a_deploy_at_once(deploy, begin, sh, get, container, settled, start):
    """No deploy dies of it, and no visitor sees a release, another one, and the first again."""
    moments = random.Random(SEED)
    began = time.monotonic()
    assert deploy(changed(f"moments {SEED}")).rc == 0
    whole = time.monotonic() - began
    for number in range(CUTS):
        moment = moments.uniform(0.2, 1.0) * whole  # before that the run has not come to the host
        what = f"cut {number} of SEED={SEED}, {moment:.1f} s into a deploy of {whole:.0f} s"
        deploying = begin(changed(f"cut {number} {SEED}"))
        time.sleep(moment)
        subprocess.run(["docker", "kill", container], check=True, capture_output=True)
        end(deploying)
        with visited(get) as seen:
            start()
            again = deploy([*changed(f"after cut {number} {SEED}"), *PATIENT])
        told = course(seen)
        print(f"{what}: visitors saw {told}")  # noqa: T201
        assert again.rc == 0, f"{what}:\n{again.output}"
        assert "Traceback" not in again.output and "MODULE FAILURE" not in again.output, f"{what}:\n{again.output}"
        assert len(told) <= 2, f"{what}: after the boot visitors saw {told}, and the deploy switched once"
        assert told[-1] == sh("basename $(readlink /srv/app/current)"), what
        settled()


def test_release_that_is_killed_is_started_again_within_seconds(sh, get, until):
    """An engine takes it for a wish; the next deploy would be the first to mend it."""
    release = sh("basename $(readlink /srv/app/current)")
    sh(f"docker kill app-{release}")
    assert get("https://app.test/").status == 502
    until(lambda: get("https://app.test/").status == 200, 15)
    assert f"app-{release} was killed (code 137); started again" in sh("journalctl -u flask-deploy-keep@app")


def test_release_that_an_operator_stops_stays_stopped(sh, get, deploy, until):
    release = sh("basename $(readlink /srv/app/current)")
    sh(f"docker stop app-{release}")
    time.sleep(12)
    assert get("https://app.test/").status == 502
    sh(f"docker start app-{release}")
    until(lambda: get("https://app.test/").status == 200, 15)


def test_switch_goes_on_when_its_engine_was_away_for_long(sh, begin, deploy, settled, until):
    """Five failures in ten seconds are no reason to leave a link that has moved to nobody."""
    deploying = begin([*changed("away"), "-e", "app_confirm_timeout=120"])
    until(lambda: sh("ls /srv/app/switch.json 2>/dev/null; true") != "", 120)
    sh("systemctl stop docker.socket docker.service")
    time.sleep(12)
    sh("systemctl start docker.socket docker.service")
    deploying.wait(180)
    until(lambda: sh("ls /srv/app/switch.json 2>/dev/null; true") == "", 180)
    assert deploy(changed("after away")).rc == 0
    settled()
