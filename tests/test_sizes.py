"""Nothing becomes larger than the house allows, and what is today only shrinks."""

from __future__ import annotations

import subprocess

import pytest
import yaml

from tests.sizes import LIMITS, ROOT, complaints, listed, measure, over

SPEC = "argument_specs: {main: {options: {%s}}}"


@pytest.fixture
def house(tmp_path):
    """Return what makes a repository of some files, and tells what is too large in it."""

    def built(**files):
        subprocess.run(["git", "init", "-q", tmp_path], check=True)
        files = {"roles/one/meta/argument_specs.yml": SPEC % "", "site.yml": "", **files}
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text)
        return over(measure(tmp_path, listed(tmp_path)))

    return built


def lines(number):
    return "#\n" * number


def test_nothing_is_larger_than_the_house_allows_but_what_is_listed():
    known = yaml.safe_load((ROOT / "tests/sizes.yml").read_text()) or {}
    assert complaints(known, over(measure(ROOT, listed(ROOT)))) == []


def test_every_measure_is_taken_of_what_there_is():
    assert all(measure(ROOT, listed(ROOT)).values())


@pytest.mark.parametrize(
    ("kind", "file", "least", "most"),
    [
        ("lines of a task file", "roles/one/tasks/main.yml", lines(80), lines(81)),
        ("lines of a task file", "roles/one/tasks/deep/more.yml", lines(80), lines(81)),
        ("lines of a template", "roles/one/templates/a.j2", lines(80), lines(81)),
        ("lines of a template", "roles/one/templates/site/a.j2", lines(80), lines(81)),
        ("lines of a module", "app/shop/a.py", lines(250), lines(251)),
        ("lines of a function", "a.py", "def f():\n" + "    f()\n" * 39, "def f():\n" + "    f()\n" * 40),
        ("lines of a function", "b.py", "", "class A:\n    def f(self):\n" + "        f()\n" * 40),
        (
            "variables of a role",
            "roles/one/meta/argument_specs.yml",
            SPEC % "a, b",
            SPEC % ",".join(map(str, range(36))),
        ),
    ],
)
def test_one_too_many_is_seen(house, kind, file, least, most):
    assert house(**{file: least}) == {}
    assert list(house(**{file: most})) == [kind]


def test_too_many_files_are_seen(house):
    least = {f"roles/one/files/{number}": "" for number in range(11)}
    assert house(**least) == {}
    seen = house(**least, **{f"roles/one/files/{number}": "" for number in range(99, 124)})
    assert seen == {"files of a role": {"one": 37}, "files of the median role": {"roles": 37}}
    assert house(**{f"top{number}": "" for number in range(14)})["entries of the root that are seen"] == {".": 17}


def test_a_body_that_is_copied_is_seen(house):
    """Under another name and with other words about it; a body of two lines may be alike."""
    body = ["a = 1", "b = a", "return b"]
    copied = ["class B:", "    def g():", '        """Else."""', "        # so", *(f"        {line}" for line in body)]
    files = {"a.py": "\n".join(["def f():", *(f"    {line}" for line in body)]), "b.py": "\n".join(copied)}
    assert house(**files) == {"places of one function body": {"a.py: f": 2, "b.py: B.g": 2}}
    assert house(**{name: text.replace("b = a", "pass") for name, text in files.items()}) != {}
    assert house(**{name: text.replace("b = a\n", "\n") for name, text in files.items()}) == {}


def test_tests_are_as_long_as_what_they_claim(house):
    assert (
        house(**{"tests/test_a.py": lines(999), "molecule/x/tests/test_b.py": lines(999), "conftest.py": lines(999)})
        == {}
    )


@pytest.mark.parametrize(
    ("known", "found", "said"),
    [
        ({}, {"a.py": 300}, ["a.py: 300 lines of a module, 250 are allowed"]),
        ({"a.py": 299}, {"a.py": 300}, ["a.py: 300 lines of a module, and 299 before"]),
        ({"a.py": 300}, {}, ["a.py: no more than 250 lines of a module; take it out of tests/sizes.yml"]),
        ({"a.py": 300}, {"a.py": 300}, []),
        ({"a.py": 300}, {"a.py": 260}, []),
    ],
)
def test_the_list_only_shrinks(known, found, said):
    kind = "lines of a module"
    assert complaints({kind: known} if known else {}, {kind: found} if found else {}) == said


def test_the_list_has_no_other_kinds():
    assert complaints({"lines of an odd thing": {"a": 1}}, {}) == [
        "lines of an odd thing: no such kind in tests/sizes.yml"
    ]
    assert len(LIMITS) == 9
