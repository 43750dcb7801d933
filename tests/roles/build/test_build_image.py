"""A source is what git would list, and the same source is built once."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tarfile
import tempfile
import time
from types import SimpleNamespace

import pytest
from ansible.errors import AnsibleActionFail
from ansible.module_utils import build_bases as bases
from ansible.modules import build_image as module
from ansible.plugins.action import build_image as action

FALLBACK = "FROM ${BASE_IMAGE}\n"


# -- a directory of the controller -----------------------------------------------------------


def test_files_are_those_that_git_would_list(checkout):
    assert action.list_files(str(checkout)) == sorted(
        [".gitignore", "app.py", "kept.pyc", "new.txt", "sub/a.txt", "ü b"]
    )


def test_a_subdirectory_is_listed_alone(checkout):
    assert action.list_files(str(checkout / "sub")) == ["a.txt"]


def test_outside_git_its_ignore_files_still_count(tmp_path):
    (tmp_path / ".gitignore").write_text("*.pyc\n")
    for name in ("app.py", "app.pyc"):
        (tmp_path / name).touch()
    assert action.list_files(str(tmp_path)) == [".gitignore", "app.py"]
    assert sorted(os.listdir(tmp_path)) == [".gitignore", "app.py", "app.pyc"]


def test_a_git_hook_s_environment_does_not_mislead(checkout, tmp_path, monkeypatch, git):
    (tmp_path / "other").mkdir()
    git(tmp_path / "other", "init", "-q")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    assert "kept.pyc" in action.list_files(str(checkout))


def test_repositories_within_are_listed_file_by_file(checkout, git):
    for name in ("nested", "module"):
        (checkout / name).mkdir()
        git(checkout / name, "init", "-q")
        (checkout / name / "x.py").write_text(name)
        git(checkout / name, "add", ".")
        git(checkout / name, "commit", "-qm", "one")
    git(checkout, "add", "module")
    assert {"module/x.py", "nested/x.py"} <= set(action.list_files(str(checkout)))
    assert action.digest(str(checkout))


def test_a_checkout_tells_its_commit_and_whether_it_differs(checkout, tmp_path, git):
    head = git(checkout, "rev-parse", "HEAD")
    assert action.commit(str(checkout)) == (head, True)
    (checkout / ".gitignore").write_text("*.pyc\n.cache/\n/left/\n")
    git(checkout, "add", "-A")
    git(checkout, "commit", "-qm", "two")
    head = git(checkout, "rev-parse", "HEAD")
    assert action.commit(str(checkout)) == action.commit(str(checkout / "sub")) == (head, False)
    (checkout / "new.txt").write_text("edited")
    assert action.commit(str(checkout)) == (head, True)
    assert action.commit(str(checkout / "sub")) == (head, False), "what else differs is not sent"
    (checkout / "left").mkdir()
    (checkout / "left" / "x.py").touch()
    assert action.commit(str(checkout / "left")) == ("", False)
    (tmp_path / "plain").mkdir()
    git(tmp_path / "plain", "init", "-q")
    assert action.commit(str(tmp_path / "plain")) == ("", False)


def test_the_commit_of_a_sent_source_is_recorded(options):
    source = {**options, "source_commit": "1a2b", "source_changes": True}
    with module.runs.find_source(source, False) as found:
        assert found.record == {
            "kind": "directory",
            "digest": options["source_digest"],
            "commit": "1a2b",
            "changes": True,
        }
    assert module.labels(source, found.record)["org.opencontainers.image.revision"] != "1a2b"


@pytest.mark.parametrize("place", ["missing", "file"])
def test_what_is_no_directory_is_named(tmp_path, place):
    (tmp_path / "file").touch()
    with pytest.raises(AnsibleActionFail, match=f"build_source: .*{place} is not a directory on the controller"):
        action.list_files(str(tmp_path / place))


def test_a_digest_is_the_same_in_another_place_with_other_times_and_modes(checkout, tmp_path):
    before = action.digest(str(checkout))
    other = tmp_path / "deep" / "other"
    subprocess.run(["cp", "-r", checkout, other.parent], check=True)
    (other.parent).mkdir(exist_ok=True)
    subprocess.run(["cp", "-r", f"{checkout}/.", other], check=True)
    for folder, _folders, names in os.walk(other):
        for name in names:
            os.chmod(os.path.join(folder, name), 0o600)
            os.utime(os.path.join(folder, name), (1, 1))
    assert action.digest(str(other)) == before


def test_running_the_app_s_tests_makes_no_new_release(checkout):
    before = action.digest(str(checkout))
    (checkout / ".cache").mkdir()
    (checkout / ".cache" / "results").write_text("x")
    (checkout / "sub" / "b.pyc").write_text("x")
    assert action.digest(str(checkout)) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "app.py").write_text("2"),
        lambda folder: (folder / "app.py").chmod(0o755),
        lambda folder: (folder / "app.py").rename(folder / "app2.py"),
        lambda folder: (folder / "new.txt").unlink(),
        lambda folder: ((folder / "app.py").unlink(), (folder / "app.py").symlink_to("1")),
    ],
    ids=["same size", "executable", "name", "gone", "link"],
)
def test_a_digest_sees_every_change_that_counts(checkout, change):
    before, info = action.digest(str(checkout)), (checkout / "app.py").stat()
    change(checkout)
    if (checkout / "app.py").is_file():
        os.utime(checkout / "app.py", ns=(info.st_atime_ns, info.st_mtime_ns))
    assert action.digest(str(checkout)) != before


def test_names_and_contents_cannot_be_taken_for_each_other(tmp_path):
    for name, files in {"one": {"a": "b"}, "two": {"ab": ""}, "three": {"a": "", "b": ""}}.items():
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(text)
    assert len({action.digest(str(tmp_path / name)) for name in ("one", "two", "three")}) == 3


def test_what_is_packed_is_normal_and_whole(checkout, tmp_path):
    (checkout / "run.sh").write_text("#!/bin/sh")
    (checkout / "run.sh").chmod(0o700)
    (checkout / "link").symlink_to("app.py")
    packed = [tmp_path / f"{number}.tar.gz" for number in (1, 2)]
    for path in packed:
        action.pack(str(checkout), str(path))
        os.utime(checkout / "app.py", (1, 1))
    with tarfile.open(packed[0]) as one, tarfile.open(packed[1]) as two:
        rows = [[(e.name, e.mode, e.mtime, e.uid, e.uname, e.linkname) for e in t] for t in (one, two)]
        assert one.extractfile("app.py").read() == b"1"
    assert rows[0] == rows[1]
    modes = {row[0]: row[1] for row in rows[0]}
    assert (modes["run.sh"], modes["app.py"]) == (0o755, 0o644)
    assert {row[2:5] for row in rows[0]} == {(0, 0, "")}
    assert "link" in modes and "app.pyc" not in modes


@pytest.fixture
def submodule(checkout, git):
    """Return a clone in which a submodule is not checked out."""
    (checkout.parent / "theme").mkdir()
    git(checkout.parent / "theme", "init", "-q")
    (checkout.parent / "theme" / "theme.css").write_text("body{}")
    git(checkout.parent / "theme", "add", ".")
    git(checkout.parent / "theme", "commit", "-qm", "one")
    git(checkout, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../theme", "static/theme")
    git(checkout, "commit", "-qm", "theme")
    git(checkout.parent, "clone", "-q", checkout, "clone")
    return checkout.parent / "clone"


def test_a_submodule_that_is_not_checked_out_is_named(submodule, git):
    for folder in (submodule, submodule / "static", submodule / "static" / "theme"):
        with pytest.raises(AnsibleActionFail, match=r"submodule theme in .*/static is not checked out; type: git -C"):
            action.digest(str(folder))
    git(submodule, "-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init")
    assert "static/theme/theme.css" in action.list_files(str(submodule))


def test_a_submodule_without_an_address_is_named_with_what_takes_it_out(submodule, git):
    git(submodule, "rm", "-q", "--cached", ".gitmodules")
    git(submodule, "commit", "-qm", "lost")
    (submodule / ".gitmodules").unlink()
    with pytest.raises(AnsibleActionFail) as failed:
        action.list_files(str(submodule))
    begin = f"build_source: the submodule theme in {submodule}/static is not checked out, and no .gitmodules has it"
    assert str(failed.value) == f"{begin}; type: git -C {submodule}/static rm --cached theme"
    git(submodule / "static", "rm", "-q", "--cached", "theme")
    (submodule / "static" / "theme").rmdir()
    assert action.list_files(str(submodule))


def run(source, **arguments):
    """Return what the plugin would send of a directory, or fail as it does."""
    plugin = object.__new__(action.ActionModule)
    plugin._task = SimpleNamespace(args={"source": str(source), "dockerfile": "Dockerfile", **arguments})
    plugin._until_content = lambda sent, *rest: sent
    return plugin.run(task_vars={})


@pytest.fixture
def secret(tmp_path, monkeypatch):
    """Keep what an action plugin does first, and a file that nobody means to send."""
    monkeypatch.setattr(action.ActionBase, "run", lambda *ignored: None)
    (tmp_path / "id_ed25519").write_text("PRIVATE KEY")
    return tmp_path / "id_ed25519"


@pytest.mark.parametrize("name", ["Dockerfile", "sub/link"])
@pytest.mark.parametrize("way", ["absolute", "relative", "through a link", "by another link", "dangling"])
def test_a_link_that_leaves_the_source_is_refused(checkout, secret, name, way):
    path = checkout / name
    targets = {
        "absolute": secret,
        "relative": os.path.relpath(secret, path.parent),
        "through a link": "here/../id_ed25519",
        "by another link": "other",
        "dangling": "/no/such/file",
    }
    (path.parent / "here").symlink_to("." if name == "Dockerfile" else "..")
    (path.parent / "other").symlink_to(secret)
    path.symlink_to(targets[way])
    with pytest.raises(AnsibleActionFail, match=r"leaves the source, to .*; put the file there") as error:
        run(checkout)
    assert "PRIVATE" not in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["../id_ed25519", "sub/../../id_ed25519", "folder"])
def test_a_build_file_elsewhere_is_refused(checkout, secret, name):
    (checkout / "folder").mkdir()
    with pytest.raises(AnsibleActionFail, match="build_dockerfile: "):
        run(checkout, dockerfile=name)
    with pytest.raises(AnsibleActionFail, match="build_dockerfile: "):
        run(checkout, dockerfile=str(secret))


def test_links_within_the_source_stay_links(checkout, secret):
    (checkout / "Dockerfile.prod").write_text("FROM scratch\n")
    (checkout / "Dockerfile").symlink_to("Dockerfile.prod")
    (checkout / "sub" / "up").symlink_to("../app.py")
    assert run(checkout)["dockerfile_content"] == "FROM scratch\n"
    assert run(checkout, subdir="sub")["dockerfile_content"] == ""


@pytest.mark.parametrize("subdir", ["out", "no", "app.py", "sub/../.."])
def test_a_subdirectory_elsewhere_is_refused(checkout, secret, subdir):
    (checkout / "out").symlink_to(checkout.parent)
    with pytest.raises(
        AnsibleActionFail, match=r"build_subdir: .* has no directory .*; (there are|did you mean) .*sub"
    ):
        run(checkout, subdir=subdir)


def test_a_source_that_is_not_there_is_named(secret, tmp_path):
    with pytest.raises(AnsibleActionFail, match=r"build_source: .*/none is not a directory on the controller; write"):
        run(tmp_path / "none")


def test_a_fifo_is_named_and_not_waited_for(checkout, secret):
    (checkout / "app.py").unlink()
    os.mkfifo(checkout / "app.py")
    with pytest.raises(AnsibleActionFail, match=r"app.py is neither a file nor a link"):
        run(checkout)
    (checkout / "app.py").unlink()
    os.mkfifo(checkout / "Dockerfile")
    with pytest.raises(AnsibleActionFail, match=r"build_dockerfile: Dockerfile is not a file"):
        run(checkout)


def test_a_name_that_docker_cannot_take_is_shown_in_one_line(checkout, secret):
    with open(os.fsencode(checkout) + b"/caf\xe9\n.txt", "w"):
        pass
    with pytest.raises(AnsibleActionFail, match=r"'caf\\udce9\\n.txt' is not UTF-8, .*; rename it"):
        run(checkout)


def test_a_build_file_that_is_no_text_is_named(checkout, secret):
    (checkout / "Dockerfile").write_bytes(b"FROM \xff")
    with pytest.raises(AnsibleActionFail, match=r"build_dockerfile: Dockerfile is not text"):
        run(checkout)


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12345\n"


def test_pointers_of_git_lfs_are_not_published(checkout, secret):
    for name in ("a.png", "b.png", "c.png", "d.png"):
        (checkout / name).write_text(POINTER)
    with pytest.raises(AnsibleActionFail, match=r"4 files are pointers .*\(a.png, b.png, c.png …\); .*lfs pull"):
        run(checkout)


@pytest.mark.parametrize("text", ["short", "much longer than before"])
def test_a_file_that_changes_while_it_is_packed_is_seen(checkout, secret, tmp_path, monkeypatch, text):
    real = action.build_sources.os.fstat

    def changed(handle):
        info = real(handle)
        if os.readlink(f"/proc/self/fd/{handle}").endswith("app.py"):
            (checkout / "app.py").write_text(text)
        return info

    (checkout / "app.py").write_text("the middle one")
    monkeypatch.setattr(action.build_sources.os, "fstat", changed)
    with pytest.raises(AnsibleActionFail, match=r"app.py changed while it was read; deploy once more"):
        action.pack(str(checkout), str(tmp_path / "x.tar.gz"))


def test_what_is_packed_is_what_was_judged(checkout, secret, tmp_path, monkeypatch):
    plugin = object.__new__(action.ActionModule)
    plugin._connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
    plugin._execute_module = lambda *arguments, **options: {"wants": ["source"]}
    plugin._send = lambda *arguments: pytest.fail("it was sent")
    with pytest.raises(AnsibleActionFail, match="changed meanwhile; deploy once more"):
        plugin._until_content({"source_digest": "before"}, (str(checkout), str(checkout)), "", {})


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("https://git.example.com/shop.git", True),
        ("git@git.example.com:shop.git", True),
        ("file:///srv/git/shop.git", True),
        ("/src/shop", False),
        ("../shop", False),
        ("./a:b/c", False),
    ],
)
def test_a_repository_is_told_from_a_directory(source, expected):
    assert action.is_repository(source) is expected


# -- the image -------------------------------------------------------------------------------


@pytest.fixture
def options(checkout, tmp_path):
    archive = tmp_path / "source.tar.gz"
    action.pack(str(checkout), str(archive))
    return {
        "app": "shop",
        "repository": None,
        "source_digest": action.digest(str(checkout)),
        "source_commit": "",
        "source_changes": False,
        "source_archive": str(archive),
        "dockerfile": "Dockerfile",
        "dockerfile_content": "",
        "told": {},
        "fallback_dockerfile": FALLBACK,
        "steps": "# steps\n",
        "choices": {},
        "shown": True,
        "base_image": "python:3",
        "base_archive": None,
        "base_can_be_sent": False,
        "build_args": {"N": 3},
        "secrets": {},
        **dict.fromkeys(("ready", "target", "registry", "registry_user", "registry_password"), ""),
        "git_key": None,
        "ca": "",
        "rebuild": False,
        "progress": "",
        "run": "me",
    }


@pytest.fixture
def base(engine):
    with open(engine.place / "images", "a") as file:
        file.write("python:3\n")


def test_the_same_source_is_built_once(engine, base, options):
    first, again = module.make(options, False), module.make(options, False)
    assert (first["changed"], again["changed"]) == (True, False)
    assert first["image"] == again["image"] and first["build"] == again["build"]
    (built,) = engine.calls("docker build")
    assert "--build-arg N=3" in built and "--build-arg BASE_IMAGE=python:3" in built and "id=ca" not in built
    assert (engine.place / "context" / "app.py").read_text() == "1"


@pytest.mark.parametrize(
    "change",
    [
        {"source_digest": "other"},
        {"build_args": {"N": 4}},
        {"dockerfile_content": "FROM scratch\n"},
        {"fallback_dockerfile": FALLBACK + "USER 1\n"},
    ],
)
def test_each_input_decides_the_build(engine, base, options, change):
    assert module.make(options, False)["build"] != module.make({**options, **change}, False)["build"]


def test_a_rebuild_takes_everything_anew_and_stays(engine, base, options, tmp_path, monkeypatch, owners):
    monkeypatch.setattr(module, "REBUILT", str(tmp_path / "{}-rebuilt.json"))
    first = module.make(options, False)
    engine.forget()
    again = module.make({**options, "rebuild": True, "base_archive": "base.tar"}, False)
    assert again["changed"] and again["build"] != first["build"]
    assert engine.calls("docker load") and "--no-cache" in engine.calls("docker build")[0]
    engine.forget()
    assert module.make(options, False) == {**again, "changed": False}
    assert not engine.calls("docker build")
    assert module.make({**options, "build_args": {"A": "1"}}, False)["build"] not in (first["build"], again["build"])


def test_a_rebuild_asks_for_the_base_image_once_more(engine, base, options):
    assert module.make({**options, "rebuild": True, "base_can_be_sent": True}, False)["wants"] == ["base"]


OWN = """
ARG PYTHON=3.12
FROM node:22 AS assets
FROM python:${PYTHON}-slim AS build
FROM ${BASE_IMAGE}
COPY --from=assets /static /static
COPY --from=build /venv /venv
COPY --from=ghcr.io/tools/uv:1 /uv /bin/
COPY --from=busybox@sha256:abc /bin/sh /bin/
"""


def pulled(engine):
    return sorted(call.split()[-1] for call in engine.calls("docker pull"))


def test_a_rebuild_pulls_what_an_own_dockerfile_builds_on(engine, base, options):
    module.make({**options, "dockerfile_content": OWN, "build_args": {"PYTHON": 3.13}}, False)
    assert pulled(engine) == []
    module.make({**options, "dockerfile_content": OWN, "build_args": {"PYTHON": 3.13}, "rebuild": True}, False)
    assert pulled(engine) == ["ghcr.io/tools/uv:1", "node:22", "python:3", "python:3.13-slim"]
    assert "--no-cache" in engine.calls("docker build")[-1]


@pytest.mark.parametrize("dockerfile", ["FROM python:3\n", FALLBACK], ids=["own", "the role's"])
def test_a_base_that_is_on_the_host_alone_is_used_and_that_is_said(engine, base, options, dockerfile):
    (engine.place / "no-registry").touch()
    answer = module.make({**options, "dockerfile_content": dockerfile, "rebuild": True}, False)
    (line,) = answer["warnings"]
    assert answer["changed"] and line.startswith("python:3 cannot be pulled; ") and "access denied" in line


@pytest.mark.parametrize("rebuild", [True, False])
def test_a_base_that_cannot_be_had_is_named_with_a_way_out(engine, base, options, rebuild):
    (engine.place / "no-registry").touch()
    own = {"dockerfile_content": "FROM gone:1\n"} if rebuild else {"base_image": "gone:1"}
    with pytest.raises(
        bases.BaseError, match=r"gone:1 cannot be pulled, and is not on this host(.|\n)*build_registry_password"
    ):
        module.make({**options, **own, "rebuild": rebuild}, False)
    assert not engine.calls("docker build")


def test_a_registry_that_was_asked_too_often_is_told_as_that(engine, base, options):
    limit = "toomanyrequests: You have reached your unauthenticated pull rate limit."
    (engine.place / "no-registry").write_text(limit)
    with pytest.raises(bases.BaseError, match=r"what to do: Docker Hub lets (.|\n)*build_registry: docker\.io"):
        module.make({**options, "base_image": "gone:1"}, False)


def test_a_build_may_pull_what_it_builds_on_and_its_password_is_left_nowhere(engine, base, options):
    who = {"registry": "registry.example.com", "registry_user": "deploy", "registry_password": "h5-Xq-and-more"}
    own = "FROM registry.example.com/team/base:1\n"
    built = module.make({**options, **who, "dockerfile_content": own}, False)["build"]
    settings, place = (engine.place / "login").read_text().splitlines()
    assert "registry.example.com" in json.loads(settings)["auths"] and not os.path.lexists(place)
    assert "h5-Xq" not in str(engine.calls())
    assert module.make({**options, "dockerfile_content": own}, False)["build"] == built, "who may pull decides no build"


@pytest.mark.parametrize("dockerfile", ["FROM --platform=linux/s390x python:3\n", ""], ids=["own", "the role's"])
def test_an_image_for_another_processor_is_refused_and_no_later_run_takes_it(engine, base, options, dockerfile):
    """One that was built, before any host has it; a base image before anything is built on it."""
    (engine.place / "machine").write_text("s390x\n")
    for _run in range(2):
        with pytest.raises(bases.BaseError, match=r"is for s390x and this host is \w+\n  what to do: .*--platform"):
            module.make({**options, "dockerfile_content": dockerfile}, False)
    assert len(engine.calls("docker build")) == bool(dockerfile)


def test_an_own_dockerfile_is_used(engine, base, options):
    module.make({**options, "dockerfile_content": "FROM python:3\n"}, False)
    assert "BASE_IMAGE" not in engine.calls("docker build")[0]


def test_an_own_dockerfile_can_be_set_aside(engine, base, options):
    module.make({**options, "dockerfile": "none", "dockerfile_content": "FROM python:3\n"}, False)
    assert "BASE_IMAGE" in engine.calls("docker build")[0]


def test_a_build_file_that_was_named_is_never_replaced_by_the_role_s(engine, base, options):
    with pytest.raises(module.sources.SourceError, match=r"the source has no image\.txt; none"):
        module.make({**options, "dockerfile": "image.txt"}, False)
    assert not engine.calls("docker build")


def test_a_company_s_authority_is_a_secret_of_the_build_alone(engine, base, options):
    with_ca, without = module.make({**options, "ca": "PEM"}, False), module.make(options, False)
    assert with_ca["build"] == without["build"]
    assert "--secret id=ca,src=" in engine.calls("docker build")[0]


def lent(engine):
    """Return {name: content} of the secrets that a build was lent, as the stand-in read them while they were there."""
    return {path.name: path.read_text() for path in (engine.place / "secrets").iterdir()}


@pytest.mark.parametrize("dockerfile", ["", "FROM python:3\n"], ids=["the role's", "own"])
def test_secrets_are_lent_to_the_build_and_stand_nowhere(engine, base, options, dockerfile):
    secrets = {"PIP_INDEX_URL": "https://me:it's a secret@index.example.com/simple", "TOKEN": "a$b`c`\nd"}
    asked = {**options, "secrets": secrets, "dockerfile_content": dockerfile, "git_key": "-----BEGIN X-----"}
    module.make(asked, False)
    given = lent(engine)
    assert given["TOKEN"] == "a$b`c`\nd\n" and given["default"] == "-----BEGIN X-----\n"
    assert ("steps" in given) is (not dockerfile)
    assert not any(word in call for call in engine.calls("docker") for word in ("a secret", "a$b"))
    places = re.findall(r"(?:src=|default=)(\S+)", engine.calls("docker build")[0])
    assert len(places) >= 3 and all(re.match("/proc/|/etc/ssh/", place) for place in places), "in memory alone"
    if not dockerfile:
        script = given["steps"].replace("# steps", 'printf %s "$PIP_INDEX_URL$TOKEN"')
        done = subprocess.run(["sh", "-s", "true"], input=script, capture_output=True, text=True, check=True)
        assert done.stdout == "".join(secrets.values())


def test_a_secret_decides_no_build(engine, base, options):
    """It is exchanged without an effect on the image: nothing of it is in there."""
    assert module.make({**options, "secrets": {"TOKEN": "one"}}, False)["build"] == module.make(options, False)["build"]


def test_what_is_missing_is_asked_for(engine, options):
    assert module.make({**options, "base_can_be_sent": True}, False)["wants"] == ["base"]
    (engine.place / "offers").write_text("python:3\n")
    assert module.make({**options, "base_archive": "/base.tar", "source_archive": None}, False)["wants"] == [
        "source",
        "word",
    ]
    assert engine.calls("docker load -q -i /base.tar") and not engine.calls("docker build")


def test_a_base_image_is_pulled_where_nothing_can_be_sent(engine, options):
    (engine.place / "offers").write_text("python:3\n")
    assert module.make(options, False)["changed"] and engine.calls("docker pull -q python:3")


def test_an_archive_without_the_image_is_named(engine, options):
    with pytest.raises(bases.BaseError, match="build_base_image_archive holds no image python:3"):
        module.make({**options, "base_archive": "/base.tar"}, False)


def test_a_dry_run_predicts_and_builds_nothing(engine, base, options):
    predicted = module.make(options, True)
    assert predicted["changed"] and not engine.calls("docker build")
    assert module.make(options, False)["build"] == predicted["build"]
    assert module.make(options, True)["changed"] is False


def test_a_dockerignore_counts_with_a_dockerfile_of_its_own_alone(engine, base, options, monkeypatch):
    """It may leave out what the role's own needs: the code of moin's, whose Dockerfile fetches a package."""
    beside = []
    docker = module.runs.engine.docker
    monkeypatch.setattr(
        module.runs.engine,
        "docker",
        lambda *words, **more: (
            "build" in words and beside.extend(os.listdir(os.path.dirname(words[-1]))),
            docker(*words, **more),
        )[1],
    )
    module.make(options, False)
    assert "Dockerfile.dockerignore" in beside
    beside.clear()
    module.make({**options, "dockerfile_content": "FROM python:3\n"}, False)
    assert "Dockerfile" in beside and "Dockerfile.dockerignore" not in beside


def test_people_are_told_how_it_builds_before_it_does(engine, base, options):
    told = {"requirements.txt": "flask\n", "Pipfile": '[packages]\nflask = "*"\n'}
    asked = {**options, "told": told, "shown": False}
    answer = module.make(asked, False)
    assert answer["wants"] == ["word"] and not engine.calls("docker build")
    assert answer["said"] == ["dependencies of requirements.txt; Pipfile would do as well, by build_dependencies"]
    assert module.make({**asked, "shown": True}, False)["changed"]
    assert "said" not in module.make(asked, False), "it is there"


def test_what_is_sent_and_what_people_are_told_is_asked_for_together(engine, base, options):
    asked = {**options, "source_archive": None, "shown": False}
    assert module.make(asked, False)["wants"] == ["source", "word"]


def test_what_the_steps_note_is_told_when_the_image_is_there(engine, base, options):
    (engine.place / "notes").write_text("gunicorn==27.0.1 takes the place of the app's gunicorn==20.0\n")
    answer = module.make(options, False)
    assert answer["said"] == ["gunicorn==27.0.1 takes the place of the app's gunicorn==20.0"]
    own = module.make({**options, "dockerfile_content": "FROM python:3\n"}, False)
    assert "said" not in own


def test_what_a_source_with_its_own_dockerfile_does_not_use_is_named(engine, base, options):
    choices = {"extras": ["pg"], "dependencies": "", "groups": ["web"], "python": "3.12"}
    own = {**options, "dockerfile_content": "FROM python:3\n", "choices": choices, "shown": False}
    (line,) = module.make(own, False)["said"]
    assert line == "build_extras, build_groups change nothing: the source has its own Dockerfile"


def test_the_app_chooses_the_python_of_the_base_image(engine, options):
    (engine.place / "offers").write_text("python:3.12-slim\n")
    asked = {**options, "base_image": "python:{python}-slim", "told": {".python-version": "3.12.4\n"}}
    for dockerfile in ("", "ARG BASE_IMAGE\nFROM ${BASE_IMAGE}\n"):
        answer = module.make({**asked, "dockerfile_content": dockerfile}, False)
        assert answer["python"] == "3.12"
        assert "--build-arg BASE_IMAGE=python:3.12-slim" in engine.calls("docker build")[-1]
    assert module.make({**asked, "shown": False, "build_args": {}}, False)["said"][0] == (
        "Python 3.12, as .python-version asks"
    )


def test_a_python_that_cannot_be_had_is_named_with_who_asks_for_it(engine, options):
    (engine.place / "no-registry").touch()
    asked = {**options, "base_image": "python:{python}-slim", "told": {".python-version": "3.12"}}
    with pytest.raises(bases.BaseError, match=r"python:3.12-slim cannot be pulled(.|\n)*\n  .python-version asks for"):
        module.make(asked, False)
    assert module.make({**asked, "base_can_be_sent": True}, False) == {"wants": ["base"], "python": "3.12"}


def test_the_files_that_say_how_to_build_are_sent(checkout, secret):
    (checkout / "requirements.txt").write_text("flask\n")
    (checkout / "pins").write_text("flask==3.0.3\n")
    assert run(checkout)["told"] == {"requirements.txt": "flask\n"}
    assert run(checkout, choices={"dependencies": "pins"})["told"].keys() == {"requirements.txt", "pins"}


def test_what_is_told_is_shown_before_the_build_goes_on(secret, monkeypatch):
    plugin, shown, asked = object.__new__(action.ActionModule), [], []
    plugin._connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
    answers = iter(
        [{"wants": ["word"], "said": ["dependencies of uv.lock"]}, {"image": "sha256:1", "said": ["a note"]}]
    )
    plugin._execute_module = lambda name, module_args, **more: (asked.append(dict(module_args)), next(answers))[1]
    monkeypatch.setattr(action.Display, "display", lambda self, line, **more: shown.append(line))
    assert plugin._until_content({}, None, "", {})["image"] == "sha256:1"
    assert shown == ["build: dependencies of uv.lock", "build: a note"]
    assert asked == [{}, {"shown": True}]


def test_a_base_image_for_each_python_has_an_archive_for_each(checkout, secret, monkeypatch):
    plugin, sent = object.__new__(action.ActionModule), []
    plugin._connection = SimpleNamespace(_shell=SimpleNamespace(tmpdir=None))
    answers = iter([{"wants": ["base"], "python": "3.12"}, {"image": "sha256:1"}])
    plugin._execute_module = lambda *arguments, **options: next(answers)
    plugin._send = lambda path, *rest: sent.append(path)
    (checkout / "python-3.12.tar").touch()
    plugin._until_content({}, None, f"{checkout}/python-{{python}}.tar", {})
    assert sent == [f"{checkout}/python-3.12.tar"]
    answers = iter([{"wants": ["base"], "python": "3.10"}])
    said = r"there is no file .*/python-3\.10\.tar on the controller; to use what is there: build_python: '3\.12'$"
    with pytest.raises(AnsibleActionFail, match=rf"^build_base_image_archive: {said}"):
        plugin._until_content({}, None, f"{checkout}/python-{{python}}.tar", {})


def test_a_failed_build_says_why_and_leaves_nothing(engine, base, options, monkeypatch):
    made, make = [], tempfile.mkdtemp
    monkeypatch.setattr(tempfile, "mkdtemp", lambda *words, **more: made.append(make(*words, **more)) or made[-1])
    (engine.place / "broken-build").touch()
    with pytest.raises(Exception, match="step 3 failed"):
        module.make(options, False)
    assert made
    assert not [folder for folder in made if os.path.exists(folder)]


def test_a_source_cannot_leave_its_directory(engine, base, options, tmp_path):
    bad = tmp_path / "bad.tar"
    with tarfile.open(bad, "w") as packed:
        packed.addfile(tarfile.TarInfo("../../escaped"))
    with pytest.raises(module.runs.BuildError, match="does not unpack"):
        module.make({**options, "source_archive": str(bad)}, False)


def test_unpacked_files_are_new_to_the_builder(engine, base, options):
    """Their times in the archive are 1970's."""
    module.make(options, False)
    assert time.time() - (engine.place / "context" / "app.py").stat().st_mtime < 60


def test_a_repository_is_built_at_its_commit(engine, base, options, checkout, git, repository, monkeypatch):
    monkeypatch.setattr(module.runs.repositories, "Repository", lambda app, address, key: repository(address, key))
    asked = {**options, "repository": f"file://{checkout}", "ref": "main", "subdir": "sub", "git_key": None}
    answer = module.make({**asked, "dockerfile": "Dockerfile", "source_archive": None}, False)
    assert answer["source"]["commit"] == git(checkout, "rev-parse", "main")
    assert os.listdir(engine.place / "context") == ["a.txt"]


def test_a_repository_says_itself_how_it_is_built(engine, base, options, checkout, git, repository, monkeypatch):
    (checkout / "requirements.txt").write_text("flask\n")
    git(checkout, "add", "-A")
    git(checkout, "commit", "-qm", "requirements")
    monkeypatch.setattr(module.runs.repositories, "Repository", lambda app, address, key: repository(address, key))
    asked = {**options, "repository": f"file://{checkout}", "ref": "main", "subdir": "", "git_key": None}
    for _once_more in range(2):
        answer = module.make({**asked, "source_archive": None, "shown": False}, False)
        assert (answer["wants"], answer["said"]) == (["word"], ["dependencies of requirements.txt"])


def test_a_stage_of_an_own_dockerfile_is_built_alone(engine, base, options):
    own = {**options, "dockerfile_content": "FROM python:3 AS production\nFROM production\n"}
    whole, stage = (module.make({**own, "target": target}, False) for target in ("", "production"))
    assert whole["build"] != stage["build"]
    assert "--target production " in engine.calls("docker build")[-1]
    with pytest.raises(module.kinds.KindError, match="build_target: the role's own Dockerfile is used"):
        module.make({**options, "target": "production"}, False)
