"""Values that decide how nginx answers; they become parts of its configuration."""

from __future__ import annotations

import ipaddress
import re
import warnings

from .exact import unquoted
from .values import each, pattern

ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")
URL_PATH = re.compile(r"/[\w./~%+-]*", re.ASCII)
HEADER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*")
# Of what RFC 9110 allows in a field, all but what ends, escapes or expands a text in nginx's configuration.
HEADER_VALUE = re.compile(r"(?! )[ !#%-\[\]-~]*(?<! )")
# Headers that have a variable of their own, or that nginx makes.
ELSEWHERE = {
    "content-security-policy": "app_csp",
    "access-control-allow-origin": "app_cors_origins",
    "cache-control": "app_static_hashed",
}
MADE = {"connection", "content-length", "content-type", "date", "etag", "last-modified", "retry-after", "server"}
MADE |= {"transfer-encoding", "vary", "x-request-id"}


def origins(values):
    if "*" in values:
        return None if values == ["*"] else '"*" allows every origin; write it alone'
    return each(pattern(ORIGIN, "https://www.example.com"))(values)


def network(value):
    """Judge an address or network (RFC 4632, RFC 4291); one with host bits set is a slip.

    Python reads more than nginx does (netmasks, zones): only its own way to write what it read is taken.
    """
    example = "example: app_trusted_proxies: [192.0.2.0/24]"
    try:
        found = ipaddress.ip_network(value)
    except ValueError as error:
        return f"{error}; {example}"
    if getattr(found.network_address, "scope_id", None):
        return f"{value!r} has a zone, and a proxy's address has none; {example}"
    if value not in (str(found), str(found.network_address)):
        return f"write {found} instead of {value!r}"
    return f"{value} trusts everybody; {example}" if not found.prefixlen else None


def expression(value):
    """Judge a regular expression by Python's reading, which shares what such patterns use with PCRE."""
    example = r"example: app_static_hashed: ['^/static/assets/']"
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


def headers(values):
    for name, value in values.items():
        if not HEADER_NAME.fullmatch(str(name)):
            return f"{name!r} is not a header's name; example: Cross-Origin-Opener-Policy"
        if name.lower() in ELSEWHERE:
            return f"{name} has its own variable; write {ELSEWHERE[name.lower()]}"
        if name.lower() in MADE:
            return f"{name} is made by nginx; remove it"
        wrong = pattern(HEADER_VALUE, "Cross-Origin-Opener-Policy: same-origin")(str(value))
        if wrong or isinstance(value, list | dict | None):
            return f"{name}: {wrong or 'is not text; remove it, or write text'}"
    return unquoted(values)
