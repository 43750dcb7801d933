"""A shop with commands of its own; made for these tests."""

import os
import sys

import click
from flask import Flask

app = Flask(__name__)


@app.get("/")
def index():
    return {"release": os.environ["APP_RELEASE"]}


@app.cli.command("tell")
@click.argument("code", type=int)
@click.option("--name", default="nobody")
def tell(code, name):
    """Say who runs this, on both streams, and end so."""
    print(f"{os.getuid()} {os.environ['APP_RELEASE']} {len(os.environ['SHOP_KEY'])} {name}")  # noqa: T201
    print("and to the errors", file=sys.stderr)  # noqa: T201
    sys.exit(code)
