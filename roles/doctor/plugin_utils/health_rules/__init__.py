"""What is wrong with hosts, judged from what was seen of them: facts in, findings out, nothing else is asked.

A finding is broken (visitors notice, or would after the next restart or theft), soon (it will break, or the host is not
what the inventory says) or a note (good to know).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

BROKEN, SOON, NOTE = SEVERITIES = ("broken", "soon", "note")
SETUP = "ansible-playbook site.yml -i inventories/..."
PLAN = "ansible-playbook playbooks/app.yml --check --diff -i inventories/..."
DEPLOY = "ansible-playbook playbooks/app.yml -i inventories/..."


@dataclass(frozen=True)
class Finding:
    """One thing that somebody should know or do.

    :ivar severity: one of SEVERITIES.
    :ivar what: what is wrong, in words.
    :ivar where: the file, unit, container or name that it is about.
    :ivar type: the command to type next.
    :ivar since: since when, in seconds since 1970; None where that is not known.
    :ivar host: the host's name in the inventory; "" where it is of no single one.
    :ivar here: whether the command is typed on the controller; those of Ansible are anyway.
    """

    severity: str
    what: str
    where: str = ""
    type: str = ""
    since: float | None = None
    host: str = ""
    here: bool = False

    @property
    def place(self) -> str:
        """Return where the command is typed: controller or host."""
        return "controller" if self.here or self.type.startswith("ansible-playbook") else "host"


def ordered(findings: list[Finding]) -> list[Finding]:
    """Return findings, each once, the worst first."""
    return sorted(dict.fromkeys(findings), key=lambda each: (SEVERITIES.index(each.severity), each.host, each.what))


def on(host: str, findings: list[Finding]) -> list[Finding]:
    """Return findings as those of a host."""
    return [replace(each, host=host) for each in findings]


def named(finding: Finding, inventory: str) -> Finding:
    """Return a finding whose commands name the inventory of this run."""
    texts = {name: getattr(finding, name).replace("inventories/...", inventory) for name in ("what", "type")}
    return replace(finding, **texts)


def lines(findings: list[Finding], now: float, asked: list[str]) -> list[str]:
    """Return a line for each finding, and one for all.

    :param now: seconds since 1970.
    :param asked: the hosts that were looked at.
    """
    findings = ordered(findings)
    said = [line(each, now) for each in findings]
    counts = [(word, sum(each.severity == word for each in findings)) for word in SEVERITIES]
    told = ", ".join(f"{number} {word}" for word, number in counts if number)
    hosts = f"{len(asked)} host{'' if len(asked) == 1 else 's'}"
    return [*said, f"{told} on {hosts}" if told else f"nothing found on {hosts}"]


def line(finding: Finding, now: float) -> str:
    """Return a finding as a line for people."""
    since = f", since {span(now - finding.since)}" if finding.since else ""
    way = f"; type{' there' * (finding.place == 'host')}: {finding.type}" if finding.type else ""
    what = " ".join(finding.what.split())
    return f"{finding.severity:<6} {finding.host}{': ' if finding.host else ''}{what}{since}{way}"


def span(seconds: float) -> str:
    """Return a span of time in its largest whole unit, such as 3 h."""
    for unit, length in (("days", 86400 * 2), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // (86400 if unit == 'days' else length))} {unit}"
    return f"{max(int(seconds), 0)} s"


def data(findings: list[Finding]) -> list[dict[str, Any]]:
    """Return findings as JSON has them."""
    names = ("severity", "host", "what", "where", "since", "type")
    return [{**{name: getattr(each, name) for name in names}, "place": each.place} for each in ordered(findings)]
