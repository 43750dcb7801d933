"""Commands beside what serves: their output, their end, and that nothing of them stays."""

from __future__ import annotations

import os
import re
from pathlib import Path

RUN = "playbooks/run.yml"
ASIDE = "docker ps -a --filter label=flask-deploy.aside=run --format '{{.Names}}'"
APP = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "molecule/jobs/app"


def test_command_runs_as_the_app_and_its_output_is_shown(play, release):
    done = play(RUN, "-e", "run_command=flask tell 0 --name='Ada L'")
    assert f"\n10001 {release()} 16 Ada L\n" in done.output and "\nand to the errors\n" in done.output


def test_its_exit_code_ends_the_run(play, release, host):
    done = play(RUN, "-e", "run_command=flask tell 3", succeed=False)
    assert done.rc == 2 and f"'flask tell 3' in release {release()} ended with code 3" in done.output
    assert host.check_output(ASIDE) == ""


def test_it_is_locked_down_as_the_app_is(play):
    done = play(RUN, "-e", "run_command=sh -c 'touch /app/x || touch /data/x && echo kept; id -G'")
    assert "Read-only file system" in done.output and "\nkept\n" in done.output and "\n10001\n" in done.output


def test_what_takes_too_long_is_ended(play, host):
    done = play(RUN, "-e", "run_command=sleep 600", "-e", "run_timeout=3", succeed=False)
    assert "took longer than 3 s and was ended" in done.output
    assert host.check_output(ASIDE) == ""


def test_check_mode_runs_nothing(play):
    assert "would run 'flask tell 3' in release" in play(RUN, "--check", "-e", "run_command=flask tell 3").output


def test_a_line_is_told_that_opens_a_shell(play, host):
    told = re.search(r"ssh -t .*sudo (/srv/app/run)", play("playbooks/shell.yml").output)
    assert told
    done = host.run(f"echo 'id -u; exit 4' | {told[1]} sh")
    assert (done.rc, done.stdout) == (4, "10001\n")
    assert "flask create-admin" in host.check_output(f"{told[1]} --help")


def test_no_deploy_ends_a_command_and_what_a_killed_one_leaves_goes(play, host, release, tmp_path, until):
    old = release()
    host.check_output("systemd-run --quiet --unit=aside /srv/app/run sleep 600")
    until(lambda: f"app-{old}-run-" in host.check_output(ASIDE), 30)
    for number in (1, 2):
        (tmp_path / "app").mkdir(exist_ok=True)
        for path in APP.iterdir():
            (tmp_path / "app" / path.name).write_text(f"{path.read_text()}\n")
        (tmp_path / "app/more.txt").write_text(str(number))
        play("playbooks/app.yml", "-e", f"build_source={tmp_path / 'app'}", "-e", "app_keep_releases=2")
    assert f"app-{old}-run-" in host.check_output(ASIDE) and host.file(f"/srv/app/releases/{old}").exists
    host.check_output("systemctl kill --signal=KILL aside")
    assert host.check_output(ASIDE), "the engine goes on"
    play(RUN, "-e", "run_command=true")
    assert host.check_output(ASIDE) == ""
