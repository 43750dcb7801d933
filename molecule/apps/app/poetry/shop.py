"""A shop; the libraries that it needs tell their versions."""

from importlib.metadata import version

from flask import Flask

app = Flask(__name__)
app.add_url_rule("/", view_func=lambda: f"{version('flask')} {version('rich')}")
