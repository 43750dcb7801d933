"""Which values of role app's variables can work."""

from __future__ import annotations

import os
import re
import shlex

from inventory_check.answers import HEADER_VALUE, URL_PATH, expression, headers, network, origins
from inventory_check.environment import environment, secret_files, secrets
from inventory_check.values import APP, NAME, SIZE, each, number, pattern

YEAR = 365 * 24 * 3600  # seconds; the least for https://hstspreload.org
LEAST_MEMORY = 6 << 20  # bytes; docker refuses less


def memory(value):
    wrong = pattern(SIZE, "app_memory: 512m")(value)
    if not wrong and int(value[:-1]) << {"k": 10, "m": 20, "g": 30}[value[-1]] < LEAST_MEMORY:
        wrong = f"{value} is less than docker's least, 6m"
    return wrong


def static(value):
    wrong = pattern(re.compile(r"(?!-)[^\x00-\x20\"'\\$;{}]*"), "app_static: static")(value)
    place = os.path.normpath(value)
    if not wrong and value and (place.strip("/") in ("", ".") or place.startswith("..")):
        wrong = f"{value!r} would publish the whole app"
    return wrong


def command(value):
    try:
        words = shlex.split(value)
    except ValueError as error:
        return f"{value!r} is no command ({error}); example: flask --app shop db upgrade"
    shell = [word for word in words if word in ("&&", "||", ";", "|", ">", "<")]
    return f"no shell runs it, so {shell[0]} means nothing; example: sh -c 'one && two'" if shell else None


CHECKS = {
    "app_name": pattern(APP, "app_name: shop (a to z, digits, hyphens, 31 at most; no network of docker's own)"),
    "app_domain": pattern(NAME, "app_domain: shop.example.com (a name alone; punycode for other scripts)"),
    "app_aliases": each(pattern(NAME, "[www.shop.example.com]")),
    "app_https_port": number(1, 65535),
    "app_wsgi": pattern(re.compile(r"[A-Za-z_][\w.]*(:[A-Za-z_][\w.]*(\([^\n]*\))?)?"), "app_wsgi: shop:create_app()"),
    "app_static": static,
    "app_env": environment,
    "app_secrets": secrets,
    "app_secret_files": secret_files,
    "app_static_hashed": each(expression),
    "app_uid": number(10000, 60000),
    "app_memory": memory,
    "app_cpus": number(0, 1024),
    "app_pids": number(16, 100000),
    "app_workers": number(0, 1024),
    "app_max_requests": number(0, 10**9),
    "app_max_requests_jitter": number(0, 10**9),
    "app_timeout": number(1, 3600),
    "app_keepalive": number(5, 3600),
    "app_health_path": pattern(re.compile(r"/[\w./~%+-]*(\?[\w=&.~%+-]*)?", re.ASCII), "app_health_path: /healthz"),
    "app_start_timeout": number(1, 3600),
    "app_rollback_to": pattern(re.compile(r"[0-9a-f]{12}|"), "app_rollback_to: 3f9a0c41d2b7"),
    "app_drain_timeout": number(0, 3600),
    "app_watch_seconds": number(0, 3600),
    "app_watch_errors": number(0, 100),
    "app_watch_samples": number(1, 1_000_000),
    "app_watch_slow": number(0, 3600),
    "app_watch_slower": number(0, 1000),
    "app_confirm_timeout": number(5, 3600),
    "app_lock_wait": number(0, 86_400),
    "app_release_command": command,
    "app_schema_command": command,
    "app_release_command_timeout": number(1, 86_400),
    "app_keep_releases": number(2, 1000),
    "app_remove": pattern(re.compile(f"({APP.pattern})|"), "-e app_remove=shop"),
    "app_max_body": pattern(SIZE, "app_max_body: 10m"),
    "app_trusted_proxies": each(network),
    "app_connections_per_address": number(0, 10**6),
    "app_login_paths": each(pattern(URL_PATH, "[/login]")),
    "app_login_rate": number(1, 10**6),
    "app_login_burst": number(0, 10**6),
    "app_request_rate": number(0, 10**6),
    "app_request_burst": number(0, 10**6),
    "app_cors_origins": origins,
    "app_hsts_max_age": number(0, 10**9),
    "app_csp": pattern(HEADER_VALUE, "app_csp: default-src 'self'"),
    "app_headers": headers,
    "app_maintenance_message": pattern(re.compile(r"\s*\S[^\0]*"), "app_maintenance_message: Back at 18:00 UTC."),
    "app_maintenance_retry_after": number(1, 10**6),
    "app_proxy_read_timeout": number(1, 86400),
    "app_proxy_send_timeout": number(1, 86400),
    "app_send_timeout": number(1, 86400),
    "app_client_body_timeout": number(1, 86400),
}
# Shown where a variable has no default that could serve as an example.
EXAMPLES = {
    "app_domain": "shop.example.com",
    "app_wsgi": "shop:create_app()",
    "app_env": {"CURRENCY": "EUR"},
    "app_secrets": {"SECRET_KEY": "{{ vault_app_secret_key }}"},
    "app_secret_files": {"users.json": "{{ vault_app_users }}"},
    "app_trusted_proxies": ["192.0.2.0/24"],
    "app_cors_origins": ["https://www.example.com"],
    "app_headers": {"Cross-Origin-Opener-Policy": "same-origin"},
}


def check_together(values, hosts):
    """Return mistakes that only show when variables are seen together."""
    mistakes = []
    names = [values.get("app_domain"), *values.get("app_aliases", [])]
    twice = sorted({name for name in names if names.count(name) > 1})
    mistakes += [f"app_aliases: {name} is there twice, or is app_domain itself" for name in twice]
    both = sorted(set(values.get("app_env", {})) & set(values.get("app_secrets", {})))
    mistakes += [f"app_env: {name} is in app_secrets too; keep it in one of them" for name in both]
    listed = values.get("app_hsts_subdomains") and values["app_hsts_max_age"] >= YEAR
    if values.get("app_hsts_preload") and not listed:
        mistakes.append(f"app_hsts_preload: needs app_hsts_subdomains: true and app_hsts_max_age of {YEAR} or more")
    return mistakes
