"""A shop with a library of its own beside it."""

from importlib.metadata import version

import prices
from flask import Flask

app = Flask(__name__)
app.add_url_rule("/", view_func=lambda: f"{version('flask')} {prices.EACH}")
