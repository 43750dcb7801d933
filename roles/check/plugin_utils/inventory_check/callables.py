"""What gunicorn serves, as app_wsgi names it: a module, a colon, and a name of that module or a call of one."""

from __future__ import annotations

import ast
import re

MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")
CALLABLE = re.compile(r"[A-Za-z_]\w*(\([^\n]*\))?")
EXAMPLE = "example: app_wsgi: shop:create_app()"


def wsgi(value: str) -> str | None:
    """Tell what is wrong with an app_wsgi, which gunicorn's util.import_app would refuse; None is nothing."""
    place, colon, what = value.partition(":")
    module = re.sub(r"(?<=[\w])\.py$", "", place).replace("/", ".") if place.endswith(".py") else place
    if not MODULE.fullmatch(module):
        return f"{value!r} is not valid; {EXAMPLE}"
    if module != place:
        return f"{value!r} names a file, and gunicorn wants a module; write app_wsgi: {module}:{what or 'app'}"
    if not colon:  # gunicorn would look for the name application
        return f"{value!r} names no application in that module; example: app_wsgi: {value}:app"
    return _of_callable(module, what)


def _of_callable(module: str, what: str) -> str | None:
    try:
        found = ast.parse(what, mode="eval").body
    except (SyntaxError, ValueError):
        return f"{module}:{what} is not valid; {EXAMPLE}"
    called = found.func if isinstance(found, ast.Call) else found
    if isinstance(called, ast.Attribute):
        return (
            f"{what} is no name of the module itself, which is all that gunicorn looks for: write a line "
            f"server = {what} in {module}, and app_wsgi: {module}:server"
        )
    if not isinstance(called, ast.Name) or not CALLABLE.fullmatch(what):
        return f"{module}:{what} is not valid; {EXAMPLE}"
    given = [*found.args, *(each.value for each in found.keywords)] if isinstance(found, ast.Call) else []
    for argument in given:
        if not _literal(argument):
            said = ast.unparse(argument)
            return (
                f"{said} is a name, and gunicorn passes text and numbers alone; example: "
                f"app_wsgi: {module}:{called.id}('production')"
            )
    return None


def _literal(node: ast.expr) -> bool:
    try:
        ast.literal_eval(node)
    except (ValueError, TypeError):
        return False
    return True
