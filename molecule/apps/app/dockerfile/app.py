"""An app whose Dockerfile has all that the role's own has not: user, volume, entrypoint and no gevent."""

import os
import time
from pathlib import Path

from flask import Flask

app = Flask(__name__)


@app.get("/")
def index():
    Path("state", "seen").touch()
    return f"{os.environ.get('WHO', 'nobody')} {sorted(os.listdir('state'))}"


@app.get("/slow")
def slow():
    time.sleep(3)
    return "done"
