"""What is installed follows from the files that lie there, and people are told which."""

from __future__ import annotations

import pytest
from ansible.module_utils import build_kinds as kinds
from ansible.module_utils import build_plan as plans
from ansible.module_utils import build_sources as sources

FLASK = '[project]\nname = "shop"\nversion = "1"\ndependencies = ["flask"]\n'
BACKEND = '[build-system]\nrequires = ["flit_core<4"]\nbuild-backend = "flit_core.buildapi"\n'
POETRY = '[tool.poetry]\npackage-mode = false\n[tool.poetry.dependencies]\npython = "^3.11"\nflask = "*"\n'
PIPFILE = '[packages]\nflask = "*"\n'
SETUP = 'from setuptools import setup\nsetup(name="shop", install_requires=["flask"])\n'


def plan(files, **choices):
    return plans.plan(files, plans.Choices(**choices))


KINDS = {
    "uv.lock": ({"uv.lock": "", "pyproject.toml": FLASK}, "uv sync --frozen --no-dev --inexact --no-install-local", ""),
    "poetry.lock": ({"poetry.lock": "", "pyproject.toml": POETRY}, f"uv pip install -r {kinds.EXPORTED}", "poetry"),
    "Pipfile.lock": ({"Pipfile.lock": "", "Pipfile": PIPFILE}, f"uv pip install -r {kinds.EXPORTED}", "pipenv"),
    "pdm.lock": ({"pdm.lock": "", "pyproject.toml": FLASK}, f"uv pip install -r {kinds.EXPORTED}", "pdm"),
    "requirements.lock": (
        {"requirements.lock": "-e file:.\nflask==3.1.2\n"},
        "uv pip install -r requirements.lock",
        "",
    ),
    "requirements (1).txt": ({"requirements (1).txt": ""}, "uv pip install -r 'requirements (1).txt'", ""),
    "pylock.toml": ({"pylock.toml": ""}, "uv pip install -r pylock.toml", ""),
    "requirements.txt": ({"requirements.txt": "flask\n"}, "uv pip install -r requirements.txt", ""),
    "requirements/prod.txt": ({"requirements/prod.txt": "", "requirements/dev.txt": ""}, "requirements/prod.txt", ""),
    "requirements-web.txt": ({"requirements-web.txt": "", "requirements-dev.txt": ""}, "requirements-web.txt", ""),
    "requirements.in": ({"requirements.in": "flask\n"}, "uv pip install -r requirements.in", ""),
    "Pipfile": ({"Pipfile": PIPFILE}, f"uv pip install -r {kinds.EXPORTED}", "--from-pipfile --no-lock"),
    "pyproject.toml": ({"pyproject.toml": FLASK}, "uv pip install -r pyproject.toml", ""),
    "pyproject.toml of poetry": ({"pyproject.toml": POETRY}, f"uv pip install -r {kinds.EXPORTED}", "poetry-core"),
    "setup.py": ({"setup.py": SETUP}, "uv pip install -r setup.py", ""),
    "setup.cfg": ({"setup.cfg": "[options]\ninstall_requires = flask\n"}, "uv pip install -r setup.cfg", ""),
}


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_of_file_is_installed_by_what_reads_it(name):
    files, install, export = KINDS[name]
    made = plan(files)
    assert made.file == name.removesuffix(" of poetry") and made.file in made.steps.copied
    assert install in made.steps.install and export in made.steps.export
    assert f"dependencies of {made.file}" in made.said


EXACT = ["uv.lock", "poetry.lock", "pdm.lock", "Pipfile.lock", "pylock.toml", "requirements.lock"]
EXACT += ["requirements.txt", "Pipfile", "pyproject.toml"]


def test_of_several_files_the_most_exact_one_counts_and_that_is_said():
    files = {**dict.fromkeys(EXACT, ""), "requirements.txt": "flask", "Pipfile": PIPFILE, "pyproject.toml": FLASK}
    while len(files) > 1:
        first, *_rest = (name for name in EXACT if name in files)
        made = plan(files)
        assert made.file == first
        assert "would do as well, by build_dependencies" in made.said or {*files} <= {*made.steps.copied}
        del files[first]


def test_a_lock_without_its_project_is_none():
    assert (
        plan({"uv.lock": "", "poetry.lock": "", "Pipfile.lock": "", "requirements.txt": ""}).file == "requirements.txt"
    )


@pytest.mark.parametrize("text", ["[tool.ruff]\nline-length = 99\n", "[build-system]\nrequires = []\n", "not = [toml"])
def test_a_file_that_lists_nothing_is_not_taken(text):
    made = plan({"pyproject.toml": text, "Pipfile": PIPFILE})
    assert made.file == "Pipfile" and "would do" not in made.said


def test_a_pyproject_that_is_no_toml_is_refused_where_nothing_else_lists_any():
    with pytest.raises(kinds.KindError, match=r"pyproject\.toml cannot be read: .*line 1.*\n  what to do: correct it"):
        plan({"pyproject.toml": "[project\nname = 'shop'\n"})
    assert plan({"pyproject.toml": "[project\n", "requirements.txt": ""}).file == "requirements.txt"
    with pytest.raises(kinds.KindError, match=r"pyproject\.toml cannot be read: "):
        plan({"pyproject.toml": f"a = {'[' * 100_000}"})


def test_nothing_that_lists_dependencies_is_said_in_one_line():
    made = plan({"README.md": ""})
    assert (made.file, made.steps) == ("", None)
    assert made.said.startswith("no dependencies but gunicorn and gevent, as nothing lists any (uv.lock, ")
    assert made.said.endswith("; name the file that does: build_dependencies")
    assert "\n" not in made.said


def test_the_directory_that_has_the_app_is_guessed():
    assert plan({"backend/requirements.txt": ""}).said.endswith("; is this it? build_subdir: backend")
    both = plan({"backend/requirements.txt": "", "worker/uv.lock": ""})
    assert both.said.endswith("; is this it? build_subdir: backend or worker")


@pytest.mark.parametrize(
    "file", ["requirments.txt", "requirement.txt", "reqs/prod.txt", "requirements-dev.txt", "deps.txt"]
)
def test_a_file_that_may_list_them_under_another_name_is_named(file, tmp_path):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("flask\n")
    said = plan(sources.told(str(tmp_path), [file, "notes.txt"])).said
    assert said.endswith(f"; is this it? build_dependencies: {file}")


@pytest.mark.parametrize("file", ["environment.yml", "pixi.toml", "conda-lock.yml"])
def test_a_list_for_conda_is_named_as_one_that_is_not_read(file):
    said = plan({file: ""}).said
    assert (
        f"; {file} lists packages for {'pixi' if 'pixi' in file else 'conda'}, which the build does not use: " in said
    )
    assert "conda" not in plan({file: "", "requirements.txt": ""}).said


def test_a_list_whose_name_a_build_does_not_copy_is_never_chosen_in_silence():
    odd = "requirements[1]*$HOME.txt"
    assert plan({odd: ""}).file == ""
    with pytest.raises(kinds.KindError, match="in its name that a build does not copy; rename it"):
        plan({odd: ""}, dependencies=odd)


def test_a_file_that_is_named_wins():
    files = {"uv.lock": "", "pyproject.toml": FLASK, "deploy/pins.txt": "flask==3.0.3"}
    made = plan(files, dependencies="deploy/pins.txt")
    assert made.steps.install == "uv pip install -r deploy/pins.txt" and made.steps.copied == ("deploy/pins.txt",)
    assert made.said == "dependencies of deploy/pins.txt"
    assert plan(files, dependencies="pyproject.toml").steps.install == "uv pip install -r pyproject.toml"
    assert plan(files, dependencies="none").steps is None


@pytest.mark.parametrize(
    ("files", "name", "said"),
    [
        ({}, "requirements/prod.txt", "the source has no requirements/prod.txt; name a file of the source"),
        ({"poetry.lock": ""}, "poetry.lock", "the source has no pyproject.toml"),
        ({"pyproject.toml": "[tool.ruff]"}, "pyproject.toml", "pyproject.toml lists no dependencies"),
    ],
)
def test_a_file_that_is_named_and_does_not_do_is_refused(files, name, said):
    with pytest.raises(kinds.KindError, match=f"build_dependencies: {said}"):
        plan(files, dependencies=name)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("uv.lock", "--extra pg --group web"),
        ("poetry.lock", "--extras pg --with web"),
        ("pdm.lock", "-f requirements -G pg -G web -o"),
        ("pyproject.toml", "--extra pg --group web"),
    ],
)
def test_extras_and_groups_are_asked_for_as_each_tool_takes_them(name, words):
    steps = plan(KINDS[name][0], extras=["pg"], groups=["web"]).steps
    assert f"{steps.install} {steps.export}".find(words) > 0


def test_of_pdm_no_group_of_development_is_installed_unless_it_is_named():
    assert " --prod " in plan(KINDS["pdm.lock"][0]).steps.export
    assert " --prod -G pg " in plan(KINDS["pdm.lock"][0], extras=["pg"]).steps.export
    assert "--prod" not in plan(KINDS["pdm.lock"][0], groups=["web"]).steps.export, "pdm refuses both"


@pytest.mark.parametrize("name", ["Pipfile", "Pipfile.lock"])
def test_groups_of_pipenv_are_its_categories(name):
    assert "--categories 'packages web'" in plan(KINDS[name][0], groups=["web"]).steps.export
    assert "'main' 'web'" not in plan(KINDS[name][0]).steps.export


def test_groups_of_poetry_without_a_lock():
    export = plan({"pyproject.toml": POETRY}, groups=["web"]).steps.export
    assert export.splitlines()[0].endswith(f" main web > {kinds.EXPORTED}")


@pytest.mark.parametrize("name", ["requirements.txt", "Pipfile", "pylock.toml"])
def test_extras_that_a_file_cannot_have_are_refused(name):
    with pytest.raises(kinds.KindError, match="build_extras: the file that lists the dependencies has no extras"):
        plan(KINDS[name][0], extras=["pg"])


def test_extras_of_the_one_that_counts_are_no_matter_of_another():
    files = {**KINDS["uv.lock"][0], "requirements.txt": ""}
    assert plan(files, extras=["pg"]).file == "uv.lock"


def test_all_that_a_file_includes_is_copied_with_it():
    files = {
        "requirements.txt": "-r requirements/prod.txt\n",
        "requirements/prod.txt": "-r base.txt\n--constraint=../constraints.txt\nredis\n",
        "requirements/base.txt": "flask\n-r ../requirements.txt\n-r gone.txt\n-r ../../outside.txt\n",
        "requirements/dev.txt": "pytest\n",
        "constraints.txt": "flask<4\n",
    }
    steps = plan(files).steps
    assert {*steps.copied} == {*files} - {"requirements/dev.txt"}
    assert plan(files).said == "dependencies of requirements.txt"


@pytest.mark.parametrize(
    "line", ["-e .", "-e ./lib", ".", "./vendor/x-1-py3-none-any.whl", "file:lib", "--editable=.[pg]"]
)
def test_what_lies_in_the_code_itself_is_installed_when_it_is_there(line):
    steps = plan({"requirements.txt": f"flask\n{line}\n"}).steps
    assert steps.partly == ("requirements.txt",) and steps.again == "uv pip install -r requirements.txt"


@pytest.mark.parametrize(
    "text", ["flask\n", "-e git+https://git.example.com/theme.git#egg=theme\n", "# .\n", "--hash=sha256:0\n"]
)
def test_what_comes_from_elsewhere_is_installed_once(text):
    steps = plan({"requirements.txt": text}).steps
    assert (steps.partly, steps.again) == ((), "")


@pytest.mark.parametrize(
    "files",
    [
        {"uv.lock": "", "pyproject.toml": f"{FLASK}[tool.uv.workspace]\nmembers = ['lib/*']\n"},
        {"uv.lock": "", "pyproject.toml": f"{FLASK}[tool.uv.sources]\nlib = {{ path = 'lib' }}\n"},
        {"poetry.lock": "", "pyproject.toml": f'{POETRY}lib = {{path = "lib", develop = true}}\n'},
        {"Pipfile.lock": "", "Pipfile": f'{PIPFILE}lib = {{path = ".", editable = true}}\n'},
        {"pyproject.toml": f"{FLASK}[tool.uv.sources]\nlib = {{workspace = true}}\n"},
    ],
)
def test_other_projects_of_the_same_source_are_installed_when_they_are_there(files):
    assert plan(files).steps.again


@pytest.mark.parametrize("name", ["uv.lock", "Pipfile.lock"])
def test_a_lock_is_checked_against_its_project(name):
    assert plan(KINDS[name][0]).steps.checks


@pytest.mark.parametrize(
    ("files", "why", "path"),
    [
        ({"pyproject.toml": FLASK, "shop/__init__.py": ""}, "", ""),
        ({"pyproject.toml": FLASK + BACKEND}, "", ""),
        ({"pyproject.toml": FLASK, "src/shop/__init__.py": ""}, "its code is below src", "src"),
        ({"pyproject.toml": f"{FLASK}[project.scripts]\nshop = 'shop:main'\n"}, "it has entry points", ""),
        ({"pyproject.toml": f"{FLASK}[project.entry-points.x]\ny = 'shop:y'\n"}, "it has entry points", ""),
        ({"pyproject.toml": POETRY, "src/shop/app.py": ""}, "", "src"),
        ({"pyproject.toml": f"{FLASK}[tool.uv]\npackage = false\n", "src/app.py": ""}, "", "src"),
        (
            {"pyproject.toml": '[tool.poetry]\nname = "shop"\n[tool.poetry.scripts]\nx = "y:z"\n'},
            "it has entry points",
            "",
        ),
        ({"setup.py": SETUP}, "", ""),
        ({"setup.py": SETUP.replace("name", "entry_points={}, name")}, "it has entry points", ""),
        ({"requirements.txt": "", "setup.cfg": "[options.entry_points]\n"}, "it has entry points", ""),
        ({"requirements.txt": "", "src/app.py": ""}, "", "src"),
        ({"requirements.txt": "", "src/style.css": ""}, "", ""),
    ],
)
def test_the_project_itself_is_installed_below_src_and_with_entry_points(files, why, path):
    made = plan(files)
    assert (made.project, made.path) == (why, path)


def test_files_that_say_how_to_build_are_found_among_others(tmp_path):
    texts = {
        **{"requirements.txt": "flask", "requirements/prod.txt": "redis", "pyproject.toml": FLASK, "Pipfile": PIPFILE},
        **{"uv.lock": "", "src/shop/__init__.py": "", ".python-version": "3.12", "deploy/pins": "x", "README.md": ""},
        **{"worker/requirements.txt": "rq"},
    }
    others = ["shop/views.py", "static/robots.txt", "deep/er/still/requirements.txt", "notes.txt"]
    for name in [*texts, *others]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(texts.get(name) or "text")
    told = sources.told(str(tmp_path), [*texts, *others], "deploy/pins")
    assert told == texts


@pytest.mark.parametrize(
    "content",
    [
        b"python-3.11.4\n",
        b"\xef\xbb\xbfpython-3.11.4\r\n",
        "\ufeffpython-3.11.4\r\n".encode("utf-16-le"),
        "\ufeffpython-3.11.4\r\n".encode("utf-16-be"),
    ],
)
def test_a_file_with_a_byte_order_mark_is_read_as_one_without(tmp_path, content):
    (tmp_path / "runtime.txt").write_bytes(content)
    (tmp_path / "pyproject.toml").write_bytes(b"\xef\xbb\xbf" + FLASK.encode())
    files = sources.told(str(tmp_path), ["runtime.txt", "pyproject.toml"])
    made = plan(files)
    assert (made.python.version, made.file) == ("3.11", "pyproject.toml")


def test_a_dockerfile_with_a_byte_order_mark_is_read_as_one_without(tmp_path):
    (tmp_path / "Dockerfile").write_bytes(b"\xef\xbb\xbfFROM scratch\n")
    assert sources.text(str(tmp_path), "Dockerfile") == "FROM scratch\n"
