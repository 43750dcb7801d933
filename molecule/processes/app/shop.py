"""A shop whose orders lie in a queue of files; made for these tests."""

from __future__ import annotations

import os
from pathlib import Path

from flask import Flask

QUEUE = Path(os.environ.get("APP_DATA_DIR", "data"), "queue")
app = Flask(__name__)


@app.get("/")
def release():
    return os.environ["APP_RELEASE"]


@app.post("/orders/<int:count>")
def order(count):
    """Put so many numbered jobs into the queue, each there whole or not at all."""
    for name in ("new", "waiting", "begun", "done"):
        (QUEUE / name).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (QUEUE / "new" / f"{number}").write_text("")
        os.rename(QUEUE / "new" / f"{number}", QUEUE / "waiting" / f"{number}")
    return {"ordered": count}
