"""A host that others use: the check names what is in the way, a line with the way out, and changes nothing."""

from __future__ import annotations

import pytest

INSTALL = "DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends"
PURGE = "DEBIAN_FRONTEND=noninteractive apt-get purge -y -q"
TREE = (
    "rm -rf /root/tree; mkdir -p /root/tree/bin /root/tree/www; cp /usr/bin/busybox /root/tree/bin/busybox; "
    "ln -s busybox /root/tree/bin/sh; echo theirs >/root/tree/www/index.html"
)
RULES = (
    "table inet theirs { chain input { type filter hook input priority 0; policy drop; "
    "ct state established accept; tcp dport 22 accept; }; }"
)
COMPOSE = "services: {web: {image: theirs, command: busybox httpd -f -p 8000 -h /www, ports: ['80:8000']}}"
# By name: what somebody did, what the check says, and how it is undone.
KIN = {
    "apache": (
        f"{INSTALL} apache2",
        "port 80 is held by apache2 (pid",
        "type there: sudo systemctl disable --now apache2.service",
        f"{PURGE} apache2 apache2-bin apache2-data apache2-utils",
    ),
    "a compose project": (
        f"{TREE}; tar -C /root/tree -c . | docker import - theirs; mkdir -p /root/shop; "
        f'echo "{COMPOSE}" >/root/shop/compose.yml; {INSTALL} docker-compose; cd /root/shop && docker-compose up -d',
        "port 80 is held by docker",
        "type there: sudo docker ps --filter publish=80",
        "cd /root/shop && docker-compose down; docker rmi theirs; apt-get purge -y -q docker-compose",
    ),
    "ufw": (
        f"{INSTALL} ufw && ufw allow 22/tcp && ufw --force enable",
        "ufw is active",
        "type there: sudo ufw disable",
        "ufw --force disable && apt-get purge -y -q ufw",
    ),
    "a table of nftables": (
        f"{INSTALL} nftables; echo '{RULES}' | nft -f -",
        "the nftables table inet theirs filters what comes in",
        "type there: sudo nft delete table inet theirs",
        f"nft delete table inet theirs && {PURGE} nftables",
    ),
}


@pytest.fixture
def whole(snapshot, host):
    """Return all that a check could change: files, packages, rules, containers, and who listens."""
    containers = "ps -a --no-trunc --format '{{.ID}} {{.Names}} {{.State}}'"
    units = "systemctl list-units --plain --no-legend --type service --state running | grep -v -e user@ -e sshd@"
    seen = f"nft -s list ruleset; docker {containers}; podman {containers}; ss -Hltnp; {units}"
    return lambda: (snapshot(), host.run(seen).stdout)


@pytest.mark.parametrize("name", KIN)
def test_what_is_in_the_way_is_said_and_nothing_changes(play, host, whole, name):
    done, what, way_out, undone = KIN[name]
    try:
        host.check_output(f"sh -e <<'DONE'\n{done}\nDONE")
        before = whole()
        run = play("playbooks/check.yml", succeed=False)
        said = " ".join(run.output.replace("\\n", " ").split())
        assert run.rc != 0 and what in said and way_out in said, said
        assert whole() == before
    finally:
        host.run(f"sh <<'UNDONE'\n{undone}\nUNDONE")


def test_a_umask_of_077_is_no_mistake_and_nothing_changes(play, host, whole):
    host.check_output(
        "echo 'Defaults umask=0077, umask_override' >/etc/sudoers.d/umask; chmod 0440 /etc/sudoers.d/umask"
    )
    try:
        assert host.check_output("umask") in ("0077", "077")
        before = whole()
        assert play("playbooks/check.yml").changed == 0
        assert whole() == before
    finally:
        host.check_output("rm /etc/sudoers.d/umask")
