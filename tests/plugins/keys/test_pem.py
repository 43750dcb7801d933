"""A new signing key is of the kind and size that was asked for."""

from __future__ import annotations

import pytest
import yaml
from ansible.module_utils.flask_deploy.keys.pem import MAKE, make
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tests.conftest import ROOT


@pytest.mark.parametrize("algorithm", MAKE)
def test_a_key_is_of_the_kind_that_its_algorithm_asks_for(algorithm):
    pem = make(algorithm)
    assert pem.text.startswith("-----BEGIN PRIVATE KEY-----\n"), "PKCS#8"
    assert (pem.algorithm, pem.private) == (algorithm, True)
    assert make(algorithm).text != pem.text


def test_an_rsa_key_has_3072_bits():
    key = load_pem_private_key(make("RS256").text.encode(), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    assert (key.key_size, key.public_key().public_numbers().e) == (3072, 65537)


def test_every_algorithm_that_a_user_may_choose_has_keys():
    specs = yaml.safe_load((ROOT / "roles/tokens/meta/argument_specs.yml").read_text())
    assert set(specs["argument_specs"]["main"]["options"]["tokens_algorithm"]["choices"]) == {*MAKE, "none"}
