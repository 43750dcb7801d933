"""The page: figures that were counted by hand, marks that stay text, and what accessible pages have."""

from __future__ import annotations

import itertools
import re
from html.parser import HTMLParser

import pytest
from ansible.plugins.action import report_write as action
from html_page import charts, figures, markup, page

from tests.conftest import ROOT
from tests.roles.report import example
from tests.roles.report.example import LAST, NEW, NOW, OLD, SICK, asked, host, known, traffic

STYLE = (ROOT / "roles/report/files/report.css").read_text()
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>&amp;"
VOID = {"meta", "rect", "line", "circle"}


class Page(HTMLParser):
    """What a page holds: elements as (name, attributes), texts, and whether each element ends where it should."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.texts = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert len(dict(attrs)) == len(attrs), attrs
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        assert tag in VOID

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((list(self.open), data))

    def all(self, name):
        return [attributes for tag, attributes in self.elements if tag == name]


@pytest.fixture(scope="module")
def rich():
    return page(known(), STYLE)


def cells(text, caption):
    """Return the texts of a table's rows."""
    table = re.search(rf"<caption>{caption}</caption>(.*?)</table>", text, re.DOTALL)[1]
    rows = re.findall(r"<tr>(.*?)</tr>", table.partition("<tbody>")[2])
    return [[re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<t[hd].*?</t[hd]>", row)] for row in rows]


def counted(*milliseconds):
    told = figures.Traffic()
    told.add(asked([[each, 1] for each in milliseconds], [[LAST, len(milliseconds), 0]]))
    return told


@pytest.mark.parametrize(
    ("times", "percent", "expected"),
    [
        ((5,), 50, 5),
        ((5,), 99, 5),
        ((1, 2), 50, 1),
        ((1, 2, 3), 50, 2),
        (range(1, 101), 50, 50),
        (range(1, 101), 99, 99),
        (range(1, 102), 99, 100),
        ((), 50, None),
    ],
)
def test_a_percentile_is_a_time_that_was_measured(times, percent, expected):
    assert counted(*times).at(percent) == expected


def test_figures_of_hosts_are_added_and_percentiles_are_of_all_requests():
    one = host(traffic=traffic({NEW: asked([[10, 1], [20, 1]], [[LAST - 1, 3, 1]])}))
    two = host(traffic=traffic({NEW: asked([[20, 1], [900, 97]], [[LAST - 1, 98, 2], [LAST - 2, 1, 0]])}))
    told = figures.traffic({"web1": one, "web2": two})
    assert (told[NEW].requests, told[NEW].failed, told[NEW].at(50), told[NEW].at(2)) == (102, 3, 900, 20)
    assert told[NEW].hours == {LAST - 1: [101, 3], LAST - 2: [1, 0]}
    assert figures.total(told) == told[NEW]


def test_the_table_shows_what_was_counted(rich):
    rows = cells(rich, "Requests, errors and times by release")
    assert rows[1][:7] == [SICK, "3,360", "544", "16.2 %", "36 ms", "4.20 s", "6"]
    assert [row[0] for row in rows] == [OLD, SICK, NEW, "all"]
    assert rows[3][1:3] == ["12,528", "546"]
    assert "nearest rank" in rich and "Nothing is sampled" in rich


def test_a_chart_without_a_bar_says_so():
    good = figures.traffic({"web1": host(traffic=traffic({NEW: asked([[10, 1]], [[LAST - 1, 1, 0]])}))})
    assert "no errors" in str(charts.hours("failed", "Errors", good, {NEW: "c0"}, NOW))
    drawn = str(charts.hours("asked", "Requests", good, {NEW: "c0"}, NOW))
    assert "no requests" not in drawn and "at most 1 in an hour" in drawn


def test_errors_are_shown_by_path(rich):
    assert cells(rich, "Paths with the most errors")[0] == ["/basket/checkout", "500", "251", SICK, "11-14 19:00"]


def test_releases_of_all_hosts_stand_in_one_row(rich):
    rows = cells(rich, "Releases that are kept, the newest first")
    assert rows[0] == [NEW, "2023-11-14 19:36", "serves", "ada", "v1.4.1 c0ffee1", "web1, web2"]
    assert len(rows) == 5
    assert cells(rich, "Releases that failed before they served")[0][-1] == "web1"


def test_a_release_served_until_the_next_one_did():
    spans = figures.spans(example.RELEASES, NOW)
    assert [(each.release, each.end) for each in spans[-2:]] == [(SICK, NOW - 0.1 * 86400), (NEW, NOW)]
    assert figures.spans([example.release("aa", 1, switched=0)], NOW) == []


def test_a_release_has_one_colour_in_all_charts(rich):
    kinds = {}
    for colour, release in re.findall(r'class="patch (c\d)"[^>]*></span><code>(\w+)', rich):
        kinds.setdefault(release, set()).add(colour)
    assert kinds.keys() >= {OLD, SICK, NEW} and all(len(each) == 1 for each in kinds.values())


def evil(value):
    """Return what a host told with each of its texts a mark, also those that are names."""
    if isinstance(value, dict):
        return {name: evil(each) for name, each in value.items()}
    if isinstance(value, list):
        return [evil(each) for each in value]
    return EVIL if isinstance(value, str) else value


def test_no_text_of_a_host_is_taken_for_a_mark():
    told = known()
    worse = {name: evil(told[name]) for name in ("app", "environment", "told", "seen", "statuses", "hosts")}
    worse["at"] = NOW
    worse["findings"] = [{**each, **dict.fromkeys(("what", "type", "host"), EVIL)} for each in told["findings"]]
    for part in ("told", "seen", "statuses"):
        worse[part] = {f"{EVIL}{host}": each for host, each in worse[part].items()}
    worse["hosts"] = [*worse["seen"], EVIL]
    for each in worse["told"].values():
        each["traffic"]["releases"] = {EVIL: each["traffic"]["releases"][NEW]}
        each["traffic"]["unread"] = [EVIL]
    text = page(worse, STYLE)
    assert "<script" not in text and "<img" not in text and "onerror=alert(1)>" not in text
    shown = Page(text)
    assert {name for name, _attributes in shown.elements} <= {name for name, _ in Page(page(told, STYLE)).elements}
    assert not [name for _, attributes in shown.elements for name in attributes if name.startswith("on")]
    assert sum(EVIL in data for _path, data in shown.texts) > 50


def test_what_does_not_print_is_shown_as_such():
    assert markup.text("a\x00b\x1b[31m\u202eevil") == "a?b?[31m?evil"


def test_the_page_needs_and_runs_nothing_else(rich):
    shown = Page(rich)
    names = {name for name, _attributes in shown.elements}
    assert not names & {"script", "link", "img", "iframe", "object", "form", "base", "use", "image"}
    assert not re.search(r"(?i)https?:|url\(|@import|\bsrc=|\bon\w+=|style=", rich)
    links = [each["href"] for each in shown.all("a")]
    assert all(link.startswith("#") for link in links)
    policy = next(each["content"] for each in shown.all("meta") if each.get("http-equiv"))
    assert "default-src 'none'" in policy and "unsafe" not in policy


def test_a_reader_of_the_screen_finds_its_way(rich):
    shown = Page(rich)
    names = [name for name, _attributes in shown.elements]
    assert [names.count(each) for each in ("html", "title", "h1", "main", "header", "nav", "footer")][0::2] == [
        1,
        1,
        1,
        1,
    ]
    assert shown.all("html") == [{"lang": "en"}] and names.count("h1") == names.count("main") == 1
    levels = [int(name[1]) for name in names if re.fullmatch(r"h\d", name)]
    assert levels[0] == 1 and all(after - before <= 1 for before, after in itertools.pairwise(levels))
    ids = [attributes["id"] for _, attributes in shown.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in shown.elements:
        for name in ("aria-labelledby", "aria-describedby"):
            assert set(attributes.get(name, "").split()) <= set(ids)
    assert {each["href"][1:] for each in shown.all("a")} <= set(ids)
    assert names.count("table") == names.count("caption") > 5
    assert all(each["scope"] in ("col", "row") for each in shown.all("th"))
    assert all(each["role"] == "region" and each["aria-label"] for each in shown.all("div") if "tabindex" in each)
    assert all("aria-labelledby" in each for each in shown.all("section"))
    for each in shown.all("svg"):
        assert each.get("aria-hidden") == "true" or (each["role"] == "img" and each["aria-describedby"])


def luminance(colour):
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    """Return the contrast of two colours as WCAG 2 defines it."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_texts_and_bars_stand_out(scheme):
    """WCAG 2.2: 4.5 of a text, 3 of what a picture shows."""
    blocks = re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    of = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", blocks[scheme]))
    texts = [(of[name], of[on]) for name in ("text", "soft", "link") for on in ("page", "card")]
    texts += [(of[name], of[on]) for name in ("good", "note", "soon", "broken") for on in ("page", "card")]
    texts += [(of["on"], of[f"c{number}"]) for number in range(charts.COLOURS)]
    assert [pair for pair in texts if contrast(*pair) < 4.5] == []
    assert [n for n in range(charts.COLOURS) if contrast(of[f"c{n}"], of["page"]) < 3] == []


def test_hosts_that_did_not_answer_or_were_not_set_up_are_named():
    told = known()
    bare = {"releases": [], "failures": [], "traffic": traffic({})}
    told |= {"hosts": ["web1", "web2", "web3"], "told": {"web1": bare}, "statuses": {"web1": {}}, "findings": []}
    told["seen"] = {"web1": {"facts": {}}}
    text = page(told, STYLE)
    assert "No answer from web2, web3" in text and "The app was asked nothing" in text
    assert [row[:2] for row in cells(text, "Each host, as it answered")] == [
        ["web1", "not set up"],
        ["web2", "no answer"],
        ["web3", "no answer"],
    ]


def test_a_log_that_was_not_read_whole_is_said():
    told = known()
    told["told"]["web1"] = host(traffic=traffic({}, unread=["access.log.2.gz: damaged"]))
    assert "Not all of nginx&#x27;s log was read: web1: access.log.2.gz: damaged" in page(told, STYLE)


def test_only_a_report_is_replaced(tmp_path):
    path = tmp_path / "report.html"
    assert action.refused(path) == ""
    action.write(path, page(known(), STYLE))
    assert action.refused(path) == "" and oct(path.stat().st_mode)[-3:] == "644"
    path.write_text("<!DOCTYPE html><title>mine</title>")
    assert "is no report" in action.refused(path)
    assert "there is no directory" in action.refused(tmp_path / "no" / "report.html")
    assert "is a directory" in action.refused(tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["report.html"]


def test_commands_are_those_of_whoever_began_the_run(monkeypatch):
    monkeypatch.delenv("FLASK_DEPLOY_ENVIRONMENT", raising=False)
    assert action.in_words_of_the_tool(example.FINDINGS) == example.FINDINGS
    monkeypatch.setenv("FLASK_DEPLOY_ENVIRONMENT", "production")
    told = [each["type"] for each in action.in_words_of_the_tool(example.FINDINGS)]
    assert told[2] == "flask-deploy setup -e production -- --tags nginx"
    assert told[0] == example.FINDINGS[0]["type"]
