"""A shop that needs a compiler for its database's driver, a program of Debian's, and a file that its build makes."""

import subprocess
from pathlib import Path

import psycopg2
from flask import Flask

app = Flask(__name__)
GIT = subprocess.run(["git", "--version"], capture_output=True, check=True, text=True).stdout.strip()
MADE = Path(__file__).with_name("made.txt").read_text().strip()
app.add_url_rule("/", view_func=lambda: f"{psycopg2.__libpq_version__ > 0} {GIT}; {MADE}")
