"""Values arrive in the app byte for byte, and secrets nowhere else."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

ODD = {
    "BRACES": "{{ not.a.template }} {% nor this %}",
    "DOLLAR": "$HOME ${PATH} $$",
    "PERCENT": "100% %s %(x)s",
    "QUOTES": "'single' \"double\" `back`",
    "NEWLINES": "one\ntwo\r\n\ttabbed\n",
    "BACKSLASH": "C:\\temp\\n \\\\",
    "HASH": "#not a comment; # nor this",
    "UNICODE": "grüße 日本 \U0001f680",
    "EQUALS": "a=b&c=d==",
    "SPACES": "  leading and trailing  ",
    "EMPTY": "",
    "YAML": "yes: [no, 'null', ~]",
}


class Unsafe(str):
    """A string that Ansible must not take for a template."""


yaml.SafeDumper.add_representer(Unsafe, lambda dumper, value: dumper.represent_scalar("!unsafe", str(value), style='"'))


def environment(host, release) -> dict[str, str]:
    pid = host.check_output(f"docker inspect --format '{{{{.State.Pid}}}}' app-{release()}")
    child = host.check_output(f"pgrep -P {pid} | head -1")
    raw = host.file(f"/proc/{child}/environ").content
    return dict(entry.decode().partition("=")[::2] for entry in raw.split(b"\0") if entry)


@pytest.fixture(scope="module")
def odd_values(play, tmp_path_factory):
    path = tmp_path_factory.mktemp("vars") / "odd.yml"
    secret = {f"SECRET_{name}": Unsafe(value + "-long-enough") for name, value in ODD.items()}
    values = {"app_env": {name: Unsafe(value) if value else "" for name, value in ODD.items()}, "app_secrets": secret}
    path.write_text(yaml.safe_dump(values, allow_unicode=True))
    play("playbooks/app.yml", "-e", f"@{path}")
    yield
    play("playbooks/app.yml")


@pytest.mark.parametrize("name", ODD)
def test_odd_value_arrives_byte_for_byte(host, release, odd_values, name):
    found = environment(host, release)
    assert found[name] == ODD[name]
    assert found[f"SECRET_{name}"] == ODD[name] + "-long-enough"


def test_secret_reaches_the_app_and_nothing_else(host, play, release, get, source):
    sentinel = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"], "sentinel").read_text().strip()
    (source / "static" / "another-release.txt").write_text("x")
    run = play("site.yml", "-e", f"build_source={source}", "-vvv", "--diff")
    assert run.changed
    assert environment(host, release)["SENTINEL"] == sentinel
    get("https://app.test/")
    name = f"app-{release()}"
    image = json.loads(host.check_output(f"docker inspect {name}"))[0]["Image"]
    places = {
        "ansible's output": run.output,
        "docker inspect": host.check_output(f"docker inspect {name} {image}"),
        "docker history": host.check_output(f"docker history --no-trunc {image}"),
        "process lists": host.check_output("ps -eww -o args"),
        "container logs": host.check_output(f"docker logs {name} 2>&1 || true"),
    }
    assert [place for place, text in places.items() if sentinel in text] == []
    # Read from a file: sudo logs the commands of this test, and they must not plant what they look for.
    pattern = "-aF -f /etc/app/secrets/sentinel.txt"
    layers = f"docker save {image} | tar -xO | grep -c"
    assert host.run(f"{layers} -a 'Hello World!'").stdout.strip() != "0"
    assert host.run(f"{layers} {pattern}").stdout.strip() == "0"
    assert host.run(f"journalctl --no-pager -o cat | grep -c {pattern}").stdout.strip() == "0"
    found = host.run(f"grep -rl {pattern} / --exclude-dir=proc --exclude-dir=sys --exclude-dir=dev").stdout
    assert set(found.split()) == {"/etc/app/secrets/env.json", "/etc/app/secrets/sentinel.txt"}
    assert host.run("ls -A /home/deploy/.ansible/tmp /root/.ansible/tmp 2>/dev/null | grep ansible-").stdout == ""
    play("playbooks/app.yml")
