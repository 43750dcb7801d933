"""The shop of these tests, and how its backups are run."""

from __future__ import annotations

import json
import subprocess

import pytest


@pytest.fixture(scope="session")
def sh(container):
    """Run a command on the host, whatever its address; return what it printed."""

    def run(command: str, check: bool = True) -> str:
        words = ["docker", "exec", container, "sh", "-c", command]
        done = subprocess.run(words, capture_output=True, check=False)
        assert not check or done.returncode == 0, (done.stdout + done.stderr).decode()
        return (done.stdout + done.stderr).decode().strip()

    return run


@pytest.fixture(scope="session")
def shop(get):
    """Return what the shop holds."""
    return lambda: json.loads(get("https://app.test/").body)


@pytest.fixture(scope="session")
def write(get):
    """Let somebody write a note, and upload a file."""

    def written(text: str) -> None:
        assert get("https://app.test/notes", "--data", text).status == 204
        assert get(f"https://app.test/uploads/{text}", "--data", text * 100).status == 204

    return written


@pytest.fixture(scope="session")
def run_unit(sh):
    """Run a backup or a drill as its timer does; return systemd's word for how it ended, and what it said."""

    def run(kind: str) -> tuple[str, str]:
        unit = f"flask-deploy-{kind}@app.service"
        sh(f"systemctl start {unit}", check=False)
        said = sh(f"journalctl -o cat -n 40 _SYSTEMD_INVOCATION_ID=$(systemctl show -P InvocationID {unit})")
        return sh(f"systemctl show -P Result {unit}"), said

    return run


@pytest.fixture
def restore(play):
    """Restore with the word that the refusal asks for; return the run."""

    def run(*arguments: str, succeed: bool = True):
        refused = play("playbooks/restore.yml", "-e", "restore_app=app", *arguments, succeed=False)
        assert refused.rc != 0 and "-e restore_over=" in refused.output, refused.output
        word = refused.output.partition("-e restore_over=")[2].split()[0].split('"')[0].split("\\")[0]
        words = ("-e", "restore_app=app", "-e", f"restore_over={word}", *arguments)
        return play("playbooks/restore.yml", *words, succeed=succeed)

    return run
