"""An app that fails when told to: by its environment as it starts, by a request while it serves."""

import itertools
import os
import random
import sys
import time

from flask import Flask, request

if os.environ.get("AT_START") == "raise":
    raise RuntimeError("told to fail")
if os.environ.get("AT_START") == "exit":
    os._exit(1)
if "SOCKET_MODE" in os.environ:
    os.chmod("/release/run/gunicorn.sock", int(os.environ["SOCKET_MODE"], 8))
if os.path.exists(f"/data/breaks-{os.environ.get('NAME')}"):
    raise RuntimeError("what it needs is gone")
time.sleep(float(os.environ.get("START_SECONDS", "0")))

app = Flask(__name__)


turns = itertools.count()


@app.before_request
def fail_as_told():
    """Its health path is always good."""
    if request.path == "/health":
        return None
    if os.environ.get("HANGS") == "every second" and next(turns) % 2:
        time.sleep(3600)
    if os.environ.get("NEEDS") == "database" and os.path.exists("/data/database-is-down"):
        return "", 500
    if random.random() * 100 < float(os.environ.get("FAILING_PERCENT", "0")):  # noqa: S311 - noise
        return "", 500
    return None


@app.after_request
def name_release(response):
    response.headers["X-Release"] = os.environ["APP_RELEASE"]
    return response


@app.get("/")
def index():
    if os.environ.get("DIES") == "serving":
        os._exit(1)
    return {"hello": os.environ.get("NAME", ""), "worker": os.getpid(), "time": time.time()}


@app.get("/health")
def health():
    told = os.environ.get("HEALTH", "200")
    if told == "hang":
        time.sleep(3600)
    return "", int(told)


@app.get("/slow/<int:seconds>")
def slow(seconds):
    time.sleep(seconds)
    return "done"


@app.get("/spin")
def spin():
    """Keep the worker's one thread for ever."""
    while True:
        pass


@app.get("/eat")
def eat():
    held = []
    while True:
        held.append(b"x" * 1_000_000)


@app.get("/log/<int:size>")
def log(size):
    sys.stderr.write("x" * size + "\n")
    sys.stderr.flush()
    return ""
