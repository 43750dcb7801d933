"""What Python says of modules that are not there and of names that moved, and what to do about each."""

from __future__ import annotations

from ansible.module_utils.flask_deploy.host.brought import BRINGS
from ansible.module_utils.flask_deploy.release.advice_imports import MIDDLEWARE, PLACES

from tests.plugins.release.starts import lacks, worker


def absent(module: str, *frames: str) -> str:
    return worker(f"ModuleNotFoundError: No module named '{module}'", *frames)


OF_IMPORTS = {
    worker(
        "ImportError: cannot import name 'secure_filename' from 'werkzeug' (/venv/x/werkzeug/__init__.py)",
        "flask_uploads.py",
    ): "list Flask-Reuploaded in its place",
    worker(
        "ImportError: cannot import name 'cached_property' from 'werkzeug' (/venv/x/werkzeug/__init__.py)",
        "flask_restplus/fields.py",
    ): "list flask-restx in its place",
    **{
        lacks(name, "werkzeug"): f"from werkzeug.{place} import {name};"
        for place, names in PLACES.items()
        for name in names.split("|")
    },
    **{
        lacks(name, "werkzeug.wsgi"): f"from werkzeug.middleware.{place} import {name};"
        for place, name in MIDDLEWARE.items()
    },
    lacks("BaseResponse", "werkzeug"): "newer Werkzeugs do not have BaseResponse by itself",
    absent("werkzeug.contrib"): "cachelib its caches",
    absent("flask._compat", "flask_script/__init__.py"): "write flask db upgrade, or flask and the command",
    absent("flask._compat"): "newer Flasks have no flask._compat",
    absent("flask.ext"): "newer Flasks have no flask.ext",
    worker("ImportError: Missing optional dependency 'openpyxl'.  Use pip or conda to install openpyxl."): (
        "build_requirements: [openpyxl]"
    ),
    worker("ImportError: Missing redis library (pip install redis)", "kombu/transport/redis.py"): (
        "build_requirements: [redis]"
    ),
    absent("win32api"): "win32api is for Windows alone",
    absent("winreg"): "winreg is for Windows alone",
    absent("_tkinter"): "app_env: {MPLBACKEND: Agg}",
    worker(
        "ImportError: Cannot load backend 'TkAgg' which requires the 'tk' interactive framework, as 'headless' is "
        "currently running"
    ): "TkAgg is for a desktop",
    absent("google"): "google-cloud-storage",
    absent("google.cloud"): "google-cloud-storage",
    **{absent(module): f"[{name}]" for module, name in BRINGS.items()},
    absent("sklearn.linear_model.logistic"): "sklearn is there, and has no linear_model.logistic",
    worker("ImportError: attempted relative import with no known parent package"): "app_wsgi has to name that too",
    worker("ImportError: attempted relative import beyond top-level package"): "app_wsgi has to name that too",
}
