"""What a repository starts its app with, and what that is without a shell, a Procfile and Compose."""

from __future__ import annotations

import json
import shlex

import pytest
import yaml
from ansible.module_utils.flask_deploy.release import schema
from source_inspect import report

APP = "from flask import Flask\napp = Flask(__name__)\n@app.get('/')\ndef hello():\n    return 'hello'\n"


@pytest.fixture
def processes(decided):
    """Return {name: command} of the processes that are printed of a source with given files."""
    return lambda files: {
        name: about["command"] for name, about in decided({"app.py": APP, **files}).get("app_processes", {}).items()
    }


@pytest.mark.parametrize(
    ("command", "printed_as", "current"),
    [
        ("FLASK_APP=app.py flask db upgrade", "env FLASK_APP=app.py flask db upgrade", "env FLASK_APP=app.py flask db"),
        ("A=1 B='2 3' flask db upgrade", "env A=1 B='2 3' flask db upgrade", "env A=1 B='2 3' flask db"),
        ("exec flask db upgrade", "flask db upgrade", "flask db"),
        ("FLASK_APP=$X flask db upgrade", "sh -c 'FLASK_APP=$X flask db upgrade'", None),
    ],
)
def test_a_variable_before_a_command_is_set_without_a_shell(decided, command, printed_as, current):
    found = decided({"app.py": APP, "Procfile": f"release: {command}\n"})["app_release_command"]
    assert found == printed_as
    assert schema.derived(found) == (f"{current} current" if current else "sh -c 'FLASK_APP=$X flask db current'")


def test_a_variable_before_manage_py_keeps_the_schema_command(decided):
    found = decided({"app.py": APP, "Procfile": "release: FLASK_ENV=production python manage.py db upgrade\n"})
    assert found["app_schema_command"] == "env FLASK_ENV=production python manage.py db current"


@pytest.mark.parametrize("file", ["Procfile", "compose.yml"])
def test_a_process_with_a_variable_before_it_is_found(processes, file):
    command = "C_FORCE_ROOT=1 celery -A app worker"
    compose = f"services: {{worker: {{build: ., command: {command}}}}}"
    files = {file: f"worker: {command}\n" if file == "Procfile" else compose}
    assert processes(files) == {"worker": "env C_FORCE_ROOT=1 celery -A app worker"}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["celery_worker"], ["celery-worker"]),
        (["celery_worker", "celery-worker"], ["celery-worker", "celery-worker-2"]),
        (["celery.beat"], ["celery-beat"]),
        (["2mails_"], ["mails"]),
        (["celery-beat-scheduler", "mails"], ["celery-beat", "mails"]),
        (["my-long-worker-of-mails", "my-long-worker-of-news"], ["my-long-worker", "my-long-worker-2"]),
        (["averyverylongworker", "averyverylongworkers"], ["averyverylongwor", "averyverylongw-2"]),
    ],
)
def test_a_process_keeps_its_name_as_far_as_it_may(processes, given, named):
    services = ", ".join(f"{name}: {{build: ., command: celery -A app worker -Q q{n}}}" for n, name in enumerate(given))
    expected = {name: f"celery -A app worker -Q q{n}" for n, name in enumerate(named)}
    assert processes({"compose.yml": f"services: {{{services}}}"}) == expected


def test_a_row_of_a_map_that_the_check_refuses_takes_no_other_with_it(printed):
    text = printed({"app.py": APP, "Procfile": "mails: celery -A app worker\nodd: celery 'x\n"})
    assert yaml.safe_load(text)["app_processes"] == {"mails": {"command": "celery -A app worker", "count": 1}}
    assert '#   app_processes: odd: command: "celery \'x" is no command (No closing quotation)' in text


MONOREPO = {
    "backend/requirements.txt": "flask\ncelery\n",
    "backend/app.py": f"import os\n{APP}os.environ['TITLE'], os.environ['CITY']\n",
    "frontend/package.json": "{}",
    ".env.example": "CITY=Ulm\n",
    "docker-compose.yml": """
services:
  backend:
    build: {context: ./backend}
    image: shop
    command: gunicorn -w 3 --timeout 90 app:app
    environment: {TITLE: My shop}
  worker: {image: shop, command: celery -A app worker -Q mails}
  beat: {build: {context: ., dockerfile: backend/Dockerfile.beat}, command: celery -A app beat}
  frontend: {build: ./frontend, command: celery -A other worker, environment: {CITY: Bonn}}
  db: {image: 'mysql:8'}
""",
}


@pytest.mark.parametrize("given", [{}, {"build_subdir": "backend"}])
def test_what_stands_above_the_app_is_read_where_it_is_of_the_app(source, given):
    place = source(MONOREPO)
    (place / "requirements.txt").unlink()
    text = report.read({"build_source": str(place), **given})
    found = yaml.safe_load(text)
    assert (found["build_subdir"], found["app_wsgi"]) == ("backend", "app:app")
    assert (found["app_timeout"], found["app_workers"]) == (90, 3)
    assert found["app_env"] == {"TITLE": "My shop", "CITY": "Ulm"}
    assert found["app_processes"] == {
        "worker": {"command": "celery -A app worker -Q mails", "count": 1},
        "beat": {"command": "celery -A app beat", "hosts": "one"},
    }
    assert "mysql of ../docker-compose.yml: nothing here brings it" in text


@pytest.mark.parametrize("cd", ["cd backend && {}", "cd ./backend/; {}", "{} --workdir backend -A app"])
def test_a_procfile_above_the_app_counts_where_it_changes_to_the_app(source, cd):
    place = source({"backend/requirements.txt": "flask\n", "backend/app.py": APP})
    (place / "requirements.txt").unlink()
    (place / "Procfile").write_text(f"mails: {cd.format('celery -A app worker')}\nother: celery -A x worker\n")
    found = yaml.safe_load(report.read({"build_source": str(place)}))
    assert list(found["app_processes"]) == ["mails"]
    assert found["app_processes"]["mails"]["command"].startswith("celery -A app worker")
    assert "backend" not in str(found["app_processes"])


def test_a_service_of_any_name_that_starts_gunicorn_serves(decided):
    compose = "services: {shop: {build: ., command: gunicorn --timeout 90 other:app}}"
    found = decided({"app.py": APP, "other.py": APP, "compose.yml": compose})
    assert found == {"app_wsgi": "other:app", "app_timeout": 90}


IMAGE = "FROM python:3.12-slim\nWORKDIR /app\nCOPY . .\nRUN apt-get install -y ffmpeg && make venv\n"
ENDS = "-b 0.0.0.0:5050 app:app"


@pytest.mark.parametrize(
    ("dockerfile", "by"),
    [
        ('CMD ["uv", "run", "gunicorn", "-b", ":80", "app:app"]', "uv run"),
        (f"CMD poetry run gunicorn {ENDS}", "poetry run"),
        (f'ENV PATH="/root/.local/bin:$PATH"\nCMD pipenv run gunicorn {ENDS}', "pipenv run"),
        (f"CMD exec pdm run gunicorn {ENDS}", "pdm run"),
        (f"CMD venv/bin/gunicorn {ENDS}", "venv/bin/gunicorn"),
        (f"ENV PATH=/app/bin:$PATH\nCMD /opt/shop/bin/gunicorn {ENDS}", "/opt/shop/bin/gunicorn"),
        ("ENTRYPOINT ./boot.sh", "source venv/bin/activate"),
        (f"CMD . venv/bin/activate && gunicorn {ENDS}", ". venv/bin/activate"),
        (f"ENV PATH=/app/.venv/bin:$PATH\nCMD uv run gunicorn {ENDS}", None),
        (f"ENV PATH /opt/shop/bin:$PATH\nCMD /opt/shop/bin/gunicorn {ENDS}", None),
        (f"RUN poetry config virtualenvs.create false\nCMD poetry run gunicorn {ENDS}", None),
        (f"ENV UV_PROJECT_ENVIRONMENT=/usr/local\nCMD uv run gunicorn {ENDS}", None),
        (f"RUN pip install -r requirements.txt\nCMD pipenv run gunicorn {ENDS}", None),
        (f"RUN venv/bin/pip install -r requirements.txt\nCMD venv/bin/gunicorn {ENDS}", "venv/bin/gunicorn"),
        (f"CMD /usr/local/bin/gunicorn {ENDS}", None),
        ("CMD uv run gunicorn -k uvicorn.workers.UvicornWorker other:api", None),
    ],
)
def test_an_image_whose_path_has_no_gunicorn_is_not_built(source, dockerfile, by):
    files = {"app.py": APP, "other.py": "from fastapi import FastAPI\napi = FastAPI()\n"}
    files["boot.sh"] = f"#!/bin/sh\nsource venv/bin/activate\nexec gunicorn {ENDS}\n"
    text = report.read({"build_source": str(source({**files, "Dockerfile": f"{IMAGE}{dockerfile}\n"}))})
    if by:
        why = f"the Dockerfile starts gunicorn by {by}, and no ENV PATH names its directory, as /app/venv/bin"
        assert f"\nbuild_dockerfile: none  # {why}\n" in text
        assert "#   build_image_packages: the Dockerfile installs ffmpeg; name what the app itself needs" in text
    else:
        assert "\nbuild_dockerfile:" not in text


def test_an_image_without_gunicorn_on_its_path_serves_by_its_port_where_nothing_else_builds_it(tmp_path):
    (tmp_path / "app.py").write_text(APP)
    (tmp_path / "Dockerfile").write_text(f"FROM continuumio/miniconda3\nCMD conda run -n shop gunicorn {ENDS}\n")
    found = yaml.safe_load(report.read({"build_source": str(tmp_path)}))
    assert (found["app_server"], found["app_wsgi"], "build_dockerfile" in found) == ("port:5050", "app:app", False)


@pytest.mark.parametrize(
    ("image", "old"), [("python:3.6-alpine", 1), ("python:2.7", 1), ("python:3.7", 0), ("x:3.6", 0)]
)
def test_an_image_of_a_python_that_cannot_serve_is_not_built(printed, image, old):
    text = printed({"app.py": APP, "Dockerfile": f"FROM {image}\nCOPY . .\nRUN pip install gunicorn\nCMD gunicorn x\n"})
    said = f"\nbuild_dockerfile: none  # the Dockerfile builds on {image}, and a Python before 3.7 cannot serve\n"
    assert (said in text) == bool(old)


WORKER = "from rq import Queue, Worker\n"
RUNS = "Worker(['mails']).work()\n"


@pytest.mark.parametrize(
    ("file", "code", "command"),
    [
        ("work.py", RUNS, "python work.py"),
        ("work.py", f"if __name__ == '__main__':\n    with Connection():\n        {RUNS}", "python work.py"),
        ("work.py", f"def main():\n    {RUNS}if __name__ == '__main__':\n    main()\n", "python work.py"),
        ("shop/work.py", f"def one():\n    {RUNS}def main():\n    one()\nmain()\n", "python -m shop.work"),
        ("work.py", f"@app.cli.command('worker')\ndef run():\n    {RUNS}", "flask worker"),
        ("work.py", f"@click.command()\ndef run_worker():\n    {RUNS}", "flask run-worker"),
        (
            "manage.py",
            f"@manager.command\ndef run_worker():\n    {RUNS}if __name__ == '__main__':\n    manager.run()\n",
            "python manage.py run_worker",
        ),
        ("shop/work.py", f"@manager.command()\ndef worker():\n    {RUNS}", None),
        ("work.py", f"@bp.cli.command('worker')\ndef worker():\n    {RUNS}", None),
        ("work.py", f"class Runs:\n    def run(self):\n        {RUNS}", None),
    ],
)
def test_a_worker_of_rq_is_run_as_its_file_runs_it(printed, file, code, command):
    text = printed({"app.py": APP, file: WORKER + code, "requirements.txt": "flask\nrq\n"})
    expected = {"worker": {"command": command, "count": 1}} if command else None
    assert yaml.safe_load(text).get("app_processes") == expected
    assert (f"#   app_processes: {file} runs a worker of RQ, by a command of its own; write it" in text) == (
        not command
    )


BEFORE = {"Procfile": "worker: celery -A app.celery worker\nbeat: celery -A app.celery beat\ntick: python tick.py\n"}


@pytest.mark.parametrize(
    ("command", "twice"),
    [
        ("celery -A app.celery worker -l info -B", "worker, beat"),
        ("celery -A app:celery worker -Q mails", "worker"),
        ("celery -A app --loglevel=info beat", "beat"),
        ("exec python tick.py", "tick"),
        ("celery -A other worker", None),
        ("python tock.py", None),
    ],
)
def test_the_work_of_a_procfile_is_not_done_again_by_compose(printed, command, twice):
    text = printed({"app.py": APP, **BEFORE, "compose.yml": f"services: {{more: {{build: ., command: {command}}}}}"})
    names = ["worker", "beat", "tick"] if twice else ["worker", "beat", "tick", "more"]
    assert list(yaml.safe_load(text)["app_processes"]) == names
    said = f"#   app_processes: more of compose.yml is left out, its work is that of {twice} of Procfile: {command}\n"
    assert (said in text) == bool(twice)


def test_a_worker_that_schedules_too_runs_once(decided):
    compose = "services: {worker: {build: ., command: celery -A app worker -B}}"
    rows = {"worker": {"command": "celery -A app worker -B", "hosts": "one"}}
    assert decided({"app.py": APP, "compose.yml": compose})["app_processes"] == rows
    files = {"app.py": APP, "Procfile": "mails: celery -A app worker\n", "compose.yml": compose}
    assert list(decided(files)["app_processes"]) == ["mails", "worker"]


@pytest.mark.parametrize(
    ("command", "runs"),
    [
        ('bash -c "celery -A app worker -Q mails,default"', "celery -A app worker -Q mails,default"),
        ("/bin/bash -lc 'celery -A app worker'", "celery -A app worker"),
        ("sh -e -c 'exec celery -A app worker'", "celery -A app worker"),
        ("sh -c 'sleep 5 && ./wait-for-it.sh db:5432; celery -A app worker'", "celery -A app worker"),
        ("sh -c 'cd shop && celery -A app worker'", "sh -c 'cd shop && exec celery -A app worker'"),
        ("sh -c 'celery -A app worker -n $NAME'", "sh -c 'celery -A app worker -n $NAME'"),
        ("sh -c 'if true; then celery -A app worker; fi'", None),
        ("sh -c 'sleep 5 && gunicorn app:app'", None),
        ("sh -c 'sleep infinity'", None),
    ],
)
@pytest.mark.parametrize("file", ["Procfile", "compose.yml", "list", "supervisord.conf"])
def test_what_a_shell_is_given_is_what_runs(processes, command, runs, file):
    texts = {
        "Procfile": f"mails: {command}\n",
        "compose.yml": yaml.safe_dump({"services": {"mails": {"build": ".", "command": command}}}),
        "list": yaml.safe_dump({"services": {"mails": {"build": ".", "command": shlex.split(command)}}}),
        "supervisord.conf": f"[program:mails]\ncommand={command.replace(';', '&&')}\n",
    }
    if "if true" not in command or file != "Procfile":  # whatever a Procfile names runs
        found = processes({file.replace("list", "compose.yml"): texts[file]})
        assert found == ({"mails": runs} if runs else {})


UPGRADES = "flask db upgrade && gunicorn -t 90 other:app"


@pytest.mark.parametrize(
    "files",
    [
        {"compose.yml": f"services: {{web: {{build: ., command: bash -c '{UPGRADES}'}}}}"},
        {"Dockerfile": f'FROM python\nCMD ["sh", "-c", "{UPGRADES}"]\n'},
        {"Dockerfile": f'FROM python\nENTRYPOINT ["/bin/sh", "-c"]\nCMD ["{UPGRADES.replace(" &&", ";")}"]\n'},
    ],
)
def test_what_serves_in_a_shell_is_found(printed, files):
    text = printed({"app.py": APP, "other.py": APP, **files})
    found = yaml.safe_load(text)
    assert (found["app_wsgi"], found["app_timeout"]) == ("other:app", 90)
    assert "also runs, before it serves: flask db upgrade" in text


@pytest.mark.parametrize(
    ("script", "command", "runs"),
    [
        ('if [ "$1" = celery ]; then exec celery -A app worker; fi\n', "celery", "celery -A app worker"),
        ("case $1 in\n  worker|celery)\n    celery -A app worker\n    ;;\nesac\n", "celery", "celery -A app worker"),
        ('worker() {\n  exec rq worker\n}\n"$@"\n', "worker", "rq worker"),
        ("echo $1\nmake $1\n", "worker", ""),
        ("tick() {\n  exec tick\n}\nworker() {\n  rq worker\n}\n$1\n", "tick", ""),
        ('flask db upgrade\nexec "$@"\n', "celery -A app worker", None),
        ('exec "$@"\n', "celery", None),
    ],
)
def test_an_argument_of_an_entrypoint_is_no_process(printed, script, command, runs):
    compose = f"services: {{w: {{build: ., command: {command}}}}}"
    dockerfile = 'FROM python\nCOPY . .\nENTRYPOINT ["sh", "start.sh"]\nRUN pip install gunicorn\n'
    text = printed({"app.py": APP, "start.sh": script, "compose.yml": compose, "Dockerfile": dockerfile})
    if runs is None:
        assert yaml.safe_load(text)["app_processes"]["w"]["command"] == command
        return
    assert "app_processes" not in yaml.safe_load(text)
    said = f"start.sh (ENTRYPOINT) takes {command} as an argument; write what it runs{': ' + runs if runs else ''}"
    assert f"#   app_processes: w of compose.yml is left out, {said}\n" in text


@pytest.mark.parametrize(
    ("copies", "lacks"),
    [
        ("COPY requirements.txt .", True),
        ('COPY --chown=x ["requirements.txt", "start.sh", "/"]\nCOPY --from=ghcr.io/uv:1 /uv /bin/', True),
        ("COPY requirements.txt .\nCOPY . .", False),
        ("COPY requirements.txt .\nCOPY app.py start.sh ./", False),
        ("COPY *.py /app/", False),
        ("COPY shop /app/shop", False),
        ("COPY --chown=x ./ /app", False),
        ("COPY requirements.txt .\nRUN git clone https://git.example.com/shop.git", False),
        ("FROM one AS builder\nCOPY . .\nFROM two\nCOPY --from=builder /app /app", False),
        ("COPY requirements.txt .\nCOPY --from=builder /app /app", False),
    ],
)
def test_an_image_without_code_is_not_built(printed, copies, lacks):
    files = {"app.py": APP, "shop/x.py": "", "start.sh": "", "requirements.txt": "flask\ngunicorn\n"}
    text = printed({**files, "Dockerfile": f"FROM python\n{copies}\nCMD gunicorn app:app\n"})
    assert ("\nbuild_dockerfile: none  # the Dockerfile copies no code into the image\n" in text) == lacks


PASSES_ON = '#!/bin/sh\nflask db upgrade\nexec "$@"\n'


@pytest.mark.parametrize(
    ("script", "more", "idle"),
    [
        (PASSES_ON, "", True),
        (PASSES_ON, "CMD flask run\n", False),
        (PASSES_ON, "RUN pip install gunicorn\n", False),
        ("#!/bin/sh\nflask run\n", "", False),
    ],
)
def test_an_image_that_runs_nothing_by_itself_does_not_answer(tmp_path, printed, script, more, idle):
    dockerfile = f'FROM python\nCOPY . .\n{more}ENTRYPOINT ["/entrypoint.sh"]\n{more if "CMD" in more else ""}'
    files = {"app.py": APP, "entrypoint.sh": script, "Dockerfile": dockerfile}
    why = "the Dockerfile has no CMD, its ENTRYPOINT entrypoint.sh only runs what it is given, and gunicorn lacks"
    assert (f"\nbuild_dockerfile: none  # {why}\n" in printed(files)) == idle
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    text = report.read({"build_source": str(tmp_path)})
    assert (f"#   build_dockerfile: {why}; mend that, or list the dependencies and write none\n" in text) == idle
    assert not idle or "app_server" not in yaml.safe_load(text)


@pytest.mark.parametrize(
    ("script", "runs"),
    [
        ("set -e\npython init.py\nflask deploy\nexec gunicorn -b :80 app:app\n", "python init.py; flask deploy"),
        ("# x\ncd /app\nexport A=1\nB=2\n\nmake \\\n  all && flask deploy\ngunicorn x\n", "make all; flask deploy"),
        ('until nc -z db 5432; do\n  sleep 1\ndone\npython init.py\nexec "$@"\n', "python init.py"),
        ('while true; do\n  make\n  if [ "$?" = 0 ]; then\n    break\n  fi\ndone\ngunicorn app:app\n', "make"),
        ("worker() {\n  exec rq worker\n}\nserver() {\n  make all\n  exec gunicorn app:app\n}\n$1\n", "make all"),
        ("case $1 in\n  worker)\n    rq worker\n    ;;\n  web)\n    make\n    gunicorn app:app\nesac\n", "make"),
        ("cd shop\nexec gunicorn app:app\n", ""),
    ],
)
def test_what_a_script_runs_before_it_serves_is_said(printed, script, runs):
    dockerfile = 'FROM python\nCOPY . .\nENTRYPOINT ["./start.sh"]\nCMD ["gunicorn", "app:app"]\n'
    text = printed({"app.py": APP, "start.sh": f"#!/bin/sh\n{script}", "Dockerfile": dockerfile})
    said = f"#   build_command, app_release_command: start.sh also runs, before it serves: {runs}\n"
    assert said in text if runs else "also runs" not in text


def test_a_change_of_the_directory_prepares_nothing(printed):
    text = printed({"app.py": APP, "Procfile": "web: cd src && sleep 5 && gunicorn app:app\n"})
    assert "also runs" not in text


@pytest.mark.parametrize(
    ("command", "known"),
    [
        ("flask db upgrade", True),
        ("FLASK_APP=app.py exec python -m flask --app shop db upgrade", True),
        ("/venv/bin/flask db upgrade", True),
        ("flask db upgrade && flask seed", False),
        ("flask db downgrade", False),
    ],
)
@pytest.mark.parametrize("release", ["flask db upgrade", "make all && flask db upgrade"])
def test_what_the_release_command_does_is_not_named_again(printed, command, known, release):
    procfile = f"release: {release}\nweb: {command} && gunicorn app:app\n"
    once = json.dumps({"scripts": {"postdeploy": command}})
    text = printed({"app.py": APP, "Procfile": procfile, "app.json": once})
    assert ("Heroku runs once" in text, "also runs" in text) == (not known, not known)
    assert "also runs, before it serves: flask db upgrade" not in text


@pytest.mark.parametrize(
    ("config", "file"),
    [
        ("-c gunicorn_config.py", "gunicorn_config.py"),
        ("--config=./deploy/gunicorn.py", "deploy/gunicorn.py"),
        ("-c file:gunicorn.config.py", "gunicorn.config.py"),
        ("--config python:config.gunicorn", "config/gunicorn.py"),
        ("-c python:shop.server", "src/shop/server.py"),
        ("-c /home/web/app/gunicorn_config.py", "gunicorn_config.py"),
        ("-c guniconf.py", "configs/guniconf.py"),
        ("--chdir deploy -c settings.py", "deploy/settings.py"),
        ("", "gunicorn.conf.py"),
    ],
)
def test_the_settings_of_gunicorn_are_those_that_its_command_names(printed, config, file):
    settings = 'timeout = 180\nworkers = 3\nworker_class = "gthread"\npreload_app = True\nwsgi_app = "other:app"\n'
    other = {"gunicorn.conf.py": "timeout = 1\n"} if config else {}
    files = {"app.py": APP, "other.py": APP, "Procfile": f"web: gunicorn {config}\n", **other, file: settings}
    text = printed(files)
    found = yaml.safe_load(text)
    assert found["app_wsgi"] == "other:app"
    assert [found[f"app_{name}"] for name in ("timeout", "workers", "server", "preload")] == [180, 3, "gthread", True]
    assert f"app_timeout: 180  # {file}\n" in text
    assert f"#   {file}: the role has its own; hooks and what has no line above are not used\n" in text


RENDER = """
services:
  - {type: web, name: shop, startCommand: gunicorn other:app --timeout 120, preDeployCommand: flask db upgrade,
     envVars: [{key: CITY, value: Ulm}, {key: KEY, generateValue: true}, {key: DB, fromDatabase: {name: x}}]}
  - {type: worker, name: Mails, startCommand: celery -A app worker, numInstances: 2}
  - {type: cron, name: purge, startCommand: flask purge}
  - {type: web, name: pages, rootDir: pages, startCommand: gunicorn none:app}
"""


@pytest.mark.parametrize(
    "files",
    [
        {"render.yaml": RENDER},
        {
            "railway.json": '{"deploy": {"startCommand": "gunicorn other:app --timeout 120", '
            '"preDeployCommand": ["flask db upgrade"]}}',
            "railway.mails.toml": "[deploy]\nstartCommand = \"sh -c 'celery -A app worker'\"\n",
        },
    ],
)
@pytest.mark.parametrize("compose", ["", "services: {worker: {build: ., command: celery -A app worker -Q x}}"])
def test_what_a_platform_starts_is_read(decided, files, compose):
    code = "import os\nos.environ['CITY'], os.environ['KEY']\n"
    found = decided({"app.py": APP, "other.py": APP + code, **files, "compose.yml": compose})
    count = 2 if "render.yaml" in files else 1
    assert found["app_processes"] == {"mails": {"command": "celery -A app worker", "count": count}}
    assert (found["app_wsgi"], found["app_timeout"]) == ("other:app", 120)
    assert found["app_release_command"] == "flask db upgrade"
    assert found["app_env"]["CITY"] == ("Ulm" if "render.yaml" in files else "")


@pytest.mark.parametrize("text", ["[", "{", "services: 1", "services: [1]", "deploy: [x]", '{"deploy": 1}', "a = "])
def test_a_manifest_that_is_broken_is_read_as_nothing(decided, text):
    files = dict.fromkeys(("render.yaml", "railway.json", "railway.toml"), text)
    assert decided({"app.py": APP, **files}) == {"app_wsgi": "app:app"}


def test_a_manifest_above_the_app_counts_where_it_names_its_directory(source):
    place = source({"backend/requirements.txt": "flask\n", "backend/app.py": APP})
    (place / "requirements.txt").unlink()
    rows = "{type: web, rootDir: backend, startCommand: gunicorn -t 70 app:app}"
    rows += ", {type: worker, name: one, rootDir: other, startCommand: celery -A app worker}"
    (place / "render.yaml").write_text(f"services: [{rows}]\n")
    found = yaml.safe_load(report.read({"build_source": str(place)}))
    assert (found["app_timeout"], "app_processes" in found) == (70, False)


@pytest.mark.parametrize(
    ("command", "runs"),
    [
        ("poetry run celery -A app worker", "celery -A app worker"),
        ("uv run --no-dev -- celery -A app worker", "celery -A app worker"),
        ("A=1 pipenv run celery -A app worker", "env A=1 celery -A app worker"),
        ("venv/bin/celery -A app worker", "celery -A app worker"),
        ("sh -c 'source venv/bin/activate && exec pdm run celery -A app worker'", "celery -A app worker"),
        ("sh -c 'cd x && poetry run celery -A app worker'", "sh -c 'cd x && exec celery -A app worker'"),
        ("uv run --env-file x celery -A app worker", None),
    ],
)
@pytest.mark.parametrize("file", ["Procfile", "compose.yml"])
def test_a_program_is_run_as_the_path_of_the_image_names_it(decided, command, runs, file):
    rows = {"Procfile": f"mails: {command}\n", "compose.yml": f"services: {{mails: {{build: ., command: {command}}}}}"}
    found = decided({"app.py": APP, file: rows[file], "app.json": "{}"})
    if runs:
        assert found["app_processes"]["mails"]["command"] == runs
    else:
        assert file == "compose.yml" or found["app_processes"]["mails"]["command"] == command


def test_a_runner_is_left_where_a_dockerfile_may_need_it(decided):
    files = {"app.py": APP, "Procfile": "release: poetry run flask db upgrade\n"}
    assert decided(files)["app_release_command"] == "flask db upgrade"
    dockerfile = "FROM python\nCOPY . .\nEXPOSE 5000\nCMD poetry run flask run\n"
    assert decided({**files, "Dockerfile": dockerfile})["app_release_command"] == "poetry run flask db upgrade"


def test_a_variable_in_the_quotes_of_compose_is_filled_in(processes):
    rows = """services: {mails: {build: ., command: "rq worker -u 'redis://$HOST' -q '$$Q'"}}"""
    assert processes({"compose.yml": rows}) == {"mails": """sh -c 'rq worker -u "redis://$HOST" -q '"'"'$Q'"'"''"""}


def test_an_argument_by_which_an_entrypoint_serves_is_no_matter(printed):
    script = "case $1 in\n  dev)\n    flask run\nesac\n"
    dockerfile = "FROM python\nCOPY . .\nENTRYPOINT ./start.sh\nRUN pip install gunicorn\n"
    compose = "services: {server: {build: ., command: dev}}"
    text = printed({"app.py": APP, "start.sh": script, "compose.yml": compose, "Dockerfile": dockerfile})
    assert "is left out" not in text
