"""A dry run says what would change, and of environment and secrets the names alone."""

from __future__ import annotations

from ansible.module_utils.flask_deploy.switch import steps

from tests.deploys import MARK, SITE, deploy, options, serve

HIDDEN = "h5-Xq-and-more"
GIT = {"kind": "git", "repository": "git@git.example.com:shop.git", "ref": "main"}


def plan(app, **more):
    return steps.prepare(app, options(**more), dry=True)[2]


def test_a_converged_host_shows_nothing(app):
    deploy(app)
    assert plan(app) == {"lines": [], "diff": []}
    assert plan(app, start_timeout=7, by="another", source={"kind": "git", "commit": "1a"})["lines"] == []


def test_each_change_has_a_line(app):
    files = {"site.conf": "server {}\n", "gunicorn.conf.py": "workers = 2\n", "exec.py": ""}
    container = {"memory": "64m", "cpus": 0, "pids": 16, "stop_timeout": 10, "server": "", "writable": ""}
    known = {"environment": {"A": "1", "GONE": "2"}, "files": files, "container": container}
    known |= {"secrets": {"KEY": HIDDEN, "OLD": HIDDEN}, "secret_files": {"users.json": "[]"}}
    old = deploy(app, **known)
    changed = known | {
        "environment": {"A": HIDDEN, "NEW": HIDDEN},
        "secrets": {"KEY": f"{HIDDEN}2", "MORE": HIDDEN},
        "secret_files": {},
        "container": {**container, "memory": "1g"},
        "files": {**files, "site.conf": "server {\n}\n"},
        "wsgi": "shop:create_app()",
        "build": "b2",
        "command": "flask db upgrade",
    }
    planned = plan(app, **changed, image="not built yet")
    assert planned["lines"] == [
        f"release: {old} -> a new one",
        "image: is to be built",
        f"stops: {old}, once its requests have ended",
        "app_env: +NEW -GONE ~A",
        "app_secrets: +MORE -OLD ~KEY",
        "app_secret_files: -users.json",
        "app_memory: 64m -> 1g",
        "app_wsgi: shop:app -> shop:create_app()",
        "site.conf: 2 lines more, 1 less; see them: --check --diff",
        "app_release_command: 'flask db upgrade' runs, unless it did for this release",
    ]
    assert HIDDEN not in str(planned)
    assert plan(app, **changed)["lines"][0].startswith(
        f"release: {old} -> {steps.write(app, options(**changed), True)[0]}"
    )


def test_secrets_are_in_the_diff_by_name(app):
    deploy(app, secrets={"KEY": "1", "OLD": "2"})
    (shown,) = plan(app, secrets={"KEY": "3", "MORE": "4"})["diff"]
    assert shown == {
        "before_header": "app_secrets (names alone)",
        "after_header": "app_secrets (names alone)",
        "before": "KEY\nOLD\n",
        "after": "KEY (changed)\nMORE\n",
    }


def test_the_commits_between_are_counted_where_the_repository_is(app, checkout, git):
    first = git(checkout, "rev-parse", "HEAD")
    for number in "23":
        git(checkout, "commit", "-qm", number, "--allow-empty")
    last = git(checkout, "rev-parse", "HEAD")
    deploy(app, source={**GIT, "commit": first, "digest": "t1"})
    new = {"source": {**GIT, "commit": last, "digest": "t2"}, "build": "b2"}
    assert f"source: {first[:12]}..{last[:12]}" in plan(app, **new)["lines"]
    git(checkout, "clone", "-q", "--bare", ".", f"{app.root}/source.git")
    assert f"source: {first[:12]}..{last[:12]} (2 commits)" in plan(app, **new)["lines"]
    serve(app, steps.prepare(app, options(**new), dry=False)[0])
    back = plan(app, source={**GIT, "commit": first, "digest": "t1"})["lines"]
    assert f"source: {last[:12]}..{first[:12]} (2 taken back)" in back


def test_a_directory_that_is_a_checkout_has_its_range_too(app):
    deploy(app, source={"kind": "directory", "digest": "1", "commit": "1" * 40, "changes": False})
    new = {"kind": "directory", "digest": "2", "commit": "1" * 40, "changes": True}
    assert f"source: {'1' * 12}..{'1' * 12}+changes" in plan(app, source=new, build="b2")["lines"]


def test_another_kind_of_source_is_named(app):
    deploy(app)
    lines = plan(app, source={**GIT, "commit": "ab" * 20, "digest": "t"}, build="b2")["lines"]
    assert f"source: a directory d -> {GIT['repository']} {'ab' * 6}" in lines


def test_a_first_release_is_planned_too(app):
    lines = plan(app)["lines"]
    assert lines[0].startswith("release: none -> ")
    assert "app_env: +A" in lines and "app_secrets: +KEY" in lines
    assert not [line for line in lines if line.startswith(("stops", "app_memory", "site.conf"))]


def test_what_is_damaged_is_planned_as_a_repair(app, engine):
    release = deploy(app)
    (engine.place / f"containers/shop-{release}/running").unlink()
    path = app.path(release, "site.conf")
    with open(path, "a", encoding="utf-8") as file:
        file.write("bad")
    assert plan(app)["lines"] == [f"repairs: {path}", f"starts: shop-{release}"]


def test_a_rollback_is_planned_too(app):
    first = deploy(app, environment={"A": "1"})
    second = deploy(app, environment={"A": "2"})
    planned = steps.restore(app, options(release=None), dry=True)[2]
    assert planned["lines"] == [
        f"release: {second} -> {first}",
        f"stops: {second}, once its requests have ended",
        "app_env: ~A",
    ]


def test_a_missing_certificate_is_in_the_plan(app, tmp_path):
    site = f"server {{\n    ssl_certificate {tmp_path}/none.pem;\n    server_name a.test;\n}}\n"
    lines = plan(app, files={"site.conf": site})["lines"]
    assert any("there is none on this host for a.test" in line for line in lines)


def test_the_diff_is_against_the_serving_release_and_shows_of_the_environment_names_alone(app):
    deploy(app)
    changed = {"site.conf": "server { }\n", "gunicorn.conf.py": "", "exec.py": ""}
    diff = steps.prepare(app, options(files=changed, environment={"A": MARK}), dry=True)[2]["diff"]
    assert [(shown["before_header"], shown["before"], shown["after"]) for shown in diff] == [
        ("app_env (names alone)", "A\n", "A (changed)\n"),
        ("site.conf", SITE, "server { }\n"),
    ]
    assert MARK not in str(diff)
