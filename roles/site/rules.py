"""Which values of role site's variables can work; they become parts of nginx's configuration."""

from __future__ import annotations

import ipaddress
import os
import re
import warnings
from typing import Any

from inventory_check.exact import unquoted
from inventory_check.values import NAME, SIZE, WILDCARD, each, number, odd_name, pattern

YEAR = 365 * 24 * 3600  # seconds; the least for https://hstspreload.org
ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")
URL_PATH = re.compile(r"/[\w./~%+-]*", re.ASCII)
UPLOADS = re.compile(r"/([A-Za-z0-9_~-][A-Za-z0-9._~-]*/)+")
FOLDER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)*")
HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,127}")
# Of what RFC 9110 allows in a field, all but what ends, escapes or expands a text in nginx's configuration.
HEADER_VALUE = re.compile(r"(?! )[ !#%-\[\]-~]*(?<! )")
# Headers that have a variable of their own, or that nginx makes.
ELSEWHERE = {
    "content-security-policy": "site_csp",
    "access-control-allow-origin": "site_cors_origins",
    "cache-control": "site_static_hashed",
}
MADE = {"connection", "content-length", "content-type", "date", "etag", "last-modified", "retry-after", "server"}
MADE |= {"transfer-encoding", "vary", "x-request-id"}


def origins(values: list[str]) -> str | None:
    if "*" in values:
        return None if values == ["*"] else '"*" allows every origin; write it alone'
    return each(pattern(ORIGIN, "https://www.example.com"))(values)


def network(value: str) -> str | None:
    """Judge an address or network (RFC 4632, RFC 4291); one with host bits set is a slip.

    Python reads more than nginx does (netmasks, zones): only its own way to write what it read is taken.
    """
    example = "example: site_trusted_proxies: [192.0.2.0/24]"
    try:
        found = ipaddress.ip_network(value)
    except ValueError as error:
        return f"{error}; {example}"
    if getattr(found.network_address, "scope_id", None):
        return f"{value!r} has a zone, and a proxy's address has none; {example}"
    if value not in (str(found), str(found.network_address)):
        return f"write {found} instead of {value!r}"
    return f"{value} trusts everybody; {example}" if not found.prefixlen else None


def expression(value: str) -> str | None:
    """Judge a regular expression by Python's reading, which shares what such patterns use with PCRE."""
    example = r"example: site_static_hashed: ['^/static/assets/']"
    if not value or re.search(r'["\x00-\x20\x7f]', value) or value.endswith("\\"):
        return f"{value!r} cannot stand in nginx's configuration; {example}"
    try:
        with warnings.catch_warnings(action="ignore"):
            found = re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        return f"{value!r} is not a regular expression: {error}; {example}"
    if found.groupindex:
        return f"{value!r} names a group, which would set a variable of nginx; write (?:…)"
    if re.match(r"\(\?[aiLmsux]+\)", value):
        return f"{value!r} would change the expressions beside it too; write (?i:…)"
    return None


def headers(values: dict[Any, Any]) -> str | None:
    if said := odd_name(values):
        return said
    for name, value in values.items():
        if not HEADER_NAME.fullmatch(name):
            return f"{name!r} is not a header's name; example: Cross-Origin-Opener-Policy"
        if name.lower() in ELSEWHERE:
            return f"{name} has its own variable; write {ELSEWHERE[name.lower()]}"
        if name.lower() in MADE:
            return f"{name} is made by nginx; remove it"
        wrong = pattern(HEADER_VALUE, "Cross-Origin-Opener-Policy: same-origin")(str(value))
        if wrong or isinstance(value, list | dict | None):
            return f"{name}: {wrong or 'is not text; remove it, or write text'}"
    return unquoted(values)


def static(value: str) -> str | None:
    wrong = pattern(re.compile(r"(?!-)[^\x00-\x20\"'\\$;{}]*"), "site_static: static")(value)
    place = os.path.normpath(value)
    if not wrong and value and (place.strip("/") in ("", ".") or place.startswith("..")):
        wrong = f"{value!r} would publish the whole app"
    return wrong


def uploads(values: dict[str, Any]) -> str | None:
    example = "example: site_uploads: {/media/: uploads}"
    for address, folder in values.items():
        if not isinstance(address, str) or not UPLOADS.fullmatch(address):
            return f"{address!r} is not an address that begins and ends with a slash; {example}"
        if address == "/static/":
            return f"/static/ is where the release's own files are; {example}"
        if not isinstance(folder, str) or not FOLDER.fullmatch(folder):
            return f"{address}: {folder!r} is not a directory below /data, which would be the whole; {example}"
    return None


CHECKS = {
    "site_domain": pattern(NAME, "site_domain: shop.example.com (a name alone; punycode for other scripts)"),
    "site_aliases": each(pattern(NAME, "[www.shop.example.com]")),
    "site_names": each(pattern(WILDCARD, "[shop.example.org, '*.shop.example.com']")),
    "site_uploads": uploads,
    "site_https_port": number(1, 65535),
    "site_static": static,
    "site_static_hashed": each(expression),
    "site_max_body": pattern(SIZE, "site_max_body: 10m"),
    "site_trusted_proxies": each(network),
    "site_connections_per_address": number(0, 10**6),
    "site_login_paths": each(pattern(URL_PATH, "[/login]")),
    "site_login_rate": number(1, 10**6),
    "site_login_burst": number(0, 10**6),
    "site_login_minute": number(0, 10**6),
    "site_request_rate": number(0, 10**6),
    "site_request_burst": number(0, 10**6),
    "site_cors_origins": origins,
    "site_hsts_max_age": number(0, 10**9),
    "site_csp": pattern(HEADER_VALUE, "site_csp: default-src 'self'"),
    "site_headers": headers,
    "site_maintenance_message": pattern(re.compile(r"\s*\S[^\0]*"), "site_maintenance_message: Back at 18:00 UTC."),
    "site_maintenance_retry_after": number(1, 10**6),
    "site_proxy_read_timeout": number(1, 86400),
    "site_proxy_send_timeout": number(1, 86400),
    "site_send_timeout": number(1, 86400),
    "site_client_body_timeout": number(1, 86400),
}
# Shown where a variable has no default that could serve as an example.
EXAMPLES = {
    "site_domain": "shop.example.com",
    "site_aliases": ["www.shop.example.com"],
    "site_hsts_max_age": 63072000,
    "site_ipv6": True,
    "site_names": ["shop.example.org", "*.shop.example.com"],
    "site_uploads": {"/media/": "uploads"},
    "site_trusted_proxies": ["192.0.2.0/24"],
    "site_cors_origins": ["https://www.example.com"],
    "site_headers": {"Cross-Origin-Opener-Policy": "same-origin"},
}


def check_together(values: dict[str, Any], hosts: list[str]) -> list[str]:
    """Return mistakes that only show when variables are seen together."""
    names = [values.get("site_domain"), *values.get("site_aliases", [])]
    twice = sorted({name for name in names if names.count(name) > 1})
    mistakes = [f"site_aliases: {name} is there twice, or is site_domain itself" for name in twice]
    own = values.get("site_names", [])
    twice = sorted({name for name in own if (own + names).count(name) > 1})
    mistakes += [f"site_names: {name} is there twice, or is in site_aliases or site_domain" for name in twice]
    listed = values.get("site_hsts_subdomains") and values["site_hsts_max_age"] >= YEAR
    if values.get("site_hsts_preload") and not listed:
        mistakes.append(f"site_hsts_preload: needs site_hsts_subdomains: true and site_hsts_max_age of {YEAR} or more")
    dropped = {name.lower() for name, value in values.get("site_headers", {}).items() if not value}
    if values.get("site_uploads") and "x-content-type-options" in dropped:
        mistakes.append("site_headers: site_uploads need X-Content-Type-Options; remove it from site_headers")
    return mistakes + in_front(values)


def in_front(values: dict[str, Any]) -> list[str]:
    """Return what TLS that ends in front of nginx does not go with."""
    mistakes = []
    if values.get("site_tls_in_front") and not values.get("site_trusted_proxies"):
        mistakes.append(
            "site_tls_in_front: needs the addresses of what ends TLS, or nobody is believed; "
            "example: site_trusted_proxies: [192.0.2.0/24]"
        )
    if values.get("site_tls_in_front") and values.get("nginx_certificate") == "acme":
        mistakes.append(
            "nginx_certificate: acme does not go with site_tls_in_front, as the CA asks what is in front; "
            "write selfsigned or provided"
        )
    return mistakes
