"""Whether nginx's certificate is one for the names of a site file: no release goes live under another's."""

from __future__ import annotations

import re
import ssl
import time

from ansible.module_utils.flask_deploy.host import command
from ansible.module_utils.flask_deploy.host.nginx import MAKES_CERTIFICATES, SiteError

CERTIFICATE = re.compile(r"^\s*ssl_certificate\s+([^;\s]+);", re.MULTILINE)
NAMES = re.compile(r"^\s*server_name\s+([^;]+);", re.MULTILINE)


class CertificateError(SiteError):
    """A site's names have no certificate; the message says which, and what to type."""


def judge(site: str) -> tuple[str | None, str | None]:
    """Return (why a site cannot go live with the certificate it names, or None; what else ails that, or None)."""
    found = CERTIFICATE.search(site)
    if not found:
        return None, None
    names = sorted({name for line in NAMES.findall(site) for name in line.split()})
    known = look(found[1])
    if known is None:
        return f"certificate: there is none on this host for {', '.join(names)}; {MAKES_CERTIFICATES}", None
    covered, first, last = known
    missing = [name for name in names if not {name, f"*.{name.partition('.')[2]}"} & covered]
    if missing:
        said = f"does not cover {', '.join(missing)}, it is for {', '.join(sorted(covered)) or 'no name'}"
        return f"certificate: the one on this host {said}; {MAKES_CERTIFICATES}", None
    if not first <= time.time() <= last:
        day = [time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(moment)) for moment in (first, last)]
        return (
            None,
            f"certificate: the one on this host is valid from {day[0]} to {day[1]}, not now; {MAKES_CERTIFICATES}",
        )
    return None, None


def demand(site: str) -> None:
    """See that a site has a certificate for its names.

    :raises CertificateError: it has none.
    """
    why, _ = judge(site)
    if why:
        raise CertificateError(why)


def look(path: str) -> tuple[set[str], int, int] | None:
    """Return (names, begin, end in seconds since 1970) of a certificate; None where there is none to read."""
    words = ("openssl", "x509", "-in", path, "-noout", "-dates", "-ext", "subjectAltName")
    try:
        done = command.attempt(*words, limit=30)
    except FileNotFoundError:
        return None
    printed = done.out.decode(errors="replace")
    dates = dict(line.split("=", 1) for line in printed.splitlines() if line.startswith("not"))
    if done.code != 0 or len(dates) < 2:
        return None
    begin, end = (ssl.cert_time_to_seconds(dates[name]) for name in ("notBefore", "notAfter"))
    return set(re.findall(r"DNS:([^,\s]+)", printed)), begin, end
