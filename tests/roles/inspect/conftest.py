"""Sources of a few files, and what is printed of them."""

from __future__ import annotations

import pytest
import yaml
from source_inspect import report

LIST = {"requirements.txt": "flask\n"}


class UnsafeLoader(yaml.SafeLoader):
    """Reads `!unsafe`, as Ansible does."""


UnsafeLoader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


@pytest.fixture
def source(tmp_path):
    """Return a directory with files of given texts."""

    def made(files, name="shop"):
        for path, text in {**LIST, **files}.items():
            place = tmp_path / name / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        return tmp_path / name

    return made


@pytest.fixture
def printed(source):
    """Return what is printed of a source with given files."""
    return lambda files, **given: report.read({"build_source": str(source(files)), **given})


@pytest.fixture
def decided(printed):
    """Return the variables that are printed, without those that every source has."""

    def variables(files, **given):
        found = yaml.load(printed(files, **given), UnsafeLoader)
        return {name: value for name, value in found.items() if name not in ("app_name", "build_source")}

    return variables
