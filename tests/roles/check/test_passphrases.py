"""A key that a server uses alone has no passphrase, in whatever form it is written."""

from __future__ import annotations

import subprocess

import pytest
from inventory_check.inventory import CHECKS

WORDS = "correct horse"
MADE = {
    "OpenSSH": ["ssh-keygen", "-q", "-t", "ed25519", "-N", "{}", "-f", "key"],
    "RSA of OpenSSL": ["ssh-keygen", "-q", "-t", "rsa", "-m", "PEM", "-N", "{}", "-f", "key"],
    "PKCS 8": ["ssh-keygen", "-q", "-t", "ecdsa", "-m", "PKCS8", "-N", "{}", "-f", "key"],
}


@pytest.fixture
def key(tmp_path):
    """Return what makes a private key of a form, with a passphrase or ""."""

    def made(form, passphrase):
        command = [word.format(passphrase) for word in MADE[form]]
        subprocess.run(command, cwd=tmp_path, check=True)
        return (tmp_path / "key").read_text()

    return made


@pytest.mark.parametrize("form", MADE)
@pytest.mark.parametrize("variable", ["backup_ssh_key", "build_git_key"])
def test_a_key_with_a_passphrase_is_refused(key, form, variable):
    said = CHECKS[variable](key(form, WORDS))
    assert said and "passphrase" in said and "ssh-keygen -t ed25519 -N ''" in said


@pytest.mark.parametrize("form", MADE)
@pytest.mark.parametrize("variable", ["backup_ssh_key", "build_git_key"])
def test_a_key_without_one_is_taken(key, form, variable):
    assert CHECKS[variable](key(form, "")) is None
