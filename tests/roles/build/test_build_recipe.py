"""The role's own Dockerfile: which layer is made anew when, and what its steps do, on stand-ins for what they call."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from ansible.module_utils import build_dockerfiles as dockerfiles
from ansible.module_utils import build_plan as plans
from ansible.module_utils import build_recipe as recipes

FILES = Path(__file__).parents[3] / "roles" / "build" / "files"
TEMPLATE, COMMON = ((FILES / name).read_text() for name in ("Dockerfile.in", "steps.sh"))
PROJECT = '[project]\nname = "shop"\nversion = "1"\ndependencies = ["flask"]\n'


def made(files, arguments=(), app="shop", **choices):
    """Return (Dockerfile, commands of its steps) of an app with these files."""
    return recipes.dockerfile(TEMPLATE, COMMON, app, plans.plan(files, plans.Choices(**choices)), arguments)


def lines(text, word):
    return [line for line in text.splitlines() if line.startswith(word)]


def step(text, name):
    """Return the line of a step."""
    (line,) = (line for line in text.splitlines() if f"/run/secrets/steps {name} " in line)
    return line


EVERY_KIND = [
    {"uv.lock": "", "pyproject.toml": PROJECT},
    {"poetry.lock": "", "pyproject.toml": PROJECT},
    {"Pipfile.lock": "", "Pipfile": "[packages]\nx = {path = '.'}\n"},
    {"requirements/prod.txt": "-r base.txt\n-e .\n", "requirements/base.txt": "flask\n", ".python-version": "3.12"},
    {"pdm.lock": "", "pyproject.toml": PROJECT},
    {"my requirements (1).txt": "-e .\n"},
    {"setup.py": "setup(entry_points={})", "src/shop/__init__.py": ""},
    {},
]


@pytest.mark.parametrize("files", EVERY_KIND, ids=lambda files: next(iter(files), "nothing"))
def test_every_plan_is_a_dockerfile_and_a_script(files):
    text, steps = made(files, ["VERSION", "PIP_INDEX_URL"], requirements=["redis>5; python_version<'4'"])
    assert dockerfiles.images(text, {"BASE_IMAGE": "python:3.13"}) == [("python:3.13", "")]
    assert "@{" not in text + steps
    subprocess.run(["sh", "-n"], input=steps, text=True, check=True)
    if linter := shutil.which("hadolint"):
        subprocess.run([linter, "--ignore", "DL3059", "-"], input=text, text=True, check=True)


def test_a_change_of_the_code_leaves_the_layer_of_the_dependencies():
    text, _steps = made({"requirements.txt": "-r web/requirements.txt\n", "web/requirements.txt": "flask\n"})
    before = text[: text.index(step(text, "dependencies"))]
    assert "COPY . ." not in before
    assert lines(before, "COPY") == ['COPY ["requirements.txt", "./"]', 'COPY ["web/requirements.txt", "./web/"]']


def test_each_step_is_made_anew_when_its_own_commands_change():
    plain = {"requirements.txt": "flask\n"}
    one, _ = made(plain)
    for change, same, other in (
        ({"command": "true"}, "dependencies", "code"),
        ({"requirements": ["redis"]}, "code", "dependencies"),
    ):
        two, _ = made(plain, **change)
        assert step(one, same) == step(two, same) and step(one, other) != step(two, other)


def test_the_commands_and_their_environment_stay_out_of_all_layers():
    text, steps = made({"requirements.txt": "flask\n"})
    assert "uv pip install" in steps and "uv pip" not in text
    assert all("--mount=type=secret,id=steps" in line for line in lines(text, "RUN"))


def test_each_app_has_a_cache_of_its_own():
    text, _steps = made({}, packages=["git"])
    assert text.count("type=cache,id=flask-deploy-shop,") == text.count("type=cache") - 1 == 2
    assert "id=flask-deploy-blog," in made({}, app="blog")[0]


def test_two_apps_of_a_host_share_the_layer_of_the_tools():
    texts = [made({"requirements.txt": "flask"}, app=app)[0].partition(" tools ")[0] for app in ("shop", "blog")]
    assert texts[0] == texts[1] and "id=flask-deploy-_tools," in texts[0]


def test_arguments_of_tools_come_first_and_others_install_nothing_again():
    text, _steps = made({"requirements.txt": ""}, ["VERSION", "UV_INDEX_STRATEGY"])
    order = ["ARG BASE_IMAGE", "ARG UV_INDEX_STRATEGY", "steps tools", "steps dependencies", "ARG VERSION", "COPY . ."]
    assert sorted(order, key=text.index) == order


def test_packages_of_debian_have_a_layer_of_their_own_before_all_that_changes():
    text, steps = made({"requirements.txt": ""}, packages=["libmagic-dev"], image_packages=["git"])
    assert text.index("steps tools") < text.index("steps debian") < text.index('COPY ["requirements.txt"')
    assert "\n  packages git libmagic-dev\n" in steps
    assert "\n  image git\n" in steps, "what the build alone needs is not in the image"
    assert "steps debian" not in made({"requirements.txt": ""})[0]


def test_the_image_is_made_anew_for_its_packages_alone():
    one, two = (made({"requirements.txt": ""}, image_packages=names)[0] for names in (["git"], ["git", "ffmpeg"]))
    assert step(one, "final") != step(two, "final") and step(one, "code") == step(two, "code")
    assert one.index("steps final") < one.index("COPY --from=build /venv")


# -- the steps -------------------------------------------------------------------------------


class Build:
    """A directory in which steps run, with stand-ins for uv, apt-get and python."""

    def __init__(self, place):
        self.place, self.bin = place, place / "bin"
        self.bin.mkdir()
        self.notes = place / "said"
        self.notes.touch()
        self.calls = place / "calls"
        for name in ("uv", "uvx", "apt-get", "python"):
            self.stand_in(name, "")

    def stand_in(self, name, body):
        path = self.bin / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {self.calls}\n{body}\n')
        path.chmod(0o755)

    def run(self, name, steps):
        """Run a step; return how it ended."""
        here = steps.replace("/tmp/", f"{self.place}/").replace("/dev/shm", str(self.place))
        here = here.replace("/venv/flask-deploy", str(self.place)).replace("rm -rf /var", ": /var")
        (self.place / "steps").write_text(here)
        environment = {"PATH": f"{self.bin}:{os.environ['PATH']}"}
        self.calls.write_text("")
        return subprocess.run(
            ["sh", "steps", name], cwd=self.place, env=environment, capture_output=True, text=True, check=False
        )

    def called(self, word):
        return [line for line in self.calls.read_text().splitlines() if line.startswith(word)]


@pytest.fixture
def build(tmp_path):
    return Build(tmp_path)


NO_WHEEL = 'case "$*" in *--no-build*) echo "hint: Wheels are required for misaka" >&2; exit 2 ;; esac'


def test_what_has_wheels_needs_no_compiler(build):
    done = build.run("dependencies", made({"requirements.txt": "flask\n"})[1])
    assert done.returncode == 0, done.stderr
    assert build.called("uv pip install")[0] == "uv pip install -r requirements.txt --compile-bytecode --no-build"
    assert "gunicorn[gevent]>=27,<28" in build.called("uv pip install")[1]
    assert not build.called("apt-get")


@pytest.mark.parametrize("option", ["-e ", "--editable=", "  -e   "])
def test_a_repository_that_pip_would_take_as_editable_is_installed(build, option):
    listed = f"-r base.txt\n{option}git+https://git.example.com/x.git@v1#egg=x\nflask\n"
    (build.place / "requirements.txt").write_text(listed)
    (build.place / "base.txt").write_text("-e ./lib\n")
    build.stand_in("uv", f'case "$*" in *requirements.txt*) cat requirements.txt >> {build.calls} ;; esac')
    done = build.run("dependencies", made({"requirements.txt": listed, "base.txt": "-e ./lib\n"})[1])
    assert done.returncode == 0, done.stderr
    assert build.called("git+") == ["git+https://git.example.com/x.git@v1#egg=x"]


@pytest.mark.parametrize("file", ["Pipfile", "poetry.lock"])
def test_a_repository_that_a_lock_lists_as_editable_is_installed(build, file):
    exported = "-e git+ssh://git@git.example.com/x.git@v1#egg=x"
    build.stand_in("uvx", f'echo "{exported}" >{build.place}/requirements.txt; echo "{exported}"')
    build.stand_in("uv", f'case "$*" in *requirements.txt*) cat requirements.txt >> {build.calls} ;; esac')
    files = (
        {file: "[packages]\nx = '*'\n", "pyproject.toml": PROJECT}
        if file == "Pipfile"
        else {file: "", "pyproject.toml": PROJECT}
    )
    done = build.run("dependencies", made(files)[1])
    assert done.returncode == 0, done.stderr
    assert build.called("git+") == [exported.removeprefix("-e ")]


def test_what_has_none_gets_a_compiler_without_asking(build):
    build.stand_in("uv", f'case "$*" in *gunicorn*) exit ;; esac; {NO_WHEEL}')
    done = build.run("dependencies", made({"requirements.txt": "misaka\n"})[1])
    assert done.returncode == 0, done.stderr
    assert "build-essential" in build.called("apt-get")[1] and "libpq-dev" in build.called("apt-get")[1]
    assert build.called("uv pip install")[1] == "uv pip install -r requirements.txt --compile-bytecode"


@pytest.mark.parametrize("listed", ["psycopg2==2.8.4\n", "Psycopg_2[x] ==2.8.4 ; python_version > '3'\nflask\n"])
def test_a_version_of_build_requirements_is_installed_instead_of_the_app_s(build, listed):
    name = "psycopg2" if "_" not in listed else "psycopg-2"
    build.stand_in("uv", f'echo "[$UV_OVERRIDE]" >> {build.calls}')
    (build.place / "requirements.txt").write_text(listed)
    wanted = [f"{name}>=2.9", "flask", "redis>5", "git+https://git.example.com/x"]
    done = build.run("dependencies", made({"requirements.txt": listed}, requirements=wanted)[1])
    assert done.returncode == 0, done.stderr
    assert build.called(f"[{build.place}/instead]")
    assert (
        build.place / "instead"
    ).read_text() == f"{name}>=2.9\nredis>5\n"  # another version of flask is not asked for
    said = f"build_requirements: {name}>=2.9 takes the place of what the app lists"
    assert build.notes.read_text().splitlines() == [said]


def test_a_lock_of_uv_is_installed_without_what_has_another_version(build):
    (build.place / "uv.lock").write_text('[[package]]\nname = "markupsafe"\nversion = "1.0"\n')
    files = {"uv.lock": "", "pyproject.toml": PROJECT}
    done = build.run("dependencies", made(files, requirements=["MarkupSafe>=2", "flask"])[1])
    assert done.returncode == 0, done.stderr
    (synced,) = build.called("uv sync")
    assert "--no-install-package MarkupSafe" in synced and "--no-install-package flask" not in synced
    assert "MarkupSafe>=2 takes the place of what the app lists" in build.notes.read_text()
    assert "MarkupSafe>=2" in build.called("uv pip install")[-1]


def test_what_cannot_be_had_at_all_is_asked_for_once(build):
    build.stand_in("uv", "echo 'cause: Because no-such was not found in the package registry' >&2; exit 1")
    done = build.run("dependencies", made({"requirements.txt": "no-such\n"})[1])
    assert done.returncode == 1 and "no-such was not found" in done.stderr
    assert not build.called("apt-get") and len(build.called("uv")) == 1


def old_pin(versions):
    """Return a stand-in for uv: greenlet does not build, and has wheels for these versions of Python."""
    return f"""
case "$*" in
*"--only-binary greenlet"*)
    for each in {versions}; do case "$*" in *"--python-version $each "*) exit 0 ;; esac; done
    exit 1 ;;
*--no-build*) echo "Wheels are required for greenlet" >&2; exit 1 ;;
*gunicorn*|export*) exit 0 ;;
esac
printf 'error: Failed to build `greenlet==3.0.0`\\n  cause: 200 lines\\n' >&2; exit 1"""


@pytest.mark.parametrize(
    "files", [{"requirements.txt": "greenlet==3.0.0\n"}, {"uv.lock": "", "pyproject.toml": PROJECT}]
)
def test_a_python_that_a_pinned_package_has_a_wheel_for_is_named(build, files):
    build.stand_in("uv", old_pin("3.10 3.11 3.12"))
    done = build.run("dependencies", made(files)[1])
    assert done.returncode == 1 and "200 lines" in done.stderr
    assert done.stderr.splitlines()[-1] == (
        "what to do: greenlet has a wheel for Python 3.12. Write build_python: '3.12'"
    )
    assert len(build.called("uv export")) == ("uv.lock" in files)
    assert "requirements.txt" in build.called("uv pip compile")[-1]


def test_a_package_that_builds_nowhere_is_named(build):
    build.stand_in("uv", old_pin("2.7"))
    done = build.run("dependencies", made({"requirements.txt": "greenlet==3.0.0\n"})[1])
    assert done.stderr.splitlines()[-1].startswith("what to do: greenlet has a wheel for none of Python 3.10 to 3.14.")


def test_a_base_image_that_is_not_debian_s_is_said(build):
    (build.bin / "apt-get").unlink()
    for name in ("sh", "grep", "cat", "tee", "dirname"):
        (build.bin / name).symlink_to(shutil.which(name))
    build.stand_in("uv", NO_WHEEL)
    steps = made({"requirements.txt": "misaka\n"})[1].replace(":/usr/sbin:/sbin", "")
    (build.place / "steps").write_text(steps)
    environment = {"PATH": str(build.bin)}
    done = subprocess.run(
        [build.bin / "sh", "steps", "dependencies"], cwd=build.place, env=environment, capture_output=True, check=False
    )
    assert (
        done.returncode == 1 and b"the base image has no apt-get, which would install: build-essential" in done.stderr
    )


def test_what_the_server_changed_of_the_app_s_pins_is_noted(build):
    freeze = json.dumps("Flask==3.0.3\ngunicorn==20.1.0\n")[1:-1]
    after = freeze.replace("20.1.0", "27.0.1")
    build.stand_in(
        "uv",
        f'case "$*" in *gunicorn*) touch {build.place}/served ;; *freeze*) '
        f'[ -e {build.place}/served ] && printf "{after}" || printf "{freeze}" ;; esac',
    )
    assert build.run("dependencies", made({"requirements.txt": "flask\n"})[1]).returncode == 0
    assert build.notes.read_text() == "gunicorn==27.0.1 takes the place of the app's gunicorn==20.1.0\n"


@pytest.mark.parametrize(
    ("here", "said"), [("3.12", ""), ("3.13", "asks for Python 3.12, and the base image has 3.13")]
)
def test_a_base_image_with_another_python_than_the_app_asks_for_is_noted(build, here, said):
    build.stand_in("python", f"echo {here}")
    done = build.run("dependencies", made({"requirements.txt": "", ".python-version": "3.12"})[1])
    assert done.returncode == 0 and (said in build.notes.read_text() if said else build.notes.read_text() == "")


def test_requirements_in_the_code_itself_are_left_out_until_it_is_there(build):
    text = "flask\n-e .\n./vendor/x-1-py3-none-any.whl\n--editable=./lib\nshop @ file:///app/shop\n. \nrich\n"
    (build.place / "requirements.txt").write_text(text)
    _dockerfile, steps = made({"requirements.txt": text})
    assert build.run("dependencies", steps).returncode == 0
    assert (build.place / "requirements.txt").read_text() == "flask\nrich\n"
    assert len(build.called("uv pip install")) == 1, "the server comes when all else is there"
    assert build.run("code", steps).returncode == 0
    installed = build.called("uv pip install")
    assert installed[0] == "uv pip install -r requirements.txt --compile-bytecode" and "gunicorn" in installed[1]


def test_a_project_that_does_not_build_is_noted_and_its_code_is_found(build):
    build.stand_in(
        "uv", 'case "$*" in *"-e ."*) printf "error: no\\n  ConfigError: bad\\n\\nhint: x\\n" >&2; exit 1 ;; esac'
    )
    build.stand_in("python", f"case $2 in *sysconfig*) echo {build.place} ;; esac")
    steps = made({"requirements.txt": "", "pyproject.toml": PROJECT, "src/shop/__init__.py": ""})[1]
    for name in ("dependencies", "code"):
        done = build.run(name, steps)
        assert done.returncode == 0, done.stderr
    note = "the project itself is not installed, though its code is below src: ConfigError: bad\n"
    assert build.notes.read_text() == note
    assert (build.place / "flask-deploy.pth").read_text() == "/app/src\n"


def test_a_lock_that_is_older_than_its_project_is_installed_and_noted(build):
    steps = made({"uv.lock": "", "pyproject.toml": PROJECT})[1]
    assert build.run("code", steps).returncode == 0 and build.notes.read_text() == ""
    build.stand_in("uv", 'case "$*" in *"lock --check"*) echo "The lockfile needs to be updated" >&2; exit 1 ;; esac')
    assert build.run("code", steps).returncode == 0
    assert build.notes.read_text() == "uv.lock does not fit pyproject.toml any more; what it locks is installed\n"


def test_the_libraries_that_the_build_found_out_are_in_the_image(build):
    needs = build.place / "needs"
    needs.write_text("libc6\nlibpq5\n")
    build.stand_in("dpkg", 'case "$*" in "-s libc6"|"-s git") exit 0 ;; esac; exit 1')
    steps = made({}, image_packages=["git", "ffmpeg"])[1]
    done = build.run("final", steps)
    assert done.returncode == 0, done.stderr
    assert build.called("apt-get")[1] == "apt-get install -qq --no-install-recommends ffmpeg libpq5"
    build.stand_in("dpkg", "")
    assert build.run("final", steps).returncode == 0 and not build.called("apt-get")


def test_libraries_of_what_was_built_are_looked_for_in_debian(build):
    needs = build.place / "needs"
    build.stand_in("find", "printf '\\tlibpq.so.5 => /lib/libpq.so.5 (0x1)\\n\\tlibx.so => not found\\n'")
    build.stand_in("readlink", "echo /usr/lib/libpq.so.5.17")
    build.stand_in("dpkg", "echo 'libpq5:amd64: /usr/lib/libpq.so.5.17'")
    assert build.run("dependencies", made({})[1]).returncode == 0
    assert needs.read_text() == "libpq5\n"


def test_a_command_is_run_on_the_code_whatever_is_in_it(build):
    command = "echo \"it's $((1 + 1))\" > made\nprintf ' %s' 'a' >> made"
    assert build.run("code", made({}, command=command)[1]).returncode == 0
    assert (build.place / "made").read_text() == "it's 2\n a"


@pytest.mark.parametrize(("command", "code"), [("exit 7; true", 7), ("false\ntrue", 1), ("if", 2)])
def test_a_command_that_fails_fails_the_build_and_says_so(build, command, code):
    done = build.run("code", made({}, command=command)[1])
    assert done.returncode == 1 and done.stderr.splitlines()[-1] == f"build_command ended with code {code}"


def test_an_index_of_pip_s_is_one_of_uv_and_pipenv_too(build):
    build.stand_in("uv", f'echo "$UV_DEFAULT_INDEX $UV_INDEX $PIPENV_PYPI_MIRROR" > {build.place}/indexes')
    first, extra = "https://one.example/simple", "https://two.example/simple"
    steps = f"export PIP_INDEX_URL={first} PIP_EXTRA_INDEX_URL={extra}\n{made({})[1]}"
    assert build.run("dependencies", steps).returncode == 0
    assert (build.place / "indexes").read_text().split() == [first, extra, first]
