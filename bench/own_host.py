"""A Debian host of a benchmark's own: bare at first, and gone at the end. The demo's host is left alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bench import demo

SHARED = demo.ROOT / "molecule/shared"
SUITE = "trixie"
CA = "{{ lookup('ansible.builtin.env', 'PIP_CERT') or lookup('ansible.builtin.env', 'SSL_CERT_FILE') }}"
SSH = """\
Host *
  HostName {address}
  User deploy
  IdentityFile "{place}/id_ed25519"
  IdentitiesOnly yes
  UserKnownHostsFile "{place}/known_hosts"
  StrictHostKeyChecking accept-new
"""


@contextmanager
def standing(name, keep=False):
    """Start a bare host; give what runs a command as root on it, and what runs a playbook for it.

    :param keep: whether it is left to look at; the next one of this name replaces it.
    """
    place = demo.ROOT / "build" / name
    subprocess.run([SHARED / "base-image", SUITE], check=True, capture_output=True)  # it starts the engine, too
    remove(place)
    up = [SHARED / "host", "up", f"flask-deploy-{name}", name, SUITE, place]
    address = subprocess.run(up, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    ssh = place / "ssh_config"
    ssh.write_text(SSH.format(address=address, place=place))
    with tempfile.TemporaryDirectory() as connections:
        (place / "hosts.yml").write_text(json.dumps({"web": inventory(name, ssh, connections)}))
        try:
            yield partial(demo.shell, ssh=ssh), partial(demo.play, inventory=place / "hosts.yml")
        finally:
            if not keep:
                remove(place)


def inventory(name, ssh, connections):
    """Return a group of this one host. It is reached anew: its address may have been another host's."""
    archive = f"{demo.ROOT}/build/base-image-{SUITE}.tar.gz"
    reach = {"ansible_ssh_common_args": f"-F {ssh}", "ansible_control_path_dir": connections}
    build = {"build_base_image": f"flask-deploy/python:{SUITE}", "build_base_image_archive": archive}
    return {"hosts": {name: {}}, "vars": {**reach, **build, "build_ca_file": CA}}


def remove(place: Path):
    subprocess.run([SHARED / "host", "down", place], check=True)
    shutil.rmtree(place, ignore_errors=True)
