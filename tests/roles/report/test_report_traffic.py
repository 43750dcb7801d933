"""Figures of the page are those of nginx's log: counted by hand, over releases and rotated files."""

from __future__ import annotations

import gzip
import json
import os
import re
from pathlib import Path

import pytest
from ansible.module_utils import report_traffic as traffic

from tests.conftest import ROOT

NOW = 1_699_999_200.0  # a whole hour
HOUR = 3600
ONE, TWO = "1" * 12, "2" * 12


def line(ago, release=ONE, status=200, first="0.010", app="shop", **more):
    """Return a line as nginx writes it of a request that ended some seconds ago."""
    told = {"at": round(NOW - ago, 3), "app": app, "path": "/", "status": status, "seconds": 9.0, "release": release}
    told |= {"upstream_status": str(status), "upstream_seconds": "8.0", "first": first, "websocket": "", **more}
    return json.dumps(told, separators=(",", ":")) + "\n"


@pytest.fixture
def log(tmp_path):
    """Write files of a log: {end of the name: lines}, each last written to when its last request ended."""

    def written(files):
        for end, lines in files.items():
            path = tmp_path / f"access.log{end}"
            text = "".join(lines).encode()
            path.write_bytes(gzip.compress(text) if end.endswith(".gz") else text)
            times = [json.loads(each)["at"] for each in lines if each.endswith("\n")]
            os.utime(path, (max(times, default=NOW),) * 2)
        return str(tmp_path / "access.log")

    return written


def read(path, **more):
    return traffic.read("shop", path=path, now=NOW, **more)


def test_figures_are_those_of_a_log_counted_by_hand(log):
    path = log(
        {
            "": [
                line(10, TWO, first="0.020"),
                line(20, TWO, status=502, first="-", upstream_seconds="0.005", path="/buy"),
                line(30, TWO, status=499, first="-", upstream_seconds="3.000"),  # its client left
                line(40, TWO, status=101, websocket="websocket", first="0.004"),
                line(50, TWO, status=404, first="0.002"),
                line(60, TWO, app="blog"),
                line(70, TWO, upstream_status=""),  # nginx answered
                line(80, TWO, status=502, agent="flask-deploy", remote_addr="127.0.0.1"),  # its host asked
                line(15, TWO, status=403, agent="flask-deploy", remote_addr="203.0.113.7", first="0.003"),
                '{"at": 1,',
            ],
            ".1": [line(2 * HOUR, ONE, status=500, path="/buy"), line(2 * HOUR + 1, ONE, status=500, path="/buy")],
            ".2.gz": [line(23 * HOUR, ONE, first="0.500"), line(25 * HOUR, ONE), line(24 * HOUR, ONE)],
            ".3.gz": [line(49 * HOUR, ONE)],
        }
    )
    told = read(path)
    assert (told["begin"], told["end"], told["unread"]) == (NOW - 24 * HOUR, NOW, [])
    assert told["releases"][TWO] == {
        **{"requests": 6, "failed": 1, "given_up": 1, "websockets": 1, "first": NOW - 50, "last": NOW - 10},
        "times": [[2, 1], [3, 1], [5, 1], [20, 1]],
        "hours": [[472_221, 6, 1]],
    }
    assert told["releases"][ONE] == {
        **{"requests": 3, "failed": 2, "given_up": 0, "websockets": 0},
        **{"first": NOW - 23 * HOUR, "last": NOW - 2 * HOUR},
        "times": [[10, 2], [500, 1]],
        "hours": [[472_199, 1, 0], [472_219, 1, 1], [472_220, 1, 1]],
    }
    assert told["errors"] == [[ONE, "/buy", 500, 2, NOW - 2 * HOUR], [TWO, "/buy", 502, 1, NOW - 20]]


def test_a_log_of_nobody_has_no_requests(tmp_path):
    assert read(str(tmp_path / "none" / "access.log"))["releases"] == {}


def test_files_that_are_no_log_are_not_read(log):
    path = log({"": [line(1)], ".1.swp": [line(2)], ".old": [line(3)], "-20270115.gz": [line(4)]})
    assert read(path)["releases"][ONE]["requests"] == 2


def test_a_file_that_is_just_compressed_counts_once(log):
    assert read(log({"": [line(1)], ".2": [line(9)], ".2.gz": [line(9)]}))["releases"][ONE]["requests"] == 2


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_a_rotation_while_files_are_opened_loses_nothing_and_counts_nothing_twice(log, monkeypatch, after):
    path = log({"": [line(1), line(2)], ".1": [line(9)] * 4})
    looks, listed = [], traffic.listed

    def rotated(*arguments):
        looks.append(1)
        if len(looks) == 1 + after:
            content = Path(f"{path}.1").read_bytes()
            Path(f"{path}.2.gz").write_bytes(gzip.compress(content))
            os.utime(f"{path}.2.gz", (NOW - 9, NOW - 9))
            os.rename(path, f"{path}.1")
            Path(path).touch()
        return listed(*arguments)

    monkeypatch.setattr(traffic, "listed", rotated)
    assert read(path)["releases"][ONE]["requests"] == 6


def test_a_file_that_is_damaged_is_named_and_the_rest_is_counted(log, tmp_path):
    path = log({"": [line(1)], ".2.gz": [line(9)]})
    whole = (tmp_path / "access.log.2.gz").read_bytes()
    (tmp_path / "access.log.2.gz").write_bytes(whole[:-9])
    told = read(path)
    assert told["releases"][ONE]["requests"] >= 1
    assert [each.partition(":")[0] for each in told["unread"]] == ["access.log.2.gz"]


def test_a_line_without_an_end_or_of_any_length_is_none(log, tmp_path):
    path = log({"": [line(1), line(2, path="/" * 200_000), line(3)]})
    with open(path, "a") as file:
        file.write(line(4)[:-1])
    assert read(path)["releases"][ONE]["requests"] == 2


def test_paths_that_fail_are_counted_in_bounded_room(log, monkeypatch):
    monkeypatch.setattr(traffic, "ERRORS", 20)
    path = log(
        {"": [line(100 + n, status=500, path=f"/{n:02}") for n in range(30)] + [line(1, status=500, path="/05")]}
    )
    told = read(path)
    assert told["errors"][0] == [ONE, "/05", 500, 2, NOW - 1]
    assert (len(told["errors"]), told["uncounted"], told["releases"][ONE]["failed"]) == (10, 20, 31)


def test_what_takes_too_long_is_left_out_and_said(log, monkeypatch):
    monkeypatch.setattr(traffic, "LIMIT", -1)
    told = read(log({"": [line(1)]}))
    assert (told["releases"], told["unread"]) == ({}, ["access.log: the rest took more than -1 s to read"])


def test_the_command_for_goaccess_names_fields_that_are_logged():
    logged = (ROOT / "roles/nginx/templates/nginx/log.conf.j2").read_text()
    shown = json.loads(re.search(r"--log-format='(\{.*?\})'", (ROOT / "docs/how-to/report.md").read_text())[1])
    assert [name for name in shown if f'"{name}":' not in logged] == []
