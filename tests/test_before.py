"""A comparison with an earlier commit compares like with like, or says why not."""

from __future__ import annotations

import pytest

from bench import before, demo
from tests.conftest import ROOT


@pytest.mark.parametrize(
    ("changed", "said"),
    [((9, 0, 3), None), ((9, 1, 3), "a second run of site.yml changed 1"), ((9, 0, 0), "other code changed nothing")],
)
def test_runs_that_are_none_of_the_kind_are_refused(monkeypatch, tmp_path, changed, said):
    (tmp_path / "judged.py").write_text("")
    found = iter(demo.Play(0, 1.0, 13, number) for number in changed)
    monkeypatch.setattr(demo, "play", lambda *arguments, **values: next(found))
    if said:
        with pytest.raises(demo.RunError, match=said):
            before.measure(ROOT, tmp_path)
    else:
        assert before.measure(ROOT, tmp_path)["deploy"] == {"seconds": 1.0, "tasks": 13}
