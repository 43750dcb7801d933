"""A shop; the libraries that it needs tell their versions, and whether those of its development are there."""

from importlib.metadata import version
from importlib.util import find_spec

from flask import Flask

app = Flask(__name__)
tools = find_spec("markdown") or "without tools"
app.add_url_rule("/", view_func=lambda: f"{version('flask')} {version('rich')} {version('click')} {tools}")
