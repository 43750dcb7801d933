"""Whatever a variable holds is refused, or stands in the rendered files as the value it was judged as, and inert.

The variables are those of the specifications: one that is added is tried without anybody's remembering it.
"""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import crossplane
import pytest
import yaml
from inventory_check.exact import ONE_OR_LIST
from inventory_check.inventory import EXAMPLES, check_types, check_values, load_specs

ROOT = Path(__file__).parents[1]
SPECS = load_specs()
RENDERED = {
    "site.conf.j2": "site",
    "__app_gunicorn_json": "app",
    "nginx.conf.j2": "nginx",
    "daemon.json.j2": "docker",
    "valkey.conf.j2": "valkey",
}
# Valid texts of variables whose default or example is none, or not every form there is.
SAMPLES = {
    "build_base_image_archive": __file__,
    "build_ca_file": __file__,
    "site_csp": "default-src 'self'",
    "build_git_key": "-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n",
    "tokens_import": __file__,
    "tokens_keys": ["-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n"],
    "tokens_revoke": "current",
    "app_release_command": "flask db upgrade",
    "app_writable": ["static/.webassets-cache", "cache:memory", "/tmp:200m"],
    "remove_app": "shop",
    "monitor_smtp": "smtps://user:5f0c5f0c@smtp.example.com",
    "monitor_ping": "https://hc-ping.example.com/5f0c5f0c",
    "metrics_address": "fd00::5",
    "restore_app": "shop",
    "backup_password": "5f0c5f0c5f0c5f0c",
    "backup_env": {"AWS_ACCESS_KEY_ID": "5f0c"},
    "backup_ssh_key": "-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n",
    "backup_host_key": "backup.example.com ssh-ed25519 AAAA",
    "run_command": "flask create-admin",
    "app_jobs": {"purge": {"command": "flask purge", "at": "*-*-* 03:00"}},
    "app_rollback_to": "3f9a0c41d2b7",
    "app_needs": ["postgres", "valkey"],
    "postgres_extensions": ["pg_trgm"],
    "postgres_settings": {"work_mem": "16MB"},
    "build_subdir": "backend",
    "site_trusted_proxies": ["192.0.2.0/24", "192.0.2.7", "2001:db8::7", "2001:db8::/32"],
    "app_health_path": "/healthz?deep=1",
    "site_aliases": ["www.shop.example.com"],
    "app_schema_command": "flask db current",
    "host_adopt": ["docker"],
    "host_ports": {"metrics": {"port": "9100-9110", "protocol": "udp", "from": ["10.0.0.0/8", "fd00::/8"]}},
    "host_egress": {"database": {"to": ["10.0.0.5", "host"], "port": 5432, "protocol": "tcp"}},
    "host_ssh_from": ["198.51.100.0/24", "2001:db8::/32"],
    "app_secrets": {"SECRET_KEY": "5f0c5f0c5f0c"},
    "app_secret_files": {"users.json": "[]"},
    "app_files": {"config.py": "A = 1"},
    "nginx_acme_eab_hmac_key": "a2V5",
    "nginx_acme_eab_key_id": "kid-1",
    "nginx_acme_mail": "admin@example.com",
    "nginx_acme_profile": "shortlived",
    "nginx_certificate_ca_file": __file__,
    "nginx_certificate_file": __file__,
    "nginx_certificate_key_file": __file__,
    "nginx_certificate_names": ["shop.example.com"],
    "nginx_certificate_owner": "shop",
}
PAYLOADS = [
    *("; return 200 pwned;", "%x; return 200 pwned; #", " pwned", "pwned ", "}", "{", ";", "#", "'", '"', "`id`"),
    *("\n", "\r", "\r\nX-A: b", "\t", "\0", "\x1b[31m", "\x7f", "\x85", "\u00a0", "\u2028", "\ufeff", "\ud800"),
    *("\\", '\\"', "$host", "${host}", "$(id)", "{{ 7 * 7 }}", "{% raw %}", "{#", "%s", "%(x)s", "%0a", "%"),
    *("..", "/../", "-x", "--x=y", "*", "~.", "=", ",", "|", "&", "<!--# include virtual=/x -->", "<script>"),
    *("٣", "\uff11", "é", "\uff45", "_", "_0", "e3", ".5", "+", "0x1f", "x" * 5_000, "(?P<uri>x)", "(?x)", "(?i)"),
]
NUMBERS = ["007", "-0", "1_0", "١٢", "1e3", "+5", " 5", "5 ", "5\n", "0x1f", "5.", ".5", "5.0", "nan", "inf", True, 2.0]
NUMBERS += [float("nan"), float("inf"), 10**30, -1, "", "x", [5], {"a": 5}]
WORDS = ["t", "y", "Yes", "ON", "0", 1, 0, 1.0, "2", "true;", "true\n", " true", "\uff59es", [True]]

KINDS = {"str": bool, "list": len, "dict": len}


def sample(name):
    """Return a value that is valid, to be bent."""
    default = SPECS[name].get("default")
    shown = default if default and "{{" not in str(default) else None
    return SAMPLES.get(name, EXAMPLES.get(name, shown))


def bend(text):
    """Yield a text with each payload before, in and behind it, and alone."""
    for payload in PAYLOADS:
        middle = len(text) // 2
        yield from (payload + text, text[:middle] + payload + text[middle:], text + payload, payload)


def attempts(name):
    """Yield what somebody might write, by accident or not."""
    spec, good = SPECS[name], sample(name)
    if spec["type"] in ("int", "float"):
        yield from NUMBERS
        yield from bend("5")
    elif spec["type"] == "bool":
        yield from WORDS
        yield from bend("yes")
    elif spec["type"] == "str":
        yield from bend(good)
        yield from ([good], {good: good}, 1.1, True)
    elif spec["type"] == "list":
        yield from ([text] for form in good for text in bend(form))
        yield from ([good[0], text] for text in PAYLOADS)
        yield from (good[0], ",".join(good), [1], [None], [True], [[good[0]]], {good[0]: 1})
    else:
        (key, value), *_ = good.items()
        yield from ({text: value} for text in bend(key))
        yield from ({key: text} for text in bend(value if isinstance(value, str) else "x"))
        yield from (f"{key}={value}", json.dumps(good), [good], {key: None}, {key: 1.1}, {key: True}, {1: "x"})
        yield from ({key: [text]} for text in PAYLOADS)


def judged(name, value):
    """Return a value as it is judged, or None where it is refused."""
    typed, mistakes = check_types(SPECS, {name: value})
    return None if mistakes or check_values(typed) else typed[name]


@cache
def used():
    """Return the variables that reach a rendered file, by themselves or through a role's own."""
    text, own = "", {}
    for path in ROOT.glob("roles/*/vars/main.yml"):
        own |= {name: json.dumps(value) for name, value in yaml.safe_load(path.read_text()).items()}
    more = "\n".join([*RENDERED, *(path.read_text() for path in ROOT.glob("roles/*/templates/**/*.j2"))])
    while more:
        text += more
        named = [name for name in own if re.search(rf"\b{name}\b", text)]
        more = "\n".join(own.pop(name) for name in named)
    return {name for name in SPECS if re.search(rf"\b{name}\b", text)}


def shape(template, text, folder):
    """Return what a reader of a rendered file takes for its structure, without the values in it."""
    if template == "daemon.json.j2":
        return list(json.loads(text))
    if template == "__app_gunicorn_json":
        return {name: type(value) for name, value in json.loads(text).items()}
    if template == "valkey.conf.j2":
        return [line.split()[0] for line in text.splitlines() if line]
    path = folder / "rendered.conf"
    path.write_text(text)
    (parsed,) = crossplane.parse(str(path), single=True, check_ctx=False)["config"]
    assert parsed["errors"] == []
    return directives(parsed["parsed"])


def directives(block):
    """Return directives, how many words each has, and how many variables in those words but for regular expressions."""
    rows = []
    for row in block:
        pattern = "~" in row["args"] or row["directive"].startswith("~")
        variables = 0 if pattern else " ".join([row["directive"], *row["args"]]).count("$")
        known = row["directive"] if re.fullmatch(r"[a-z_]+", row["directive"]) else ""
        rows.append((known, len(row["args"]), variables, directives(row.get("block", []))))
    return rows


@pytest.mark.parametrize("name", SPECS)
def test_a_good_value_is_accepted_or_the_trial_would_mean_nothing(name):
    if SPECS[name]["type"] in ("str", "list", "dict") and name not in ("build_source", "tokens_keys"):
        assert judged(name, sample(name)) == sample(name) is not None


@pytest.mark.parametrize("name", SPECS)
def test_what_is_accepted_is_what_it_was_judged_as(name):
    """No reader's leniency stands between the check and the file: numbers, truth, lists and maps alike."""
    kind = SPECS[name]["type"]
    for value in attempts(name):
        typed = judged(name, value)
        if typed is None or name in ONE_OR_LIST:
            continue
        if kind in ("str", "list", "dict"):
            assert typed == value, value
        elif kind == "bool":
            assert str(value).lower() in (("yes", "on", "true", "1") if typed else ("no", "off", "false", "0"))
        else:
            assert not isinstance(value, bool) and (value == typed or str(value) in (str(typed), f"{typed:g}")), value


@pytest.mark.parametrize("name", sorted(used()))
def test_nothing_is_injected_into_a_file(render, tmp_path, name):
    shapes = {}
    for value in accepted(name):
        for template, role in RENDERED.items():
            text = render(role, template, **{name: value})
            # A list has a shape for each length, each number is its own, all texts but the empty one have the same.
            kind = {"str": bool, "list": len, "dict": len}.get(SPECS[name]["type"], lambda one: judged(name, one))(
                value
            )
            found = shape(template, text, tmp_path)
            assert shapes.setdefault((template, kind), found) == found, value


def accepted(name):
    """Yield the good value, then one for each payload that is let through."""
    yield sample(name) if SPECS[name]["type"] in ("str", "list", "dict") else SPECS[name]["default"]
    passed = {}
    for value in attempts(name):
        payload = next((payload for payload in PAYLOADS if payload in str(value)), value)
        if str(payload) not in passed and judged(name, value) is not None:
            passed[str(payload)] = value
    yield from passed.values()
