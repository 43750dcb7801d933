"""Values of role nginx."""

from __future__ import annotations

import re

from .certificates import check_certificate
from .rules import APP, NAME, absolute_file, each, number, pattern

HEADER_SIZE = re.compile(r"[1-9][0-9]{0,2}k")

CHECKS = {
    "nginx_certificate_file": absolute_file,
    "nginx_certificate_key_file": absolute_file,
    "nginx_certificate_names": each(pattern(NAME, "[shop.example.com]")),
    "nginx_certificate_owner": pattern(APP, "nginx_certificate_owner: shop"),
    "nginx_worker_connections": number(64, 1000000),
    "nginx_keepalive_timeout": number(0, 3600),
    "nginx_header_timeout": number(1, 3600),
    "nginx_header_size": pattern(HEADER_SIZE, "nginx_header_size: 8k"),
}


def check_together(values, hosts):
    """Return mistakes that only show when variables are seen together."""
    return check_certificate(values) if values.get("nginx_certificate") == "provided" else []
