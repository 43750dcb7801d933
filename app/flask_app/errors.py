"""Errors as RFC 9457 problem details; as a page where a browser asks."""

from __future__ import annotations

from flask import Flask, json, request
from markupsafe import escape
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

PROBLEM = "application/problem+json"


def init_app(app: Flask) -> None:
    """Answer every HTTP error in the form that the client asks for."""
    app.register_error_handler(HTTPException, _answer)


def _answer(error: HTTPException) -> Response:
    response = error.get_response()
    if not isinstance(response, Response) or error.code is None or error.code < 400:
        return response
    if request.accept_mimetypes.best_match([PROBLEM, "text/html"]) == "text/html":
        response.data = _page(error)
        return response
    response.content_type = PROBLEM
    response.data = json.dumps(
        {
            "type": "about:blank",
            "title": error.name,
            "status": error.code,
            "detail": error.description,
            "instance": request.path,
        }
    )
    return response


def _page(error: HTTPException) -> str:
    title = f"{error.code} {escape(error.name)}"
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<h1>{title}</h1><p>{escape(error.description or '')}</p>\n"
    )
