"""Which values of role docker's variables can work."""

from __future__ import annotations

import difflib
import re
from typing import Any

from inventory_check.values import SIZE, number, pattern

# Keys of dockerd's configuration file (docs.docker.com, dockerd reference); Debian 12's engine cannot check its own.
DAEMON_KEYS = re.findall(
    r"\S+",
    """
allow-nondistributable-artifacts bip bridge builder cgroup-parent data-root debug default-address-pools
default-cgroupns-mode default-gateway default-runtime default-shm-size default-ulimits dns dns-opts dns-search
exec-opts exec-root experimental features fixed-cidr fixed-cidr-v6 group hosts http-proxy https-proxy icc init
init-path insecure-registries ip ip-forward ip-masq ip6tables iptables ipv6 labels live-restore log-driver
log-format log-level log-opts max-concurrent-downloads max-concurrent-uploads max-download-attempts
metrics-addr mtu no-new-privileges no-proxy proxies raw-logs registry-mirrors runtimes seccomp-profile
selinux-enabled shutdown-timeout storage-driver storage-opts tls tlscacert tlscert tlskey tlsverify
userland-proxy userns-remap
""",
)


def daemon_options(values: dict[str, Any]) -> str | None:
    for key in map(str, values):
        if key not in DAEMON_KEYS:
            near = difflib.get_close_matches(key, DAEMON_KEYS, 1)
            return f"dockerd knows no key {key!r}" + (f"; did you mean {near[0]!r}?" if near else "")
    if "hosts" in values:
        return (
            "hosts does not go with Debian's docker.service, which names its socket; and who reaches a TCP port of the "
            "engine is root on the host; remove it, and type: docker -H ssh://user@host ps"
        )
    return None


CHECKS = {
    "docker_log_max_size": pattern(SIZE, "docker_log_max_size: 10m"),
    "docker_log_max_files": number(1, 1000),
    "docker_journal_size": pattern(SIZE, "docker_journal_size: 1g"),
    "docker_build_cache_size": pattern(SIZE, "docker_build_cache_size: 2g"),
    "docker_daemon_options": daemon_options,
}
# Shown where a variable has no default that could serve as an example.
EXAMPLES = {
    "docker_daemon_options": {"dns": ["192.0.2.53"]},
}
