"""The site of docs/ is whole, and loads nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest
import yaml
from inventory_check.inventory import load_specs

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.slow
LOADING = {"href": {"link"}, "src": {"script", "img", "iframe", "source"}, "data": {"object"}}


class Page(HTMLParser):
    """What a page loads, where its links lead, and which places in it a link may name."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.links, self.ids, self.text = [], [], set(), text
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if tag in LOADING.get(name, ()) and ("rel", "canonical") not in attributes:
                self.loads.append(value)
            elif name == "href":
                self.links.append(value)
            elif name == "id":
                self.ids.add(value)


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """Return where the site lies, and what was said as it was built."""
    place = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--config-file", ".config/mkdocs/mkdocs.yml"]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        [*command, "--site-dir", place], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return place


@pytest.fixture(scope="session")
def site(built):
    """Return its pages by path."""
    pages = {path.relative_to(built).as_posix(): Page(path.read_text()) for path in built.rglob("*.html")}
    assert len(pages) > len(list(ROOT.glob("roles/*/README.md")))
    return pages


def test_nothing_is_loaded_from_another_host(site, built):
    for path, page in site.items():
        assert [url for url in page.loads if urlsplit(url).netloc] == [], path
    styles = [*built.rglob("*.css"), ROOT / "docs/assets/site.css"]
    assert [path for path in styles if re.search(r"(?:url\(|@import )[\"']?(?:https?:)?//", path.read_text())] == []
    assert [path for path in site if re.search(r"class=\"mermaid|fonts\.g", site[path].text)] == []  # loads a script


def test_every_link_leads_to_a_page_and_a_place_in_it(site, built):
    for path, page in site.items():
        for link in [*page.links, *page.loads]:
            url = urlsplit(urljoin(f"/{path}", link))
            if url.scheme or url.netloc or path == "404.html":
                continue
            target = unquote(url.path).lstrip("/") or "index.html"
            assert (built / target).exists(), f"{path}: {link}"
            if url.fragment and target in site:
                assert unquote(url.fragment) in site[target].ids | {"__toc"}, f"{path}: {link}"


def test_every_variable_has_a_place_that_pages_lead_to(site):
    for name in load_specs():
        pages = [page for path, page in site.items() if path.startswith("reference/roles/") and name in page.ids]
        assert len(pages) == 1, name
    assert "roles/app.html#app_memory" in site["reference/data.html"].links


def test_every_kind_of_page_is_in_the_navigation():
    parts = yaml.safe_load((ROOT / ".config/mkdocs/mkdocs.yml").read_text())["nav"]
    titles = [title for part in parts if isinstance(part, dict) for title in part]
    assert titles == ["Home", "Tutorial", "How-to", "Reference", "Explanation", "Project"]


def test_a_bar_in_a_table_is_shown_as_it_is_typed(site):
    escaped = {path: re.findall(r"<code>[^<]*\\\|[^<]*</code>", page.text) for path, page in site.items()}
    assert {path: found for path, found in escaped.items() if found} == {}
    assert "<code>_FLASK_DEPLOY_COMPLETE=fish_source flask-deploy | source</code>" in site["reference/tool.html"].text


def test_a_link_to_a_file_that_is_no_page_keeps_its_words(site):
    assert "also work without the tool (<code>README.md</code>)." in site["reference/tool.html"].text.replace("\n", " ")
    assert "(<code>plugins/" not in site["reference/guarantees.html"].text, "a link that is a file's name is that file"
