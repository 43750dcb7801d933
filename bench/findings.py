"""What lynis, ssh-audit, testssl and docker-bench-security said of a host: a score, and what is left by its id."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

WRONG = {"LOW", "MEDIUM", "HIGH", "CRITICAL", "WARN"}  # severities of testssl that are no praise
KINDS = ("kex", "key", "enc", "mac")  # of ssh-audit's algorithms


class UnreadableError(Exception):
    """A tool printed something else than its findings; the message holds the last of it."""


@dataclass
class Report:
    """What one tool said.

    :ivar score: in the tool's own words.
    :ivar left: the title of each finding, by its id.
    """

    score: str
    left: dict[str, str] = field(default_factory=dict)


def lynis(said):
    """Read lynis-report.dat. An id that has parts, such as options of sshd, is one finding for each of them."""
    values = [line.partition("=")[::2] for line in said.splitlines()]
    index = dict(values).get("hardening_index")
    if not index:
        raise UnreadableError(f"lynis: no hardening_index: {said[-500:]}")
    left = dict(_setting(value) for kind, value in values if kind == "details[]" and "prefval:" in value)
    whole = {name.partition(":")[0] for name in left}
    count = {"warning[]": 0, "suggestion[]": 0}
    for kind, value in values:
        if kind in count:
            count[kind] += 1
            name, title = value.split("|")[:2]
            if name not in whole:
                left.setdefault(name, title)
    return Report(f"{index} of 100, {count['warning[]']} warnings, {count['suggestion[]']} suggestions", left)


def _setting(detail):
    """Return (id, title) of a setting that lynis tells the details of: what it is, and what it would have to be."""
    name, _, told = detail.split("|", 2)
    parts = dict(each.split(":", 1) for each in told.split(";") if ":" in each)
    return f"{name}:{parts['field']}", f"{parts['value']}, not {parts['prefval']}"


def ssh_audit(said):
    """Read ssh-audit's JSON: an algorithm that it fails or warns of is a finding."""
    try:
        found = json.loads(said)
        algorithms = [(kind, each) for kind in KINDS for each in found[kind]]
    except (ValueError, KeyError, TypeError):
        raise UnreadableError(f"ssh-audit: {said[-500:]}") from None
    left, count = {}, {"fail": 0, "warn": 0}
    for kind, each in algorithms:
        notes = [(level, note) for level in count for note in each["notes"].get(level, [])]
        if notes:
            left[each["algorithm"]] = f"{kind}: {'; '.join(note for _, note in notes)}"
            count[notes[0][0]] += 1
    return Report(f"{count['fail']} algorithms fail, {count['warn']} warn", left)


def testssl(said):
    """Read testssl's flat JSON."""
    try:
        rows = [(row["id"].split()[0], row["finding"], row["severity"]) for row in json.loads(said)]
        found = {name: finding for name, finding, _ in rows}
        score = f"{found['overall_grade']}, {found['final_score']} points"
    except (ValueError, KeyError):
        raise UnreadableError(f"testssl: no grade: {said[-500:]}") from None
    return Report(score, {name: finding for name, finding, severity in rows if severity in WRONG})


def docker_bench(said):
    """Read what docker-bench-security printed without colours: its JSON breaks at a quote in a name."""
    score, checks = (re.search(rf"^\[INFO\] {name}: (-?\d+)$", said, re.M) for name in ("Score", "Checks"))
    if not (score and checks):
        raise UnreadableError(f"docker-bench-security: no score: {said[-500:]}")
    warned = re.findall(r"^\[WARN\] (\d[\d.]*)\s+- (.+)$", said, re.M)
    return Report(f"{score[1]} of {checks[1]} checks, {len(warned)} warnings", dict(warned))


def reasons(page):
    """Return why things are left, as a page in Markdown says it: {tool: {id: reason}}; a heading names the tool."""
    found, tool = {}, None
    for line in page.splitlines():
        if line.startswith("## "):
            tool = line[3:].strip()
        elif line.startswith("| `"):
            cells = [cell.strip() for cell in line.strip("| ").split(" | ")]
            found.setdefault(tool, {}).update(dict.fromkeys(re.findall(r"`([^`]+)`", cells[0]), cells[-1]))
    return found
