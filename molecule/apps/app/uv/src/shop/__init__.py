"""A shop below src, whose template is no data of its package."""

from importlib.metadata import version

import rich
from flask import Flask, render_template


def create_app():
    app = Flask(__name__)
    app.add_url_rule("/", view_func=lambda: render_template("index.html", versions=[version("flask"), version("shop")]))
    return app


print("the shop opens with", rich.__name__)  # noqa: T201 - an app may
