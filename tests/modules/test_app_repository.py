"""A git repository's branches, tags, commits and files, as a host has them."""

from __future__ import annotations

import os
import tarfile
from types import SimpleNamespace

import pytest
from ansible.module_utils import app_repository as repositories


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
    with pytest.raises(repositories.RepositoryError, match=r"app_ref: .* has no branch, tag or commit"):
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


def test_a_subdirectory_s_tree_changes_with_it_alone(checkout, git, repository):
    copy = repository(f"file://{checkout}")
    before = copy.commit("main")
    (checkout / "app.py").write_text("2")
    git(checkout, "commit", "-qam", "two")
    after = copy.commit("main")
    assert copy.tree(before, "sub") == copy.tree(after, "sub")
    assert copy.tree(before, "") != copy.tree(after, "")
    with pytest.raises(repositories.RepositoryError, match=r"app_subdir: .* has no directory 'nope'"):
        copy.tree(after, "nope")


def test_a_tree_s_files_are_had(checkout, git, repository, tmp_path):
    copy = repository(f"file://{checkout}")
    tree = copy.tree(copy.commit("main"), "")
    assert copy.text(tree, "app.py") == "1" and copy.text(tree, "Dockerfile") is None
    copy.archive(tree, str(tmp_path / "source.tar"))
    with tarfile.open(tmp_path / "source.tar") as packed:
        assert "sub/a.txt" in packed.getnames()


def test_a_key_is_private_and_ends_with_a_line_break(tmp_path, monkeypatch):
    real = repositories.tempfile.mkstemp
    monkeypatch.setattr(
        repositories, "tempfile", SimpleNamespace(mkstemp=lambda prefix, **place: real(dir=tmp_path, prefix=prefix))
    )
    path = repositories.write_key("-----BEGIN X-----\n-----END X-----")
    with open(path) as file:
        assert file.read().endswith("-----END X-----\n")
    assert os.stat(path).st_mode & 0o077 == 0
    assert repositories.write_key("") is None
