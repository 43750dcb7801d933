"""A shop whose notes lie in a database, and uploads beside it; made for these tests."""

import os
import sqlite3

from flask import Flask, request

data = os.environ["APP_DATA_DIR"]
app = Flask(__name__)
if os.path.exists(f"{data}/broken"):
    raise RuntimeError("the data is broken")


def database():
    connection = sqlite3.connect(f"{data}/shop.db")
    connection.execute("PRAGMA journal_mode = wal")
    connection.execute("CREATE TABLE IF NOT EXISTS note (text TEXT)")
    return connection


@app.get("/")
def index():
    with database() as connection:
        notes = [text for (text,) in connection.execute("SELECT text FROM note")]
    return {
        "notes": notes,
        "uploads": sorted(os.listdir(f"{data}/uploads")) if os.path.isdir(f"{data}/uploads") else [],
    }


@app.post("/notes")
def add():
    with database() as connection:
        connection.execute("INSERT INTO note VALUES (?)", [request.get_data(as_text=True)])
    return "", 204


@app.post("/uploads/<name>")
def upload(name):
    os.makedirs(f"{data}/uploads", exist_ok=True)
    with open(f"{data}/uploads/{os.path.basename(name)}", "wb") as file:
        file.write(request.get_data())
    return "", 204
