"""An inventory's manifests, made in this process as role kubernetes makes them."""

from __future__ import annotations

import copy

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.action import kubernetes_write as action
from ansible.template import Templar, trust_as_template
from manifests import objects, render

from tests.conftest import ROOT

ROLE = ROOT / "roles" / "kubernetes"
LEAST = """
site_domain: shop.example.com
build_source: /src/shop
app_wsgi: shop:create_app()
app_name: shop
kubernetes_image: registry.example.com/shop:1.4.0
"""


SEEN = {}


@pytest.fixture
def known(variables):
    """Return what the role hands to its module, for an inventory and the names of its hosts."""
    tasks = yaml.safe_load((ROLE / "tasks/main.yml").read_text())
    (asked,) = [task["kubernetes_write"] for task in tasks if "kubernetes_write" in task]

    def told(inventory="", hosts=("web1",)):
        if (inventory, hosts) not in SEEN:
            place = {"role_path": str(ROLE), "inventory_dir": "/inventories/production", "inventory_hostname": hosts[0]}
            place |= {
                "ansible_play_hosts": list(hosts),
                "ansible_play_hosts_all": list(hosts),
                "groups": {"web": list(hosts)},
            }
            templar = Templar(DataLoader(), variables=variables(LEAST + inventory, **place))
            found = {name: templar.template(trust(value)) for name, value in asked.items() if name != "directory"}
            SEEN[inventory, hosts] = action.typed(found)
        return copy.deepcopy(SEEN[inventory, hosts])

    return told


def trust(value):
    return trust_as_template(value) if isinstance(value, str) else value


@pytest.fixture
def made(known):
    """Return the objects of an inventory by their paths, read again from what would be written."""

    def of(inventory="", hosts=("web1",)):
        texts = render(known(inventory, hosts))
        return {path: yaml.safe_load(text) for path, text in texts.items() if path.endswith(".yaml")}

    return of


@pytest.fixture
def readme(known):
    return lambda inventory="", hosts=("web1",): render(known(inventory, hosts))["README.md"]


@pytest.fixture
def raw(known):
    """Return the objects as they are before they are written, under a release of some name."""
    return lambda inventory="", hosts=("web1",): objects({**known(inventory, hosts), "release": "5f0c5f0c5f0c"})
