"""What `make mutants` makes of the changes that it tried."""

from __future__ import annotations

from tests import mutants

FILES = {"roles/a.py": "releases"}
CHANGE = ("roles/a.py", "f", "return a < b", "return a <= b")


def report(*ended, accepted=()):
    found = [(*CHANGE[:3], f"change {number}", how) for number, how in enumerate(ended)]
    return mutants.report(FILES, found, {(*CHANGE[:3], f"change {number}"): "equal" for number in accepted})


def test_a_share_of_unnoticed_changes_that_is_too_large_fails(capsys):
    assert report(*["killed"] * 17, *["survived"] * 3) == []
    (wrong,) = report(*["killed"] * 15, "timeout", *["survived"] * 4)
    assert wrong == "the tests of releases notice 80.0 % of the changes, which is less than 85 %"
    assert "change 19" in capsys.readouterr().out


def test_an_accepted_change_does_not_count():
    assert report(*["killed"] * 6, "survived", "survived", accepted=[6, 7]) == []


def test_an_accepted_change_that_a_test_notices_or_that_is_gone_is_named():
    noticed, gone = report(*["killed"] * 9, accepted=[1, 12])
    assert "accepts what is noticed by a test: roles/a.py f: return a < b -> change 1" in noticed
    assert "accepts what is not made any more: roles/a.py f: return a < b -> change 12" in gone
