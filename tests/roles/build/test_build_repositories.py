"""A git repository's branches, tags, commits and files, as a host has them."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
from types import SimpleNamespace

import pytest
from ansible.module_utils import build_repositories as repositories
from ansible.module_utils import build_run as runs
from ansible.module_utils import build_sources as sources
from ansible.plugins.action import build_image as action


def test_every_kind_of_ref_is_found(checkout, git, repository):
    first = git(checkout, "rev-parse", "HEAD")
    git(checkout, "tag", "-a", "v1", "-m", "annotated")
    git(checkout, "checkout", "-q", "-b", "feature/x")
    git(checkout, "commit", "-q", "--allow-empty", "-m", "two")
    second = git(checkout, "rev-parse", "HEAD")
    copy = repository(f"file://{checkout}")
    expected = {
        "main": first,
        "v1": first,
        first: first,
        first[:8]: first,
        "feature/x": second,
        "HEAD": second,
        "refs/heads/main": first,
        "refs/tags/v1": first,
    }
    assert {ref: copy.commit(ref) for ref in expected} == expected


def test_a_moved_branch_and_tag_are_followed(checkout, git, repository):
    git(checkout, "tag", "latest")
    copy = repository(f"file://{checkout}")
    before = copy.commit("main")
    git(checkout, "commit", "-q", "--amend", "--allow-empty", "-m", "rewritten")
    git(checkout, "tag", "-f", "latest")
    now = git(checkout, "rev-parse", "HEAD")
    assert now != before
    assert (copy.commit("main"), copy.commit("latest"), copy.commit("HEAD")) == (now, now, now)


@pytest.mark.parametrize("ref", ["nope", "--upload-pack=touch x", "-h", "--all", "", "main nope"])
def test_an_unknown_ref_is_named(checkout, repository, ref, tmp_path):
    with pytest.raises(repositories.RepositoryError, match=r"build_ref: .* has no branch, tag or commit"):
        repository(f"file://{checkout}").commit(ref)


def test_an_address_is_never_an_option(tmp_path, repository):
    with pytest.raises(repositories.RepositoryError):
        repository(f"--upload-pack=touch {tmp_path}/pwned").commit("main")
    assert not (tmp_path / "pwned").exists()


def test_a_deleted_branch_is_not_deployed_from_memory(checkout, git, repository):
    git(checkout, "branch", "old")
    copy = repository(f"file://{checkout}")
    assert copy.commit("old")
    git(checkout, "branch", "-D", "old")
    with pytest.raises(repositories.RepositoryError, match="old"):
        copy.commit("old")


def test_a_repository_whose_head_names_no_branch_still_has_its_branches(checkout, git, repository):
    """As in `git init --bare` on a server that calls its first branch otherwise."""
    git(checkout, "symbolic-ref", "HEAD", "refs/heads/master")
    copy = repository(f"file://{checkout}")
    assert copy.commit("main") == git(checkout, "rev-parse", "main")


# -- what a commit holds -----------------------------------------------------------------------


@pytest.fixture
def look(repository):
    """Return a function that tells digest, build file and files of a commit, as a build gets them."""

    def run(address, ref="main", subdir="", dockerfile="Dockerfile"):
        copy = repository(address)
        with repositories.Checkout(copy, copy.commit(ref), subdir, dockerfile) as checkout:
            digest, text, _told = checkout.look()
            archive = f"{copy.path}.tar"
            checkout.pack(archive)
            place = checkout.place
        assert not os.path.exists(place)
        with tarfile.open(archive) as packed:
            files = {e.name: e.linkname or packed.extractfile(e).read().decode() for e in packed}
        return SimpleNamespace(digest=digest, text=text, files=files)

    return run


@pytest.fixture
def make(tmp_path, git):
    """Return a function that makes a repository of files."""

    def run(name, texts, *commands):
        folder = tmp_path / name
        folder.mkdir()
        git(folder, "init", "-q", "-b", "main")
        for command in commands:
            git(folder, "-c", "protocol.file.allow=always", *command)
        for path, text in texts.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        git(folder, *NO_LFS, "add", "-f", ".")
        git(folder, "commit", "-qm", "one")
        return folder

    return run


NO_LFS = [
    *("-c", "filter.lfs.clean=cat", "-c", "filter.lfs.smudge=cat", "-c", "filter.lfs.process="),
    *("-c", "filter.lfs.required=false"),
]


@pytest.fixture
def site(make):
    """Return a repository with submodules in submodules, links, programs and every attribute that changes a file."""
    make("font", {"font.woff": "font"})
    make("theme", {"theme.css": "body{}"}, ["submodule", "--quiet", "add", "../font", "deep/font"])
    attributes = "data.csv export-ignore\nversion.py export-subst\nwin.txt text eol=crlf\nid.txt ident\n"
    return make(
        "site",
        {
            ".gitattributes": attributes + "wide.txt text working-tree-encoding=UTF-16LE\n",
            "data.csv": "a,b",
            "version.py": "$Format:%H$",
            "win.txt": "a\nb\n",
            "id.txt": "$Id$",
            "wide.txt": "a\0b\0",
            "Dockerfile": "FROM scratch",
            "ü b": "name",
            ".gitignore": "*.pyc",
            "kept.pyc": "tracked",
            "app/app.py": "1",
            "run.sh": "#!/bin/sh",
        },
        ["submodule", "--quiet", "add", "../theme", "app/static/theme"],
    )


@pytest.fixture
def finished(site, git):
    (site / "run.sh").chmod(0o755)
    (site / "app" / "link").symlink_to("../run.sh")
    git(site, "add", ".")
    git(site, "commit", "-qm", "two")
    return site


def clone(git, address, folder):
    git(folder.parent, "-c", "protocol.file.allow=always", "clone", "-q", "--recurse-submodules", address, folder)
    return folder


@pytest.mark.parametrize("subdir", ["", "app", "app/static/theme", "app/static/theme/deep"])
def test_a_commit_is_the_same_source_as_a_checkout_of_it(look, finished, git, tmp_path, subdir):
    folder = clone(git, f"file://{finished}", tmp_path / "clone") / subdir
    found = look(f"file://{finished}", subdir=subdir)
    assert found.digest == action.digest(str(folder), str(tmp_path / "clone"))
    assert sorted(found.files) == action.list_files(str(folder))
    assert not [name for name in found.files if ".git" in name.split("/")]


def test_a_commit_is_checked_out_whole(look, finished):
    files = look(f"file://{finished}").files
    assert files["app/static/theme/theme.css"] == "body{}" and files["app/static/theme/deep/font/font.woff"] == "font"
    assert files["data.csv"] == "a,b" and files["version.py"] == "$Format:%H$"
    assert files["win.txt"] == "a\r\nb\r\n" and files["id.txt"].startswith("$Id: ") and files["wide.txt"] == "a\0b\0"
    assert files["app/link"] == "../run.sh"


def test_the_host_s_own_settings_change_no_file(look, finished, tmp_path, monkeypatch):
    before = look(f"file://{finished}").digest
    (tmp_path / "attributes").write_text("*.py filter=bad\n* -text\n")
    (tmp_path / "config").write_text(
        f"[core]\nautocrlf = true\neol = crlf\nsymlinks = false\nattributesFile = {tmp_path}/attributes\n"
        f'[filter "bad"]\nsmudge = echo bad\n[init]\ntemplateDir = {tmp_path}/template\n'
    )
    (tmp_path / "template" / "hooks").mkdir(parents=True)
    (tmp_path / "template" / "hooks" / "post-checkout").write_text(f"#!/bin/sh\ntouch {tmp_path}/hooked\n")
    (tmp_path / "template" / "hooks" / "post-checkout").chmod(0o755)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    shutil.rmtree(tmp_path / "srv")
    assert look(f"file://{finished}").digest == before
    assert not (tmp_path / "hooked").exists()


def test_what_is_known_is_not_checked_out_or_fetched_again(finished, repository, monkeypatch):
    copy = repository(f"file://{finished}")
    commit = copy.commit("main")
    with repositories.Checkout(copy, commit, "", "Dockerfile") as checkout:
        first = checkout.look()
    monkeypatch.setattr(copy, "git", lambda *arguments, **options: pytest.fail(f"git {arguments}"))
    with repositories.Checkout(copy, commit, "", "Dockerfile") as checkout:
        assert list(checkout.look()) == list(first) and first[1] == "FROM scratch"


def test_a_dry_run_keeps_nothing(finished, repository):
    copy = repository(f"file://{finished}")
    with repositories.Checkout(copy, copy.commit("main"), "", "Dockerfile", dry=True) as checkout:
        checkout.look()
    assert not os.path.exists(checkout.known)


def test_a_submodule_is_fetched_once(finished, repository, git):
    copy = repository(f"file://{finished}")
    with repositories.Checkout(copy, copy.commit("main"), "", "Dockerfile") as checkout:
        checkout.look()
    git(finished.parent / "theme", "commit", "-q", "--allow-empty", "-m", "not wanted")
    (finished.parent / "theme").rename(finished.parent / "gone")
    (finished / "app" / "app.py").write_text("2")
    git(finished, "commit", "-qam", "three")
    with repositories.Checkout(copy, copy.commit("main"), "", "Dockerfile") as checkout:
        assert checkout.look()


def test_a_submodule_of_another_part_is_not_asked_for(look, finished, git):
    (finished / "back").mkdir()
    (finished / "back" / "x.py").write_text("x")
    git(finished, "add", ".")
    git(finished, "commit", "-qm", "three")
    (finished.parent / "theme").rename(finished.parent / "gone")
    assert look(f"file://{finished}", subdir="back").files == {"x.py": "x"}


def test_a_submodule_at_a_commit_that_no_branch_holds_is_had(look, finished, git):
    theme = finished.parent / "theme"
    git(theme, "commit", "-q", "--amend", "-m", "rewritten")
    git(theme, "config", "uploadpack.allowAnySHA1InWant", "true")
    assert "app/static/theme/theme.css" in look(f"file://{finished}").files


def test_a_commit_that_no_branch_holds_is_found_by_its_whole_name(finished, git, repository):
    lost = git(finished, "rev-parse", "HEAD")
    git(finished, "commit", "-q", "--amend", "-m", "rewritten")
    git(finished, "config", "uploadpack.allowAnySHA1InWant", "true")
    assert repository(f"file://{finished}").commit(lost) == lost


def test_a_submodule_that_cannot_be_had_is_named_in_one_line(look, finished):
    (finished.parent / "theme").rename(finished.parent / "gone")
    with pytest.raises(repositories.RepositoryError) as error:
        look(f"file://{finished}")
    said = str(error.value)
    assert said.startswith("build_source: the submodule app/static/theme of file://") and "cannot be had at" in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "address",
    ["file:///etc", "/etc", "ext::touch /tmp/pwned", "--upload-pack=x", "ssh://-oProxyCommand=x/y", "-x:y", "fd::7"],
)
def test_a_submodule_leads_to_nothing_on_the_host(make, repository, git, monkeypatch, address):
    """Root would read there what the repository names."""
    site = make("site", {"app.py": "1", ".gitmodules": f'[submodule "x"]\n\tpath = x\n\turl = {address}\n'})
    git(site, "update-index", "--add", "--cacheinfo", f"160000,{git(site, 'rev-parse', 'HEAD')},x")
    git(site, "commit", "-qm", "two")
    copy = repository(f"file://{site}")
    commit = copy.commit("main")
    copy.address = "https://git.example.com/site.git"
    monkeypatch.setattr(repositories.Repository, "bring", lambda *arguments: pytest.fail("it was asked"))
    with (
        pytest.raises(repositories.RepositoryError, match=r"the submodule x .* an address that a host must not follow"),
        repositories.Checkout(copy, commit, "", "Dockerfile") as checkout,
    ):
        checkout.look()


def test_a_repository_within_that_is_no_submodule_is_named(make, look, git):
    site = make("site", {"app.py": "1"})
    git(site, "update-index", "--add", "--cacheinfo", f"160000,{git(site, 'rev-parse', 'HEAD')},x")
    git(site, "commit", "-qm", "two")
    with pytest.raises(repositories.RepositoryError, match=r"the submodule x of .* has no address in .gitmodules"):
        look(f"file://{site}")


@pytest.mark.parametrize(
    ("base", "address", "expected"),
    [
        ("https://git.example.com/team/site.git", "../theme.git", "https://git.example.com/team/theme.git"),
        ("https://git.example.com/team/site.git/", "../../other/theme", "https://git.example.com/other/theme"),
        ("git@git.example.com:team/site.git", "../theme.git", "git@git.example.com:team/theme.git"),
        ("git@git.example.com:site.git", "../theme.git", "git@git.example.com:theme.git"),
        ("ssh://git@h:22/a/b", "./c", "ssh://git@h:22/a/b/c"),
        ("https://a/b", "git@other:c.git", "git@other:c.git"),
    ],
)
def test_a_submodule_s_address_may_be_relative(base, address, expected):
    assert repositories.resolve(base, address) == expected


def test_no_password_of_an_address_is_told():
    said = "fatal: unable to access 'https://ann:s3cret@git.example.com/a.git/': 403; see ssh://t0ken@h/x"
    assert repositories.nameless(said) == "fatal: unable to access 'https://git.example.com/a.git/': 403; see ssh://h/x"


def test_the_key_is_lent_to_submodules(finished, repository, monkeypatch):
    keys = set()
    real = repositories.Repository._fetch
    monkeypatch.setattr(
        repositories.Repository,
        "_fetch",
        lambda self, *wanted: (keys.add((self.address, self.key)), real(self, *wanted)),
    )
    with runs.lent("-----BEGIN X-----") as key:
        copy = repository(f"file://{finished}", key)
        with repositories.Checkout(copy, copy.commit("main"), "", "Dockerfile") as checkout:
            checkout.look()
    assert len(keys) == 3 and {key for _address, key in keys} == {copy.key}


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 4\n"


def test_a_pointer_whose_file_cannot_be_had_is_not_published(make, look):
    attributes = {".gitattributes": "*.png filter=lfs diff=lfs merge=lfs -text\n", "app.py": "1"}
    site = make("site", {**attributes, "static/logo.png": POINTER.format("0" * 64)})
    with pytest.raises((repositories.RepositoryError, sources.SourceError), match=r"static/logo\.png") as error:
        look(f"file://{site}")
    assert "git-lfs" in str(error.value) and "\n" not in str(error.value)


@pytest.mark.skipif(not shutil.which("git-lfs"), reason="git-lfs is not here")
def test_files_that_git_lfs_keeps_are_had(make, look, git, tmp_path):
    place = hashlib.sha256(b"logo").hexdigest()
    attributes = {".gitattributes": "*.png filter=lfs diff=lfs merge=lfs -text\n", "app.py": "1"}
    site = make("site", {**attributes, "static/logo.png": POINTER.format(place)})
    git(tmp_path, "clone", "-q", "--bare", site, "site.git")
    kept = tmp_path / "site.git" / "lfs" / "objects" / place[:2] / place[2:4] / place
    kept.parent.mkdir(parents=True)
    kept.write_text("logo")
    assert look(f"file://{tmp_path}/site.git").files["static/logo.png"] == "logo"


def test_without_git_lfs_a_pointer_is_named(make, look, monkeypatch):
    monkeypatch.setattr(repositories, "shutil", SimpleNamespace(which=lambda name: None, rmtree=shutil.rmtree))
    attributes = {".gitattributes": "*.png filter=lfs diff=lfs merge=lfs -text\n", "app.py": "1"}
    site = make("site", {**attributes, "static/logo.png": POINTER.format("0" * 64)})
    with pytest.raises(sources.SourceError, match=r"pointers of git-lfs .*\(static/logo.png\)"):
        look(f"file://{site}")


def test_a_link_as_build_file_is_followed_within_the_commit_alone(make, look, git):
    site = make("site", {"docker/prod": "FROM scratch", "app.py": "1"})
    (site / "Dockerfile").symlink_to("docker/prod")
    git(site, "add", ".")
    git(site, "commit", "-qm", "two")
    assert look(f"file://{site}").text == "FROM scratch"
    (site / "Dockerfile").unlink()
    (site / "Dockerfile").symlink_to("/etc/hostname")
    git(site, "commit", "-qam", "three")
    with pytest.raises(sources.SourceError, match="Dockerfile is a link that leaves the source"):
        look(f"file://{site}")


def test_a_part_that_is_not_there_is_named(checkout, look):
    for subdir in ("nope", "app.py"):
        with pytest.raises(repositories.RepositoryError, match=r"build_subdir: .* has no directory"):
            look(f"file://{checkout}", subdir=subdir)


# -- its key -----------------------------------------------------------------------------------


def test_a_key_is_in_memory_alone(tmp_path):
    """Whatever ends the process, SIGKILL too, ends the key: no file of it ever is."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True)
    with runs.lent((tmp_path / "key").read_text().rstrip("\n")) as path:
        public = subprocess.run(["ssh-keygen", "-y", "-f", path], capture_output=True, text=True, check=True).stdout
        assert public.split()[:2] == (tmp_path / "key.pub").read_text().split()[:2]
        assert os.readlink(path).startswith("/memfd:")
    assert not os.path.exists(path)
    with runs.lent("") as path:
        assert path is None
