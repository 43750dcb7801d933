#!/usr/bin/python3
"""Before nginx starts: test its configuration, and leave out sites that break it, so that the others serve on.

A site that is left out keeps its file under another name; each start tries it again, and a deploy of its app writes it
anew. What is wrong is said to the journal as an error (sd-daemon(3)).
"""

from __future__ import annotations

import glob
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable

CONF = "/etc/nginx"
ASIDE = ".left-out"
PATIENCE = 20  # seconds; systemd gives nginx 90 s to start, for all tests


def fault(main: str) -> str:
    """Return what nginx says against a configuration, or an empty text."""
    command = ["nginx", "-t", "-q", "-c", main]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return f"its test took longer than {PATIENCE} s"
    return (done.stderr.strip() or "it is refused") if done.returncode else ""


def main_text(conf: str) -> str:
    with open(f"{conf}/nginx.conf", encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def includes(conf: str) -> re.Pattern[str]:
    """Return the pattern of nginx's includes of sites: those of apps, and of others that were taken over (quoted)."""
    return re.compile(rf'include ({re.escape(conf)}/conf\.d/\*\.conf|"[^"]+\[.\]");')


def present(conf: str, aside: str = "") -> list[str]:
    """Return the files of all sites, or those that were left out."""
    patterns = [found.strip('"') for found in includes(conf).findall(main_text(conf))]
    return sorted(path for pattern in patterns for path in glob.glob(pattern + aside))


def fault_with(sites: Iterable[str], conf: str) -> str:
    """Return what nginx says against its main file with these sites alone."""
    first, *rest = includes(conf).split(main_text(conf))[::2]
    text = first + "".join(f'include "{site}";\n' for site in sites) + "".join(rest)
    with tempfile.NamedTemporaryFile("w", dir=conf, encoding="utf-8", errors="surrogateescape") as staged:
        staged.write(text)
        staged.flush()
        return fault(staged.name)


def bring_back(conf: str) -> None:
    """Give sites that were left out another chance, but for those that a deploy wrote anew."""
    for aside in present(conf, ASIDE):
        site = aside.removesuffix(ASIDE)
        if os.path.exists(site):
            os.unlink(aside)
        else:
            os.rename(aside, site)


def leave_out(conf: str) -> dict[str, str]:
    """Leave out each site with which nginx would not start; return {file: nginx's words}."""
    good: list[str] = []
    broken: dict[str, str] = {}
    for site in present(conf):
        said = fault_with([*good, site], conf)
        if said:
            broken[site] = said
        else:
            good.append(site)
    for site in broken:
        os.rename(site, site + ASIDE)
    return broken


def tell(words: str) -> None:
    """Say an error to the journal, in one line."""
    sys.stderr.write(f"<3>{' '.join(words.split())}\n")


def main(conf: str = CONF) -> int:
    bring_back(conf)
    said = fault(f"{conf}/nginx.conf")
    if said and fault_with([], conf):
        tell(f"nginx's own configuration is broken: {said}")
        return 1
    for site, words in (leave_out(conf) if said else {}).items():
        app = os.path.basename(site).removesuffix(".conf")
        tell(f"SITE LEFT OUT: {app} does not serve, other apps do. {words}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
