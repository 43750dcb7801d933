"""A new signing key is of the kind and size that was asked for, and is shown nowhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible.module_utils.flask_deploy.keys.pem import Pem
from ansible.plugins.action.tokens_signing_key import make
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

ROOT = Path(__file__).parents[3]
ALGORITHMS = ("RS256", "ES256", "EdDSA")


def play(place, *options, **task):
    """Run one task on this machine as the role would; return its output."""
    path = place / "play.yml"
    path.write_text(yaml.safe_dump([{"hosts": "localhost", "gather_facts": False, "tasks": [task]}]))
    ran = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-vvv", *options, path],
        env={**os.environ, "ANSIBLE_ACTION_PLUGINS": str(ROOT / "roles/tokens/action_plugins"), "ANSIBLE_NOCOLOR": "1"},
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
    )
    return ran.stdout + ran.stderr


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_is_of_the_kind_that_its_algorithm_asks_for(algorithm):
    text = make(algorithm)
    assert text.startswith("-----BEGIN PRIVATE KEY-----\n"), "PKCS#8"
    assert (Pem(text).algorithm, Pem(text).private) == (algorithm, True)
    assert make(algorithm) != text


def test_an_rsa_key_has_3072_bits():
    key = load_pem_private_key(make("RS256").encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert (key.key_size, key.public_key().public_numbers().e) == (3072, 65537)


def test_every_algorithm_that_a_user_may_choose_has_keys():
    specs = yaml.safe_load((ROOT / "roles/tokens/meta/argument_specs.yml").read_text())
    assert set(specs["argument_specs"]["main"]["options"]["tokens_algorithm"]["choices"]) == {*ALGORITHMS, "none"}


def test_a_key_is_shown_nowhere(tmp_path):
    """Even where a task forgets `no_log`, with all that -vvv shows."""
    said = play(tmp_path, tokens_signing_key={"algorithm": "EdDSA"}, register="__made")
    assert "changed=1" in said and "censored" in said
    assert "PRIVATE" not in said and "BEGIN" not in said


def test_a_dry_run_makes_none(tmp_path):
    said = play(tmp_path, "--check", tokens_signing_key={"algorithm": "EdDSA"})
    assert "skipped=1" in said and "changed=0" in said
