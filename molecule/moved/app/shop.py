"""A shop whose notes lie in PostgreSQL, and uploads in its data directory; made for these tests."""

import os

import psycopg
from flask import Flask, request

app = Flask(__name__)


def sql(statement, values=()):
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        return connection.execute(statement, values)


@app.cli.command("prepare")
def prepare():
    sql("CREATE TABLE IF NOT EXISTS note (id serial, text text)")


@app.get("/")
def index():
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        notes = connection.execute("SELECT text FROM note ORDER BY id").fetchall()
    return {"notes": [text for (text,) in notes]}


@app.post("/notes/<text>")
def add(text):
    sql("INSERT INTO note (text) VALUES (%s)", (text,))
    with open(f"{os.environ['APP_DATA_DIR']}/{os.path.basename(text)}", "wb") as file:
        file.write(request.get_data())
    return "", 204
