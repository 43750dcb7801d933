"""A shop in a directory of several: setuptools would not know which of them is the package."""

from importlib.metadata import version

from flask import Flask, render_template

app = Flask(__name__, template_folder="../templates")
app.add_url_rule("/", view_func=lambda: render_template("index.html", flask=version("flask")))
