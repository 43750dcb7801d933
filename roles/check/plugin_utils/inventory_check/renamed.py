"""Variables of before: {name of then: name of now}, and those that are gone, {name: what is in their place}."""

from __future__ import annotations

SAME = {
    "build": "source ref git_key subdir dockerfile base_image base_image_archive",
    "site": (
        "domain aliases https_port static compress static_hashed proxy_fix max_body trusted_proxies "
        "connections_per_address login_paths login_rate login_burst request_rate request_burst "
        "cors_origins csp headers maintenance maintenance_message maintenance_retry_after "
        "proxy_read_timeout proxy_send_timeout send_timeout client_body_timeout hsts_max_age "
        "hsts_subdomains hsts_preload ipv6"
    ),
}
RENAMED = {f"app_{word}": f"{role}_{word}" for role, words in SAME.items() for word in words.split()} | {
    "app_build_args": "build_args",
    "app_build_ca_file": "build_ca_file",
    "app_rebuild": "build_fresh",
    "app_remove": "remove_app",
    "app_remove_data": "remove_data",
    "app_jwt_algorithm": "tokens_algorithm",
    "app_jwt_import": "tokens_import",
    "app_jwt_keys": "tokens_keys",
    "app_jwt_revoke": "tokens_revoke",
    "app_jwt_rotate_after": "tokens_rotate_after",
    "app_jwt_wait": "tokens_wait",
}
GONE = {
    "app_jwt_key": "hosts make their keys; tokens_import takes one that there is, tokens_keys is for several hosts",
    "app_keepalive": "connections of nginx stay open for 75 s",
    "app_log_level": "gunicorn reads app_env: {GUNICORN_CMD_ARGS: --log-level debug}",
    "app_max_requests_jitter": "it is a tenth of app_max_requests",
}
