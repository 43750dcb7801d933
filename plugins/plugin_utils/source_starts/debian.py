"""Packages of Debian that packages of Python need."""

from __future__ import annotations

import re
from collections.abc import Mapping

# Package of Python: packages of Debian in the image, and such that its build needs beside the usual headers.
OF_DEBIAN = {
    "gitpython": (["git"], []),
    "pydub": (["ffmpeg"], []),
    "ffmpeg-python": (["ffmpeg"], []),
    "python-magic": (["libmagic1"], []),
    "pytesseract": (["tesseract-ocr"], []),
    "pdf2image": (["poppler-utils"], []),
    "weasyprint": (["libpango-1.0-0", "libpangoft2-1.0-0"], []),
    "cairosvg": (["libcairo2"], []),
    "python-ldap": ([], ["libldap-dev", "libsasl2-dev"]),
    "pyodbc": ([], ["unixodbc-dev"]),
    "xmlsec": ([], ["libxmlsec1-dev", "pkg-config"]),
    "pycairo": ([], ["libcairo2-dev", "pkg-config"]),
}


def packages(needs: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return {package of Debian: what needs it}, of the image and of its build.

    :param needs: {package of Python: how it is listed}.
    """
    image: dict[str, str] = {}
    build: dict[str, str] = {}
    for name in sorted(needs.keys() & OF_DEBIAN.keys()):
        runs, builds = OF_DEBIAN[name]
        image = dict.fromkeys(runs, name) | image
        build = dict.fromkeys(builds, name) | build
    if "psycopg" in needs and not re.search(r"\b(binary|c)\b", needs["psycopg"]):
        image.setdefault("libpq5", "psycopg, without its extra binary")
    return image, build
