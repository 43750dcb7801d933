"""Wrong inventories stop with a line that helps; odd but valid ones pass."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import subprocess

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.action import check_inventory
from ansible.template import Templar
from cryptography.x509.oid import ExtendedKeyUsageOID
from inventory_check import values
from inventory_check.values import OUR_UNITS

from tests.authority import authority, certificate, keys, leaf, pem, public_pem
from tests.conftest import ROOT

LEAST = """
site_domain: shop.example.com
build_source: "@/src"
app_wsgi: shop:create_app()
"""
# What makes a line helpful: an example, a command to type, or what to do.
HELPS = re.compile(
    r"example: |type: |make one: |did you mean |write |use build_git_key|keep |choose |is needed|needs |must |remove "
    r"|is there twice|supported are|on the controller|not the key of|does not cover|not today|shorter than"
)
MARK = "h5-Xq"  # what must never be shown


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """Return a directory with what a controller keeps: a source, certificates and keys."""
    place = tmp_path_factory.mktemp("controller")
    (place / "src").mkdir()
    names = ("shop.example.com", "www.shop.example.com")
    key = keys()["p256"]
    contents = {
        "cert.pem": certificate(key, *names),
        "wildcard.pem": certificate(key, "shop.example.com", "*.shop.example.com"),
        "expired.pem": certificate(key, *names, days=(-30, -1)),
        "future.pem": certificate(key, *names, days=(1, 30)),
        "other-name.pem": certificate(key, "shop.example.org"),
        "other-key.pem": certificate(keys()["p384"], *names),
        "weak.pem": certificate(keys()["rsa1024"], *names),
        "weak-key.pem": pem(keys()["rsa1024"]),
        "client.pem": certificate(key, *names, usage=ExtendedKeyUsageOID.CLIENT_AUTH),
        "leaf.pem": leaf(key, *names),
        "chain.pem": leaf(key, *names) + authority()[1],
        "reversed.pem": authority()[1] + leaf(key, *names),
        "root.pem": authority()[0],
        "key.pem": pem(key),
        "public.pem": public_pem(key),
        "encrypted.pem": pem(key, b"passphrase"),
        "readable.pem": pem(key),
        "vaulted.pem": b"$ANSIBLE_VAULT;1.1;AES256\n6131\n",
        "nothing.pem": b"",
    }
    for name, content in contents.items():
        (place / name).write_bytes(content)
        (place / name).chmod(0o644 if name == "readable.pem" else 0o600)
    for name, key in keys().items():
        (place / f"jwt-{name}.pem").write_bytes(pem(key))
        (place / f"jwt-{name}-public.pem").write_bytes(public_pem(key))
        (place / f"jwt-{name}-encrypted.pem").write_bytes(pem(key, b"passphrase"))
    return place


@pytest.fixture
def check(place, variables, monkeypatch):
    """Return the lines that an inventory's check says, without a host or a network."""
    ours = check_inventory.load_specs()
    monkeypatch.setattr(check_inventory, "check_outside", lambda *values: [])

    def lines(inventory, hosts=("web1",)):
        known = variables((LEAST + inventory).replace("@/", f"{place}/"))
        # The check's play knows no role's defaults.
        loaded = {name: value for name, value in known.items() if name not in ours}
        loaded |= variables_of(LEAST + inventory, known)
        loaded["groups"] = {"web": list(hosts)}
        plugin = object.__new__(check_inventory.ActionModule)
        plugin._templar = Templar(DataLoader(), variables=loaded)
        return plugin._check_inventory(loaded)[1]

    def variables_of(inventory, known):
        names = re.findall(r"^(\w+):", inventory, re.MULTILINE)
        return {name: known[name] for name in names if name in known}

    return lines


S3 = "backup_env: {AWS_ACCESS_KEY_ID: a, AWS_SECRET_ACCESS_KEY: b}"
BACKUP = "backup_password: 5f0c5f0c5f0c5f0c\nbackup_to: "
SFTP = "sftp:keeper@backup.example.com:/a"
HOST_KEY = "backup.example.com ssh-ed25519 AAAA"
SSH_KEY = '"-----BEGIN PRIVATE KEY-----\\nMC4=\\n-----END PRIVATE KEY-----\\n"'
WRONG = [
    # backups
    (f"{BACKUP}mnt/backup", "backup_to", "is not a directory, sftp: or s3:; example: backup_to: sftp:"),
    (f"{BACKUP}/mnt/../srv", "backup_to", "has .. in it"),
    (f"{BACKUP}rclone:remote:shop", "backup_to", "rclone: is not one of a directory, sftp:, s3:"),
    (f"{BACKUP}sftp:-oProxyCommand=x:/a", "backup_to", "is not a directory, sftp: or s3:"),
    (f"{BACKUP}s3:bucket", "backup_to", "is not a directory, sftp: or s3:"),
    (f"{BACKUP}/srv/app/data/backup", "backup_to", "lies in /srv/app/data, which is saved itself, and"),
    (f"{BACKUP}/srv/app", "backup_to", "lies in /srv/app, which is saved itself, and replaced by a restore; name a"),
    (f"{BACKUP}/etc/app", "backup_to", "lies in /etc/app, which is saved itself"),
    (f"{BACKUP}//srv/app/backup", "backup_to", "lies in /srv/app, which is saved itself"),
    (f"{BACKUP}/srv//blog/./data/x", "backup_to", "lies in /srv/blog/data, which is saved itself"),
    (
        f"{BACKUP}/srv",
        "backup_to",
        "/srv is the system's own; name a directory on another disk, or a host, exa",
    ),
    (f"{BACKUP}/etc/blog", "backup_to", "lies in /etc, which is the system's own"),
    (f"{BACKUP}/tmp/backup", "backup_to", "lies in /tmp, which is the system's own"),
    (f"{BACKUP}/var/lib/flask-deploy/backup/app/staging/x", "backup_to", "lies in /var/lib/flask-deploy, which is the"),
    *(
        (f"{BACKUP}/mnt/backup\napp_needs: [postgres]\narchive_to: {to}", "archive_to", said)
        for to, said in (
            ("/srv/app/data/pg", "lies in /srv/app/data, which is saved itself, and replaced by a restore; name a"),
            ("/srv/blog/writable", "lies in /srv/blog/writable, which is saved itself"),
            (
                "//var/lib",
                "//var/lib is the system's own; name a directory on another disk, or a host, exa",
            ),
            ("/var/lib/postgresql/17/main", "lies in /var/lib/postgresql, which is the system's own"),
            ("/root", "/root is the system's own"),
        )
    ),
    ("backup_to: /mnt/backup/app", "backup_password", "is needed with backup_to; make one for the vault"),
    ("backup_to: /mnt/backup/app\nbackup_password: h5-Xq", "backup_password", "is shorter than 16 characters"),
    (f"{BACKUP}{SFTP}\nbackup_host_key: {HOST_KEY}", "backup_ssh_key", "is needed with sftp:; make one: ssh-keygen"),
    (f"{BACKUP}{SFTP}\nbackup_ssh_key: {SSH_KEY}", "backup_host_key", "is needed with sftp:; make one: ssh-keyscan"),
    (f"{BACKUP}s3:https://s3.example.com/b/shop", "backup_env", "AWS_ACCESS_KEY_ID is missing, which s3: needs"),
    (
        "backup_env: {AWS_SECRET_ACCESS_KEY: [h5-Xq]}",
        "backup_env",
        "AWS_SECRET_ACCESS_KEY is a list or map, and",
    ),
    ("backup_env: {AWS_ACCESS_KEY_ID: {h5-Xq: a}}", "backup_env", "AWS_ACCESS_KEY_ID is a list or map"),
    ('backup_env: {AWS_SECRET_ACCESS_KEY: "h5-Xq\\nrepo1-path=/"}', "backup_env", "ACCESS_KEY holds a line's end"),
    ('backup_env: {AWS_ACCESS_KEY_ID: "h5-Xq\\n"}', "backup_env", "AWS_ACCESS_KEY_ID holds a line's end"),
    ('backup_env: {AWS_DEFAULT_REGION: "h5-Xq\\r"}', "backup_env", "AWS_DEFAULT_REGION holds a line's end"),
    ("backup_env: {RESTIC_PASSWORD: h5-Xq}", "backup_env", "RESTIC_PASSWORD is set by the role; remove it"),
    ("backup_ssh_key: h5-Xq", "backup_ssh_key", "is not a private key without a passphrase; make one"),
    ("backup_host_key: backup.example.com", "backup_host_key", "is no line of known_hosts; make one: ssh-keyscan"),
    ("backup_at: 0 3 * * *", "backup_at", "is cron's form; systemd reads times"),
    ("backup_at: tomorrow", "backup_at", "is no time"),
    ("backup_drill_at: sometimes", "backup_drill_at", "is no time"),
    ("backup_keep: {dayly: 7}", "backup_keep", "there is no 'dayly' here; supported are daily, weekly, monthly"),
    ("backup_keep: {daily: 0}", "backup_keep", "keeps no backup at all; example: backup_keep: {daily: 7"),
    ("backup_keep: {daily: many}", "backup_keep", "daily: 'many' is not a whole number"),
    ("backup_jitter: -1", "backup_jitter", "between"),
    (
        "monitor_webhooks: {teams: 'https://a.example'}",
        "monitor_webhooks",
        "there is no 'teams' here; supported are",
    ),
    ("monitor_webhooks: {ntfy: ntfy.sh/shop}", "monitor_webhooks", "ntfy: is no address; it begins with https://"),
    ("monitor_webhooks: {ntfy: 7}", "monitor_webhooks", "ntfy: is not text; example"),
    ("monitor_mail: [ops]", "monitor_mail", "'ops' is no address; example: monitor_mail: [ops@example.com]"),
    ("monitor_mail: [ops@example.com]", "monitor_smtp", "is needed with monitor_mail; example: monitor_smtp: smtps://"),
    ("monitor_smtp: smtp.example.com", "monitor_smtp", "is no server for mail; example: monitor_smtp: smtps://"),
    ("monitor_smtp: smtp://ada@smtp.example.com", "monitor_smtp", "is no server for mail"),
    ("monitor_smtp: 'smtp://smtp.example.com:99999'", "monitor_smtp", "is no server for mail"),
    ("monitor_ping: hc-ping.com/5f0c", "monitor_ping", "is no address; it begins with https://; example"),
    ("monitor_errors: 101", "monitor_errors", "101 is not between 0 and 100"),
    ("monitor_slow: -1", "monitor_slow", "between"),
    ("monitor_limit: 0", "monitor_limit", "0 is not between 1 and"),
    ("metrics_address: web1", "metrics_address", "'web1' is no address; example: metrics_address: 127.0.0.1"),
    ("metrics_address: fe80::1%eth0", "metrics_address", "'fe80::1%eth0' is no address; example"),
    ("metrics_address: 0.0.0.0", "metrics_address", "0.0.0.0 is not private: anybody could read"),
    ("metrics_address: 8.8.8.8", "metrics_address", "8.8.8.8 is not private: anybody could read"),
    ("kubernetes_image: Shop:1", "kubernetes_image", "'Shop:1' is not valid; example: kubernetes_image: registry"),
    ("kubernetes_image: 'shop:1 --rm'", "kubernetes_image", "is not valid"),
    ("kubernetes_image: 'shop@sha256:5f'", "kubernetes_image", "is not valid"),
    ("kubernetes_namespace: my_shop", "kubernetes_namespace", "'my_shop' is not valid; example: kubernetes_namespace"),
    ("kubernetes_data: 10Gi", "kubernetes_data", "'10Gi' is not valid; example: kubernetes_data: 10g"),
    ("kubernetes_workdir: app", "kubernetes_workdir", "'app' is not valid; example: kubernetes_workdir: /app"),
    ('kubernetes_nginx_image: ""', "kubernetes_nginx_image", "is not valid; example: kubernetes_nginx_image"),
    ("metrics_port: 80", "metrics_port", "80 is not between 1024 and"),
    ("archive_to: mnt/backup", "archive_to", "is not a directory, sftp: or s3:; example: archive_to: sftp:"),
    ("app_needs: [postgres]\narchive_to: /mnt/backup", "archive_to", "needs backup_to, whose password"),
    (
        f"{BACKUP}/mnt/backup\napp_needs: [postgres]\narchive_to: s3:http://s3.example.com/b\n{S3}",
        "archive_to",
        "pgbackrest speaks to S3 by https alone; write s3:https://",
    ),
    (
        f"{BACKUP}/mnt/backup\napp_needs: [postgres]\narchive_to: s3:s3.example.com/b",
        "backup_env",
        "is missing, which s3:",
    ),
    (
        f"{BACKUP}/mnt/backup\napp_needs: [postgres]\npostgres_settings: {{archive_command: 'true'}}",
        "postgres_settings",
        "archive_command is role archive's own: backups hang on it; remove it",
    ),
    ("restore_time: yesterday", "restore_time", "example: "),
    ("restore_time: latest", "restore_time", "needs a database of app_needs: [postgres]"),
    ('restore_time: "2026-02-30T03:00Z"', "restore_time", "is no time of a calendar; example: -e restore_time="),
    ('restore_time: "2026-11-28T24:00:00Z"', "restore_time", "is no time of a calendar; example: -e restore_time="),
    ("restore_point: shop-20260230T030000Z-5f0c", "restore_point", "has no time of a calendar in it; example: "),
    ("archive_full_days: 0", "archive_full_days", "between"),
    ("archive_keep_days: 0", "archive_keep_days", "between"),
    ("archive_queue: 0", "archive_queue", "between"),
    ("backup_drill_read: all", "backup_drill_read", "is no share; example: backup_drill_read: 10%"),
    ("restore_snapshot: newest", "restore_snapshot", "not valid; example: -e restore_snapshot=3f9a0c41"),
    ("restore_over: yes", "restore_over", ""),
    # 1: the app's name
    ("app_name: a/b", "app_name", "not valid"),
    ("app_name: my shop", "app_name", "not valid"),
    ("app_name: ..", "app_name", "not valid"),
    ("app_name: Shop", "app_name", "not valid"),
    ("app_name: shop_blog", "app_name", "not valid"),
    (f"app_name: {'a' * 200}", "app_name", "not valid"),
    (f"app_name: a{'-b' * 20}", "app_name", "not valid"),
    ("app_name: host", "app_name", "not valid"),
    ("app_name: bridge", "app_name", "not valid"),
    ('app_name: ""', "app_name", "not valid"),
    (
        "app_name: metrics-node",
        "app_name",
        "share flask-deploy-metrics-node.service with the host; example: app_name: metrics-node-web",
    ),
    (
        "app_name: monitor",
        "app_name",
        "share flask-deploy-monitor.service with the host; example: app_name: monitor-web",
    ),
    ("app_name: ssh-back", "app_name", "share flask-deploy-ssh-back.service with the host; example: "),
    ("app_name: job-shop-purge", "app_name", "share flask-deploy-job-shop-purge.service with a job of another app"),
    ("app_name: nginx", "app_name", "share /etc/nginx with a package; example: app_name: nginx-web"),
    ("app_name: flask-deploy", "app_name", "share /etc/flask-deploy with flask-deploy itself; example: "),
    # 2: public names
    ("site_domain: https://shop.example.com", "site_domain", "not valid"),
    ("site_domain: shop.example.com:8443", "site_domain", "not valid"),
    ('site_domain: "*.example.com"', "site_domain", "not valid"),
    ("site_domain: bücher.example.com", "site_domain", "punycode"),
    ("site_domain: shop..example.com", "site_domain", "not valid"),
    ("site_domain: -shop.example.com", "site_domain", "not valid"),
    ("site_domain: shop.example.com.", "site_domain", "not valid"),
    (f"site_domain: {'a' * 64}.example.com", "site_domain", "not valid"),
    ("site_domain:", "site_domain", "no value"),
    ("site_aliases: [www.shop.example.com/x]", "site_aliases", "not valid"),
    ("site_aliases: [shop.example.com]", "site_aliases", "there twice"),
    ("site_aliases: [a.example.com, a.example.com]", "site_aliases", "there twice"),
    ("site_aliases: {a: 1}", "site_aliases", "list"),
    ("site_aliases: ['*.example.com']", "site_aliases", "not valid"),
    ("build_source: 'image:shop'", "build_source", "not an image with its digest or tag"),
    ("build_source: 'image:UPPER/shop:1'", "build_source", "not an image with its digest or tag"),
    ("build_source: 'image:registry/shop@sha256:12'", "build_source", "not an image with its digest or tag"),
    ("build_source: 'image:registry/shop:1'\nbuild_command: make", "build_command", "means nothing for an image"),
    ("build_source: 'image:registry/shop:1'\nbuild_registry_user: me", "build_registry_user", "belong together"),
    ("build_registry_user: me\nbuild_registry_password: x", "build_registry", "belong together, where an app is built"),
    ("build_registry: registry.example.com", "build_registry", "belong together, where an app is built"),
    ("build_registry: https://registry.example.com", "build_registry", "example: build_registry: registry.example.com"),
    ("build_source: 'image:registry/shop:1'\nbuild_registry: r.example.com", "build_registry", "means nothing for an"),
    ("build_registry_user: 'a:b'", "build_registry_user", "not valid"),
    (
        "build_registry: https://r.example.com\nbuild_registry_user: me\nbuild_registry_password: x",
        "build_registry",
        "valid",
    ),
    ('build_registry_user: me\nbuild_registry_password: "a\\nb"', "build_registry_password", "holds a line's end"),
    ("build_target: a b", "build_target", "not valid"),
    ("site_names: ['*']", "site_names", "not valid"),
    ("site_names: [a.*.example.com]", "site_names", "not valid"),
    ("site_names: [shop.example.com]", "site_names", "is in site_aliases or site_domain"),
    ("site_names: [www.shop.example.com]", "site_names", "is in site_aliases or site_domain"),
    ("site_names: [a.example.com, a.example.com]", "site_names", "there twice"),
    ("nginx_certificate: acme\nsite_names: ['*.shop.example.com']", "nginx_certificate", "proves single names alone"),
    ("nginx_certificate: acme\nsite_domain: 192.0.2.7", "nginx_certificate", "not the address 192.0.2.7; write"),
    ("nginx_certificate: acme\nsite_domain: localhost", "nginx_certificate", "no public CA knows localhost, "),
    (
        "nginx_certificate: acme\nsite_domain: 192.0.2.7\nsite_aliases: []\nnginx_certificate_ca_file: @/root.pem",
        "nginx_certificate",
        "proves names, not the address 192.0.2.7; write a name that leads there, example: ",
    ),
    ("site_tls_in_front: true", "site_tls_in_front", "needs the addresses of what ends TLS"),
    (
        "site_tls_in_front: true\nsite_trusted_proxies: [192.0.2.7]\nnginx_certificate: acme",
        "nginx_certificate",
        "acme does not go with site_tls_in_front",
    ),
    ("site_uploads: {/: uploads}", "site_uploads", "begins and ends with a slash"),
    ("site_uploads: {/media: uploads}", "site_uploads", "begins and ends with a slash"),
    ("site_uploads: {/a/../: uploads}", "site_uploads", "begins and ends with a slash"),
    ("site_uploads: {/.well-known/: uploads}", "site_uploads", "begins and ends with a slash"),
    ("site_uploads: {/static/: uploads}", "site_uploads", "the release's own files"),
    ("site_uploads: {/media/: ''}", "site_uploads", "which would be the whole"),
    ("site_uploads: {/media/: .}", "site_uploads", "is not a directory below /data"),
    ("site_uploads: {/media/: ../jwt}", "site_uploads", "is not a directory below /data"),
    ("site_uploads: {/media/: a/../..}", "site_uploads", "is not a directory below /data"),
    (
        "site_uploads: {/media/: a}\nsite_headers: {x-content-type-options: ''}",
        "site_headers",
        "site_uploads need X-Content-Type-Options",
    ),
    # 4: numbers and sizes
    ("site_https_port: 0", "site_https_port", "between 1 and 65535"),
    ("site_https_port: 65536", "site_https_port", "between"),
    ("site_https_port: https", "site_https_port", "'https' is not"),
    ("app_workers: -1", "app_workers", "between"),
    ("app_workers: lots", "app_workers", "'lots' is not"),
    ("app_workers: 2.5", "app_workers", "2.5 is not"),
    ('app_workers: "1e3"', "app_workers", "'1e3' is not"),
    ('app_workers: "1_0"', "app_workers", "'1_0' is not"),
    ("app_workers:", "app_workers", "no value"),
    ("app_cpus: -0.5", "app_cpus", "between"),
    ("app_cpus: few", "app_cpus", "'few' is not"),
    ("app_cpus: .nan", "app_cpus", "between"),
    ("app_release_command: one && two", "app_release_command", "no shell runs it"),
    ("app_release_command: A=1 flask db upgrade", "app_release_command", "so A=… is no program; write env before it"),
    ("app_schema_command: A=1 flask db current", "app_schema_command", "so A=… is no program"),
    ("app_jobs: {purge: {command: A=1 x, at: daily}}", "app_jobs", "purge: command: no shell runs it, so A=… is no"),
    ("app_processes: {worker: {command: [A=1, x]}}", "app_processes", "worker: command: no shell runs it, so A=…"),
    ("app_schema_command: flask db current | head", "app_schema_command", "no shell runs it"),
    ('app_schema_command: "sh -c \'one"', "app_schema_command", "is no command"),
    ("app_memory: 0", "app_memory", "not valid"),
    ("app_memory: -1g", "app_memory", "not valid"),
    ("app_memory: lots", "app_memory", "not valid"),
    ("app_memory: 512", "app_memory", "not valid"),
    ("app_memory: 1k", "app_memory", "6m"),
    ("site_max_body: 10M", "site_max_body", "not valid"),
    ("app_files: {a b: x}", "app_files", "not the path of a file"),
    ("app_files: {../x: x}", "app_files", "not the path of a file"),
    ("app_files: {'a,readonly': x}", "app_files", "not the path of a file"),
    ("app_files: {/data/x: x}", "app_files", "/data/x is the container's own"),
    ("app_files: {/release/exec.py: x}", "app_files", "/release/exec.py is the container's own"),
    ("app_files: {/etc/passwd: x}", "app_files", "/etc/passwd is the container's own"),
    ("app_files: {config.py: ''}", "app_files", "config.py is empty, or not text"),
    ("app_files: {config.py: {a: 1}}", "app_files", "config.py is empty, or not text"),
    ("app_files: {a: x, a/b: y}", "app_files", "a is a file, so a/b cannot lie in it"),
    ("app_files: {a: x}\napp_writable: [a/b]", "app_files", "a is a file, so a/b of app_writable cannot be there"),
    ("app_writable: instance", "app_writable", "'instance' is not a list"),
    ("app_writable: [.]", "app_writable", "not a directory"),
    ("app_writable: [../x]", "app_writable", "not a directory"),
    ("app_writable: [a b]", "app_writable", "not a directory"),
    ("app_writable: ['a,readonly']", "app_writable", "not a directory"),
    ("app_writable: [/]", "app_writable", "not a directory"),
    ("app_writable: ['a:rw']", "app_writable", "not a directory"),
    ("app_writable: [/data/x]", "app_writable", "/data/x is the container's own"),
    ("app_writable: [/etc]", "app_writable", "/etc is the container's own"),
    ("app_writable: [/tmp]", "app_writable", "may have a size, /tmp:200m"),
    ("app_writable: ['/tmp:memory']", "app_writable", "may have a size, /tmp:200m"),
    ("app_writable: [a, b, 'a:memory']", "app_writable", "a and a are one place"),
    ("app_writable: [static/x, static]", "app_writable", "static and static/x are one place or lie within"),
    ("app_writable: ['/tmp:1g', '/tmp:2g']", "app_writable", "/tmp and /tmp are one place"),
    ("app_writable: ['cache:300m']", "app_writable", "300 MB in memory are more than half of app_memory"),
    ("site_max_body: 200m", "app_writable", "/tmp of 64m does not hold two bodies of requests, which may have 200m"),
    ("site_max_body: 1g\napp_writable: ['/tmp:1g']", "app_writable", "example: app_writable: [/tmp:2g]"),
    ("app_jobs: {Purge: {}}", "app_jobs", "'Purge' is not a name for it; example: app_jobs: {purge: {command"),
    ("app_jobs: {send-mails: {}}", "app_jobs", "'send-mails' is not a name for it"),
    ("app_jobs: {purge: flask purge}", "app_jobs", "purge: 'flask purge' is not a map of command, at, memory"),
    ("app_jobs: {purge: {at: daily}}", "app_jobs", "purge: command is missing"),
    ("app_jobs: {purge: {command: flask purge}}", "app_jobs", "purge: at is missing"),
    ("app_jobs: {purge: {command: ' ', at: daily}}", "app_jobs", "purge: command: it is empty; example: app_jobs: "),
    ("app_jobs: {purge: {command: [a, b], at: daily}}", "app_jobs", "purge: command: ['a', 'b'] is not text"),
    ("app_jobs: {purge: {command: a && b, at: daily}}", "app_jobs", "purge: command: no shell runs it"),
    ("app_jobs: {purge: {command: x, at: 0 3 * * *}}", "app_jobs", "at: '0 3 * * *' is cron's form; systemd reads"),
    ("app_jobs: {purge: {command: x, at: '@daily'}}", "app_jobs", "at: '@daily' is cron's form"),
    ("app_jobs: {purge: {command: x, at: tomorrow}}", "app_jobs", "at: 'tomorrow' is no time"),
    ("app_jobs: {purge: {command: x, at: 3:00}}", "app_jobs", "at: 180 is not text; put it in quotes"),
    ("app_jobs: {purge: {command: x, at: daily, tiemout: 5}}", "app_jobs", "no 'tiemout' here; did you mean timeout?"),
    ("app_jobs: {purge: {command: x, at: daily, zzz: 5}}", "app_jobs", "supported are command, at, memory, timeout, h"),
    ("app_jobs: {purge: {command: x, at: daily, timeout: 0}}", "app_jobs", "purge: timeout: 0 is not between 1 and"),
    ("app_jobs: {purge: {command: x, at: daily, timeout: 1h}}", "app_jobs", "timeout: '1h' is not a whole number"),
    ("app_jobs: {purge: {command: x, at: daily, memory: 1k}}", "app_jobs", "purge: memory: 1k is less than docker's"),
    ("app_jobs: {purge: {command: x, at: daily, hosts: web1}}", "app_jobs", "hosts: 'web1' is not one or all"),
    ("app_jobs: {purge: {command: x, at: daily, catch_up: maybe}}", "app_jobs", "'maybe' is not true or false"),
    ("app_jobs: {purge: {command: x, at: daily, catch_up: 1}}", "app_jobs", "catch_up: 1 is not true or false"),
    ("app_uid: 0", "app_uid", "between"),
    ("app_needs: [mysql]", "app_needs", "'mysql' is none of postgres, valkey; example: app_needs: "),
    ("app_needs: [postgresql]", "app_needs", "did you mean postgres?"),
    ("app_needs: [postgres, postgres]", "app_needs", "postgres stands there twice"),
    ("app_needs: postgres", "app_needs", "'postgres' is not a list"),
    ("app_needs: [postgres]\napp_env: {DATABASE_URL: x}", "app_env", "remove it from app_env, or let postgres give it"),
    ("app_needs: [postgres]\napp_secrets: {DATABASE_URL: 5f0c5f0c5f0c}", "app_secrets", "remove it from app_secrets"),
    ("app_needs: [valkey]\napp_env: {CELERY_BROKER_URL: x}", "app_env", "valkey_celery_variable: VALKEY_CELERY_BROKER"),
    ("app_needs: [valkey]\nvalkey_celery_variable: REDIS_URL", "valkey_variable", "two addresses cannot have one name"),
    ("app_needs: [postgres]\napp_name: postgres", "app_name", "a name of PostgreSQL's own; choose another, example: "),
    ("postgres_driver: mysql", "postgres_driver", "'mysql' is not valid; example: postgres_driver: postgresql+psycopg"),
    ("postgres_variable: A-B", "postgres_variable", "example: postgres_variable: DATABASE_URL"),
    (
        "app_needs: [postgres]\napp_env: {PGHOST: db.example.com}",
        "app_env",
        "PGHOST is what app_needs: [postgres] gives",
    ),
    ("app_needs: [postgres]\npostgres_variable: PGHOST", "postgres_variable", "PGHOST is what libpq reads"),
    ("postgres_extensions: ['a b']", "postgres_extensions", "'a b' is not the name of an extension"),
    ("postgres_settings: {port: 5}", "postgres_settings", "port is role postgres's own"),
    ("postgres_settings: {listen_addresses: '*'}", "postgres_settings", "listen_addresses is role postgres's own"),
    ("postgres_settings: {Work Mem: 5}", "postgres_settings", "'Work Mem' is not the name of a setting"),
    ("postgres_settings: {work_mem: [5]}", "postgres_settings", "work_mem: [5] is not one value"),
    ("valkey_memory: lots", "valkey_memory", "'lots' is not valid; example: valkey_memory: 128m"),
    ("valkey_use: both", "valkey_use", "'both' is not one of queue, cache"),
    ("valkey_variable: ''", "valkey_variable", "example: valkey_variable: REDIS_URL"),
    ("app_pids: 1", "app_pids", "between"),
    ("app_processes: [worker]", "app_processes", "is not a map"),
    ("app_processes: {Web: {command: x}}", "app_processes", "'Web' is not a name for it"),
    ("app_processes: {Worker_1: {command: x}}", "app_processes", "'Worker_1' is not a name for it"),
    ("app_processes: {a-very-long-name-1: {command: x}}", "app_processes", "is not a name for it"),
    ("app_processes: {worker: rq worker}", "app_processes", "worker: 'rq worker' is not a map of command, count"),
    ("app_processes: {worker: {count: 2}}", "app_processes", "worker: command is missing"),
    (
        "app_processes: {worker: {comand: x}}",
        "app_processes",
        "worker: there is no 'comand' here; did you mean command?",
    ),
    ("app_processes: {worker: {command: x, host: 1}}", "app_processes", "there is no 'host' here; did you mean hosts?"),
    ("app_processes: {worker: {command: x, size: 1}}", "app_processes", "supported are command, count, hosts, memory"),
    ("app_processes: {worker: {command: x, hosts: 1}}", "app_processes", "worker: hosts: 1 is not one or all"),
    ("app_processes: {beat: {command: x, hosts: one, count: 2}}", "app_processes", "beat: hosts: one runs it once"),
    ("app_processes: {worker: {command: ''}}", "app_processes", "worker: command: it is empty"),
    ("app_processes: {worker: {command: []}}", "app_processes", "worker: command: it is empty"),
    ("app_processes: {worker: {command: [a, 1]}}", "app_processes", "worker: command: 1 is not text"),
    ("app_processes: {worker: {command: {a: b}}}", "app_processes", "{'a': 'b'} is not text"),
    ("app_processes: {worker: {command: --port 1 x}}", "app_processes", "begins with an option"),
    ("app_processes: {worker: {command: x, memory: 5x}}", "app_processes", "example: memory: 512m"),
    ("app_processes: {worker: {command: a && b}}", "app_processes", "no shell runs it"),
    ("app_processes: {worker: {command: x, count: 65}}", "app_processes", "count: 65 is not between 0 and 64"),
    ("app_processes: {worker: {command: x, count: 1.5}}", "app_processes", "count: 1.5 is not a whole number"),
    ("app_processes: {worker: {command: x, count: true}}", "app_processes", "count: True is not a whole number"),
    ("app_processes: {worker: {command: x, memory: 512}}", "app_processes", "memory: 512 is not text"),
    ("app_processes: {worker: {command: x, memory: 1m}}", "app_processes", "memory: 1m is less than docker's least"),
    ("app_processes: {worker: {command: x, cpus: many}}", "app_processes", "cpus: 'many' is not a number"),
    ("app_processes: {worker: {command: x, pids: 1}}", "app_processes", "pids: 1 is not between 16 and 100000"),
    ("app_processes: {worker: {command: x, stop_timeout: 0}}", "app_processes", "stop_timeout: 0 is not between 1"),
    ("app_server: uvicorn", "app_server", "'uvicorn' is not auto, gevent, gthread, sync or a port"),
    ("app_server: 5000", "app_server", "is not auto, gevent, gthread, sync or a port; example: app_server: port:5000"),
    ("app_server: port:80", "app_server", "80 is not between 1024 and 65535"),
    ("app_server: port:99999", "app_server", "99999 is not between"),
    ('app_server: "port:"', "app_server", "example: app_server: port:5000"),
    ("app_keep_releases: 1", "app_keep_releases", "between"),
    ("app_watch_slow: -1", "app_watch_slow", "between"),
    ("app_watch_slower: 1001", "app_watch_slower", "between"),
    ("app_timeout: 0", "app_timeout", "between"),
    ("app_preload: maybe", "app_preload", "'maybe' is not"),
    ("tokens_algorithm: HS256", "tokens_algorithm", "one of RS256"),
    ("nginx_tls_policy: old", "nginx_tls_policy", "one of intermediate, modern"),
    ("nginx_certificate: letsencrypted", "nginx_certificate", "one of selfsigned"),
    ("nginx_worker_connections: 1", "nginx_worker_connections", "between"),
    ("nginx_keepalive_timeout: -1", "nginx_keepalive_timeout", "between"),
    ("host_adopt: [apache]", "host_adopt", "one of"),
    ("host_adpt: [nginx]", "host_adpt", "did you mean host_adopt?"),
    ("host_firewall: maybe", "host_firewall", "'maybe' is not"),
    ("host_ports: {metrics: {port: 0}}", "host_ports", "0 is not between 1 and 65535"),
    ("host_ports: {metrics: {port: 9100-9000}}", "host_ports", "'9100-9000' is no port"),
    ("host_ports: {metrics: {port: [9100, http]}}", "host_ports", "'http' is no port"),
    ("host_ports: {metrics: {port: 9100, from: 10.0.0.0/8}}", "host_ports", "is not a list"),
    ("host_ports: {metrics: {port: 9100, from: ['fe80::1%eth0; x']}}", "host_ports", "is no address and no network"),
    ("host_ports: {metrics: {port: 9100, from: []}}", "host_ports", "metrics: from: [] names nobody; leave it out to"),
    ("host_ports: {metrics: {port: 9100, protocol: icmp}}", "host_ports", "'icmp' is not tcp or udp"),
    ("host_ports: {metrics: {form: []}}", "host_ports", "did you mean from?"),
    ("host_ports: {'a\"b': {port: 9100}}", "host_ports", "is not a name for it"),
    ("host_egress: {database: {port: 5432}}", "host_egress", "to is missing"),
    ("host_egress: {database: {to: []}}", "host_egress", "[] is not a list"),
    ("host_egress: {database: {to: [db.lan]}}", "host_egress", "'db.lan' is no address and no network"),
    ("host_egress: {database: {to: [host], protocol: udp}}", "host_egress", "protocol goes with port"),
    ("host_ssh_from: [office]", "host_ssh_from", "'office' is no address and no network"),
    ("host_ssh_rate: 1", "host_ssh_rate", "between"),
    ("host_reboot: '0 4 * * 0'", "host_reboot", "cron's form"),
    ("host_reboot: sundays", "host_reboot", "is no time"),
    ("host_reboot: Sun 04:00", "host_reboot", "does nothing without updates; write host_updates: true, or"),
    ("host_ssh_from: [192.0.2.1]", "host_ssh_from", "SSH is open to everybody; write host_firewall: true, or remove"),
    (
        "host_firewall: false\nhost_ports: {web: {port: 8000}, db: {port: 5432, from: [10.0.0.5]}}",
        "host_ports",
        "db: without the firewall from closes nothing; write host_firewall: true, or remove from",
    ),
    ("host_egress: {lan: {to: [10.0.0.0/8]}}", "host_egress", "containers reach every network; write host_firewall"),
    ("host_ssh: keys", "host_ssh", "'keys' is not"),
    ("host_updates: security", "host_updates", "'security' is not"),
    ("docker_log_max_size: 10", "docker_log_max_size", "not valid"),
    ("docker_build_cache_size: 2GB", "docker_build_cache_size", "not valid"),
    ("docker_log_max_files: 0", "docker_log_max_files", "between"),
    ("docker_journal_size: 1 GB", "docker_journal_size", "not valid"),
    ("docker_daemon_options: {live-restor: true}", "docker_daemon_options", "did you mean 'live-restore'"),
    ("docker_daemon_options: {hosts: ['tcp://0.0.0.0:2375']}", "docker_daemon_options", "docker -H ssh://user@host ps"),
    ("docker_daemon_options: [debug]", "docker_daemon_options", "is not"),
    # 5: misspelt variables
    ("app_domian: shop.example.com", "app_domian", "did you mean site_domain?"),
    ("app_worker: 2", "app_worker", "did you mean app_workers (of the web) or app_processes"),
    ("app_lock_wait: soon", "app_lock_wait", "'soon' is not a whole number; example: app_lock_wait: 300"),
    ("app_lock_wait: 15m", "app_lock_wait", "'15m' is not a whole number; example: app_lock_wait: 300"),
    ("app_lock_wait: '-1'", "app_lock_wait", "-1 is not between 0 and 86400"),
    # what a thing is called elsewhere
    ("app_port: 5000", "app_port", "did you mean app_server (port:5000, where the app listens) or site_https_port?"),
    ("app_volumes: [uploads]", "app_volumes", "did you mean app_writable "),
    ("nginx_domain: shop.example.com", "nginx_domain", "did you mean site_domain?"),
    ("app_image: shop", "app_image", "did you mean build_source (image:"),
    ("app_replicas: 2", "app_replicas", "did you mean app_workers "),
    ("app_command: flask run", "app_command", "did you mean app_wsgi "),
    ("site_healthcheck: /", "site_healthcheck", "did you mean app_health_path?"),
    ("site_ssl: true", "site_ssl", "did you mean nginx_certificate?"),
    ("app_redis: true", "app_redis", "did you mean app_needs (postgres, valkey: beside the app) or app_secrets"),
    ("app_mysql: true", "app_mysql", "did you mean app_secrets (its address, "),
    ("app_cron: []", "app_cron", "did you mean app_jobs?"),
    ("app_env_file: .env", "app_env_file", "did you mean app_env or app_secrets?"),
    ("app_helthcheck: /", "app_helthcheck", "did you mean app_health_path?"),
    # the right word behind another role's prefix, or a part of it
    ("site_workers: 2", "site_workers", "did you mean app_workers?"),
    ("build_wsgi: shop:app", "build_wsgi", "did you mean app_wsgi?"),
    ("app_hsts: 300", "app_hsts", "did you mean site_hsts_max_age or site_hsts_preload or site_hsts_subdomains?"),
    ("app_timeout_seconds: 3", "app_timeout_seconds", "did you mean app_timeout?"),
    ("build_secret: {A: b}", "build_secret", "did you mean build_secrets?"),
    ("app_commnad: x", "app_commnad", "did you mean app_wsgi "),
    ("host_ip: 192.0.2.1", "host_ip", "supported are those in roles/host/README.md"),
    ("nginx_tls_polici: modern", "nginx_tls_polici", "did you mean nginx_tls_policy?"),
    ("docker_log_max_file: 2", "docker_log_max_file", "did you mean docker_log_max_files?"),
    ("app_zzzzzzzz: 1", "app_zzzzzzzz", "no role knows this variable"),
    # 6: secrets
    ("app_secrets: {SECRET_KEY: ''}", "app_secrets", "SECRET_KEY is empty, a placeholder, or shorter"),
    ("app_secrets: {SECRET_KEY: changeme}", "app_secrets", "SECRET_KEY is empty, a placeholder"),
    ("app_secrets: {SECRET_KEY: change-me}", "app_secrets", "SECRET_KEY is empty, a placeholder"),
    ("app_secrets: {SECRET_KEY: xxxxxxxxxxxx}", "app_secrets", "SECRET_KEY is empty, a placeholder"),
    ("app_secrets: {SECRET_KEY: not-so-secret}", "app_secrets", "SECRET_KEY is empty, a placeholder"),
    ("app_secrets: {SECRET_KEY: '            '}", "app_secrets", "SECRET_KEY is empty, a placeholder"),
    (f"app_secrets: {{SECRET_KEY: {MARK}}}", "app_secrets", "SECRET_KEY is empty, a placeholder, or shorter"),
    ("app_secrets: {SECRET_KEY: '1234'}", "app_secrets", "SECRET_KEY is empty, a placeholder, or shorter"),
    ("app_secrets: {SECRET_KEY: 1234567890123}", "app_secrets", "SECRET_KEY (a number)"),
    ("app_secrets: {SECRET_KEY: }", "app_secrets", "SECRET_KEY has no value"),
    ("app_secrets: {SECRET_KEY: '{{ vault_missing }}'}", "app_secrets", "vault_missing"),
    (f"app_secrets: {MARK}-and-more", "app_secrets", "is not"),
    (f"app_secrets: {{'A B': {MARK}-and-more}}", "app_secrets", "'A B' is not a name"),
    (f"app_secrets: {{A: {MARK}-and-more}}\napp_env: {{A: x}}", "app_env", "A is in app_secrets too"),
    (f"app_secret_files: {{../x: {MARK}}}", "app_secret_files", "'../x' is not a plain file name"),
    (f"app_secret_files: {{env.json: {MARK}}}", "app_secret_files", "not a plain file name"),
    ("app_secret_files: {users.json: ''}", "app_secret_files", "users.json is empty"),
    (f"build_git_key: {MARK}", "build_git_key", "not a private key"),
    # 7: signing keys
    ("tokens_keys: [!file jwt-rsa.pem]", "tokens_keys", "nothing signs with them; write tokens_algorithm: RS256"),
    ("tokens_algorithm: RS256\ntokens_keys: [hello]", "tokens_keys", "not a key in PEM"),
    ("tokens_algorithm: RS256\ntokens_keys: [!file jwt-rsa-public.pem]", "tokens_keys", "the first is a public key"),
    ("tokens_algorithm: RS256\ntokens_keys: [!file jwt-rsa-encrypted.pem]", "tokens_keys", "is encrypted"),
    ("tokens_algorithm: RS256\ntokens_keys: [!file jwt-rsa1024.pem]", "tokens_keys", "1024 bits"),
    ("tokens_algorithm: RS256\ntokens_keys: [!file jwt-p256.pem]", "tokens_keys", "not a key for RS256; make one: "),
    ("tokens_algorithm: ES256\ntokens_keys: [!file jwt-rsa.pem]", "tokens_keys", "not a key for ES256"),
    ("tokens_algorithm: ES256\ntokens_keys: [!file jwt-p384.pem]", "tokens_keys", "not a key for"),
    ("tokens_algorithm: EdDSA\ntokens_keys: [!file jwt-rsa.pem]", "tokens_keys", "ed25519"),
    ("tokens_algorithm: RS256\ntokens_keys: [!file jwt-rsa.pem, !file jwt-rsa-public.pem]", "tokens_keys", "twice"),
    ("tokens_algorithm: RS256\ntokens_keys: [!file jwt-rsa.pem, x]", "tokens_keys", "not a key in PEM"),
    ("tokens_revoke: now", "tokens_revoke", "not valid"),
    ("tokens_rotate_after: -1", "tokens_rotate_after", "between"),
    ("tokens_import: /no/such.pem", "tokens_import", "no file /no/such.pem"),
    # 8: sources and refs
    ('build_ref: ""', "build_ref", "not a branch, tag or commit"),
    ("build_ref: --upload-pack=x", "build_ref", "not a branch, tag or commit"),
    ("build_ref: -main", "build_ref", "not a branch, tag or commit"),
    ("build_ref: a b", "build_ref", "not a branch, tag or commit"),
    ("build_ref: a..b", "build_ref", "not a branch, tag or commit"),
    ('build_ref: "HEAD~1"', "build_ref", "not a branch, tag or commit"),
    ("build_ref: main.lock", "build_ref", "not a branch, tag or commit"),
    ("build_source: /no/such/directory", "build_source", "not a directory on the controller"),
    ("build_source: --upload-pack=x", "build_source", "neither a directory nor"),
    ("build_source: htps://git.example.com/shop.git", "build_source", "htps:// is not an address"),
    ('build_source: "ext::sh%20-c%20id"', "build_source", "neither a directory nor"),
    (f"build_source: https://me:{MARK}@git.example.com/shop.git", "build_source", "would be logged"),
    (f"build_source: https://me:{MARK}@x@git.example.com/a b", "build_source", "would be logged"),
    (f"build_source: https://me:{MARK}/x@git.example.com/shop.git", "build_source", "would be logged"),
    (f"build_source: https://{MARK}@git.example.com/shop.git", "build_source", "would be logged"),
    (f"build_source: HTTPS://me:{MARK}@git.example.com/shop.git", "build_source", "would be logged"),
    (f"build_source: ssh://git:{MARK}@git.example.com/shop.git", "build_source", "would be logged"),
    ("build_subdir: ../x", "build_subdir", "not valid"),
    ("build_subdir: /x", "build_subdir", "not valid"),
    ("build_subdir: no-such", "build_subdir", "no directory"),
    ("build_source: /\nbuild_ref: v1.4", "build_ref", "is a directory, which is deployed as it is; check"),
    ("build_source: /\nbuild_subdir: user", "build_subdir", "did you mean usr?"),
    ("build_dockerfile: ../Dockerfile", "build_dockerfile", "not valid"),
    ("build_base_image: Not An Image", "build_base_image", "not valid"),
    ('build_base_image: "{python}:slim"', "build_base_image", "not valid"),
    ('build_python: "3.12"\nbuild_base_image: python:3.13', "build_python", "chooses nothing of python:3.13; write"),
    ('build_python: "3.9"', "build_python", "not valid"),
    ("build_python: 3.12", "build_python", "is a number, not text"),
    ("build_dependencies: ../requirements.txt", "build_dependencies", "not valid"),
    ("build_dependencies: /etc/passwd", "build_dependencies", "not valid"),
    ('build_extras: ["pg web"]', "build_extras", "not valid"),
    ('build_groups: ["--all"]', "build_groups", "not valid"),
    ('build_requirements: ["-r x.txt"]', "build_requirements", "not a requirement"),
    (f'build_requirements: ["x @ https://me:{MARK}@example.com/x.whl"]', "build_requirements", "stay in the image"),
    ("build_packages: [Git]", "build_packages", "not valid"),
    ('build_image_packages: ["git; id"]', "build_image_packages", "not valid"),
    ('build_packages: ["-oDebug=1"]', "build_packages", "not valid"),
    ("build_secrets: {TOKEN: short}", "build_secrets", "TOKEN is shorter than 8 characters"),
    ('build_secrets: {"A-B": 5f0c5f0c5f0c}', "build_secrets", "'A-B' is not a name"),
    ("build_base_image_archive: /no/such.tar", "build_base_image_archive", "no file /no/such.tar"),
    ("build_ca_file: /no/such.pem", "build_ca_file", "no file /no/such.pem"),
    ("build_args: {'A=B': x}", "build_args", "'A=B' is not a name"),
    ("site_static: .", "site_static", "the whole app"),
    ("site_static: /", "site_static", "the whole app"),
    ("site_static: ../x/..", "site_static", "the whole app"),
    ("app_wsgi: shop app", "app_wsgi", "shop:create_app()"),
    ("app_wsgi: shop", "app_wsgi", "'shop' names no application in that module; example: app_wsgi: shop:app"),
    ("app_wsgi: shop.web", "app_wsgi", "example: app_wsgi: shop.web:app"),
    ("app_wsgi: -shop", "app_wsgi", "not valid"),
    ("app_wsgi: shop/app.py", "app_wsgi", "names a file, and gunicorn wants a module; write app_wsgi: shop.app:app"),
    ("app_wsgi: shop.py", "app_wsgi", "app_wsgi: shop:app"),
    ("build_source: https://git.example.com/me/shop/tree/main", "build_source", "me/shop, build_ref: main"),
    (
        "build_source: https://git.example.com/me/shop/-/tree/v1/web/",
        "build_source",
        "build_ref: v1, build_subdir: web",
    ),
    ("build_source: https://git.example.com/me/shop/blob/main/app.py", "build_source", "me/shop, build_ref: main"),
    ("build_source: git.example.com/me/shop", "build_source", "write build_source: https://git.example.com/me/shop"),
    ("build_dockerfile: false", "build_dockerfile", "write build_dockerfile: none"),
    ("build_dockerfile: 'no'", "build_dockerfile", "write build_dockerfile: none"),
    ("build_python: 3.10", "build_python", 'write build_python: "3.10"'),
    ("site_aliases: www.shop.example.com", "site_aliases", 'example: site_aliases: ["www.shop.example.com"]'),
    ("app_processes: {web: {command: gunicorn shop:app}}", "app_processes", "web is what gunicorn serves, as app_wsgi"),
    ("site_domains: [a]", "site_domains", "did you mean site_domain and site_aliases?"),
    ("app_wsgi: shop.py:server", "app_wsgi", "app_wsgi: shop:server"),
    ("app_wsgi: /srv/shop.py:app", "app_wsgi", "not valid"),
    ("app_wsgi: shop..web:app", "app_wsgi", "not valid"),
    ("app_wsgi: 'shop:'", "app_wsgi", "not valid"),
    ("app_wsgi: 'shop:1'", "app_wsgi", "not valid"),
    ("app_wsgi: 'shop:create_app()()'", "app_wsgi", "not valid"),
    ("app_wsgi: 'shop:create_app(1'", "app_wsgi", "not valid"),
    ("app_wsgi: shop:app.server", "app_wsgi", "write a line server = app.server in shop, and app_wsgi: shop:server"),
    ("app_wsgi: shop:make.app()", "app_wsgi", "server = make.app() in shop"),
    ("app_wsgi: shop:create_app(config)", "app_wsgi", "config is a name, and gunicorn passes text and numbers alone"),
    ("app_wsgi: shop:create_app(Config())", "app_wsgi", "example: app_wsgi: shop:create_app('production')"),
    ("app_wsgi: shop:create_app(**options)", "app_wsgi", "options is a name"),
    ("app_wsgi: shop:create_app(debug=off)", "app_wsgi", "off is a name"),
    # 9: the health path
    ("app_health_path: healthz", "app_health_path", "not valid"),
    ("app_health_path: https://shop.example.com/", "app_health_path", "not valid"),
    ('app_health_path: "/a\\nX-Y: z"', "app_health_path", "not valid"),
    ("app_health_path: /a b", "app_health_path", "not valid"),
    ("app_health_path: /ü", "app_health_path", "not valid"),
    # 10: names and values of the environment
    ("app_env: {1A: x}", "app_env", "'1A' is not a name"),
    ("app_env: {NO: x}", "app_env", "quotes"),
    ("app_env: {A: }", "app_env", "A has no value"),
    ('app_env: {A: "a\\0b"}', "app_env", "NUL"),
    ("app_env: [A]", "app_env", "is not"),
    # what YAML changes where there are no quotes
    ("app_env: {VER: 1.10}", "app_env", "not text: VER (a number); YAML changes such words"),
    ("app_env: {PIN: 0123}", "app_env", "PIN (a number)"),
    ("app_env: {PORT: 8000}", "app_env", "PORT (a number)"),
    ("app_env: {TIME: 12:30}", "app_env", "TIME (a number)"),
    ("app_env: {X: yes}", "app_env", "X (true or false)"),
    ("app_env: {X: off}", "app_env", "X (true or false)"),
    ("app_env: {DAY: 2026-11-27}", "app_env", "DAY (a date)"),
    ("app_env: {DAY: 2026-11-27 10:00:00}", "app_env", "DAY (a date)"),
    ("app_env: {N: .inf}", "app_env", "JSON does not know"),
    ("app_env: {N: [.nan]}", "app_env", "JSON does not know"),
    ("app_env: {A: a, VER: 1.10, X: yes}", "app_env", "VER (a number), X (true or false)"),
    ("app_env: {PORT: '{{ port }}'}\nport: 8000", "app_env", "PORT (a number)"),
    ("app_secrets: {PIN: 012345670}", "app_secrets", "PIN (a number)"),
    ("app_secrets: {SECRET_KEY: yes}", "app_secrets", "SECRET_KEY (true or false)"),
    ("app_secret_files: {pin: 0123}", "app_secret_files", "pin (a number)"),
    ("build_args: {PYTHON_VERSION: 3.10}", "build_args", "PYTHON_VERSION (a number)"),
    ("build_args: {EXTRAS: [a, b]}", "build_args", "a list or map"),
    ("site_headers: {X-XSS-Protection: 0}", "site_headers", "X-XSS-Protection (a number)"),
    ("site_headers: {X-A: on}", "site_headers", "X-A (true or false)"),
    ("site_headers: {X-A: }", "site_headers", "not text"),
    ("build_ref: 1.10", "build_ref", "is a number, not text"),
    ("build_ref: 0123456", "build_ref", "is a number, not text"),
    ("build_ref: 2026-11-27", "build_ref", "is a date, not text"),
    ("build_subdir: 1.0", "build_subdir", "is a number, not text"),
    ("site_static: on", "site_static", "is true or false, not text"),
    ("app_rollback_to: 123456789012", "app_rollback_to", "is a number, not text"),
    ("site_maintenance_message: 12:30", "site_maintenance_message", "is a number, not text"),
    ("site_aliases: [1]", "site_aliases", "holds a number"),
    # what a lenient reader changes
    ("app_timeout: .inf", "app_timeout", "is not a whole number"),
    ("docker_daemon_options: {1: x}", "docker_daemon_options", "no key"),
    ("app_workers: true", "app_workers", "True is not a whole number"),
    ("app_workers: 2.0", "app_workers", "2.0 is not a whole number"),
    ("app_timeout: '007'", "app_timeout", "'007' is not a whole number"),
    ("app_timeout: '٣'", "app_timeout", "'٣' is not a whole number"),
    ("app_timeout: '30\n'", "app_timeout", "is not a whole number"),
    ("app_cpus: '1_0'", "app_cpus", "'1_0' is not a number"),
    ("app_cpus: '١٢'", "app_cpus", "is not a number"),
    ("app_cpus: yes", "app_cpus", "True is not a number"),
    ("app_preload: t", "app_preload", "'t' is not true or false"),
    ("site_ipv6: 1.0", "site_ipv6", "1.0 is not true or false"),
    ("site_static: [static]", "site_static", "is not text"),
    ("site_login_paths: /login", "site_login_paths", "'/login' is not a list"),
    ("site_trusted_proxies: 192.0.2.7", "site_trusted_proxies", "'192.0.2.7' is not a list"),
    ("site_cors_origins: https://a.example.com", "site_cors_origins", "is not a list"),
    ("site_headers: X-A=b", "site_headers", "'X-A=b' is not a map"),
    ('app_env: \'{"A": "b"}\'', "app_env", "is not a map"),
    ('app_release_command: "flask\\0"', "app_release_command", "holds a NUL"),
    ('build_source: "https://git.example.com/a\\0b"', "build_source", "holds a NUL"),
    ("docker_daemon_options: {mtu: .nan}", "docker_daemon_options", "JSON does not know"),
    # HSTS
    ("site_hsts_max_age: -1", "site_hsts_max_age", "between"),
    ("site_hsts_preload: true\nsite_hsts_max_age: 63072000", "site_hsts_preload", "needs site_hsts_subdomains"),
    ("site_hsts_preload: true\nsite_hsts_subdomains: true", "site_hsts_preload", "31536000 or more"),
    # limits and headers
    ("site_trusted_proxies: [192.0.2.1/24]", "site_trusted_proxies", "host bits set"),
    ("site_trusted_proxies: [proxy.example.com]", "site_trusted_proxies", "not appear to be"),
    ("site_trusted_proxies: [0.0.0.0/0]", "site_trusted_proxies", "trusts everybody"),
    ("site_trusted_proxies: ['fe80::1%x; return 200 pwned; #']", "site_trusted_proxies", "has a zone"),
    ("site_trusted_proxies: ['fe80::1%eth0']", "site_trusted_proxies", "has a zone"),
    ("site_trusted_proxies: [192.0.2.0/255.255.255.0]", "site_trusted_proxies", "write 192.0.2.0/24 instead of"),
    ("site_trusted_proxies: [192.0.2.0/0.0.0.255]", "site_trusted_proxies", "write 192.0.2.0/24 instead of"),
    ("site_trusted_proxies: ['2001:DB8:0::/32']", "site_trusted_proxies", "write 2001:db8::/32 instead of"),
    ("site_login_paths: [login]", "site_login_paths", "not valid"),
    ("site_login_rate: 0", "site_login_rate", "between"),
    ("site_connections_per_address: -1", "site_connections_per_address", "between"),
    ("site_request_rate: many", "site_request_rate", "'many' is not"),
    ("site_compress: sometimes", "site_compress", "one of none, public, all"),
    ("site_static_hashed: ['(']", "site_static_hashed", "not a regular expression"),
    ("site_static_hashed: ['']", "site_static_hashed", "cannot stand"),
    ("site_static_hashed: ['(?P<uri>x)']", "site_static_hashed", "names a group"),
    ("site_static_hashed: ['(?i)x']", "site_static_hashed", "beside it"),
    ("site_headers: {~: x}", "site_headers", "None is not text, as YAML reads words such as NO; put it in quotes"),
    ("site_headers: {NO: x}", "site_headers", "False is not text, as YAML reads words such as NO"),
    ("app_secret_files: {NO: x}", "app_secret_files", "False is not text, as YAML reads words such as NO"),
    ("app_secret_files: {1: x}", "app_secret_files", "1 is not text, as YAML reads words such as NO"),
    ("site_headers: {'X A': b}", "site_headers", "not a header's name"),
    ("site_headers: {Content-Security-Policy: x}", "site_headers", "write site_csp"),
    ("site_headers: {ETag: x}", "site_headers", "made by nginx"),
    ("site_maintenance_message: ' '", "site_maintenance_message", "not valid"),
    ("site_maintenance_retry_after: 0", "site_maintenance_retry_after", "between"),
    ("nginx_header_size: 8192", "nginx_header_size", "not valid"),
    ("nginx_header_timeout: 0", "nginx_header_timeout", "between"),
    # CORS
    ("site_cors_origins: [front.example.com]", "site_cors_origins", "not valid"),
    ("site_cors_origins: [https://front.example.com/]", "site_cors_origins", "not valid"),
    ("site_cors_origins: ['*', https://a.example.com]", "site_cors_origins", "write it alone"),
    ("site_cors_origins: ['null']", "site_cors_origins", "not valid"),
    # 51: certificates
    ("nginx_certificate: provided", "nginx_certificate", "needs nginx_certificate_file and"),
    ("nginx_certificate_file: /no/such.pem", "nginx_certificate_file", "no file /no/such.pem"),
    ("nginx_certificate_file: tls/cert.pem", "nginx_certificate_file", "inventory_dir"),
    ("nginx_certificate_ca_file: ca.pem", "nginx_certificate_ca_file", "inventory_dir"),
    # ACME
    ("nginx_acme_directory: http://ca.example.com/dir", "nginx_acme_directory", "not valid"),
    ('nginx_acme_directory: "https://ca.example.com/dir\\nx = y"', "nginx_acme_directory", "not valid"),
    ("nginx_acme_mail: admin", "nginx_acme_mail", "admin@example.com"),
    ('nginx_acme_mail: "a@example.com\\nx = y"', "nginx_acme_mail", "not valid"),
    ("nginx_acme_key_type: p256", "nginx_acme_key_type", "one of ecdsa, rsa"),
    ("nginx_acme_profile: a b", "nginx_acme_profile", "not valid"),
    ('nginx_acme_eab_key_id: "a\\nx = y"', "nginx_acme_eab_key_id", "not valid"),
    (f"nginx_acme_eab_hmac_key: '{MARK} x'", "nginx_acme_eab_hmac_key", "base64url"),
    (
        f"nginx_certificate: acme\nsite_domain: a.example.org\nnginx_acme_eab_hmac_key: {MARK}",
        "nginx_acme_eab_key_id",
        "write both",
    ),
    (
        "nginx_certificate: acme\nsite_domain: shop.test",
        "nginx_certificate",
        "no public CA knows shop.test, www.shop.test",
    ),
    ("nginx_certificate: acme\nsite_domain: shop\nsite_aliases: []", "nginx_certificate", "no public CA knows shop"),
    ("nginx_certificate_names: ['a b']", "nginx_certificate_names", "not valid"),
    ("nginx_certificate_owner: ../x", "nginx_certificate_owner", "not valid"),
]
CERTIFICATES = [
    ("expired.pem", "key.pem", "nginx_certificate_file", "not today"),
    ("future.pem", "key.pem", "nginx_certificate_file", "not today"),
    ("other-name.pem", "key.pem", "nginx_certificate_file", "does not cover shop.example.com, www.shop.example.com"),
    ("other-key.pem", "key.pem", "nginx_certificate_key_file", "not the key of"),
    ("weak.pem", "weak-key.pem", "nginx_certificate_file", "key is weak"),
    ("client.pem", "key.pem", "nginx_certificate_file", "not meant for servers"),
    ("leaf.pem", "key.pem", "nginx_certificate_file", "append the intermediates"),
    ("chain.pem", "key.pem", "nginx_certificate_file", "keep your own CA in nginx_certificate_ca_file"),
    ("nothing.pem", "key.pem", "nginx_certificate_file", "no PEM certificate"),
    ("key.pem", "key.pem", "nginx_certificate_file", "no PEM certificate"),
    ("cert.pem", "public.pem", "nginx_certificate_key_file", "is a public key"),
    ("cert.pem", "encrypted.pem", "nginx_certificate_key_file", "is encrypted"),
    ("cert.pem", "cert.pem", "nginx_certificate_key_file", "not a private key"),
    ("cert.pem", "readable.pem", "nginx_certificate_key_file", "others may read it; type: chmod 600"),
]
VALID = [
    "monitor_webhooks: {ntfy: 'https://:tk_5f0c@ntfy.example.com/shop', slack: 'http://chat.example.com:8065/hooks/x'}",
    "metrics_address: 100.64.0.7\nmetrics_port: 9100",
    "kubernetes_image: localhost:5000/team/shop:1.4.0",
    f"kubernetes_image: registry.example.com/shop@sha256:{'5f' * 32}",
    "kubernetes_data: ''\nkubernetes_namespace: shop-1\nkubernetes_workdir: /srv/code",
    "metrics_address: fd00::5",
    "monitor_mail: [ops+shop@example.com]\nmonitor_smtp: smtp://localhost\nmonitor_errors: 0\nmonitor_slow: 0",
    "monitor_smtp: smtps://ops%40example.com:5f%2F0c@smtp.example.com:465\nmonitor_ping: https://hc.example.com/5f0c",
    f"{BACKUP}{SFTP}\nbackup_host_key: {HOST_KEY}\nbackup_ssh_key: {SSH_KEY}",
    f"{BACKUP}/mnt/backup/app\nbackup_keep: {{monthly: 3}}\nbackup_at: hourly\nbackup_drill_read: 1/10",
    f"{BACKUP}{SFTP}\nbackup_host_key: {HOST_KEY}\nbackup_ssh_key: {SSH_KEY}\napp_needs: [postgres]\narchive_queue: 9",
    f"{BACKUP}/mnt/backup/app\napp_needs: [postgres]\narchive_to: s3:s3.example.com/b\n{S3}\narchive_keep_days: 60",
    f'{BACKUP}/mnt/backup/app\napp_needs: [postgres]\narchive_to: ""',
    f"{BACKUP}/srv/backups/app\napp_needs: [postgres]\narchive_to: /var/backups/postgres",
    f"{BACKUP}/srv/app-backup\narchive_to: /srv/app/data/pg",
    f"{BACKUP}/srv/app-backup\napp_needs: [postgres]\narchive_to: sftp:k@b.example.com:/etc/app\n"
    f"backup_host_key: {HOST_KEY}\nbackup_ssh_key: {SSH_KEY}",
    f"{BACKUP}s3:https://s3.example.com/b/shop\nbackup_env: {{AWS_ACCESS_KEY_ID: a, AWS_SECRET_ACCESS_KEY: b}}",
    "app_server: port:5000",
    "app_needs: [valkey, postgres]\npostgres_variable: PG\napp_env: {DATABASE_URL: x}",
    "app_needs: [valkey]\nvalkey_use: cache\napp_env: {CELERY_BROKER_URL: x}",
    "app_needs: [valkey]\nvalkey_celery_variable: ''\napp_env: {CELERY_BROKER_URL: x}",
    "postgres_settings: {work_mem: 16MB, max_connections: 90, jit: off, pg_stat_statements.max: 100}",
    "app_files: {instance/config.py: 'A = 1', /etc/shop.cfg: x}\napp_writable: [instance]",
    "app_jobs: {a_1: {command: flask x, at: 'Mon..Fri 09:00 Europe/Berlin', hosts: all, catch_up: no, memory: 6m}}",
    "app_jobs: {purge: {command: sh -c 'a && b', at: '*:*:0/5', timeout: 60}, b: {command: b, at: hourly}}",
    "app_processes: {worker: {command: celery -A shop worker, count: 0, memory: 1g, cpus: 0.5, pids: 64}}",
    "app_processes: {beat: {command: x, hosts: one, count: 1}, tick: {command: x, hosts: one, count: 0}}",
    "app_processes: {worker: {command: x, hosts: all, count: 2}}",
    "app_processes: {cpu-worker: {command: [sh, -c, 'one && two'], stop_timeout: 600, count: '2'}}",
    "app_writable: [uploads, 'static/.webassets-cache:memory', '/opt/shop/cache:100m', '/tmp:128m']",
    "site_max_body: 200m\napp_writable: ['/tmp:400m']",
    "app_watch_slow: 0\napp_watch_slower: 0",
    "",
    "site_trusted_proxies: [192.0.2.7, 2001:db8::/32]",
    f"build_source: image:registry.example.com:5000/team/shop@sha256:{'3f' * 32}",
    "build_source: image:shop:1.4\nbuild_registry_user: me\nbuild_registry_password: h5-Xq",
    "build_registry: registry.example.com:5000\nbuild_registry_user: me\nbuild_registry_password: h5-Xq",
    "build_target: production",
    "site_names: [shop.example.org, '*.shop.example.com']",
    "nginx_certificate: acme\nsite_names: [shop.example.org]",
    "site_tls_in_front: true\nsite_trusted_proxies: [192.0.2.7]",
    "site_uploads: {/media/: uploads, /static/avatars/: users/avatars}",
    "site_login_paths: []",
    "site_static_hashed: ['^/static/assets/']",
    "site_csp: ''",
    "site_headers: {X-Frame-Options: '', Cross-Origin-Opener-Policy: same-origin}",
    "app_env: {A: !unsafe '{{ not.a.template }} {% raw %} {# #}'}",
    "app_env: {A: !unsafe '{{', B: '$HOME `id` %s %(x)s \\ '}",
    'app_env: {A: "it\'s", B: \'say "hi"\', C: "two\\nlines\\n", D: "\\ttab"}',
    "app_env: {GREETING: 'Grüße, 世界 🌍', EMPTY: '', LIST: [1, 2.5, true], MAP: {a: 1}}",
    "app_env: {VER: '1.10', PIN: '0123', X: 'yes', N: '{{ 8000 | string }}'}",
    "app_secrets: {SECRET_KEY: !unsafe '{{7*7}}{{ {%$%\"'''}",
    "app_secrets: {DATABASE_URL: 'postgresql://shop:p%40ss@db.example.com/shop?sslmode=require'}",
    'app_secrets: {PEM: "-----BEGIN X-----\\nab\\n-----END X-----\\n", N: "123456789"}',
    "app_secret_files: {users.json: '[]', more.json: [{a: 1}], _key.pem: x, data: !unsafe '{{'}",
    "site_domain: xn--bcher-kva.example.com",
    "site_domain: localhost\nsite_aliases: []",
    "site_domain: 1.example.com",
    "site_aliases: [a.example.com, xn--bcher-kva.example]",
    "app_name: a",
    f"app_name: {'a' * 31}",
    "app_name: shop-2-blog",
    "app_name: job-board",
    "app_name: http",
    "build_source: git@git.example.com:team/shop.git",
    "build_source: git.example.com:shop.git",
    "build_source: ssh://git@git.example.com:2222/~team/shop.git",
    "build_source: https://git.example.com:8443/team/shop@home.git",
    "build_source: https://git.example.com/Shop%20App.git",
    "build_source: file:///srv/git/shop.git",
    "build_source: ssh://git@git.example.com/shop.git\nbuild_ref: feature/Grüße-#12",
    "build_source: ssh://git@git.example.com/shop.git\nbuild_ref: v1.0.0-rc.1+build",
    "build_source: ssh://git@git.example.com/shop.git\nbuild_ref: 3f9a0c4",
    "build_source: ssh://git@git.example.com/shop.git\nbuild_ref: refs/heads/main",
    "app_wsgi: 'shop.wsgi:create_app(\"production\", debug=False)'",
    "app_wsgi: 'shop:factory(\"{\")'",
    "app_wsgi: \"shop:factory({'a': [1, None]}, name='x:y.z')\"",
    "app_wsgi: größe.größe:größe",
    "app_workers: '4'\napp_preload: 'false'\nsite_https_port: '8443'",
    "app_cpus: 1.5\napp_memory: 1g",
    "app_release_command: env A=1 flask db upgrade",
    "app_release_command: sh -c 'one && two'\napp_schema_command: alembic -n shop current",
    "app_max_requests: 0\napp_drain_timeout: 0",
    "build_base_image: registry.example.com:5000/team/python:3.13@sha256:0123",
    "build_base_image: registry.example.com/python:{python}-slim\nbuild_python: '3.10'",
    "build_base_image_archive: /srv/images/python-{python}.tar.gz",
    "build_dependencies: requirements/prod.txt",
    "build_packages: [libmagic-dev]\nbuild_image_packages: [g++, libpq5, python3.13]",
    "build_command: |\n  flask --app shop translate compile\n  npm run build",
    "build_secrets: {PIP_INDEX_URL: 'https://me:5f0c5f0c@index.example.com/simple'}",
    "build_extras: [pg]\nbuild_groups: [web, job-queue]",
    "build_requirements: ['werkzeug<2.1', 'shop @ git+https://git.example.com/shop.git@v1', \"x; python_version<'3'\"]",
    "site_static: ''",
    "site_static: /app/public",
    "app_health_path: /healthz?deep=1&x=%20",
    "site_cors_origins: ['*']",
    "site_hsts_max_age: 31536000\nsite_hsts_subdomains: true\nsite_hsts_preload: true",
    "site_cors_origins: ['https://a.example.com', 'http://localhost:3000']",
    "build_args: {VERSION: '1.2 beta', N: '3'}",
    "tokens_algorithm: none",
    'app_lock_wait: "900"',
    "tokens_algorithm: RS256\ntokens_keys: [!file jwt-rsa.pem]",
    "tokens_algorithm: RS256\ntokens_keys: !file jwt-rsa.pem",
    "tokens_algorithm: RS256\nvault_app_jwt_keys: [!file jwt-rsa.pem, !file jwt-p256-public.pem]",
    "tokens_algorithm: ES256\ntokens_keys: [!file jwt-p256.pem, !file jwt-rsa-public.pem]",
    "tokens_algorithm: EdDSA\ntokens_keys: [!file jwt-ed25519.pem]",
    "host_adopt: [nginx, docker]",
    "host_firewall: true\nhost_ports: {a: {port: 9100}, b-2: {port: [7000-7010, '81'], protocol: udp, from: ['::/0']}}",
    "host_ports: {metrics: {port: 9100}}",  # the doctor reads it
    "host_firewall: true\nhost_egress: {lan: {to: [fd00::/8], port: 99, protocol: udp}, ntp: {to: [host], port: 123}}",
    "host_updates: true\nhost_reboot: Sun 04:00",
    "host_firewall: true\nhost_ssh_from: [192.0.2.0/24, 2001:db8::1]\nhost_ssh_rate: 5",
    "docker_daemon_options: {dns: [192.0.2.53], log-driver: journald}",
    "docker_live_restore: no\nnginx_ipv6: 'no'",
    "shop_anything: 1\nappendix: 2",
    "app_env: '{{ common_env | combine({\"B\": \"2\"}) }}'\ncommon_env: {A: '1'}",
    *(
        f"nginx_certificate: provided\nnginx_certificate_file: '@/{cert}'\nnginx_certificate_key_file: '@/{key}'"
        for cert, key in [("cert.pem", "key.pem"), ("wildcard.pem", "key.pem"), ("cert.pem", "vaulted.pem")]
    ),
    "nginx_certificate: provided\nnginx_certificate_file: '@/chain.pem'\nnginx_certificate_key_file: '@/key.pem'\n"
    "nginx_certificate_ca_file: '@/root.pem'",
    "nginx_certificate: acme\nsite_domain: shop.example.org\nnginx_acme_mail: admin+acme@example.org",
    "nginx_certificate: acme\nsite_domain: shop.test\nnginx_certificate_ca_file: '@/root.pem'\n"
    "nginx_acme_directory: https://acme.internal:14000/dir\nnginx_acme_profile: shortlived",
]


def with_files(inventory, place):
    """Put a file's content in the place of `!file name`."""
    return re.sub(
        r"!file ([\w.-]+)",
        lambda found: '"' + (place / found[1]).read_text().replace("\n", "\\n") + '"',
        inventory,
    )


@pytest.mark.parametrize(("inventory", "variable", "said"), WRONG)
def test_a_wrong_value_is_named_and_explained(check, place, inventory, variable, said):
    lines = check(with_files(inventory, place))
    assert lines, "it was accepted"
    (line,) = [line for line in lines if line.startswith(f"{variable}: ")]
    assert len(lines) == 1, lines
    assert said in line
    assert HELPS.search(line), line
    assert MARK not in line
    assert "\n" not in line and "Traceback" not in line


@pytest.mark.parametrize(("certificate", "key", "variable", "said"), CERTIFICATES)
def test_a_certificate_that_cannot_serve_is_refused(check, certificate, key, variable, said):
    (line,) = check(
        f"nginx_certificate: provided\nnginx_certificate_file: '@/{certificate}'\nnginx_certificate_key_file: '@/{key}'"
    )
    assert line.startswith(f"{variable}: ") and said in line and HELPS.search(line)


def test_no_app_has_the_unit_of_the_host_s_own():
    """A switch of an app runs as flask-deploy-<app>.service: all other such units of this repository are refused."""
    found = set()
    for path in [*ROOT.glob("roles/**/flask-deploy-*"), *ROOT.glob("roles/**/*.py"), *ROOT.glob("plugins/**/*.py")]:
        if name := re.fullmatch(r"flask-deploy-([a-z-]+)\.(service|timer)(\.j2)?", path.name):
            found.add(name[1])
        if path.suffix == ".py":
            text = path.read_text()
            found |= set(re.findall(r"\bflask-deploy-([a-z-]+)\\?\.(?:service|timer)", text))
            found |= {f"{what}-back" for what in re.findall(r'trial\.begin\(\s*"(\w+)"', text)}
    assert found == OUR_UNITS and {"certificates", "monitor", "firewall-back"} < found
    assert all(values.app_name(name) for name in found)


@pytest.mark.parametrize("inventory", VALID)
def test_an_odd_but_valid_value_is_accepted(check, place, inventory):
    assert check(with_files(inventory, place)) == []


@pytest.mark.parametrize("name", ["site_domain", "build_source", "app_wsgi"])
def test_a_missing_variable_is_named_with_an_example(variables, name):
    known = {**variables(LEAST), "groups": {"web": ["web1"]}}
    del known[name]
    plugin = object.__new__(check_inventory.ActionModule)
    plugin._templar = Templar(DataLoader(), variables=known)
    (line,) = [line for line in plugin._check_inventory(known)[1] if line.startswith(f"{name}: ")]
    assert "is required" in line and f"example: {name}: " in line


def test_all_mistakes_are_said_at_once(check):
    lines = check("app_workers: lots\napp_name: a/b\napp_domian: x\napp_health_path: x")
    assert sorted(line.partition(":")[0] for line in lines) == [
        "app_domian",
        "app_health_path",
        "app_name",
        "app_workers",
    ]


def test_several_hosts_that_sign_need_keys_from_the_vault(check, place):
    (line,) = check("tokens_algorithm: RS256", hosts=("web1", "web2"))
    assert line.startswith("tokens_keys: several hosts must sign with the same keys")
    assert "ansible-playbook playbooks/vault_keys.yml -i inventories/production --ask-vault-pass" in line
    given = with_files("tokens_algorithm: RS256\ntokens_keys: [!file jwt-rsa.pem]", place)
    assert check(given, hosts=("web1", "web2")) == []


def test_several_hosts_of_an_app_that_asks_for_no_keys_are_no_matter(check):
    assert check("", hosts=("web1", "web2")) == []


@pytest.mark.parametrize(("ref", "accepted"), [("main", True), ("v1", True), ("HEAD", True), ("gone", False)])
def test_a_ref_that_the_repository_lacks_is_seen(tmp_path, monkeypatch, ref, accepted):
    """A rewritten address stands for one that answers over the network."""
    for command in ("init -q -b main .", "commit -q --allow-empty -m one", "tag v1"):
        subprocess.run(["git", *command.split()], cwd=tmp_path, check=True)
    config = tmp_path / "gitconfig"
    config.write_text(f'[url "file://{tmp_path}"]\n\tinsteadOf = https://git.example.com/shop.git\n')
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    lines = check_inventory.check_outside({"build_source": "https://git.example.com/shop.git", "build_ref": ref}, None)
    assert lines == ([] if accepted else [f"build_ref: https://git.example.com/shop.git has no branch or tag {ref!r}"])


def test_a_repository_is_asked_once_for_all_hosts(tmp_path, monkeypatch):
    asked = tmp_path / "asked"
    (tmp_path / "git").write_text(f"#!/bin/sh\nsleep 0.3\necho x >> {asked}\n")
    (tmp_path / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    values = [
        {"build_source": "https://git.example.com/shop.git", "build_ref": ref} for ref in ("gone", "gone", "gone", "v1")
    ]
    with multiprocessing.get_context("fork").Pool(4) as hosts:
        said = hosts.starmap(check_inventory.check_outside, [(one, str(tmp_path)) for one in values])
    assert said[0] == said[1] == said[2] != said[3] and "'gone'" in said[0][0]
    assert asked.read_text().split() == ["x", "x"]


def test_the_playbook_stops_before_it_connects(tmp_path, playbook):
    """192.0.2.1 is nobody's address (RFC 5737): a connection would be waited for, and named as unreachable."""
    (tmp_path / "hosts.yml").write_text("web: {hosts: {web1: {ansible_host: 192.0.2.1}}}\n")
    (tmp_path / "group_vars").mkdir()
    (tmp_path / "group_vars" / "web.yml").write_text(
        "site_domain: https://shop.example.com\n"
        f"build_source: https://me:{MARK}@git.example.com/shop.git\n"
        f"app_secrets: {{SECRET_KEY: {MARK}}}\n"
        "nginx_tls_polici: modern\n"
    )
    done = playbook("check", "-vvv", "--diff")
    assert done.returncode == 2, done.stdout + done.stderr
    assert "unreachable=0" in done.stdout and "failed=1" in done.stdout and "changed=0" in done.stdout
    for said in (
        "the inventory, for host web1: nothing was changed",
        "site_domain: 'https://shop.example.com' is not valid; example: site_domain: shop.example.com",
        "app_wsgi: is required",
        "build_source: an address with a password or token in it would be logged",
        "app_secrets: SECRET_KEY is empty, a placeholder",
        "nginx_tls_polici: no role knows this variable; did you mean nginx_tls_policy?",
    ):
        assert said in done.stdout
    assert MARK not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("logs", {"logs_release": "3f"}, ["logs_release: '3f' is not valid; example: logs_release: 3f9a0c41d2b7"]),
        (
            "logs",
            {"logs_lines": "-1", "logs_since": "a\nb"},
            ["logs_lines: -1 is not between", "logs_since: 'a\\nb' is"],
        ),
        ("logs", {"logs_process": "Worker 1", "app_workers": "lots"}, ["logs_process: 'Worker 1' is not valid"]),
        ("run", {"run_command": "x", "run_timeout": 0}, ["run_timeout: 0 is not between 1 and 604800"]),
        (
            "shell",
            {"run_timeout": "soon", "app_domian": "x"},
            ["run_timeout: 'soon' is not a whole number", "app_domian: no role"],
        ),
        ("vault_keys", {"tokens_algorithm": "RS1"}, ["tokens_algorithm: 'RS1' is not one of"]),
    ],
)
def test_a_playbook_that_needs_no_whole_inventory_judges_its_own_values(tmp_path, playbook, name, given, said):
    (tmp_path / "hosts.yml").write_text("web: {hosts: {web1: {ansible_host: 192.0.2.1}}}\n")
    done = playbook(name, "-e", json.dumps(given))
    assert done.returncode == 2 and "\nweb1: failed=1\n" in done.stdout, done.stdout + done.stderr
    mistakes = done.stdout.partition("to be mended:\n")[2].splitlines()
    assert len(mistakes) == len(said)
    for wrong in said:
        assert any(line.startswith(f"  {wrong}") for line in mistakes), done.stdout


@pytest.mark.parametrize("need", ["postgres", "valkey"])
def test_several_hosts_would_each_have_data_of_their_own(check, need):
    (line,) = check(f"app_needs: [{need}]", hosts=("web1", "web2"))
    assert line.startswith(f"app_needs: each of the 2 hosts would have {need} of its own, with other data")
