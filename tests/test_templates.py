"""What the rendered templates say, on both Debian releases."""

from __future__ import annotations

import ast
import base64
import hashlib
import importlib.util
import ipaddress
import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import crossplane
import pytest
import yaml
from ansible.module_utils.flask_deploy.certificates.store import Store
from ansible.module_utils.flask_deploy.release import containers
from ansible.module_utils.flask_deploy.switch import retire, watch
from gunicorn.config import KNOWN_SETTINGS
from inventory_check.inventory import CHECKS
from werkzeug.middleware.proxy_fix import ProxyFix

ROLES = Path(__file__).parents[1] / "roles"
TEMPLATES = [
    ("host", "flask-deploy-reboot.service.j2"),
    ("host", "flask-deploy-reboot.timer.j2"),
    ("docker", "daemon.json.j2"),
    ("docker", "journald.conf.j2"),
    ("nginx", "nginx.conf.j2"),
    ("valkey", "unit.conf.j2"),
    ("valkey", "valkey.conf.j2"),
    ("site", "site.conf.j2"),
    ("kubernetes", "nginx.conf.j2"),
    ("app", "__app_gunicorn_json"),
    ("balancer", "haproxy.cfg.j2"),
    ("balancer", "app.cfg.j2"),
    ("balancer", "balanced.conf.j2"),
    ("balancer", "keepalived.conf.j2"),
    ("balancer", "page.http.j2"),
]
DEBIANS = (12, 13)
# What a template needs of its place.
WANTED = {
    "keepalived.conf.j2": {
        "__balancer_name": "lb1",
        "groups": {"balancer": ["lb1", "lb2"]},
        "hostvars": {name: {"ansible_facts": {"default_ipv4": {"interface": "eth0"}}} for name in ("lb1", "lb2")},
    },
    "page.http.j2": {"__balancer_status": 503},
}
# What gixy has to say, and why it stays so.
EXPLAINED = {
    "hsts_header": "it would lock visitors of a self-signed certificate out",
    "try_files_is_evil_too": "open_file_cache would serve the old release's files after a switch",
}
# nginx's own, of modules that Debian's package brings (nginx.org/en/docs/varindex.html).
BUILT_IN = {
    "host",
    "binary_remote_addr",
    "http_accept",
    "http_access_control_request_method",
    "http_authorization",
    "http_cookie",
    "http_origin",
    "http_upgrade",
    "http_x_forwarded_proto",
    "https",
    "realip_remote_addr",
    "sent_http_content_type",
    "realpath_root",
    "remote_addr",
    "request_id",
    "request_method",
    "request_uri",
    "status",
    "upstream_addr",
    "uri",
}
# What a site tells nginx's log of a request. `set` makes those that an older nginx.conf lacks.
LOGGED = {"served_app", "release", "release_known"}
ORIGIN = "https://front.example.com"
IN_FRONT = {"site_tls_in_front": True, "site_trusted_proxies": ["192.0.2.0/24", "2001:db8::1"]}
MORE_NAMES = ["shop.example.org", "*.shop.example.net"]
UPLOADS = {"/media/": "uploads", "/static/avatars/": "users/avatars"}
EVERYTHING = {**IN_FRONT, "site_names": MORE_NAMES, "site_uploads": UPLOADS}


@pytest.fixture
def site(render):
    return lambda **variables: render("site", "site.conf.j2", **variables)


@pytest.fixture
def parse(tmp_path):
    """Return nginx's directives in a text, as crossplane sees them."""

    def parsed(text):
        path = tmp_path / "parsed.conf"
        path.write_text(text)
        answer = crossplane.parse(str(path), single=True, check_ctx=False)
        assert answer["errors"] == []
        return answer["config"][0]["parsed"]

    return parsed


@pytest.fixture
def settings(render, tmp_path):
    """Run gunicorn.conf.py, but for what it does to this very process; return what it sets."""

    def run(**variables):
        (tmp_path / "gunicorn.json").write_text(render("app", "__app_gunicorn_json", **variables))
        text = (ROLES / "app/files/gunicorn.conf.py").read_text()
        tree = ast.parse(text.replace("/release/gunicorn.json", f"{tmp_path}/gunicorn.json"))
        _docstring, future, *body = tree.body
        first = [ast.unparse(node) for node in body]
        install = first.index("runpy.run_path('/release/output.py')['install']()")
        patch = next(number for number, line in enumerate(first) if "monkey.patch_all()" in line)
        assert set(first[:install]) == {"import importlib.util", "import json", "import runpy"}
        assert first[patch].startswith("if worker_class == 'gevent':") and "\nimport mmap" in "\n".join(first[patch:])
        kept = [node for number, node in enumerate(body) if number not in (install, patch)]
        names = {}
        exec(compile(ast.Module([future, *kept], []), "gunicorn.conf.py", "exec"), names)
        return names

    return run


def specification(role):
    path = ROLES / role / "meta" / "argument_specs.yml"
    return yaml.safe_load(path.read_text())["argument_specs"]["main"]["options"]


def values(block, name):
    return [directive["args"] for directive in block if directive["directive"] == name]


def blocks(block, name, *args):
    found = [d["block"] for d in block if d["directive"] == name and d["args"] == list(args)]
    assert found, f"no block {name} {args}"
    return found


def server(directives, port, name):
    """Return the one server of a name on a port."""
    (found,) = [
        block
        for block in blocks(directives, "server")
        if any(args[0] == str(port) for args in values(block, "listen")) and name in values(block, "server_name")[0]
    ]
    return found


def proxied(directives, name="shop.example.com"):
    """Return the location of a site that asks the app."""
    return blocks(server(directives, 443, name), "location", "@app")[0]


def variables_in(text):
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return set(re.findall(r"\$\{?([a-z_][a-z0-9_]*)", code))


# -- all -------------------------------------------------------------------------------------


def test_every_template_is_tested_here():
    found = [(path.parts[-3], path.name) for path in ROLES.glob("*/templates/*.j2")]
    assert sorted([*found, ("app", "__app_gunicorn_json")]) == sorted(TEMPLATES)


@pytest.mark.parametrize("debian", DEBIANS)
@pytest.mark.parametrize(("role", "template"), TEMPLATES)
def test_templates_render(render, role, template, debian):
    text = render(role, template, debian, **WANTED.get(template, {}))
    assert "{{" not in text and "{%" not in text
    heads = ("#\n# Ansible managed", "# Managed by Ansible: flask-deploy", "HTTP/1.1 503 ")
    assert text.startswith(heads) or template.endswith(("json", ".json.j2"))


@pytest.mark.parametrize(("role", "template"), TEMPLATES)
def test_numbers_and_switches_given_as_text_mean_the_same(render, role, template):
    """`-e app_preload=false` on the command line is text."""
    values = {
        variable: False if spec["type"] == "bool" else 443
        for name in ("docker", "nginx", "site", "app")
        for variable, spec in specification(name).items()
        if spec["type"] in ("bool", "int", "float")
    }
    as_text = {variable: str(value).lower() for variable, value in values.items()}
    wanted = WANTED.get(template, {})
    assert render(role, template, **as_text, **wanted) == render(role, template, **values, **wanted)


@pytest.mark.parametrize(("role", "template"), [("nginx", "nginx.conf.j2"), ("site", "site.conf.j2")])
def test_names_of_the_finished_file_are_found_in_its_source(render, role, template):
    """As they stand there, but for the app's own. Headers alone are named by the operator."""
    own = {"app_name": "shop-blog", "site_cors_origins": [ORIGIN], "site_login_paths": ["/in"], "site_request_rate": 1}
    own |= EVERYTHING
    text = render(role, template, **own).replace("site_shop_blog_", "{{ __site_variable }}")
    source = "".join(path.read_text() for path in sorted((ROLES / role / "templates").rglob("*.conf.j2")))
    named = set(re.findall(r"\$(?:\{\{ __site_variable \}\})?[a-z_]+|@[a-z_]+|\?<[a-z_]+>", text))
    assert len(named) > 20
    missing = {name for name in named if name not in source}
    assert {
        name for name in missing if not name.startswith(("${{ __site_variable }}_header_", "$upstream_http_"))
    } == set()


# -- site ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("port", "suffix"), [(443, ""), (8443, ":8443")])
def test_http_redirects_to_https_on_the_public_port(site, parse, port, suffix):
    redirecting = blocks(server(parse(site(site_https_port=port)), 80, "shop.example.com"), "location", "/")[0]
    assert values(redirecting, "return") == [["301", f"https://shop.example.com{suffix}$request_uri"]]


@pytest.mark.parametrize("port", [80, 443])
def test_www_redirects_to_the_domain_in_one_step(site, parse, port):
    asked = server(parse(site()), port, "www.shop.example.com")
    redirecting = blocks(asked, "location", "/")[0] if port == 80 else asked
    assert values(redirecting, "return") == [["301", "https://shop.example.com$request_uri"]]


def test_the_apex_redirects_where_www_is_the_domain(site, parse):
    asked = server(parse(site(site_domain="www.shop.example.com")), 443, "shop.example.com")
    assert values(asked, "server_name") == [["shop.example.com"]]
    assert values(asked, "return") == [["301", "https://www.shop.example.com$request_uri"]]


def test_all_aliases_redirect(site, parse):
    directives = parse(site(site_aliases=["a.example.org", "b.example.org"]))
    for name in ("a.example.org", "b.example.org"):
        assert values(server(directives, 443, name), "return")[0][0] == "301"
    assert "www." not in site(site_aliases=["a.example.org"])


def test_without_aliases_there_is_no_server_for_them(site, parse):
    assert len(blocks(parse(site(site_aliases=[])), "server")) == 2


@pytest.mark.parametrize("port", [80, 443])
def test_more_names_are_answered_under_themselves(site, parse, port):
    directives = parse(site(site_names=MORE_NAMES, site_https_port=8443))
    asked = server(directives, port, "*.shop.example.net")
    if port == 443:
        assert values(asked, "server_name") == [["shop.example.com", *MORE_NAMES]] and not values(asked, "return")
    else:
        place = blocks(asked, "location", "/")[0]
        assert values(place, "return") == [["301", "https://$host:8443$request_uri"]]
        assert values(asked, "server_name") == [MORE_NAMES], "the others redirect to the domain"


def scheme(directives, https="", address="203.0.113.9", forwarded=""):
    """Return what a site takes a visitor's scheme for, by its own maps."""
    (networks,) = blocks(directives, "geo", "$realip_remote_addr", "$site_app__front")
    known = {d["directive"]: d["args"][0] for d in networks}
    front = known.pop("default")
    for network, value in known.items():
        front = value if ipaddress.ip_address(address) in ipaddress.ip_network(network) else front
    (entries,) = blocks(directives, "map", "$https $site_app__front $http_x_forwarded_proto", "$site_app__scheme")
    for entry in entries:
        flags = re.IGNORECASE if entry["directive"].startswith("~*") else 0
        if entry["directive"] != "default" and re.search(
            entry["directive"].lstrip("~*"), f"{https} {front} {forwarded}", flags
        ):
            return entry["args"][0]
    return next(entry["args"][0] for entry in entries if entry["directive"] == "default")


@pytest.mark.parametrize(
    ("asked", "seen"),
    [
        ({"address": "192.0.2.7", "forwarded": "https"}, "https"),
        ({"address": "2001:db8::1", "forwarded": "HTTPS"}, "https"),
        ({"address": "192.0.2.7", "forwarded": ""}, "https"),
        ({"address": "192.0.2.7", "forwarded": "http"}, "http"),
        ({"address": "192.0.2.7", "forwarded": "https, http"}, "http"),
        ({"forwarded": "https"}, "http"),
        ({"https": "on"}, "https"),
        ({"https": "on", "forwarded": "http"}, "https"),
    ],
)
def test_the_scheme_is_believed_of_those_in_front_alone(site, parse, asked, seen):
    """One that says nothing is not redirected: it would ask again for ever, as a check of a balancer does."""
    directives = parse(site(**IN_FRONT))
    assert scheme(directives, **asked) == seen
    serving = server(directives, 80, "shop.example.com")
    assert serving is server(directives, 443, "shop.example.com")
    (then,) = blocks(serving, "if", "$site_app__scheme", "=", "http")
    assert values(then, "return") == [["301", "https://$host$request_uri"]]


def test_browsers_are_held_to_https_by_what_is_in_front_and_not_over_plain_http(site, parse):
    directives = parse(site(**IN_FRONT))
    for name in ("shop.example.com", "www.shop.example.com"):
        assert ["Strict-Transport-Security", "$site_app__hsts", "always"] in values(
            server(directives, 80, name), "add_header"
        )
    (entries,) = blocks(directives, "map", "$site_app__scheme", "$site_app__hsts")
    assert {d["directive"]: d["args"] for d in entries} == {"default": [""], "https": ["max-age=63072000"]}
    assert "Strict-Transport" not in site(site_hsts_max_age=0, **IN_FRONT)
    assert "$site_app__scheme" not in site() and "geo " not in site()


@pytest.mark.parametrize(("address", "folder"), UPLOADS.items())
def test_uploads_are_files_and_nothing_else(site, parse, address, folder):
    serving = server(parse(site(site_uploads=UPLOADS)), 443, "shop.example.com")
    (place,) = blocks(serving, "location", "^~", address)
    assert values(place, "alias") == [[f"/srv/app/data/{folder}/"]]
    assert values(place, "disable_symlinks") == [["on", "from=/srv/app/data"]]
    assert values(place, "try_files") == [["$uri", "=404"]], "no list of a directory, no index, never the app"
    assert values(place, "gzip_static") == values(place, "brotli_static") == [["off"]]
    assert values(place, "set") == [["$site_app__page", "upload"]]
    assert "/srv/app/data" not in site()


@pytest.mark.parametrize(
    ("kind", "saved"),
    [
        *(
            (kind, False)
            for kind in ("image/png", "image/webp", "audio/mpeg", "video/mp4", "text/plain; charset=utf-8")
        ),
        *((kind, True) for kind in ("image/svg+xml", "text/html; charset=utf-8", "text/xml", "application/pdf")),
        *((kind, True) for kind in ("application/javascript", "application/octet-stream", "text/plainer", "")),
    ],
)
def test_uploads_that_could_act_as_a_page_are_saved(site, parse, kind, saved):
    directives = parse(site(site_uploads=UPLOADS))
    (entries,) = blocks(directives, "map", "$site_app__page $sent_http_content_type", "$site_app__disposition")
    ((expression, value),) = [(d["directive"], d["args"]) for d in entries if d["directive"] != "default"]
    assert value == ["attachment"]
    assert bool(re.search(expression.removeprefix("~"), f"upload {kind}")) is saved
    assert not re.search(expression.removeprefix("~"), f" {kind}"), "an answer of the app is the app's"
    headers = values(server(directives, 443, "shop.example.com"), "add_header")
    assert ["Content-Disposition", "$site_app__disposition", "always"] in headers
    (policies,) = blocks(directives, "map", "$site_app__page$upstream_http_content_security_policy", "$site_app__csp")
    policy = {d["directive"]: d["args"][0] for d in policies}["upload"]
    assert policy.startswith("default-src 'none'") and policy.endswith("; sandbox")


def test_http2_is_a_directive_on_debian_13_and_an_option_on_debian_12(site, parse):
    new, old = (server(parse(site(debian=debian)), 443, "shop.example.com") for debian in (13, 12))
    assert values(new, "http2") == [["on"]] and values(new, "listen") == [["443", "ssl"], ["[::]:443", "ssl"]]
    assert values(old, "http2") == []
    assert values(old, "listen") == [["443", "ssl", "http2"], ["[::]:443", "ssl", "http2"]]


@pytest.mark.parametrize("debian", DEBIANS)
def test_ipv6_can_be_switched_off(site, render, debian):
    assert "[::]" not in site(debian=debian, nginx_ipv6=False)
    assert "[::]" not in render("nginx", "nginx.conf.j2", debian, nginx_ipv6=False)


def test_the_app_is_asked_through_the_socket_of_the_current_release(site, parse):
    directives = parse(site())
    (upstream,) = blocks(directives, "upstream", "app")
    assert values(upstream, "server") == [["unix:/srv/app/current/run/gunicorn.sock", "max_fails=0"]]
    assert values(proxied(directives), "proxy_pass") == [["http://app"]]


def test_a_request_is_never_sent_twice(site, parse):
    assert values(proxied(parse(site())), "proxy_next_upstream") == [["off"]]


def test_slow_clients_do_not_fill_the_disk(site, parse):
    """By default each may have 1 GB of its answer there."""
    assert values(proxied(parse(site())), "proxy_max_temp_file_size") == [["32m"]]


def test_idle_connections_are_let_go_by_nginx_first(site, parse, settings):
    (upstream,) = blocks(parse(site()), "upstream", "app")
    idle = int(values(upstream, "keepalive_timeout")[0][0].rstrip("s"))
    assert int(values(upstream, "keepalive")[0][0]) > 0
    assert idle < settings()["keepalive"]
    assert idle < retire.DRAIN_FLOOR


@pytest.mark.parametrize("drain", [0, 30, 3600])
def test_who_is_stopped_has_nothing_in_flight(render, settings, tmp_path, drain):
    constants = yaml.safe_load((ROLES / "app" / "vars" / "main.yml").read_text())
    assert "__app_stop_timeout" in constants["__app_container"]["stop_timeout"]
    assert constants["__app_stop_timeout"] == "{{ app_drain_timeout | int + 10 }}"
    graceful = settings(app_drain_timeout=drain)["graceful_timeout"]
    assert drain + 10 > graceful > drain


def test_headers_that_the_app_trusts_are_overwritten(site, parse):
    headers = dict(values(proxied(parse(site())), "proxy_set_header"))
    assert headers["X-Forwarded-For"] == headers["X-Real-IP"] == "$remote_addr"
    assert headers["X-Forwarded-Proto"] == "https"
    assert headers["Host"] == headers["X-Forwarded-Host"] == "$host"
    assert headers["X-Forwarded-Port"] == "443"
    assert headers["X-Forwarded-Prefix"] == headers["Forwarded"] == ""
    assert headers["X-Request-ID"] == "$request_id"


def test_the_app_sees_the_public_port(site, parse):
    headers = dict(values(proxied(parse(site(site_https_port=8443))), "proxy_set_header"))
    assert headers["Host"] == headers["X-Forwarded-Host"] == "$host:8443"
    assert headers["X-Forwarded-Port"] == "8443"


def test_only_websockets_are_upgraded(site, parse):
    directives = parse(site())
    for name in ("upgrade", "connection"):
        (mapped,) = blocks(directives, "map", "$http_upgrade", f"$site_app__{name}")
        assert [d["directive"] for d in mapped] == ["default", "~*^websocket$"]
        assert mapped[0]["args"] == [""]


def test_files_are_served_from_the_current_release_and_the_app_is_asked_for_the_rest(site, parse):
    serving = server(parse(site()), 443, "shop.example.com")
    roots = {"/": "/srv/app/current/static", "/static/": "/srv/app/current"}
    for path, root in roots.items():
        (public,) = blocks(serving, "location", path)
        assert (values(public, "root"), values(public, "try_files")) == ([[root]], [["$uri", "$site_app__door"]])


def test_hashed_names_alone_are_looked_for_in_the_release_before(site, parse):
    serving = server(parse(site(site_static_hashed=["a", "b$"])), 443, "shop.example.com")
    roots = {"public": "/srv/app/previous/static", "static": "/srv/app/previous"}
    for path, name in (("/", "public"), ("/static/", "static")):
        (hashed,) = blocks(blocks(serving, "location", path)[0], "location", "~", "a|b$")
        assert values(hashed, "try_files") == [["$uri", f"@previous_{name}"]]
        (before,) = blocks(serving, "location", f"@previous_{name}")
        assert (values(before, "root"), values(before, "try_files")) == ([[roots[name]]], [["$uri", "$site_app__door"]])


@pytest.mark.parametrize(
    ("path", "hashed"),
    [
        ("/static/app.3f9a0c41.css", True),
        ("/app-3f9a0c41d2b7e801.min.js", True),
        ("/static/assets/app-BxY12abc.js", True),
        ("/static/chunk.3f9a0c41.js.map", True),
        ("/static/report-20261122.pdf", False),
        ("/static/jquery-migrated.js", False),
        ("/static/roboto-condensed.woff2", False),
        ("/static/app.settings.js", False),
        ("/static/photo-IMG12345.jpg", False),
        ("/static/App-Version2.js", False),
        ("/static/deadbeef.js", False),
        ("/static/page.css", False),
        ("/static/app.3f9a0c41", False),
    ],
)
def test_names_with_a_digest_are_told_from_words_and_dates(variables, path, hashed):
    assert bool(re.search("|".join(variables()["site_static_hashed"]), path)) is hashed


@pytest.mark.parametrize(
    ("mode", "locations"), [("none", {}), ("public", {"@app_compressed"}), ("all", {"@app"})], ids=str
)
def test_answers_are_compressed_where_that_gives_no_secret_away(site, parse, mode, locations):
    serving = server(parse(site(site_compress=mode)), 443, "shop.example.com")
    found = {d["args"][0]: d["block"] for d in serving if d["directive"] == "location"}
    for how in ("gzip", "brotli"):
        assert {name for name, block in found.items() if values(block, how) == [["on"]]} == set(locations)


def test_who_bears_a_cookie_or_password_goes_to_the_door_without_compression(site, parse):
    directives = parse(site())
    doors = [
        {d["directive"]: d["args"] for d in blocks(directives, "map", *key)[0]}
        for key in (("$http_cookie", "$site_app__door"), ("$http_authorization", "$site_app__door_without_cookie"))
    ]
    assert doors == [
        {"default": ["@app"], "": ["$site_app__door_without_cookie"]},
        {"default": ["@app_compressed"], "~*^(basic|digest|negotiate|ntlm) ": ["@app"]},
    ]
    both = [blocks(server(directives, 443, "shop.example.com"), "location", name)[0] for name in doors[0]["default"]]
    both += blocks(server(directives, 443, "shop.example.com"), "location", "@app_compressed")
    one, other = (
        [(d["directive"], d["args"]) for d in block if not d["directive"].startswith(("gzip", "brotli"))]
        for block in both
    )
    assert one == other, "both ask the app alike"


def test_an_app_s_own_header_wins(site, parse):
    directives = parse(site(site_headers={"X-Frame-Options": "", "X-More": "a"}, site_csp="default-src 'self'"))
    added = {header[0]: header[1] for header in values(server(directives, 443, "shop.example.com"), "add_header")}
    assert "X-Frame-Options" not in added
    for name, value in (("X-Content-Type-Options", "nosniff"), ("X-More", "a")):
        key = f"$upstream_http_{name.lower().replace('-', '_')}"
        (mapped,) = blocks(directives, "map", key, added[name])
        assert {d["directive"]: d["args"] for d in mapped} == {"default": [""], "": [value]}
    (mapped,) = blocks(directives, "map", "$site_app__page$upstream_http_content_security_policy", "$site_app__csp")
    policies = {d["directive"]: d["args"][0] for d in mapped}
    assert (policies["default"], policies[""]) == ("", "default-src 'self'")


def test_a_page_s_style_is_the_one_that_its_policy_allows(site, variables):
    style = re.search("<style>(.*?)</style>", site())[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in site()


def test_nginx_s_own_errors_have_a_page_and_json(site, parse):
    serving = server(parse(site()), 443, "shop.example.com")
    (codes,) = values(serving, "error_page")
    assert codes[-1] == "@page_$site_app__format"
    assert {"404", "413", "429", "502", "503", "504"} <= set(codes)
    assert not {"400", "414", "494"} & set(codes), "nginx knows no path then, and would say 500"
    page, problem = (
        values(blocks(serving, "location", f"@page_{kind}")[0], "return")[0][1] for kind in ("html", "json")
    )
    assert "$request_id" in page and "<h1>$site_app__title</h1>" in page
    assert json.loads(problem.replace("$status", "503").removesuffix("\\n")).keys() >= {"title", "status", "request_id"}


def test_proxies_are_trusted_only_where_they_are_listed(site, parse):
    assert "real_ip" not in site()
    serving = server(parse(site(site_trusted_proxies=["192.0.2.0/24", "2001:db8::1"])), 443, "shop.example.com")
    assert values(serving, "set_real_ip_from") == [["192.0.2.0/24"], ["2001:db8::1"]]
    assert values(serving, "real_ip_header") == [["X-Forwarded-For"]]
    assert values(serving, "real_ip_recursive") == [["on"]]


def test_requests_of_one_address_are_limited(site, parse):
    directives = parse(site(site_login_paths=["/in"], site_login_rate=3, site_login_burst=4, site_request_rate=5))
    zones = [args[1:] for args in values(directives, "limit_req_zone")]
    logins = [["zone=site_app__logins:10m", "rate=3r/s"], ["zone=site_app__logins_long:10m", "rate=60r/m"]]
    assert zones == [*logins, ["zone=site_app__requests:10m", "rate=5r/s"]]
    serving = server(directives, 443, "shop.example.com")
    assert values(serving, "limit_conn") == [["site_app__addresses", "100"]]
    asked = [args[:2] for args in values(serving, "limit_req")]
    logins = [["zone=site_app__logins", "burst=4"], ["zone=site_app__logins_long", "burst=1200"]]
    assert asked == [*logins, ["zone=site_app__requests", "burst=100"]]
    assert values(serving, "limit_req_status") == values(serving, "limit_conn_status") == [["429"]]
    assert "limit_req zone" not in site(site_login_paths=[])
    assert "limit_conn app" not in site(site_connections_per_address=0)
    assert "_logins_long" not in site(site_login_paths=["/in"], site_login_minute=0)


def test_a_login_path_counts_however_the_app_may_be_asked(site, parse):
    paths = ["/in", "/IN/", "/sign//", "/"]
    (keys,) = blocks(parse(site(site_login_paths=paths)), "map", "$uri", "$site_app__login_key")
    counted = [d["directive"] for d in keys]
    assert counted == ["default", "/in", "/in/", "/sign", "/sign/", "/"]
    assert {d["args"][0] for d in keys} == {"", "$site_app__source"}


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "::ffff:192.0.2.7"),
        ("2001:db8:0:a::1", "2001:db8:0:a::"),
        ("2001:db8:a0a:a0a:ffff::1", "2001:db8:a0a:a0a::"),
    ],
)
def test_a_limit_counts_a_network_of_ipv6_as_one(site, parse, address, source):
    """As nginx reads the map: fixed texts first, then expressions in their order, over bytes."""
    directives = parse(site(site_request_rate=5))
    (rules,) = blocks(directives, "map", "$binary_remote_addr", "$site_app__source")
    binary = ipaddress.ip_address(address).packed
    patterns = {d["directive"].removeprefix("~").replace("?<", "?P<"): d["args"][0] for d in rules}
    value = patterns.pop("default")
    for expression, then in patterns.items():
        flags = re.DOTALL if "(?s)" in expression else 0
        if found := re.match(expression.replace("(?s)", "").encode(), binary, flags):
            value = then
            break
    got = found["site_net"] if value == "$site_net" else {"$binary_remote_addr": binary}[value]
    assert got == ipaddress.ip_address(source).packed[: len(got)] and len(got) in (4, 8, 16)
    zones = values(directives, "limit_conn_zone") + values(directives, "limit_req_zone")
    assert {args[0] for args in zones} == {"$site_app__source", "$site_app__login_key"}


def test_maintenance_is_a_file_that_nginx_looks_for(site, parse):
    directives = parse(site(app_health_path="/up?x=1", site_maintenance_retry_after=7))
    serving = server(directives, 443, "shop.example.com")
    (then,) = blocks(serving, "if", "-f", "/srv/app/maintenance/html")
    assert values(then, "set") == [["$site_app__closed", "$site_app__closable"]]
    assert values(blocks(serving, "if", "$site_app__closed")[0], "return") == [["503"]]
    (closable,) = blocks(directives, "map", "$uri", "$site_app__closable")
    assert {d["directive"] for d in closable} == {"volatile", "default", r"~^/\.maintenance/", "/up"}
    (after,) = blocks(directives, "map", "$site_app__page$status", "$site_app__retry_after")
    assert {d["directive"]: d["args"] for d in after}["page503"] == ["7"]


@pytest.mark.parametrize("path", ["/", "/?deep=1"])
def test_maintenance_closes_the_first_page_also_where_it_is_the_health_path(site, parse, path):
    (closable,) = blocks(parse(site(app_health_path=path)), "map", "$uri", "$site_app__closable")
    assert {d["directive"] for d in closable} == {"volatile", "default", r"~^/\.maintenance/"}


def test_limits_are_the_variables(site, parse):
    serving = server(
        parse(
            site(
                site_max_body="3m",
                site_client_body_timeout=1,
                site_send_timeout=2,
                site_proxy_read_timeout=3,
                site_proxy_send_timeout=4,
            )
        ),
        443,
        "shop.example.com",
    )
    assert values(serving, "client_max_body_size") == [["3m"]]
    assert values(serving, "client_body_timeout") == [["1s"]]
    assert values(serving, "send_timeout") == [["2s"]]
    asking = blocks(serving, "location", "@app")[0]
    assert values(asking, "proxy_read_timeout") == [["3s"]]
    assert values(asking, "proxy_send_timeout") == [["4s"]]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, None),
        ({"nginx_certificate": "provided"}, "max-age=63072000"),
        ({"nginx_certificate": "provided", "site_hsts_max_age": 0}, None),
        ({"site_hsts_max_age": 300, "site_hsts_subdomains": True}, "max-age=300; includeSubDomains"),
        (
            {"nginx_certificate": "provided", "site_hsts_subdomains": True, "site_hsts_preload": True},
            "max-age=63072000; includeSubDomains; preload",
        ),
    ],
)
def test_browsers_are_held_to_https_where_the_certificate_is_real(site, parse, given, said):
    directives = parse(site(**given))
    for name in ("shop.example.com", "www.shop.example.com"):
        headers = [args for args in values(server(directives, 443, name), "add_header") if args[0].startswith("Strict")]
        assert headers == ([["Strict-Transport-Security", said, "always"]] if said else [])
    assert not values(server(directives, 80, "shop.example.com"), "add_header")
    hidden = values(proxied(directives), "proxy_hide_header")
    assert (["Strict-Transport-Security"] in hidden) == bool(said), "the app's own does not come twice"


def test_errors_bear_every_header_that_other_answers_bear(site, parse):
    """nginx adds a header to errors only where it is told so; Last-Modified says nothing of an error."""
    more = {"site_cors_origins": [ORIGIN], "nginx_certificate": "provided", "site_headers": {"X-Mine": "yes"}}
    directives = parse(site(**more))
    headers = values(server(directives, 443, "shop.example.com"), "add_header")
    assert {"Content-Security-Policy", "X-Mine", "X-Request-ID"} <= {header[0] for header in headers}
    assert [header[0] for header in headers if header[-1] != "always"] == ["Last-Modified"]


def test_cors_is_off_unless_asked_for(site):
    assert "Access-Control" not in site() and "Origin" not in site() and "cors" not in site()


@pytest.mark.parametrize(
    ("origins", "mapped"),
    [
        (["*"], {"default": ["*"]}),
        ([ORIGIN], {"default": [""], ORIGIN: ["$http_origin"]}),
        ([ORIGIN, "http://a:1"], {"default": [""], ORIGIN: ["$http_origin"], "http://a:1": ["$http_origin"]}),
    ],
)
def test_cors_answers_those_who_are_listed(site, parse, origins, mapped):
    directives = parse(site(site_cors_origins=origins))
    (entries,) = blocks(directives, "map", "$http_origin", "$site_app__cors_origin")
    assert {entry["directive"]: entry["args"] for entry in entries} == mapped
    headers = values(server(directives, 443, "shop.example.com"), "add_header")
    assert ["Access-Control-Allow-Origin", "$site_app__cors_origin", "always"] in headers
    assert ["Vary", "Origin", "always"] in headers
    shared = [header for header in headers if header[0].startswith("Access-Control-") or header[0] == "Vary"]
    assert len(shared) == 5 and all(header[-1] == "always" for header in shared), "errors are answered alike"
    assert not any("Credentials" in header[0] for header in headers)


def test_the_app_s_own_cors_headers_do_not_come_twice(site, parse):
    directives = parse(site(site_cors_origins=[ORIGIN]))
    added = {header[0] for header in values(server(directives, 443, "shop.example.com"), "add_header")}
    hidden = {header[0] for header in values(proxied(directives), "proxy_hide_header")}
    assert {name for name in added if name.startswith("Access-Control-")} <= hidden


@pytest.mark.parametrize(
    ("request_line", "answered"),
    [(f"OPTIONS {ORIGIN} GET", True), ("OPTIONS  GET", False), (f"OPTIONS {ORIGIN} ", False), ("GET * GET", False)],
)
def test_a_preflight_is_answered_204_to_those_who_are_listed(site, parse, request_line, answered):
    directives = parse(site(site_cors_origins=[ORIGIN]))
    key = "$request_method $site_app__cors_origin $http_access_control_request_method"
    (entries,) = blocks(directives, "map", key, "$site_app__cors_preflight")
    (expression,) = [entry["directive"] for entry in entries if entry["directive"].startswith("~")]
    assert bool(re.search(expression.removeprefix("~"), request_line)) is answered
    (then,) = blocks(server(directives, 443, "shop.example.com"), "if", "$site_app__cors_preflight")
    assert values(then, "return") == [["204"]]


def test_no_location_hides_the_headers_of_its_server(site, parse):
    """nginx inherits add_header only where a block has none of its own."""
    serving = server(parse(site(site_cors_origins=["*"])), 443, "shop.example.com")
    assert [d for d in serving if "block" in d and values(d["block"], "add_header")] == []


@pytest.mark.parametrize("more", [{}, EVERYTHING])
@pytest.mark.parametrize("origins", [[], ["*"], [ORIGIN]])
def test_a_site_stands_alone(site, parse, origins, more):
    text = site(site_cors_origins=origins, **more)
    directives = parse(text)
    own = {d["args"][-1].removeprefix("$") for d in directives if d["directive"] in ("map", "geo")}
    own |= {name.removeprefix("$") for name in re.findall(r"^\s*set (\S+)", text, re.MULTILINE)}
    own |= set(re.findall(r"\?<(\w+)>", text))
    assert {name for name in own if not name.startswith("site_app__")} == LOGGED | {"site_id", "site_net"}
    assert {name for name in variables_in(text) - own if not name.startswith("upstream_http_")} <= BUILT_IN
    everywhere = set(re.findall(r"^\s*(\w+)", text, re.MULTILINE))
    shared = {"include", "access_log", "log_format", "proxy_cache", "ssl_session_cache"}
    assert not everywhere & shared
    assert all(zone.startswith("site_app__") for zone in re.findall(r"(?:zone=|limit_conn )(\w+)", text))
    assert "reuseport" not in text and "default_server" not in text


def test_a_site_does_not_name_its_release(site):
    assert not re.search(r"releases/\w", site()) and not re.search(r"\b[0-9a-f]{12}\b", site())


def test_two_apps_share_a_host(site, parse):
    one, two = (site(app_name=name, site_domain=f"{name}.example.com") for name in ("shop", "shop-blog"))
    directives = parse(one + two)
    for kind in ("upstream", "map", "geo"):
        names = [d["args"][-1] for d in directives if d["directive"] == kind]
        assert len(names) == len(set(names))
    assert len(blocks(directives, "server")) == 6
    assert "/shop/" not in two and "$site_shop_blog__upgrade" in two


def named_by(site, parse, app):
    """Return what a site of an app adds to the names of the whole nginx: variables, captures, zones, upstreams."""
    text = site(app_name=app, site_compress="public", site_request_rate=5, site_cors_origins=[ORIGIN], **EVERYTHING)
    directives = parse(text)
    found = {f"${name}" for name in re.findall(r"\?<(\w+)>", text)} | set(re.findall(r" zone=(\w+):", text))
    found |= {d["args"][-1] for d in directives if d["directive"] in ("map", "geo", "upstream")}
    return found | {given[0] for given in values(server(directives, 443, "shop.example.com"), "set")}


@pytest.mark.parametrize(
    "other", ["shop-cors", "shop-header", "shop-header-x", "shop-logins", "shop-static", "site-shop"]
)
def test_names_of_two_apps_never_meet(site, parse, other):
    """A hyphen of an app's name becomes a low line: `shop` and `shop-cors` had one variable with two meanings."""
    both = named_by(site, parse, "shop") & named_by(site, parse, other)
    assert both == {f"${name}" for name in LOGGED | {"site_id", "site_net"}}, "which mean the same in each site"


@pytest.mark.parametrize(
    "app", ["http", "sent-http", "upstream-http", "arg", "cookie", "upstream-cookie", "proxy", "ssl"]
)
def test_no_name_of_an_app_becomes_a_variable_that_nginx_makes(site, parse, app):
    """Nor one that a client could set: `$http_release` is its header Release."""
    own = {name for name in named_by(site, parse, app) if name.startswith("$")} - {f"${name}" for name in LOGGED}
    assert own and all(name.startswith("$site_") for name in own)


def test_the_longest_name_of_an_app_makes_no_capture_that_pcre_refuses(site):
    """PCRE2 before 10.44 takes 32 characters (pcre2pattern(3)), and Debian 12 has 10.42."""
    assert max(map(len, re.findall(r"\?<(\w+)>", site(app_name="a" * 31)))) <= 32


def test_the_certificate_is_a_stable_link_of_the_same_place_in_both_roles(site, parse):
    serving = server(parse(site(app_name="shop")), 443, "shop.example.com")
    assert values(serving, "ssl_certificate") == [["/etc/shop/tls/current/fullchain.pem"]]
    assert values(serving, "ssl_certificate_key") == [["/etc/shop/tls/current/privkey.pem"]]
    constants = yaml.safe_load((ROLES / "nginx" / "vars" / "main.yml").read_text())
    assert constants["__nginx_certificate_settings"]["app"] == "{{ nginx_certificate_owner }}"
    assert Store("shop").link == "/etc/shop/tls/current"


# -- nginx.conf ------------------------------------------------------------------------------


@pytest.fixture
def http(render, parse):
    """Return the directives of nginx.conf's http block."""
    return lambda debian=13, **variables: blocks(parse(render("nginx", "nginx.conf.j2", debian, **variables)), "http")[
        0
    ]


@pytest.mark.parametrize("debian", DEBIANS)
@pytest.mark.parametrize("ipv6", [True, False])
def test_unknown_hosts_are_rejected(http, debian, ipv6):
    (unknown,) = blocks(http(debian, nginx_ipv6=ipv6), "server")
    listens = values(unknown, "listen")
    assert len(listens) == (4 if ipv6 else 2) and all(args[-1] == "default_server" for args in listens)
    assert values(blocks(unknown, "location", "/")[0], "return") == [["444"]]
    assert values(unknown, "ssl_reject_handshake") == [["on"]]
    assert not values(unknown, "ssl_certificate")


def test_an_acme_server_finds_its_answer_on_port_80_of_every_name(http, site, parse):
    challenge = ("location", "^~", "/.well-known/acme-challenge/")
    (unknown,) = blocks(blocks(http(), "server")[0], *challenge)
    for name in ("shop.example.com", "www.shop.example.com"):
        (known,) = blocks(server(parse(site()), 80, name), *challenge)
        assert values(known, "root") == values(unknown, "root") == [["/var/lib/flask-deploy/acme"]]
    assert values(unknown, "try_files") == [["$uri", "=444"]], "others are told nothing there either"


def test_the_hybrid_post_quantum_group_is_offered_on_debian_13_alone(http):
    groups = {debian: values(http(debian), "ssl_ecdh_curve")[0][0] for debian in DEBIANS}
    assert groups[13] == "?X25519MLKEM768:X25519:prime256v1:secp384r1"
    assert groups[12] == "X25519:prime256v1:secp384r1"


def test_the_longest_names_fit_into_nginx_s_tables(http, site, parse):
    """One that does not fit stops nginx: "could not build variables_hash" (ngx_hash.c, NGX_HASH_ELT_SIZE)."""
    domain = ".".join(["d" * 63] * 3 + ["d" * 61])
    origins = {"site_cors_origins": [f"https://{domain}:65535"]}
    text = site(app_name="a" * 31, site_domain=domain, site_headers={"X-" + "H" * 60: "yes"}, **origins)
    names = {
        "variables": variables_in(text),
        "server_names": {name for args in values(parse(text), "server") for name in args} | {domain, f"www.{domain}"},
        "map": {entry["directive"] for each in parse(text) if each["directive"] == "map" for entry in each["block"]},
    }
    for table, known in names.items():
        (room,) = values(http(), f"{table}_hash_bucket_size")[0]
        longest = max((name for name in known if not name.startswith("~")), key=len)
        assert 8 + (len(longest) + 2 + 7) // 8 * 8 <= int(room) - 8, longest


@pytest.mark.parametrize("debian", DEBIANS)
def test_tls_is_1_2_and_1_3_or_1_3_alone(http, debian):
    intermediate, modern = http(debian), http(debian, nginx_tls_policy="modern")
    assert values(intermediate, "ssl_protocols") == [["TLSv1.2", "TLSv1.3"]]
    ciphers = values(intermediate, "ssl_ciphers")[0][0].split(":")
    assert len(ciphers) == 6 and all(re.fullmatch(r"ECDHE-.*(GCM-SHA\d+|POLY1305)", cipher) for cipher in ciphers)
    assert values(modern, "ssl_protocols") == [["TLSv1.3"]] and not values(modern, "ssl_ciphers")


def test_tickets_are_given_where_nginx_changes_their_key_by_itself(http):
    assert {debian: values(http(debian), "ssl_session_tickets") for debian in DEBIANS} == {12: [["off"]], 13: [["on"]]}
    for debian in DEBIANS:
        assert values(http(debian), "ssl_session_cache")[0][0].startswith("shared:")
        assert values(http(debian), "ssl_session_timeout") == [["1d"]]
        assert not values(http(debian), "ssl_session_ticket_key"), "a key in a file would need a reload to change"


@pytest.mark.parametrize("debian", DEBIANS)
def test_nothing_is_stapled_and_no_early_data_taken(http, site, debian):
    assert values(http(debian), "ssl_early_data") == [["off"]]
    assert not values(http(debian), "ssl_stapling") and "ssl_stapling" not in site(debian=debian)


def test_clients_choose_among_equally_strong_ciphers(http):
    assert values(http(), "ssl_prefer_server_ciphers") in ([], [["off"]])


def test_nginx_does_not_tell_its_version(http):
    assert values(http(), "server_tokens") == [["off"]]


def test_slow_clients_are_dropped(http):
    assert values(http(nginx_header_timeout=4), "client_header_timeout") == [["4s"]]
    assert values(http(nginx_header_size="2k"), "large_client_header_buffers") == [["4", "2k"]]
    assert values(http(nginx_keepalive_timeout=3), "keepalive_timeout") == [["3s"]]


def test_old_files_are_not_served_after_a_switch(http):
    assert not values(http(), "open_file_cache")


def test_the_log_is_json_and_holds_no_query(http):
    ((name, escape, *parts),) = values(http(), "log_format")
    assert escape == "escape=json"
    line = "".join(parts)
    record = json.loads(re.sub(r"\$(\w+)", "1", line))
    assert {"status", "seconds", "time", "at", "path", "app", "release", "request_id"} <= record.keys()
    assert {"upstream_status", "tls", "cipher", "group", "resumed"} <= record.keys()
    assert not variables_in(line) & {"request", "request_uri", "args", "query_string", "http_cookie", "http_referer"}
    assert not variables_in(line) & {"http_authorization"}
    ((_path, used, *_more),) = values(http(), "access_log")
    assert used == name


LINE = 2000  # bytes that a request may add to the log
BOUNDED = {  # what nginx makes itself, at its longest
    "time_iso8601": "2026-11-27T04:00:00+00:00",
    "msec": "1795752000.000",
    "remote_addr": "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
    "server_protocol": "HTTP/999.999",
    "status": "999",
    "body_bytes_sent": "9" * 20,
    "request_time": "9" * 12,
    "upstream_status": "502, 502 : 502, 502",
    "upstream_response_time": "99999.999, 99999.999 : 99999.999",
    "request_id": "f" * 32,
    "ssl_protocol": "TLSv1.3",
    "ssl_cipher": "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ssl_curve": "X25519MLKEM768",
    "ssl_session_reused": "r",
    "upstream_connect_time": "99999.999, 99999.999 : 99999.999",
    "upstream_header_time": "99999.999, 99999.999 : 99999.999",
    "asked_release": "f" * 12,
    "named": "answer",
    "websocket": "websocket",
    "served_app": "a" * 31,
}


@pytest.fixture
def logged(http):
    """Return the line that nginx would log of a request, by its variables; they are of one byte a character."""

    def mapped(directives, name, variables):
        if name in BOUNDED:
            return BOUNDED[name]
        for entry in [d for d in directives if d["directive"] == "map" and d["args"][1] == f"${name}"]:
            for rule in entry["block"]:
                found = re.search(rule["directive"].removeprefix("~").replace("?<", "?P<"), variables[entry["args"][0]])
                if rule["directive"].startswith("~") and found:
                    return found[rule["args"][0].removeprefix("$")]
            return ""
        return variables[f"${name}"]

    def escape(text):  # ngx_escape_json
        short = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
        return "".join(short.get(c) or (f"\\u00{ord(c):02X}" if c < " " else c) for c in text)

    def line(debian=13, **variables):
        directives = http(debian)
        ((_name, _escape, *parts),) = values(directives, "log_format")
        given = {f"${name}": value for name, value in variables.items()}
        return re.sub(r"\$(\w+)", lambda found: escape(mapped(directives, found[1], given)), "".join(parts))

    return line


@pytest.mark.parametrize("letter", ['"', "\\", "\x01", "a", "\xff", "\n"], ids=ascii)
@pytest.mark.parametrize("field", ["host", "request_method", "uri", "http_user_agent", "all"])
def test_no_request_adds_more_to_the_log_than_a_short_line(logged, letter, field):
    usual = {"host": "shop.example.com", "request_method": "GET", "uri": "/", "http_user_agent": "curl/8"}
    names = usual if field == "all" else [field]
    line = logged(**usual | dict.fromkeys(names, letter * 8000))
    assert len(line) < LINE
    assert json.loads(line)


def test_what_requests_usually_say_is_logged_whole(logged):
    said = {
        "host": ".".join(["a" * 60] * 4),
        "request_method": "PROPPATCH",
        "uri": "/static/" + "deep/" * 40 + "page.css",
        "http_user_agent": 'Mozilla/5.0 (iPhone; CPU "iPhone" OS 18_3 like Mac OS X) AppleWebKit/605.1.15 '
        + "(x) " * 25,
    }
    line = json.loads(logged(**said))
    assert [line[name] for name in ("host", "method", "path", "agent")] == list(said.values())
    assert json.loads(logged(**said | {"uri": "/a\nb", "http_user_agent": ""}))["path"] == "/a\nb"


def test_the_log_names_the_release_that_was_asked(http, site, parse):
    """As its answer says; else the one that the link named as the request began, for a map is looked up once."""
    serving = server(parse(site(app_name="shop-blog")), 443, "shop.example.com")
    told = dict(values(serving, "set")[:3])
    assert told == {"$served_app": "shop-blog", "$release": "$site_shop_blog__release", "$release_known": "start"}
    first = [directive["directive"] for directive in serving if directive["directive"] in ("set", "if", "return")]
    assert first[:3] == ["set"] * 3, "before anything may answer"
    known = {d["args"][1]: d for d in http() if d["directive"] == "map"}
    assert {f"${name}" for name in LOGGED} <= known.keys(), "for sites of older releases"
    for name, fallback in (("$asked_release", "$release"), ("$named", "$release_known")):
        assert known[name]["args"][0] == "$upstream_http_flask_deploy_release"
        assert known[name]["block"][0] == {**known[name]["block"][0], "directive": "default", "args": [fallback]}
    ((_name, _escape, *parts),) = values(http(), "log_format")
    line = json.loads(re.sub(r":(\$\w+)", r':"\1"', "".join(parts)))
    assert (line["release"], line["named"], line["app"]) == ("$asked_release", "$named", "$served_app")
    assert (line["first"], line["connect"]) == ("$upstream_header_time", "$upstream_connect_time")
    assert ["Flask-Deploy-Release"] in values(proxied(parse(site())), "proxy_hide_header"), "not for clients"


def test_what_a_release_tells_its_host_is_told_to_nobody_else(site, parse, settings):
    place = blocks(server(parse(site()), 443, "shop.example.com"), "location", "^~", "/.flask-deploy/")[0]
    assert values(place, "return") == [["404"]]
    assert settings()["WAITING"] == watch.PULSE == "/.flask-deploy/waiting"


def test_a_watch_knows_how_long_nginx_keeps_connections(site, parse):
    (upstream,) = blocks(parse(site()), "upstream", "app")
    assert int(values(upstream, "keepalive_timeout")[0][0].rstrip("s")) < watch.KEPT


@pytest.mark.parametrize("kind", ["nginx.conf", "site"])
@pytest.mark.parametrize(
    ("root", "release"),
    [
        ("/srv/shop/releases/3f9a0c41d2b7/static", "3f9a0c41d2b7"),
        ("/srv/shop/releases/3f9a0c41d2b7", ""),
        ("/usr/share/nginx/html", ""),
    ],
)
def test_the_log_names_the_release_that_the_link_resolves_to(http, site, parse, kind, root, release):
    directives, name = (http(), "$release") if kind == "nginx.conf" else (parse(site()), "$site_app__release")
    (entries,) = blocks(directives, "map", "$realpath_root", name)
    (expression,) = [entry["directive"] for entry in entries if entry["directive"].startswith("~")]
    found = re.search(expression.removeprefix("~").replace("?<", "?P<"), root)
    assert (found[1] if found else "") == release


@pytest.mark.parametrize("debian", DEBIANS)
@pytest.mark.parametrize("origins", [[], [ORIGIN]])
@pytest.mark.parametrize(("certificate", "more"), [("selfsigned", {}), ("provided", {}), ("provided", EVERYTHING)])
def test_gixy_finds_nothing_that_is_not_explained(render, site, tmp_path, debian, origins, certificate, more):
    text = site(debian=debian, site_cors_origins=origins, nginx_certificate=certificate, **more)
    (tmp_path / "site.conf").write_text(text)
    main = render("nginx", "nginx.conf.j2", debian).replace("/etc/nginx/conf.d/*.conf", f"{tmp_path}/site.conf")
    (tmp_path / "nginx.conf").write_text(main)
    done = subprocess.run(
        [Path(sys.executable).with_name("gixy"), "--format", "json", tmp_path / "nginx.conf"],
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads(done.stdout)
    real = {"hsts_header"} if certificate != "selfsigned" else set()
    assert {issue["plugin"] for issue in found} <= EXPLAINED.keys() - real, found


# -- gunicorn.conf.py ------------------------------------------------------------------------


def test_gunicorn_s_settings_are_the_variables(settings):
    given = {
        "app_workers": 3,
        "app_max_requests": 110,
        "app_timeout": 13,
        "app_drain_timeout": 15,
    }
    found = settings(**given)
    for name in ("workers", "max_requests", "max_requests_jitter", "timeout"):
        assert found[name] == given.get(f"app_{name}", 11)
    assert found["graceful_timeout"] == 20
    assert (found["worker_class"], found["bind"]) == ("gevent", "unix:/release/run/gunicorn.sock")
    assert found["bind"] == f"unix:{containers.SOCKET}"


@pytest.mark.parametrize(
    ("server", "gevent", "worker_class", "threads"),
    [
        ("auto", True, "gevent", 16),
        ("auto", False, "gthread", 16),
        ("port:5000", False, "gthread", 16),
        ("gthread", True, "gthread", 16),
        ("sync", True, "sync", 1),
    ],
)
def test_gunicorn_s_workers_are_what_the_image_has_unless_told(
    settings, monkeypatch, server, gevent, worker_class, threads
):
    known = importlib.util.find_spec
    found = {"gevent": gevent or None}
    monkeypatch.setattr(importlib.util, "find_spec", lambda *of: found[of[0]] if of[0] in found else known(*of))
    found = settings(app_server=server)
    assert (found["worker_class"], found["threads"]) == (worker_class, threads)


@pytest.mark.parametrize(("processors", "workers"), [(1, 2), (2, 2), (8, 8)])
def test_there_is_one_worker_a_processor_and_two_at_least_unless_told(settings, monkeypatch, processors, workers):
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(processors)))
    assert settings()["workers"] == workers
    assert settings(app_workers=1)["workers"] == 1


def background(task, *arguments):
    thread = threading.Thread(target=task, args=arguments, daemon=True)
    thread.start()
    return thread


def alone(names):
    """Let settings start nothing beside a worker."""
    names["threading"] = SimpleNamespace(Thread=lambda **of: SimpleNamespace(start=lambda: None))
    return names


def until(good):
    end = time.monotonic() + 20
    while not good():
        assert time.monotonic() < end
        time.sleep(0.05)


class Connection:
    """A socket that remembers when it was told to close."""

    def __init__(self, name, closed):
        self.name, self.closed = name, closed

    def sendall(self, frame):
        assert frame == bytes([0x88, 2]) + (1012).to_bytes(2)
        self.closed.append(self.name)


def test_a_websocket_that_comes_to_a_stopping_worker_is_closed_too(settings):
    names, websockets, closed = settings(), {}, []
    background(names["_close_websockets"], SimpleNamespace(alive=False), websockets)
    for word in ("open", "opened later"):
        websockets[Connection(word, closed)] = time.monotonic()
        until(lambda: not websockets)
    assert closed == ["open", "opened later"]


def test_workers_are_replaced_one_at_a_time(settings, tmp_path):
    names = settings()
    names["RUN"] = tmp_path
    workers = [SimpleNamespace(nr=9, max_requests=9, alive=True) for _ in range(3)]
    turns = [background(names["_take_turns"], worker, 0) for worker in workers]
    for left in (2, 1, 0):
        while all(worker.alive for worker in workers):
            time.sleep(0.05)
        time.sleep(1.5)
        assert sum(worker.alive for worker in workers) == left
        workers = [worker for worker in workers if worker.alive or worker.turn.close()]
    for turn in turns:
        turn.join(20)


def test_gunicorn_knows_every_setting(settings):
    known = {setting.name for setting in KNOWN_SETTINGS}
    names = {name for name in settings(app_preload=True) if name.islower() and not name.startswith("_")}
    modules = {"fcntl", "gc", "importlib", "json", "mmap", "os", "re", "runpy", "sys", "threading", "time"}
    assert names - modules - {"annotations", "suppress"} <= known


def test_group_www_data_may_use_the_socket_and_nobody_else(settings):
    assert settings()["umask"] == 0


@pytest.mark.parametrize(
    ("draining", "headers", "closes"),
    [(False, [("Content-Length", "2")], False), (True, [("content-length", "2")], True), (False, [], True)],
    ids=["serving", "draining", "a stream"],
)
def test_no_connection_stays_open_to_a_release_that_no_longer_serves(
    settings, tmp_path, monkeypatch, draining, headers, closes
):
    monkeypatch.setenv("APP_RELEASE", "3f9a0c41d2b7")
    names, closed = alone(settings(site_proxy_fix=False)), []
    names |= {"DRAINING": str(tmp_path / "draining"), "RUN": tmp_path}

    def app(environ, start):
        if draining:  # since the request came
            Path(names["DRAINING"]).touch()
        start("200 OK", [*headers, ("flask-deploy-release", "what the app says itself")])
        return [b"ok"]

    class Response:
        def start_response(self, *arguments):
            assert arguments == ("200 OK", [*headers, ("Flask-Deploy-Release", "3f9a0c41d2b7")], None)

        def force_close(self):
            closed.append(True)

    worker = SimpleNamespace(wsgi=app, alive=False)
    names["post_worker_init"](worker)
    assert worker.wsgi({"gunicorn.socket": None, "PATH_INFO": "/"}, Response().start_response) == [b"ok"]
    assert bool(closed) is closes


def test_a_worker_rests_before_it_goes(settings, tmp_path):
    """Its successor has as long to load the app: without that, two that are due leave nobody to answer."""
    names = settings(site_proxy_fix=False)
    assert names["RESTED"] >= 3
    names |= {"RUN": tmp_path, "RESTED": 1.5, "workers": 1}
    worker = SimpleNamespace(wsgi=None, nr=9, max_requests=9, alive=True)
    names["post_worker_init"](worker)
    began = time.monotonic()
    until(lambda: not worker.alive)
    worker.turn.close()
    assert time.monotonic() - began > 1.4


class Gunicorn:
    """A master with workers that share what waits: each a row, as if it were a process."""

    def __init__(self, names, app):
        self.names, self.app, self.WORKERS = names, app, {}

    def spawn(self):
        worker = SimpleNamespace(wsgi=self.app, alive=False)
        self.names["pre_fork"](self, worker)
        self.WORKERS[len(self.WORKERS)] = worker
        worker.wsgi = self.names["_mind_waiting"](worker.wsgi, worker.row)
        return worker

    def end(self, worker):
        self.WORKERS = {pid: one for pid, one in self.WORKERS.items() if one is not worker}
        self.names["child_exit"](self, worker)


def ask(worker, path="/", **environ):
    told = []
    body = worker.wsgi({"PATH_INFO": path, **environ}, lambda *arguments: told.append(arguments))
    return told, b"".join(body)


def test_any_worker_tells_what_waits_in_all(settings):
    """Begun and without an answer: no websocket, and nothing whose answer has begun."""
    seen = {}

    def app(environ, start):
        if environ["PATH_INFO"] == "/stream":
            start("200 OK", [])
        seen[environ["PATH_INFO"]] = json.loads(ask(gunicorn.spawn(), "/.flask-deploy/waiting")[1])
        if environ["PATH_INFO"] == "/raises":
            raise RuntimeError
        if environ["PATH_INFO"] == "/asks":
            ask(one, "/within")
        return []

    gunicorn = Gunicorn(settings(), app)
    one = gunicorn.spawn()
    for path, environ in {"/asks": {}, "/stream": {}, "/socket": {"HTTP_UPGRADE": "WebSocket"}}.items():
        ask(one, path, **environ)
    with pytest.raises(RuntimeError):
        ask(one, "/raises")
    counts = {path: len(told["waiting"]) for path, told in seen.items()}
    assert counts == {"/asks": 1, "/within": 2, "/stream": 0, "/socket": 0, "/raises": 1}
    ((status, headers),), body = ask(gunicorn.spawn(), "/.flask-deploy/waiting")
    assert json.loads(body) == {"waiting": [], "lost": 1, "risks": []}
    assert status == "200 OK" and ("Content-Length", str(len(body))) in headers
    assert len({worker.row for worker in gunicorn.WORKERS.values()}) == len(gunicorn.WORKERS)


def test_what_an_ended_worker_held_is_lost(settings):
    told = []

    def app(environ, start):
        told.append(json.loads(ask(other, "/.flask-deploy/waiting")[1]))
        gunicorn.end(one)
        told.append(json.loads(ask(other, "/.flask-deploy/waiting")[1]))
        return []

    gunicorn = Gunicorn(settings(), app)
    one, other = gunicorn.spawn(), gunicorn.spawn()
    ask(one)
    assert [(len(each["waiting"]), each["lost"]) for each in told] == [(1, 0), (0, 1)]


def test_what_waits_is_seen_by_other_processes(settings):
    names = settings()
    if (child := os.fork()) == 0:
        names["_held"][1] = 1.0
        os._exit(0)
    os.waitpid(child, 0)
    assert len(json.loads(names["_tell_waiting"](lambda *arguments: None)[0])["waiting"]) == 1


@pytest.mark.parametrize(
    ("config", "risks"),
    [
        ({"SECRET_KEY": "dev"}, [["secret", "SECRET_KEY"]]),
        (
            {"SECRET_KEY": "super-secret-key", "JWT_SECRET_KEY": b"changeme123"},
            [["secret", "SECRET_KEY"], ["secret", "JWT_SECRET_KEY"]],
        ),
        ({"SECRET_KEY": "hard to guess string"}, [["secret", "SECRET_KEY"]]),
        ({"SECRET_KEY": "you-will-never-guess"}, [["secret", "SECRET_KEY"]]),
        ({"SECRET_KEY": b'_5#y2L"F4Q8z\n\xec]/'}, [["secret", "SECRET_KEY"]]),
        ({"SECRET_KEY": "x4y9z"}, [["secret", "SECRET_KEY"]]),
        ({"SECRET_KEY": "9d1c0a4f5e6b7c8d9e0f1a2b3c4d5e6f"}, []),
        ({"SECRET_KEY": "correct horse battery staple"}, []),
        ({"SECRET_KEY": None}, []),
        ({"DEBUG": True, "TESTING": True}, [["debug", "DEBUG"], ["testing", "TESTING"]]),
        ({"DATABASE": "/tmp/shop.db"}, [["database", "DATABASE"]]),
        ({"SQLALCHEMY_DATABASE_URI": "sqlite:////tmp/shop.db"}, [["database", "SQLALCHEMY_DATABASE_URI"]]),
        ({"SQLALCHEMY_DATABASE_URI": "sqlite://"}, [["database", "SQLALCHEMY_DATABASE_URI"]]),
        ({"SQLALCHEMY_DATABASE_URI": "sqlite:////data/shop.db", "DB_HOST": "db"}, []),
        ("odd", []),
        (None, []),
    ],
)
def test_settings_that_no_app_should_serve_with_are_told_without_their_values(settings, config, risks):
    names = alone(settings(site_proxy_fix=False))
    worker = SimpleNamespace(wsgi=SimpleNamespace(config=config), alive=False)
    names["post_worker_init"](worker)
    told = names["_tell_waiting"](lambda *arguments: None)[0].decode()
    assert json.loads(told)["risks"] == risks
    assert [word for word in ("super", "change", "guess", "/tmp") if word in told] == []


@pytest.mark.parametrize("hosts", ["", "1", "3"])
def test_a_database_file_is_told_where_several_hosts_serve(settings, monkeypatch, hosts):
    monkeypatch.setenv("FLASK_JWT_HOSTS", hosts)
    config = {
        "SQLALCHEMY_DATABASE_URI": "sqlite:////data/shop.db",
        "DATABASE": "/data/a.sqlite",
        "DB_URL": "mysql://db/a",
    }
    worker = SimpleNamespace(wsgi=SimpleNamespace(config=config), alive=False)
    names = alone(settings(site_proxy_fix=False))
    names["post_worker_init"](worker)
    told = json.loads(names["_tell_waiting"](lambda *arguments: None)[0])["risks"]
    assert told == ([["apart", "SQLALCHEMY_DATABASE_URI"], ["apart", "DATABASE"]] if hosts == "3" else [])


def test_what_waits_is_not_told_to_clients_of_nginx(settings, site, parse):
    """nginx names the client on each request that it passes on; the app answers those."""
    gunicorn = Gunicorn(settings(), lambda environ, start: [b"the app"])
    assert ask(gunicorn.spawn(), "/.flask-deploy/waiting", HTTP_X_REAL_IP="192.0.2.7")[1] == b"the app"
    assert ["X-Real-IP", "$remote_addr"] in values(proxied(parse(site())), "proxy_set_header")


def test_more_workers_and_requests_than_have_room_are_served_uncounted(settings):
    names = settings()
    names |= {"WORKERS": 2}
    gunicorn = Gunicorn(names, lambda environ, start: [b"the app"])
    assert [gunicorn.spawn().row for _ in range(3)] == [0, 1, None]
    for worker in gunicorn.WORKERS.values():
        assert [ask(worker)[1] for _ in range(3)] == [b"the app"] * 3


@pytest.mark.parametrize("preload", [True, False])
def test_a_preloaded_app_s_memory_is_kept_shared(settings, preload):
    found = settings(app_preload=preload)
    assert found["preload_app"] is preload and ("when_ready" in found) is preload


def test_the_app_gets_address_scheme_and_host_from_nginx_unless_told(settings):
    worker, seen = SimpleNamespace(wsgi=lambda environ, start: seen.update(environ) or [], alive=False), {}
    alone(settings(site_proxy_fix=False))["post_worker_init"](worker)
    assert not isinstance(worker.wsgi, ProxyFix)
    alone(settings())["post_worker_init"](worker)
    assert isinstance(worker.wsgi, ProxyFix)
    headers = {
        "HTTP_X_FORWARDED_FOR": "192.0.2.7",
        "HTTP_X_FORWARDED_PROTO": "https",
        "HTTP_X_FORWARDED_HOST": "a:8443",
    }
    here = {"REMOTE_ADDR": "", "wsgi.url_scheme": "http", "HTTP_HOST": "b", "gunicorn.socket": None, "PATH_INFO": "/"}
    worker.wsgi({**here, **headers}, None)
    assert (seen["REMOTE_ADDR"], seen["wsgi.url_scheme"], seen["HTTP_HOST"]) == ("192.0.2.7", "https", "a:8443")


# -- daemon.json -----------------------------------------------------------------------------


@pytest.mark.parametrize("debian", DEBIANS)
def test_daemon_json_is_json_with_limited_logs(render, debian):
    found = json.loads(render("docker", "daemon.json.j2", debian, docker_log_max_size="3m", docker_log_max_files=2))
    assert found["log-opts"] == {"max-size": "3m", "max-file": "2"}
    assert found["live-restore"] is True and found["icc"] is False and found["no-new-privileges"] is True


def test_the_journal_is_kept_on_disk_within_a_size(render):
    lines = render("docker", "journald.conf.j2", docker_journal_size="300m", ansible_managed="x").splitlines()
    assert {"[Journal]", "Storage=persistent", "SystemMaxUse=300M"} <= set(lines)


@pytest.mark.parametrize("debian", DEBIANS)
def test_what_builds_leave_behind_is_bounded(render, debian):
    found = json.loads(render("docker", "daemon.json.j2", debian, docker_build_cache_size="3g"))
    assert found["builder"] == {"gc": {"enabled": True, "defaultKeepStorage": "3g"}}


def test_daemon_options_are_laid_over_the_role_s_own(render):
    options = {"live-restore": False, "dns": ["192.0.2.53"], "log-opts": {"max-size": "1m"}}
    found = json.loads(render("docker", "daemon.json.j2", docker_daemon_options=options))
    merged = {**options, "log-opts": {"max-file": "5", "max-size": "1m"}}
    assert {key: found[key] for key in options} == merged
    assert found["userland-proxy"] is False


def test_the_role_s_own_daemon_keys_are_known_to_the_check(render):
    assert CHECKS["docker_daemon_options"](json.loads(render("docker", "daemon.json.j2"))) is None
