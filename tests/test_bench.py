"""What make bench reads, counts and shows: no test here judges how fast anything is."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from bench import bars, cases, compare, conditions, demo, figures, loads, on_host, setting

WRK = """\
Running 2s test @ https://measured.test:8443/
  2 threads and 50 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency    59.83ms   28.57ms 201.53ms   71.65%
    Req/Sec   404.41    118.76   590.00     71.79%
  Latency Distribution
     50%   54.38ms
     75%   74.77ms
     90%   96.50ms
     99%    1.25s
  1630 requests in 2.09s, 719.49KB read
{more}Requests/sec:    778.42
Transfer/sec:    343.60KB
"""
ERRORS = "  Socket errors: connect 10, read 200, write 3000, timeout 40000\n  Non-2xx or 3xx responses: 815\n"
H2LOAD = """\
starting benchmark...
Application protocol: h2

finished in 2.04s, 576.00 req/s, 188.48KB/s
requests: 1152 total, 1202 started, 1152 done, {good} succeeded, {failed} failed, {errored} errored, {late} timeout
status codes: {good} 2xx, 0 3xx, {missing} 4xx, {broken} 5xx
traffic: 376.96KB (386006) total, 339.69KB (347844) headers (space savings 26.17%), 14.63KB (14976) data
                     min         max         mean         sd        +/- sd
time for request:     2.04ms    676.43ms     75.12ms     62.42ms    93.14%
parts 69801 398711
"""
GOOD = {"good": 1152, "failed": 0, "errored": 0, "late": 0, "missing": 0, "broken": 0}


def test_wrk_is_read():
    assert loads.read(WRK.format(more="")) == loads.Load(1630, 778.42, 0, 54.38, 1250.0, 452)


def test_each_kind_of_error_of_wrk_counts_and_is_no_answer():
    seen = loads.read(WRK.format(more=ERRORS))
    assert (seen.errors, seen.requests, seen.rate) == (44025, 815, 778.42 / 2)


@pytest.mark.parametrize(
    ("text", "read"), [("719us", 0.719), ("1.50ms", 1.5), ("2.10s", 2100), ("1.00m", 60_000), ("0.00us", 0)]
)
def test_each_unit_of_time_is_read(text, read):
    assert loads.milliseconds(text) == pytest.approx(read)


def test_h2load_is_read():
    assert loads.read(H2LOAD.format(**GOOD)) == loads.Load(1152, 576, 0, 69.801, 398.711, 335, "HTTP/2")


@pytest.mark.parametrize(
    ("seen", "errors"),
    [
        ({"failed": 7, "errored": 7}, 7),
        ({"late": 3}, 3),
        ({"failed": 5, "missing": 2, "broken": 3}, 5),
        ({"failed": 9, "errored": 4, "broken": 5, "late": 1}, 10),
    ],
)
def test_an_answer_of_h2load_that_failed_in_two_ways_counts_once(seen, errors):
    assert loads.read(H2LOAD.format(**{**GOOD, **seen})).errors == errors


def test_an_error_of_h2load_is_no_answer():
    seen = loads.read(H2LOAD.format(**{**GOOD, "good": 288, "failed": 864, "broken": 864}))
    assert (seen.errors, seen.requests, seen.rate) == (864, 288, 144)


def test_a_side_that_only_fails_has_errors_and_no_answer():
    seen = loads.read(WRK.format(more="  Non-2xx or 3xx responses: 1630\n"))
    assert (seen.errors, seen.requests, seen.rate, seen.size) == (1630, 0, 0, 452)


@pytest.mark.parametrize(
    "said", ["", "unable to connect to measured.test:443 Connection refused", "finished in 2.0s, 0"]
)
def test_a_load_without_figures_is_an_error_and_no_zero(said):
    with pytest.raises(loads.UnreadableError, match=said[-20:] or "nothing"):
        loads.read(said)


def test_the_percentiles_of_h2load_are_those_of_its_log():
    log = "".join(f"1 200 {took}\n" for took in range(1, 1001))
    done = subprocess.run(["sh", "-c", f"sort -nk3 | {loads.PARTS}"], input=log, capture_output=True, text=True)
    assert done.stdout == "parts 501 991\n"


def test_each_command_is_one_that_a_shell_reads_and_has_an_end():
    for name in cases.CASES:
        for side in cases.SIDES:
            command = cases.command(side, name, 3, "a token")
            assert command.count("timeout 23 ") == 1
            assert subprocess.run(["sh", "-nc", command], check=False).returncode == 0


@pytest.mark.parametrize("names", [["page", "slow"], ["slow", "page"]])
def test_names_choose_in_the_order_of_the_table(names):
    assert cases.chosen(names, cases.CASES, "case") == ["page", "slow"]


def test_no_name_chooses_all():
    assert cases.chosen([], cases.SIDES, "side") == list(cases.SIDES)


def test_a_name_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(SystemExit, match="no such side: apache; there are: recipe project caddy"):
        cases.chosen(["apache", "recipe"], cases.SIDES, "side")


def test_a_quick_run_asks_less_and_names_still_choose():
    quick, named = compare.asked(["--quick"]), compare.asked(["--quick", "--cases", "slow"])
    assert (quick.cases, quick.sides) == (list(cases.QUICK["cases"]), list(cases.QUICK["sides"]))
    assert (named.cases, named.sides, named.rounds) == (["slow"], ["recipe", "project"], quick.rounds)
    assert compare.asked([]).rounds > quick.rounds


def test_the_recipe_and_this_project_answer_every_case():
    assert all(cases.answers(side, case) for side in ("recipe", "project") for case in cases.CASES)
    assert [case for case in cases.CASES if cases.answers("socket", case)] == ["page-h1", "slow"]


class Host:
    """A host in whose place nothing is measured; it keeps the order in which it is asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, command, given=b""):
        if "/auth" in command:
            return '{"access_token": "t0ken"}'
        job = json.loads(given)
        self.asked.append(job)
        said = H2LOAD.format(**GOOD) if "h2load" in job["load"] else WRK.format(more="")
        return json.dumps({"said": said, "code": 0, "cpu": 3.26, "pss": 10, "others": 0.0, "flat": True})


def test_rounds_alternate_and_ask_each_side_that_can_answer():
    host, options = Host(), compare.asked(["--cases", "page file-13b", "--sides", "recipe project haproxy"])
    first, second = (compare.one_round(host, options, number) for number in (0, 1))
    assert list(first["page"]) == ["recipe", "project", "haproxy"]
    assert list(second["page"]) == ["haproxy", "project", "recipe"]
    assert list(first["file-13b"]) == ["recipe", "project"]
    assert first["page"]["recipe"].cpu == 0.002


def test_a_token_is_fetched_for_each_load_that_needs_one():
    host, options = Host(), compare.asked(["--cases", "page protected", "--sides", "recipe"])
    compare.one_round(host, options, 0)
    assert ["t0ken" in job["load"] for job in host.asked] == [False, True]


def test_a_side_that_answered_nothing_well_has_no_figure():
    def run(command, given):
        said = WRK.format(more="  Non-2xx or 3xx responses: 1630\n")
        return json.dumps({"said": said, "code": 0, "cpu": 1, "pss": 10, "others": 0.0, "flat": True})

    with pytest.raises(demo.RunError, match="page of recipe: no answer was a success, 1630 errors"):
        compare.one(run, "recipe", "page", 2)


def test_a_load_without_figures_is_told_and_the_others_go_on(capsys):
    host, options = Host(), compare.asked(["--cases", "page page-h1", "--sides", "recipe project"])

    def run(command, given=b""):
        if b":8443" in given and b"wrk" in given:
            return json.dumps({"said": "unable to connect", "code": 1})
        return host(command, given)

    seen = [compare.one_round(run, options, 0)]
    assert [list(sides) for sides in seen[0].values()] == [["project"], ["recipe", "project"]]
    assert "page of recipe: unable to connect" in capsys.readouterr().out
    assert compare.missing(seen, options) == ["loads without figures: page of recipe"]
    assert figures.summary(seen)["page"]["project"]["ratios"] == {}


FIGURE = figures.Figure(100.0, 0.002, 1.0, 10.0, 300, 0, 1000, 200, "HTTP/1.1", 0.0, True)


def rounds(**rates):
    """Return rounds of one case, with these rates of sides."""
    return [
        {"page": {side: replace(FIGURE, rate=rate) for side, rate in zip(rates, seen, strict=True)}}
        for seen in zip(*rates.values(), strict=True)
    ]


def test_medians_count_and_ratios_are_of_medians():
    page = figures.summary(rounds(recipe=[100, 1, 102], project=[150, 9000, 400]))["page"]
    assert (page["recipe"]["rate"], page["project"]["rate"]) == (100, 400)
    assert page["project"]["ratios"] == {"rate": 4, "cpu": 1, "p99": 1, "pss": 1}


def test_errors_are_summed_and_no_median_hides_them():
    seen = rounds(recipe=[100, 100, 100])
    seen[0]["page"]["recipe"] = replace(FIGURE, errors=7)
    assert figures.summary(seen)["page"]["recipe"]["errors"] == 7


def test_without_the_recipe_there_is_no_ratio():
    page = figures.summary(rounds(project=[1], caddy=[2]))["page"]
    assert [side["ratios"] for side in page.values()] == [{}, {}]
    assert "  2  " in figures.plain(figures.rows({"page": page}))


def test_a_reference_of_zero_gives_no_ratio():
    assert figures.ratio(1, 0) is None


@pytest.mark.parametrize(
    ("change", "words", "said"),
    [
        ({}, [], []),
        ({}, ["--quick"], ["few or short rounds", "not every case"]),
        ({}, ["--rounds", "2"], ["few or short rounds: 2 of 6 s"]),
        ({}, ["--seconds", "2"], ["few or short rounds: 5 of 2 s"]),
        ({}, ["--cases", "page"], ["not every case"]),
        ({}, ["--sides", "recipe project"], ["not every case"]),
        ({"others": 0.4}, [], ["a loaded machine: other processes took 40%"]),
        ({"flat": False}, [], ["not one group"]),
    ],
)
def test_figures_say_why_no_claim_can_rest_on_them(change, words, said):
    options = compare.asked(words)
    labels = figures.labels(figures.summary([{"page": {"recipe": replace(FIGURE, **change)}}]))
    labels = compare.shortened(options) + labels
    assert [label.startswith(begin) for label, begin in zip(labels, said, strict=True)] == [True] * len(said)


def test_the_table_has_a_line_for_each_side_of_each_case():
    found = figures.summary(rounds(recipe=[1000], project=[4000]))
    assert figures.plain(figures.rows(found)).split("\n")[2].split() == [
        *("page", "project", "1.1", "4,000", "4.00", "2.000", "1.00", "1.0", "10.0", "1.00", "0", "1.00", "0")
    ]
    assert figures.markdown(figures.rows(found)).count("\n") == 3


def test_the_picture_is_svg_with_a_bar_for_each_side_but_the_recipe():
    found = figures.summary(rounds(recipe=[100], project=[400], caddy=[10]))
    words = [each.text for each in ElementTree.fromstring(bars.draw(found, "a < b")).iter() if each.text]
    assert {"a < b", "page, project", "page, caddy", "4.00", "0.10"} <= set(words)
    assert "page, recipe" not in words


def test_a_ratio_beyond_the_scale_stays_on_the_picture():
    assert bars.x(0.001) == bars.LEFT
    assert bars.x(1000) == bars.WIDTH - bars.RIGHT


@pytest.fixture
def page(tmp_path):
    place = tmp_path / "docs/reference/speed.md"
    place.parent.mkdir(parents=True)
    (tmp_path / "docs/assets").mkdir()
    place.write_text(f"# Speed\n\n{compare.BEGIN}\nold\n{compare.END}\n\nMore.\n")
    return place


def test_the_page_gets_the_figures_in_place_of_the_old_ones(page):
    found = figures.summary(rounds(recipe=[100], project=[400]))
    for _ in range(2):
        assert compare.publish(found, {"machine": "2 cores"}, [], page) == 0
    text = page.read_text()
    assert "old" not in text
    assert text.startswith("# Speed\n")
    assert text.endswith("\n\nMore.\n")
    assert (text.count("| page | project |"), text.count("- machine: 2 cores")) == (1, 1)
    assert (page.parents[1] / "assets/bench.svg").exists()


def test_figures_that_carry_no_claim_reach_no_page(page):
    before = page.read_text()
    assert compare.publish(figures.summary(rounds(recipe=[1])), {}, ["a quick run"], page) == 1
    assert page.read_text() == before


ASKED = """
import app
client = app.app.test_client()
for user in ("demo", "quick"):
    assert client.post("/auth", json={"username": user, "password": "wrong"}).status_code == 401
    token = client.post("/auth", json={"username": user, "password": user}).json["access_token"]
    said = client.get("/protected", headers={"Authorization": f"Bearer {token}"}).text
    print(said, end=" " if user == "demo" else "\\n")
assert client.get("/protected").status_code == 401
"""
BURN = (
    "import time\nend = time.process_time() + 0.2\nwhile time.process_time() < end: pass\nprint(flush=True)\ninput()\n"
)
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {burn!r}], stdin=-1, stdout=-1)
child.stdout.readline()
print(child.pid, flush=True)
input()
child.communicate(b"\\n")
print(flush=True)
input()
"""


@pytest.fixture
def parent():
    """Return a process whose child has worked for at least 0.2 s of a processor, and the child's id."""
    command = [sys.executable, "-c", PARENT.format(burn=BURN)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as running:
        yield running, int(running.stdout.readline())
        running.kill()


def test_a_side_is_its_first_processes_and_all_below_them(parent):
    running, child = parent
    assert {running.pid, child} <= set(on_host.tree([running.pid]))
    assert on_host.tree([child]) == [child]


def test_what_a_replaced_worker_took_still_counts(parent):
    running, _ = parent
    before = on_host.ticks(on_host.tree([running.pid]))
    running.stdin.write("x\n")
    running.stdin.flush()
    running.stdout.readline()
    assert on_host.tree([running.pid]) == [running.pid]
    assert on_host.ticks([running.pid]) >= before >= 0.2


def test_memory_is_that_of_processes_that_are_there(parent):
    running, child = parent
    assert on_host.pss([running.pid, child]) > on_host.pss([running.pid]) > 1_000_000
    assert on_host.pss([2**30]) == on_host.ticks([2**30]) == 0


def test_a_load_is_measured_with_what_runs_beside_it(tmp_path, parent, monkeypatch):
    running, child = parent
    monkeypatch.setattr(on_host, "FLAT", tmp_path / "cgroup.procs")
    warm, beside = tmp_path / "warm", tmp_path / "beside"
    took = on_host.measure(
        f"echo {running.pid}", f"cat {warm} {beside}", f"echo warm > {warm}", 1, f"echo beside > {beside}; sleep 60"
    )
    assert (took["said"], took["code"]) == ("warm\nbeside\n", 0)
    assert took["pss"] > 0
    assert took["flat"] is True
    assert on_host.FLAT.read_text() in (str(running.pid), str(child))
    assert 0 <= took["others"] <= 1


def test_where_there_is_no_such_group_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(on_host, "FLAT", tmp_path / "none/cgroup.procs")
    assert not on_host.gather(1)


def test_a_side_that_does_not_run_is_named():
    with pytest.raises(SystemExit, match="no process of this side runs: true"):
        on_host.measure("true", "true", "true", 1)


PEERS = setting.HERE / "peers"
LISTENING = {"recipe": "recipe/site.conf", "caddy": "peers/Caddyfile", "haproxy": "peers/haproxy.cfg"}


@pytest.mark.parametrize(("side", "file"), [*LISTENING.items(), ("limit", "peers/limit.conf")])
def test_a_side_listens_where_it_is_asked(side, file):
    assert re.search(rf"[ :]{cases.SIDES[side].port}( ssl| \{{|;)", (setting.HERE / file).read_text())


def test_each_side_has_a_way_to_start_and_each_script_is_there():
    script = (PEERS / "sides").read_text()
    started = re.search(r'^names="(.*)"$', script, re.M)[1].split()
    assert {*started, "project", "socket"} == set(cases.SIDES)
    assert all(f"\n{name}() {{" in script for name in started)
    assert all((PEERS / case.script).is_file() for case in cases.CASES.values() if case.script)


def test_the_versions_of_all_that_is_installed_are_shown():
    installed = re.search(r"install --yes --no-install-recommends (.*) >", (PEERS / "sides").read_text())[1]
    assert set(installed.split()) <= set(conditions.PACKAGES.split())


def test_the_app_of_all_sides_logs_in_and_protects(tmp_path):
    source = setting.app(tmp_path / "app")
    (source / "keys").mkdir()
    subprocess.run(["openssl", "genrsa", "-out", source / "keys/first.pem", "2048"], check=True, capture_output=True)
    done = subprocess.run([sys.executable, "-c", ASKED], cwd=source, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("Hello, demo! Hello, quick!\n", "")


def test_both_sides_get_the_same_app_and_files(tmp_path):
    source = setting.app(tmp_path / "app")
    assert {name: (source / "static" / name).stat().st_size for name in setting.SIZES} == setting.SIZES
    assert (source / "static/hello-world.txt").stat().st_size == 13
    again = setting.app(tmp_path / "again")
    assert (again / "static/1m.txt").read_bytes() == (source / "static/1m.txt").read_bytes()
    assert (source / "requirements.txt").exists()
