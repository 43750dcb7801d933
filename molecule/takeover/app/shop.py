"""A shop whose job and scheduler must run once over its hosts; made for these tests."""

import os

import psycopg
from flask import Flask

app = Flask(__name__)


@app.cli.command("prepare")
def prepare():
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS tick (id serial, host text, due bigint, ended timestamptz)")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS beat (id serial, host text, began timestamptz, ended timestamptz)"
        )


@app.get("/")
def index():
    return {"release": os.environ["APP_RELEASE"]}
