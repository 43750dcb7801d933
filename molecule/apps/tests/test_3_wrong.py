"""What a user got wrong stops at its gate: cause and next step are what is last on the screen, the old release serves.

What needs no host is in tests/plugins/release/test_advice.py, tests/roles/build/test_build_advice.py and
tests/roles/check/test_check_inventory.py.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"])
APPS = ROOT / "molecule/apps/app"
URL = "https://app.test/"
LAST = 15  # lines
FLASK = "import os, sqlite3, subprocess\nfrom flask import Flask\n"
APP = f"{FLASK}app = Flask(__name__)\n@app.get('/')\ndef page():\n    return 'wrong'\n"
HARMLESS = "try:\n    import uwsgi\nexcept ImportError:\n    import traceback; traceback.print_exc()\n"

# What a user got wrong: (files of the source, settings, what is said of the cause, what to do).
WRONG = {
    "no callable named": ({}, {"app_wsgi": "shop"}, "app_wsgi: 'shop' names no application", "app_wsgi: shop:app"),
    "no such repository": (
        {},
        {"build_source": "file:///var/lib/none.git"},
        "does not appear to be a git repository",
        "what to do: the repository is private, or its name is another",
    ),
    "wrong sub-directory": (
        {"web/shop.py": APP},
        {"build_subdir": "wep"},
        "there is no directory wep in ",
        "did you mean web?",
    ),
    "requirement that no index has": (
        {"requirements.txt": "flask\nno-such-package-4711\n"},
        {},
        "no-such-package-4711",
        "what to do: no index has no-such-package-4711",
    ),
    "requirements that exclude each other": (
        {"requirements.txt": "flask==3.0.3\nwerkzeug<2\n"},
        {},
        "werkzeug",
        "what to do: two requirements exclude each other",
    ),
    "line of requirements that is none": (
        {"requirements.txt": "flask ==== 3\n"},
        {},
        "requirements.txt",
        "what to do: correct requirements.txt",
    ),
    "program that the build lacks": (
        {},
        {"build_command": "npm ci"},
        "build_command ended with code 127",
        "what to do: the build has no program npm: build_packages: [npm]",
    ),
    "package that Debian does not have": (
        {},
        {"build_packages": ["libno-such-dev"]},
        "Unable to locate package libno-such-dev",
        "what to do: Debian has no package libno-such-dev",
    ),
    "nothing that lists dependencies": (
        {"requirements.txt": None},
        {},
        "ModuleNotFoundError: No module named 'flask'",
        "what to do: nothing that was installed has flask",
    ),
    "missing callable": (
        {"shop.py": f"{FLASK}application = Flask(__name__)\n"},
        {},
        "Failed to find attribute 'app' in 'shop'.",
        "what to do: app_wsgi: shop:application",
    ),
    "factory without its brackets": (
        {"shop.py": f"{FLASK}def create_app(config=None):\n    return Flask(__name__)\n"},
        {"app_wsgi": "shop:create_app", "app_start_timeout": 5},
        "TypeError: create_app() takes from 0 to 1 positional arguments but 2 were given",
        "what to do: app_wsgi names a function that makes the app: call it, app_wsgi: shop:create_app()",
    ),
    "syntax error": (
        {"shop.py": "app = Flask(__name__\n"},
        {},
        "SyntaxError: '(' was never closed",
        "shop.py: correct its line 1",
    ),
    "program that the image lacks, after a harmless import error": (
        {"shop.py": f"{HARMLESS}{FLASK}subprocess.run(['git', 'init', '/data/wiki'])\n"},
        {},
        "FileNotFoundError: [Errno 2] No such file or directory: 'git'",
        "what to do: the image has no program git: name Debian's package of it, build_image_packages: [git]",
    ),
    "variable in other letters": (
        {"shop.py": "import os\nos.environ['Shop_Token']\n"},
        {"app_env": {"SHOP_TOKEN": "x"}},
        "KeyError: 'Shop_Token'",
        "what to do: the app asks for the variable Shop_Token, and SHOP_TOKEN is set",
    ),
    "directory that is read-only": (
        {"shop.py": f"{FLASK}os.makedirs('uploads')\n"},
        {},
        "OSError: [Errno 30] Read-only file system: 'uploads'",
        "app_writable: [uploads]",
    ),
    "database beside the code": (
        {"shop.py": f"{FLASK}sqlite3.connect('shop.db').execute('create table a (b)')\n"},
        {},
        "sqlite3.OperationalError: unable to open database file",
        "what to do: the database is where the app may not write: put it into /data",
    ),
    "server of its own": (
        {"shop.py": f"{APP}app.run()\n"},
        {"app_start_timeout": 5},
        "did not answer below 400 in 5 s",
        "keep app.run() below if __name__ == '__main__':",
    ),
    "health path that is no page": (
        {},
        {"app_health_path": "/none", "app_start_timeout": 5},
        "/none did not answer below 400 in 5 s (status 404)",
        "what to do: the app has no such page: set app_health_path",
    ),
    "release command that flask does not know": (
        {},
        {"app_release_command": "flask no-such"},
        "No such command 'no-such'",
        "what to do: flask knows no command no-such",
    ),
    "release command that is no program": (
        {},
        {"app_release_command": "no-such-program upgrade"},
        "FAILED: it ended with code 1; the old release serves on",
        "what to do: the image has no such program: correct the command",
    ),
}


@pytest.fixture
def deploy(tmp_path):
    """Deploy a source by settings alone; return the code and the screen, errors in their place."""

    def run(files=(), **settings):
        for name, text in {"shop.py": APP, "requirements.txt": "flask\n", **dict(files)}.items():
            if text is not None:
                (tmp_path / name).parent.mkdir(exist_ok=True)
                (tmp_path / name).write_text(text)
        known = {"build_source": str(tmp_path), "app_wsgi": "shop:app", "site_static": "", **settings}
        command = ["ansible-playbook", "playbooks/app.yml", "-i", os.environ["MOLECULE_INVENTORY_FILE"]]
        plain = {**os.environ, "ANSIBLE_FORCE_COLOR": "0", "NO_COLOR": "1"}
        command += ["-e", json.dumps(known)]
        done = subprocess.run(
            command, cwd=ROOT, env=plain, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900
        )
        return done.returncode, done.stdout

    return run


def test_a_release_serves(play, get):
    settings = {"build_source": str(APPS / "recipe"), "app_wsgi": "app:app"}
    play("playbooks/app.yml", "-e", json.dumps(settings))
    assert get(URL).body == "Hello, World!"


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_the_last_that_is_said_and_the_old_release_serves(deploy, get, release, wrong):
    files, settings, cause, advice = WRONG[wrong]
    before = release()
    code, said = deploy(files, **settings)
    last = [line for line in said.splitlines() if line.strip()][-LAST:]
    seen = " ".join(" ".join(last).split())
    assert code != 0
    assert cause in seen and advice in seen, said
    assert "HaltServer" not in said
    assert last[-2].startswith("PLAY RECAP"), "nothing follows but the count of tasks"
    assert release() == before and get(URL).body == "Hello, World!"


def test_what_failed_to_start_is_among_the_releases_with_its_cause(play):
    words = " ".join(re.findall(r"\w+", play("playbooks/releases.yml").output))
    assert "OperationalError unable to open database file what to do the database is where the app may not" in words


def test_settings_that_no_app_should_serve_with_are_warned_of(deploy, get):
    text = APP.replace("__name__)\n", "__name__)\napp.config.update(SECRET_KEY='super-secret-key', DEBUG=True)\n", 1)
    code, said = deploy({"shop.py": text})
    seen = " ".join(said.split())
    assert code == 0 and get(URL).body == "wrong"
    assert "warning: SECRET_KEY is one that others know or can guess" in seen and "warning: DEBUG is on" in seen
    assert "super-secret-key" not in said
