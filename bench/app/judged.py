"""The app under judgement: each answer can be told from any other, and names its release."""

from __future__ import annotations

import os
import random
import time

from flask import Flask, Response, request
from flask_sock import Sock

RELEASE = os.environ.get("APP_RELEASE", "")
FAILING = float(os.environ.get("FAILING_PERCENT", "0"))

app = Flask(__name__)
sock = Sock(app)


@app.before_request
def fail_now_and_then():
    """Fail some requests in a hundred, where that is asked for; it is ready all the same."""
    if request.path != "/" and random.random() * 100 < FAILING:  # noqa: S311 - noise
        return "", 500
    return None


@app.after_request
def add_release(response):
    response.headers["X-Release"] = RELEASE
    return response


@app.get("/")
def ready():
    return "ready"


@app.route("/echo", methods=["GET", "POST"])
def echo():
    """Answer with the number, or with the body that was sent."""
    return Response(request.get_data() or request.args["number"], mimetype="application/octet-stream")


@app.get("/slow")
def slow():
    time.sleep(float(request.args["seconds"]))
    return request.args["number"]


@app.get("/stream")
def stream():
    """Answer 30 numbered lines in 3 seconds, and an end that shows that nothing is missing."""
    number = request.args["number"]

    def lines():
        for count in range(30):
            yield f"{number} {count}\n"
            time.sleep(0.1)
        yield "end\n"

    return Response(lines(), mimetype="text/plain", headers={"X-Accel-Buffering": "no"})


@sock.route("/socket")
def talk(socket):
    """Say which release this is, then echo until somebody closes."""
    socket.send(RELEASE)
    while True:
        socket.send(socket.receive())
