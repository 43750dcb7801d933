"""An app's files choose the Python that it is built with."""

from __future__ import annotations

import pytest
from ansible.module_utils import build_python as pythons

PROJECT = '[project]\nname = "shop"\nrequires-python = "{}"\n'


@pytest.mark.parametrize(
    ("files", "version", "why"),
    [
        ({}, "3.13", ""),
        ({".python-version": "3.12\n"}, "3.12", ".python-version"),
        ({".python-version": "# ours\n3.12.4\n3.11\n"}, "3.12", ".python-version"),
        ({".python-version": "cpython-3.11.9-linux-x86_64-gnu"}, "3.11", ".python-version"),
        ({".python-version": "shop-env\n"}, "3.13", ""),
        ({".python-version": "pypy3.10-7.3\n"}, "3.13", ""),
        ({".python-version": "3.16"}, "3.16", ".python-version"),
        ({"runtime.txt": "python-3.11.4\n"}, "3.11", "runtime.txt"),
        ({"runtime.txt": "3.11\n"}, "3.11", "runtime.txt"),
        ({"runtime.txt": "python3.12"}, "3.12", "runtime.txt"),
        ({"mise.toml": '[tools]\nnode = "22"\npython = ["3.12.1", "3.11"]\n'}, "3.12", "mise.toml"),
        ({"environment.yml": "dependencies:\n  - python=3.11.4\n  - flask\n"}, "3.11", "environment.yml"),
        ({".tool-versions": "nodejs 20.1\npython 3.12.1 3.11\n"}, "3.12", ".tool-versions"),
        ({"Pipfile": '[requires]\npython_version = "3.12"\n'}, "3.12", "Pipfile"),
        ({"Pipfile": '[requires]\npython_full_version = "3.11.2"\n'}, "3.11", "Pipfile"),
        ({"Pipfile": '[requires]\npython_version = "*"\n'}, "3.13", ""),
        ({"pyproject.toml": PROJECT.format(">=3.9")}, "3.13", "pyproject.toml"),
        ({"pyproject.toml": PROJECT.format(">=3.9,<3.12")}, "3.11", "pyproject.toml"),
        ({"pyproject.toml": PROJECT.format(">=3.14")}, "3.14", "pyproject.toml"),
        ({"pyproject.toml": '[tool.poetry.dependencies]\npython = "~3.11"\n'}, "3.11", "pyproject.toml"),
        ({"setup.cfg": "[options]\npython_requires = <3.12\n"}, "3.11", "setup.cfg"),
        ({"setup.py": "setup(name='shop', python_requires='<3.12')\n"}, "3.11", "setup.py"),
        ({"setup.py": "setup(**{'python_requires': '~=3.12.0'})\n"}, "3.12", "setup.py"),
        ({"setup.py": "REQUIRES = '<3.11'\nsetup(\n    python_requires=REQUIRES,\n)\n"}, "3.10", "setup.py"),
        ({"setup.py": "# python_requires='<3.11'\nsetup(python_requires=read())\n"}, "3.13", ""),
        (
            {"setup.py": "setup(python_requires='<3.12')", "setup.cfg": "[options]\npython_requires = <3.13"},
            "3.12",
            "setup.cfg",
        ),
        ({"pyproject.toml": PROJECT.format(">=3.15")}, "3.15", "pyproject.toml"),
        ({"pyproject.toml": PROJECT.format("~=3.16.2")}, "3.16", "pyproject.toml"),
        ({"setup.cfg": "no ini", "pyproject.toml": "no = [toml", "Pipfile": 'requires = "3.12"'}, "3.13", ""),
        ({".python-version": "3.11", "pyproject.toml": PROJECT.format(">=3.12")}, "3.11", ".python-version"),
        ({"Pipfile": '[requires]\npython_version = "3.12"\n', "setup.cfg": "[options]\n"}, "3.12", "Pipfile"),
    ],
)
def test_a_file_chooses_the_python(files, version, why):
    wish = pythons.wanted(files)
    assert (wish.version, wish.why) == (version, why)
    assert wish.said.startswith(f"Python {version}, as {why or 'nothing'} ")
    assert not why or version in wish.fitting


def test_a_variable_wins_over_all_files():
    wish = pythons.wanted({".python-version": "3.12"}, "3.11")
    assert (wish.version, wish.why, wish.fitting) == ("3.11", "build_python", ("3.11",))


@pytest.mark.parametrize(
    "file", [{"Pipfile": '[requires]\npython_version = "3.7"\n'}, {"runtime.txt": "python-2.7.18"}]
)
def test_a_python_that_is_too_old_is_said_and_the_oldest_that_serves_is_taken(file):
    wish = pythons.wanted(file)
    assert wish.version == "3.10"
    assert "3.10, though " in wish.said and wish.said.endswith(
        "gunicorn needs 3.10 or newer; build_python chooses another"
    )
    assert wish.fitting == (), "the base image is not blamed"
    assert pythons.wanted({"pyproject.toml": PROJECT.format("<3.9")}).version == "3.10"


@pytest.mark.parametrize("asked", [">=3.12,<3.11", ">=5"])
def test_a_python_that_there_is_none_of_is_said_as_that(asked):
    wish = pythons.wanted({"pyproject.toml": PROJECT.format(asked)})
    assert wish.version == "3.13" and wish.fitting == ()
    assert f"though pyproject.toml asks for {asked}: no Python is that; build_python chooses" in wish.said


@pytest.mark.parametrize(
    ("specifier", "fitting"),
    [
        (">=3.11", "11 12 13 14"),
        (">=3.11.4", "11 12 13 14"),
        (">3.11", "11 12 13 14"),
        ("<3.13", "10 11 12"),
        ("<3.13.0", "10 11 12"),
        ("<3.13.2", "10 11 12 13"),
        ("<=3.12", "10 11 12"),
        ("==3.12.*", "12"),
        ("==3.12", "12"),
        ("===3.12.3", "12"),
        ("!=3.12.*, >=3.11", "11 13 14"),
        ("!=3.12.1, >=3.12", "12 13 14"),
        ("~=3.12", "12 13 14"),
        ("~=3.12.3", "12"),
        ("^3.12", "12 13 14"),
        ("^3", "10 11 12 13 14"),
        ("~3.12", "12"),
        ("3.12", "12"),
        ("3.*", "10 11 12 13 14"),
        (">=3,<4", "10 11 12 13 14"),
        (">=3.8,<4.0", "10 11 12 13 14"),
        (">=3.11 <3.13", "11 12"),
        ("~3.10 || ~3.12", "10 12"),
        (">=2.7, !=3.0.*, !=3.1.*, !=3.2.*", "10 11 12 13 14"),
        ("<3", ""),
        (">=4", ""),
    ],
)
def test_specifiers_of_pep_440_and_of_poetry_are_understood(specifier, fitting):
    assert " ".join(v[2:] for v in pythons.OFFERED if pythons.fits(specifier, v)) == fitting
