"""Names that no variable has: those of before, {name of then: name of now}, and what a thing is called elsewhere."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any

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
GONE = {  # and what is in its place
    "app_jwt_key": "hosts make their keys; tokens_import takes one that there is, tokens_keys is for several hosts",
    "app_keepalive": "connections of nginx stay open for 75 s",
    "app_log_level": "gunicorn reads app_env: {GUNICORN_CMD_ARGS: --log-level debug}",
    "app_watch_samples": "a watch judges by 20 requests",
    "app_max_requests_jitter": "it is a tenth of app_max_requests",
}

NEEDS = "app_needs (postgres, valkey: beside the app) or app_secrets (the address of one elsewhere)"
SERVICE = "app_secrets (its address, such as DATABASE_URL; no role installs it)"
NEAR = 0.7  # of 1; what is less alike is another word
SHORT = 4  # letters; shorter words are alike by chance
MANY = 5  # variables that one hint may name
# {variable, and how it says it: the words that mean it}
CONCEPTS = {
    "app_server (port:5000, where the app listens) or site_https_port": "port ports listen bind expose http_port "
    "container_port internal_port host_port published_port published_ports",
    "app_writable (a directory that is kept; /data is kept anyway)": "volume volumes mount mounts storage persistent "
    "persistence disk data data_dir",
    "site_domain and site_aliases": "domains hostnames hosts",
    "site_domain": "domain hostname host fqdn url server_name virtual_host",
    "site_aliases (each redirects to site_domain)": "alias www redirect redirects",
    "build_source (image:registry.example.com/shop:1.2 for an image that is ready)": "image images docker_image "
    "container_image image_name image_tag",
    "build_source": "repo repository git git_url git_repo code source_dir src",
    "build_ref": "branch tag commit revision version git_branch",
    "app_env": "environment env_vars envs variables config settings debug",
    "app_env or app_secrets": "env_file envfile dotenv",
    "app_secrets": "secret_key password passwords credentials vault",
    "app_workers (of the web, on each host; more hosts are written into hosts.yml)": "replicas replica instances scale "
    "count concurrency web_concurrency gunicorn_workers",
    "app_server (gthread) and app_workers": "threads worker_class gunicorn",
    "app_workers (of the web) or app_processes (such as celery's)": "worker",
    "app_processes": "celery rq dramatiq huey queue queues background process procfile sidecar sidecars daemon",
    "app_wsgi (or app_server: port:5000, for the image's own command)": "command cmd entrypoint entry_point module "
    "wsgi_app wsgi_module start_command run",
    "app_health_path": "healthcheck health health_check health_url healthcheck_path liveness readiness",
    "nginx_certificate": "ssl tls https cert certs certificates letsencrypt certbot acme auto_tls",
    "nginx_acme_mail": "email mail letsencrypt_email acme_email",
    NEEDS: "redis valkey postgres postgresql db database database_url redis_url db_url broker services accessories",
    SERVICE: "mysql mariadb mongo mongodb rabbitmq amqp",
    "app_jobs": "cron crons crontab cronjobs schedule schedules scheduler job periodic timer timers tasks",
    "app_release_command": "migrate migration migrations db_upgrade pre_deploy hooks",
    "backup_to": "backup backups restic borg backup_target backup_repository",
    "app_memory": "mem ram memory_limit mem_limit",
    "app_cpus": "cpu cpu_limit cpu_limits",
    "app_keep_releases": "keep releases retain retain_containers history",
    "app_lock_wait": "lock",
    "app_uid": "user",
    "site_static": "assets static_dir static_files",
    "site_uploads (an address and a directory below /data)": "media media_root upload",
    "site_max_body": "max_upload upload_size max_upload_size body_size client_max_body_size max_content_length",
    "site_trusted_proxies": "proxies load_balancer loadbalancer",
    "site_request_rate": "rate_limit ratelimit limits",
    "site_tls_in_front": "behind_proxy tls_termination",
    "build_python": "python_version runtime",
    "build_packages (for the build) or build_image_packages (for the app)": "apt apt_packages system_packages "
    "os_packages debs",
    "build_requirements": "pip pip_packages requirements_txt",
    "build_git_key": "deploy_key ssh_key",
    "build_registry": "docker_registry",
    "tokens_algorithm": "jwt jwt_alg alg signing_algorithm",
    "tokens_keys": "jwt_key jwt_secret jwt_secret_key signing_key signing_keys",
    "docker_journal_size or docker_log_max_size": "log logs logging log_size log_dir log_file",
}
WORDS = {word: said for said, words in CONCEPTS.items() for word in words.split()}


def hint(name: str, known: Iterable[str]) -> str | None:
    """Return what an unknown variable may be meant to be; None where nothing is alike."""
    role, _, word = name.partition("_")
    words = {each: each.partition("_")[2] for each in sorted(known)}
    own = {each: words[each] for each in words if each.startswith(f"{role}_")}
    old = {each.partition("_")[2]: new for each, new in RENAMED.items()}
    return (
        WORDS.get(word)
        or same(word, words, old)
        or spelt(word, backwards(own))
        or longer(word, own)
        or longer(word, words)
        or spelt(word, backwards(words) | old | WORDS)
    )


def backwards(words: dict[str, str]) -> dict[str, str]:
    return {word: name for name, word in words.items()}


def same(word: str, words: dict[str, str], old: dict[str, str]) -> str | None:
    """Return the variables of other roles that have this word behind their prefix, or had it once."""
    return " or ".join(name for name, each in words.items() if each == word) or old.get(word)


def longer(word: str, words: dict[str, str]) -> str | None:
    """Return the variables that begin with the word, or the longest one that the word begins with."""
    if found := [name for name, each in words.items() if each.startswith(f"{word}_")]:
        return " or ".join(found) if len(found) <= MANY else None
    shorter = [(len(each), name) for name, each in words.items() if word.startswith(f"{each}_")]
    return max(shorter)[1] if shorter else None


def spelt(word: str, meant: dict[str, str]) -> str | None:
    """Return what the nearest spelling stands for."""
    near = difflib.get_close_matches(word, meant, 1, NEAR) if len(word) >= SHORT else []
    return meant[near[0]] if near else None


def unprefixed(variables: Mapping[str, Any], known: Iterable[str]) -> list[str]:
    """Return a line for each variable that nothing reads and that would be ours with its role's name before it."""
    meant = {name.partition("_")[2]: new for name, new in RENAMED.items()}
    meant |= {name.partition("_")[2]: name for name in sorted(known)}
    found = [name for name in sorted({*variables} & {*meant} - {*known}) if "_" in name]
    texts = [str(value) for value in variables.values() if isinstance(value, str | list | dict)] if found else []
    unread = [name for name in found if not any(re.search(rf"\b{name}\b", text) for text in texts)]
    return [f"{name}: nothing reads this variable; did you mean {meant[name]}?" for name in unread]
