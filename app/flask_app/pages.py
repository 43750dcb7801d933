"""Hello, in the form that the client asks for."""

from __future__ import annotations

import os

from flask import Blueprint, Response, jsonify, make_response, render_template, request

blueprint = Blueprint("pages", __name__)

GREETING = "Hello, World!"
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@blueprint.get("/")
def hello() -> Response:
    """A page for people, JSON or a line of text for programs."""
    wanted = request.accept_mimetypes.best_match(["text/plain", "text/html", "application/json"])
    if wanted == "text/html":
        response = make_response(
            render_template("index.html", greeting=GREETING, release=os.environ.get("APP_RELEASE"))
        )
        response.headers["Content-Security-Policy"] = CONTENT_SECURITY_POLICY
    elif wanted == "application/json":
        response = jsonify(message=GREETING)
    else:
        response = Response(f"{GREETING}\n", mimetype="text/plain")
    response.vary.add("Accept")
    return response
