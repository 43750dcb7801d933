"""What a page has its reader type: files with a title, commands, and what these answer."""

from __future__ import annotations

import re

BLOCK = re.compile(r'^```(\w*)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)


def steps(text):
    """Return (kind, what, content) of each step: ("file", path, text), ("command", line, ""), ("answer", "", text).

    :raises ValueError: a block is none of these, so a test would leave it out.
    """
    found = []
    for language, title, content in BLOCK.findall(text):
        if title:
            found.append(("file", title, content))
        elif language == "sh":
            found += [("command", line, "") for line in content.splitlines()]
        elif language == "json" and found and found[-1][0] == "command":
            found.append(("answer", "", content.strip()))
        else:
            raise ValueError(f"neither a file, nor commands, nor the answer to one: {content[:60]!r}")
    return found
