"""No release goes live under a certificate that is not one for its names."""

from __future__ import annotations

import datetime
import os
from types import SimpleNamespace

import pytest
from ansible.module_utils.flask_deploy.certificates import pair
from ansible.module_utils.flask_deploy.host import certificate, locks, nginx
from ansible.module_utils.flask_deploy.switch import steps, summary
from ansible.modules import app_lock

from tests.deploys import deploy, options, prepare
from tests.deploys import serve as let_serve

NOW = datetime.datetime.now(datetime.UTC)


@pytest.fixture
def serve(tmp_path):
    """Return a function that makes a site file for some names, with a certificate for others."""

    def make(names, covered=None, moment=NOW):
        path = tmp_path / "fullchain.pem"
        path.unlink(missing_ok=True)
        if covered is not None:
            path.write_bytes(pair.make_selfsigned(covered, moment)[0])
        plain = f"server {{\n    listen 80;\n    server_name {' '.join(names)};\n}}\n"
        tls = f"server {{\n    listen 443 ssl;\n    ssl_certificate {path};\n    server_name {names[0]};\n}}\n"
        return plain + tls

    return make


@pytest.mark.parametrize(
    ("names", "covered"),
    [
        (["shop.example.com"], ["shop.example.com"]),
        (["shop.example.com", "www.shop.example.com"], ["shop.example.com", "*.shop.example.com"]),
    ],
)
def test_a_certificate_for_the_names_is_good(serve, names, covered):
    assert certificate.judge(serve(names, covered)) == (None, None)


@pytest.mark.parametrize(
    ("names", "covered", "said"),
    [
        (["a.example.com"], None, "there is none on this host for a.example.com"),
        (["a.example.com", "www.a.example.com"], ["a.example.com"], "does not cover www.a.example.com, it is for a."),
        (["new.example.com"], ["old.example.com"], "does not cover new.example.com, it is for old.example.com"),
        (["a.b.example.com"], ["*.example.com"], "does not cover a.b.example.com"),
        (["example.com"], ["*.example.com"], "does not cover example.com"),
    ],
)
def test_a_certificate_for_other_names_is_not(serve, names, covered, said):
    why, _ = certificate.judge(serve(names, covered))
    assert said in why and "ansible-playbook site.yml" in why


def test_what_is_no_certificate_is_none(serve, tmp_path):
    text = serve(["a.example.com"], ["a.example.com"])
    (tmp_path / "fullchain.pem").write_text("nothing")
    assert "there is none" in certificate.judge(text)[0]


@pytest.mark.parametrize("days", [-2000, 30])
def test_one_that_is_not_valid_now_is_said_and_stops_nothing(serve, days):
    why, said = certificate.judge(serve(["a.example.com"], ["a.example.com"], NOW + datetime.timedelta(days=days)))
    assert why is None and "not now" in said


def test_a_site_without_tls_needs_none():
    assert certificate.judge("server { listen 80; server_name a.example.com; }") == (None, None)


def test_a_release_does_not_start_under_another_names_certificate(app, engine, serve):
    old = deploy(app)
    files = {**options()["files"], "site.conf": serve(["new.example.com"], ["old.example.com"])}
    with pytest.raises(nginx.SiteError, match=r"does not cover new\.example\.com"):
        prepare(app, files=files, build="b2")
    assert engine.running() == [f"shop-{old}"] and app.serving() == old


def test_no_rollback_goes_to_names_that_have_no_certificate_any_more(app, serve):
    files = {**options()["files"], "site.conf": serve(["old.example.com"], ["old.example.com"])}
    deploy(app, files=files)
    new = deploy(app, build="b2")
    serve(["old.example.com"], ["new.example.com"])
    with pytest.raises(nginx.SiteError, match=r"does not cover old\.example\.com"):
        steps.restore(app, options(release=None), dry=False)
    assert app.serving() == new


def test_no_rollback_is_printed_that_would_be_refused(app, serve):
    files = {**options()["files"], "site.conf": serve(["old.example.com"], ["old.example.com"])}
    deploy(app, files=files)
    serve(["old.example.com"], ["new.example.com"])
    new = prepare(app, build="b2")
    (line,) = [line for line in summary.summarise(let_serve(app, new)) if "rollback" in line]
    assert "is refused" in line and "does not cover old.example.com" in line


def test_a_release_that_serves_is_repaired_though_its_certificate_is_gone(app, engine, serve):
    files = {**options()["files"], "site.conf": serve(["a.example.com"], ["a.example.com"])}
    release = deploy(app, files=files)
    serve(["a.example.com"], None)
    engine.place.joinpath(f"containers/shop-{release}/running").unlink()
    assert prepare(app, files=files) == release
    assert engine.running() == [f"shop-{release}"]


def run(monkeypatch, module, arguments, dry):
    """Run a module in this process; return what it answers."""
    answers = []

    def answer(failed):
        def end(**said):
            answers.append({"failed": failed, **said})
            raise SystemExit

        return end

    known = {"fail_json": answer(True), "exit_json": answer(False), "warn": print, "check_mode": dry}
    monkeypatch.setattr(module, "QuietModule", lambda **spec: SimpleNamespace(params=arguments, **known))
    with pytest.raises(SystemExit):
        module.main()
    return answers[0]


@pytest.mark.parametrize(
    ("dry", "covered", "refused"), [(False, None, True), (False, ["a.test"], False), (True, None, False)]
)
def test_a_deploy_without_a_certificate_ends_before_its_build(monkeypatch, tmp_path, serve, dry, covered, refused):
    monkeypatch.setattr(locks, "RUN", str(tmp_path / "run"))
    owner = {"id": "1", "user": "ann", "host": "laptop", "process": 1, "namespace": ""}
    arguments = {
        "app": "shop",
        "owner": owner,
        "site": serve(["a.test"], covered),
        "wait": 0,
        "dead": "",
        "look": False,
    }
    said = run(monkeypatch, app_lock, arguments, dry)
    assert said["failed"] is refused
    assert os.path.exists(tmp_path / "run" / "shop.lease") is (not refused and not dry)
    assert not refused or "nothing was changed" in said["msg"]


def test_nginx_says_what_makes_certificates(engine):
    (engine.place / "bin" / "nginx").write_text(
        '#!/bin/sh\necho "cannot load certificate \\"/etc/other/x\\"" >&2; exit 1\n'
    )
    with pytest.raises(nginx.SiteError, match="what to do: role nginx makes certificates"):
        nginx.test()
