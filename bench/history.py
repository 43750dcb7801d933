"""What happened to each request: one line of JSON each, written by the load and read by its judge."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Answer:
    """One request and what became of it.

    :ivar kind: name of a kind of request (:mod:`bench.kinds`), or "message" or "close" of a websocket.
    :ivar number: sent with the request; nginx logs it as the agent ``judge/<kind>/<number>``.
    :ivar started: epoch seconds when the request was written.
    :ivar ended: epoch seconds when its answer was complete, or it was clear that none would come.
    :ivar release: what X-Release said, or "".
    :ivar failure: why this is not one good answer, or "".
    """

    kind: str
    number: str
    started: float
    ended: float
    status: int = 0
    release: str = ""
    failure: str = ""


@dataclass(slots=True)
class Note:
    """Something that is no loss, but is counted.

    :ivar what: "closed idle": the server ended a connection while no request was on it; "refused": HTTP/2's GOAWAY
        named the request as one that was not processed (RFC 9113 section 6.8).
    """

    what: str
    kind: str
    at: float


@dataclass
class History:
    """All that a load saw, in the order in which it ended."""

    answers: list[Answer] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


def line(entry):
    """Return an answer or a note as a line of JSON."""
    return json.dumps(asdict(entry)) + "\n"


def read(path):
    """Return the history in a file; a line that is still being written is left out."""
    history = History()
    for text in Path(path).read_text(encoding="utf-8").splitlines(keepends=True):
        if not text.endswith("\n"):
            break
        entry = json.loads(text)
        if "what" in entry:
            history.notes.append(Note(**entry))
        else:
            history.answers.append(Answer(**entry))
    return history
