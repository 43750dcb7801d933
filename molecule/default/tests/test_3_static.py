"""Public files: what is kept, what is asked for again, what is compressed, and what an old page still finds."""

from __future__ import annotations

import os
import shutil

import pytest

URL = "https://app.test"
TEXT = "/* a text that gets smaller */\n" * 100
IMMUTABLE = "public, max-age=31536000, immutable"
FILES = {
    "app.3f9a0c41.css": TEXT.encode(),
    "assets/app-BxY12abc.js": TEXT.encode(),
    "plain.css": TEXT.encode(),
    "report-20261122.txt": TEXT.encode(),
    "drawing.svg": b"<svg xmlns='http://www.w3.org/2000/svg'>" + b"<g/>" * 500 + b"</svg>",
    "photo.3f9a0c41.png": os.urandom(3000),
    "small.json": b'{"small": true}',
    "module.mjs": TEXT.encode(),
}
CACHE = {name: IMMUTABLE if "3f9a0c41" in name or "BxY12abc" in name else "no-cache" for name in FILES}
# Encodings whose module knows no ranges, and answers with the whole.
WHOLE = ("br", "gzip") if os.environ.get("MOLECULE_SUITE") == "bookworm" else ("br",)
PACKED = [name for name in FILES if name.rpartition(".")[2] not in ("png", "json")]
TYPES = {"css": "text/css", "js": "application/javascript", "mjs": "text/javascript", "svg": "image/svg+xml"}
TYPES |= {"txt": "text/plain", "png": "image/png", "json": "application/json"}


@pytest.fixture(scope="module", autouse=True)
def deployed(play, tmp_path_factory):
    source = tmp_path_factory.mktemp("static") / "app"
    root = os.environ["MOLECULE_PROJECT_DIRECTORY"]
    shutil.copytree(f"{root}/app", source, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
    (source / "static" / "assets").mkdir()
    for name, content in FILES.items():
        (source / "static" / name).write_bytes(content)
    play("playbooks/app.yml", "-e", f"build_source={source}")
    yield
    play("playbooks/app.yml")


@pytest.mark.parametrize("place", ["", "/static"])
@pytest.mark.parametrize("encoding", ["", "gzip", "br"])
@pytest.mark.parametrize("name", FILES)
def test_file_by_kind_encoding_and_status(get, place, encoding, name):
    """A row of the table in docs/reference/site.md: 200, then 304 and 206 as its answer allows, each with headers."""
    url, accept = f"{URL}{place}/{name}", ["-H", f"Accept-Encoding: {encoding}"]
    packed = bool(encoding) and name in PACKED
    whole = get(url, *accept, "-o", "/dev/null", "-D", "-")
    assert whole.status == 200
    assert whole.headers["content-type"].partition(";")[0] == TYPES[name.rpartition(".")[2]]
    assert whole.headers["cache-control"] == CACHE[name]
    assert whole.headers.get("content-encoding") == (encoding if packed else None)
    assert whole.headers.get("vary") == ("Accept-Encoding" if name in PACKED else None)
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert "last-modified" not in whole.headers and "x-release" not in whole.headers
    length = int(whole.headers["content-length"])
    assert length < len(FILES[name]) if packed else length == len(FILES[name])

    known = get(url, *accept, "-H", f"If-None-Match: {whole.headers['etag']}")
    assert (known.status, known.body) == (304, "")
    assert known.headers["cache-control"] == CACHE[name]
    assert known.headers["etag"] == whole.headers["etag"]
    assert get(url, *accept, "-H", 'If-None-Match: "other"', "-o", "/dev/null", "-D", "-").status == 200

    if packed and encoding in WHOLE:
        assert get(url, *accept, "-r", "0-9", "-o", "/dev/null", "-D", "-").status == 200
        return
    part = get(url, *accept, "-r", "0-9", "-o", "/dev/null", "-D", "-")
    assert (part.status, part.headers["content-length"]) == (206, "10")
    assert part.headers["content-range"] == f"bytes 0-9/{length}"
    assert part.headers["cache-control"] == CACHE[name]
    assert get(url, *accept, "-r", "99999-").status == 416


@pytest.mark.parametrize("name", ["no.3f9a0c41.css", "no.css", "assets/no-BxY12abc.js"])
@pytest.mark.parametrize("place", ["", "/static"])
def test_a_file_that_is_not_there_is_the_app_s_to_answer(get, place, name):
    answer = get(f"{URL}{place}/{name}")
    assert answer.status == 404
    assert "x-release" in answer.headers and "cache-control" not in answer.headers


@pytest.mark.parametrize("encoding", ["gzip", "br"])
def test_compressed_files_are_what_they_were(get, encoding):
    answer = get(f"{URL}/plain.css", "--compressed", "-H", f"Accept-Encoding: {encoding}")
    assert (answer.headers["content-encoding"], answer.body) == (encoding, TEXT)


def test_etag_is_of_the_content_alone(get, play, release):
    before, etag = release(), get(f"{URL}/page.css").headers["etag"]
    play("playbooks/app.yml")
    assert release() != before
    assert get(f"{URL}/page.css").headers["etag"] == etag


@pytest.mark.parametrize("place", ["", "/static"])
def test_an_old_page_finds_its_hashed_files_after_a_switch_and_no_others(get, place):
    """After the deploy of the test before, the files are in the release before alone."""
    for name in FILES:
        answer = get(f"{URL}{place}/{name}", "-o", "/dev/null", "-D", "-")
        assert answer.status == (200 if CACHE[name] == IMMUTABLE else 404), name
        if answer.status == 200:
            assert answer.headers["cache-control"] == IMMUTABLE


@pytest.mark.parametrize(
    ("headers", "encoding"),
    [
        ([], None),
        (["Accept-Encoding: gzip"], "gzip"),
        (["Accept-Encoding: br, gzip"], "br"),
        (["Accept-Encoding: br", "Authorization: Bearer x"], "br"),
        (["Accept-Encoding: br", "Cookie: session=x"], None),
        (["Accept-Encoding: br", "Authorization: Basic eDp5"], None),
    ],
)
def test_answers_of_the_app_are_compressed_unless_a_browser_sends_secrets_by_itself(get, headers, encoding):
    sent = [part for header in ["Accept: text/html", *headers] for part in ("-H", header)]
    answer = get(f"{URL}/", *sent, "-o", "/dev/null", "-D", "-")
    assert answer.status == 200
    assert answer.headers.get("content-encoding") == encoding
