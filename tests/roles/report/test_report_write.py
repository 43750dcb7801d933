"""Where the page goes is judged before any host is asked."""

from __future__ import annotations

import pytest

HOSTS = "web: {hosts: {web1: {ansible_host: 192.0.2.1}}}\n"


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("page.txt", "report_file: 'page.txt' is not valid; example: report_file: report.html"),
        ("no/such/report.html", "report_file: there is no directory "),
        ("mine.html", "mine.html is there and is no report; it is not replaced"),
    ],
)
def test_a_file_that_cannot_be_written_is_told_first(tmp_path, playbook, file, said):
    (tmp_path / "hosts.yml").write_text(HOSTS)
    (tmp_path / "mine.html").write_text("mine")
    path = file if file == "page.txt" else tmp_path / file
    done = playbook("report", "-e", f"report_file={path}")
    assert done.returncode == 2 and said in " ".join(done.stdout.split()), done.stdout + done.stderr
    assert (tmp_path / "mine.html").read_text() == "mine"
