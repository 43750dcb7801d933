"""Check a whole inventory on the controller, then the host, before anything changes: one line a mistake."""

from __future__ import annotations

import datetime
import difflib
import functools
import json
import os
import re
import subprocess
import time

import yaml
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible.plugins.action import ActionBase
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

ROLES = os.path.normpath(os.path.join(os.path.dirname(__file__), "..", ".."))
PREFIXES = ("docker_", "nginx_", "app_")
NAME = re.compile(r"(?=.{1,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
SIZE = re.compile(r"[1-9][0-9]*[kmg]")
PATH = re.compile(r"(?!/)(?!-)(?!.*(^|/)\.\.(/|$))[^\x00-\x20\"'\\$;{}]*")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
FILE = re.compile(r"(?!env\.json$)[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
APP = re.compile(r"(?!(bridge|default|host|none)$)(?=.{1,31}$)[a-z](-?[a-z0-9])*")
ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:[0-9]{1,5})?")
PLACEHOLDERS = re.compile(
    r"(change.?me|secret|password|default|example|todo|dev|x+|.*not.?so.?secret.*)", re.IGNORECASE
)
SECRET_LENGTH = 8
LOGGED = "an address with a password or token in it would be logged; use app_git_key, or a deploy key on the host"
LEAST_MEMORY = 6 << 20  # bytes; docker refuses less
MAKE_KEY = {
    "RS256": "openssl genrsa 3072",
    "ES256": "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
    "EdDSA": "openssl genpkey -algorithm ed25519",
}
# Shown where a variable has no default that could serve as an example.
EXAMPLES = {
    "app_domain": "shop.example.com",
    "app_source": "https://git.example.com/shop.git",
    "app_wsgi": "shop:create_app()",
    "app_env": {"CURRENCY": "EUR"},
    "app_secrets": {"SECRET_KEY": "{{ vault_app_secret_key }}"},
    "app_secret_files": {"users.json": "{{ vault_app_users }}"},
    "app_build_args": {"VERSION": "1.2"},
    "app_cors_origins": ["https://www.example.com"],
    "docker_daemon_options": {"dns": ["192.0.2.53"]},
}
CLOCK_SKEW = 60  # seconds; tokens and certificates are judged by the host's clock
SYSTEMS = {"debian:12", "debian:13"}
MACHINES = {"x86_64", "aarch64"}
# Keys of dockerd's configuration file (docs.docker.com, dockerd reference); Debian 12's engine cannot check its own.
DAEMON_KEYS = re.findall(
    r"\S+",
    """
allow-nondistributable-artifacts bip bridge builder cgroup-parent data-root debug default-address-pools
default-cgroupns-mode default-gateway default-runtime default-shm-size default-ulimits dns dns-opts dns-search
exec-opts exec-root experimental features fixed-cidr fixed-cidr-v6 group hosts http-proxy https-proxy icc init
init-path insecure-registries ip ip-forward ip-masq ip6tables iptables ipv6 labels live-restore log-driver
log-format log-level log-opts max-concurrent-downloads max-concurrent-uploads max-download-attempts
metrics-addr mtu no-new-privileges no-proxy proxies raw-logs registry-mirrors runtimes seccomp-profile
selinux-enabled shutdown-timeout storage-driver storage-opts tls tlscacert tlscert tlskey tlsverify
userland-proxy userns-remap
""",
)


def pattern(regex, example):
    """Return a check: the whole text must match."""
    return lambda value: None if regex.fullmatch(value) else f"{value!r} is not valid; example: {example}"


def number(low, high):
    """Return a check: a number within bounds."""
    return lambda value: None if low <= value <= high else f"{value} is not between {low} and {high}"


def each(check):
    """Return a check of every element of a list."""
    return lambda values: next((said for said in map(check, values) if said), None)


def existing_file(value):
    found = not value or os.path.isfile(os.path.expanduser(value))
    return None if found else f"there is no file {value} on the controller"


def absolute_file(value):
    if value and not os.path.isabs(os.path.expanduser(value)):
        return f'{value!r} is not an absolute path; example: "{{{{ inventory_dir }}}}/{value}"'
    return existing_file(value)


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


def git_key(value):
    private = not value or "PRIVATE KEY-----" in value
    return None if private else "is not a private key; make one: ssh-keygen -t ed25519"


def source(value):
    if "://" in value:
        return address(value)
    if value.startswith("-") or "::" in value or any(c.isspace() for c in value):
        return f"{value!r} is neither a directory nor a repository; example: https://git.example.com/shop.git"
    if os.path.isdir(os.path.expanduser(value)) or re.match(r"[\w.-]+@?[\w.-]*:", value):
        return None
    return f'{value} is not a directory on the controller; example: "{{{{ inventory_dir }}}}/../../../shop"'


def address(value):
    """Judge a URL; one that may hold a password is not shown."""
    scheme, _, rest = value.partition("://")
    user, has_user, host = rest.partition("/")[0].rpartition("@")
    plain = re.fullmatch(r"(\[[0-9A-Fa-f:.]+\]|[\w.-]*)(:[0-9]+)?", host)
    if ":" in user or (has_user and scheme.lower() in ("http", "https")) or (not plain and "@" in rest):
        return LOGGED
    if scheme not in ("https", "http", "ssh", "git", "file"):
        return f"{scheme}:// is not an address that git knows; example: ssh://git@git.example.com/shop.git"
    if not plain or any(c.isspace() for c in value):
        return f"{value!r} is not an address; example: https://git.example.com/shop.git"
    return None


def environment(values):
    for name, value in values.items():
        if not isinstance(name, str):
            return f"{name!r} is not text, as YAML reads words such as NO; put it in quotes, example: 'NO'"
        if not VARIABLE.fullmatch(name):
            return f"{name!r} is not a name of an environment variable; example: DATABASE_URL"
        if isinstance(value, str) and "\0" in value:
            return f"{name}: an environment variable cannot hold a NUL; remove it"
        if value is None:
            return f'{name} has no value; write "" if it is meant to be empty'
    return None


def secrets(values):
    wrong = environment(values)
    for name, value in {} if wrong else values.items():
        text = str(value).strip()
        if len(text) < SECRET_LENGTH or PLACEHOLDERS.fullmatch(text):
            wrong = f"{name} is empty, a placeholder, or shorter than {SECRET_LENGTH} characters"
            return f"{wrong}; make one: openssl rand -hex 32"
    return wrong


def secret_files(values):
    for name, value in values.items():
        if not FILE.fullmatch(str(name)):
            return f"{name!r} is not a plain file name; example: users.json"
        if value in (None, ""):
            return f"{name} is empty; remove it, or give it a content"
    return None


def origins(values):
    if "*" in values:
        return None if values == ["*"] else '"*" allows every origin; write it alone'
    return each(pattern(ORIGIN, "https://www.example.com"))(values)


def daemon_options(values):
    for key in values:
        if key not in DAEMON_KEYS:
            near = difflib.get_close_matches(key, DAEMON_KEYS, 1)
            return f"dockerd knows no key {key!r}" + (f"; did you mean {near[0]!r}?" if near else "")
    return None


def git_ref(value):
    valid = re.fullmatch(r"(?![-/.])(?!.*(\.\.|@\{|//|\.lock$))[^\x00-\x20~^:?*\[\\]+", value)
    return None if valid else f"{value!r} is not a branch, tag or commit; example: main"


CHECKS = {
    "app_name": pattern(APP, "app_name: shop (a to z, digits, hyphens, 31 at most; no network of docker's own)"),
    "app_domain": pattern(NAME, "app_domain: shop.example.com (a name alone; punycode for other scripts)"),
    "app_aliases": each(pattern(NAME, "[www.shop.example.com]")),
    "app_https_port": number(1, 65535),
    "app_source": source,
    "app_ref": git_ref,
    "app_git_key": git_key,
    "app_subdir": pattern(PATH, "app_subdir: backend"),
    "app_wsgi": pattern(re.compile(r"[A-Za-z_][\w.]*(:[A-Za-z_][\w.]*(\([^\n]*\))?)?"), "app_wsgi: shop:create_app()"),
    "app_dockerfile": pattern(PATH, "app_dockerfile: Dockerfile"),
    "app_base_image": pattern(re.compile(r"[a-z0-9][\w./:@-]*"), "app_base_image: python:3.13-slim-trixie"),
    "app_base_image_archive": existing_file,
    "app_build_args": environment,
    "app_build_ca_file": existing_file,
    "app_static": static,
    "app_env": environment,
    "app_secrets": secrets,
    "app_secret_files": secret_files,
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
    "app_keep_releases": number(2, 1000),
    "app_max_body": pattern(SIZE, "app_max_body: 10m"),
    "app_cors_origins": origins,
    "app_proxy_read_timeout": number(1, 86400),
    "app_proxy_send_timeout": number(1, 86400),
    "app_send_timeout": number(1, 86400),
    "app_client_body_timeout": number(1, 86400),
    "docker_log_max_size": pattern(SIZE, "docker_log_max_size: 10m"),
    "docker_log_max_files": number(1, 1000),
    "docker_daemon_options": daemon_options,
    "nginx_certificate_file": absolute_file,
    "nginx_certificate_key_file": absolute_file,
    "nginx_certificate_names": each(pattern(NAME, "[shop.example.com]")),
    "nginx_certificate_owner": pattern(APP, "nginx_certificate_owner: shop"),
    "nginx_worker_connections": number(64, 1000000),
    "nginx_keepalive_timeout": number(0, 3600),
}


@functools.cache
def load_specs():
    """Return {variable: its argument specification} of all roles."""
    options = {}
    for role in ("docker", "nginx", "app"):
        with open(os.path.join(ROLES, role, "meta", "argument_specs.yml"), encoding="utf-8") as file:
            options.update(yaml.safe_load(file)["argument_specs"]["main"]["options"])
    return options


def check_types(specs, values):
    """Return (values as their types, mistakes) of what an inventory sets."""
    typed, mistakes = {}, []
    for name, value in values.items():
        spec = {key: specs[name][key] for key in ("type", "elements", "choices") if key in specs[name]}
        result = ArgumentSpecValidator({name: spec}).validate({name: value})
        odd_number = spec["type"] == "int" and isinstance(value, str) and not re.fullmatch("-?[0-9]+", value)
        if value is None:
            mistakes.append(f"{name}: has no value; write one, or remove the line")
        elif not result.error_messages and not odd_number:
            typed[name] = result.validated_parameters[name]
        elif specs[name].get("no_log"):
            mistakes.append(f"{name}: is not a {spec['type']}")
        else:
            mistakes.append(
                f"{name}: {value!r} is not "
                + (f"one of {', '.join(spec['choices'])}" if "choices" in spec else f"a {spec['type']}")
            )
    return typed, mistakes


def check_names(specs, names):
    """Return a mistake for each variable with one of our prefixes that no role knows."""
    mistakes = []
    for name in sorted(names):
        if name.startswith(PREFIXES) and name not in specs:
            near = difflib.get_close_matches(name, specs, 1)
            hint = (
                f"did you mean {near[0]}?"
                if near
                else f"supported are those in roles/{name.partition('_')[0]}/README.md"
            )
            mistakes.append(f"{name}: no role knows this variable; {hint}")
    return mistakes


def check_values(values):
    """Return a mistake for each value that has the right type and cannot work."""
    mistakes = []
    for name, value in values.items():
        said = CHECKS[name](value) if name in CHECKS else None
        if said:
            mistakes.append(f"{name}: {said}")
    return mistakes


def with_examples(specs, mistakes):
    """Add an example, often the default, to mistakes that show none."""
    lines = []
    for line in mistakes:
        name = line.partition(":")[0]
        example = EXAMPLES.get(name, specs[name].get("default"))
        shows = "example: " in line or "make one: " in line or example == ""
        text = example if isinstance(example, str) else json.dumps(example)
        lines.append(line if shows else f"{line}; example: {name}: {text}")
    return lines


def check_together(values):
    """Return mistakes that only show when variables are seen together."""
    mistakes = []
    names = [values.get("app_domain"), *values.get("app_aliases", [])]
    twice = sorted({name for name in names if names.count(name) > 1})
    mistakes += [f"app_aliases: {name} is there twice, or is app_domain itself" for name in twice]
    both = sorted(set(values.get("app_env", {})) & set(values.get("app_secrets", {})))
    mistakes += [f"app_env: {name} is in app_secrets too; keep it in one of them" for name in both]
    folder = os.path.expanduser(values["app_source"])
    if os.path.isdir(folder) and not os.path.isdir(os.path.join(folder, values["app_subdir"])):
        mistakes.append(f"app_subdir: there is no directory {values['app_subdir']} in {folder} on the controller")
    if values.get("nginx_certificate") == "provided":
        mistakes += check_certificate(values)
    if values.get("app_jwt_key") and values["app_jwt_algorithm"] != "none":
        mistakes += check_jwt_key(values["app_jwt_key"], values["app_jwt_algorithm"])
    return mistakes


def check_certificate(values):
    """Return what is wrong with the certificate and key that the user provides."""
    paths = [values.get(f"nginx_certificate_{part}") for part in ("file", "key_file")]
    if not all(paths):
        return ["nginx_certificate: provided needs nginx_certificate_file and nginx_certificate_key_file"]
    with open(os.path.expanduser(paths[0]), "rb") as file:
        text = file.read()
    try:
        chain = x509.load_pem_x509_certificates(text)
    except ValueError:
        return [
            f"nginx_certificate_file: {paths[0]} holds no PEM certificate; it needs the leaf, then its intermediates"
        ]
    mistakes, leaf = [], chain[0]
    first, last = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    if not first <= datetime.datetime.now(datetime.UTC) <= last:
        mistakes.append(f"nginx_certificate_file: valid from {first:%Y-%m-%d} to {last:%Y-%m-%d}, not today")
    missing = [name for name in [values.get("app_domain"), *values.get("app_aliases", [])] if not covers(leaf, name)]
    if missing:
        mistakes.append(f"nginx_certificate_file: does not cover {', '.join(missing)}")
    with open(os.path.expanduser(paths[1]), "rb") as file:
        key_text = file.read()
    if key_text.startswith(b"$ANSIBLE_VAULT"):
        return mistakes
    key, said = load_key(key_text)
    if said:
        mistakes.append(f"nginx_certificate_key_file: {said}")
    elif public(key.public_key()) != public(leaf.public_key()):
        mistakes.append("nginx_certificate_key_file: is not the key of nginx_certificate_file")
    if os.stat(os.path.expanduser(paths[1])).st_mode & 0o044:
        mistakes.append(f"nginx_certificate_key_file: others may read it; type: chmod 600 {paths[1]}")
    return mistakes


def covers(certificate, name):
    """Tell whether a certificate is good for a name (RFC 6125, one wildcard label)."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return False
    return bool({name, f"*.{name.partition('.')[2]}"} & set(names.get_values_for_type(x509.DNSName)))


def public(key):
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def load_key(text):
    """Return (private key, None) or (None, what is wrong)."""
    if b"PUBLIC KEY" in text:
        return None, "is a public key; the private one is needed"
    try:
        return load_pem_private_key(text, None), None
    except TypeError:
        return None, "is encrypted; remove its passphrase and keep it in the vault"
    except (ValueError, UnsupportedAlgorithm):
        return None, "is not a private key in PEM; it must begin with -----BEGIN PRIVATE KEY-----"


def check_jwt_key(text, algorithm):
    """Return what is wrong with a signing key for an algorithm (RFC 7518 section 3.3: RSA of 2048 bits or more)."""
    key, said = load_key(text.encode())
    if not said and not signs(key, algorithm):
        said = f"is not a key for {algorithm}"
    if not said and isinstance(key, rsa.RSAPrivateKey) and key.key_size < 2048:
        said = f"has {key.key_size} bits; 2048 is the least"
    return [f"app_jwt_key: {said}; make one: {MAKE_KEY[algorithm]}"] if said else []


def signs(key, algorithm):
    if algorithm == "ES256":
        return isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp256r1"
    return isinstance(key, {"RS256": rsa.RSAPrivateKey, "EdDSA": ed25519.Ed25519PrivateKey}[algorithm])


def check_ref(values):
    """Return a mistake where a repository that answers the controller does not have the wanted branch or tag."""
    address, ref = values.get("app_source", ""), values.get("app_ref", "HEAD")
    if (
        "://" not in address
        or address.startswith("file:")
        or values.get("app_git_key")
        or re.fullmatch("[0-9a-f]{7,40}", ref)
    ):
        return []
    environment = {
        **os.environ,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=5",
    }
    try:
        done = subprocess.run(
            ["git", "ls-remote", "--", address, ref], capture_output=True, env=environment, timeout=15, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [f"app_ref: {address} has no branch or tag {ref!r}"] if done.returncode == 0 and not done.stdout else []


class ActionModule(ActionBase):
    """Fail with one line for each mistake; change nothing. ``host: false`` leaves the host alone."""

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        values, mistakes = self._check_inventory(task_vars)
        where = f"the inventory, for host {task_vars['inventory_hostname']}"
        if not mistakes and self._task.args.get("host", True):
            where = f"host {task_vars['inventory_hostname']}"
            mistakes = self._check_host() or self._check_preflight(values, task_vars)
        if not mistakes:
            return {"changed": False}
        return {
            "failed": True,
            "msg": "\n".join([f"{where}: nothing was changed; to be mended:", *(f"  {line}" for line in mistakes)]),
        }

    def _check_inventory(self, task_vars):
        specs = load_specs()
        mistakes = check_names(specs, task_vars)
        given, errors = {}, []
        for name in specs:
            if name in task_vars:
                try:
                    given[name] = self._templar.template(task_vars[name])
                except AnsibleError as error:
                    errors.append(f"{name}: {str(error).splitlines()[0]}")
        errors += [
            f"{name}: is required; {specs[name]['description'].rstrip('.')}"
            for name in specs
            if specs[name].get("required") and name not in task_vars
        ]
        typed, wrong_types = check_types(specs, given)
        mistakes += with_examples(specs, errors + wrong_types + check_values(typed))
        if any(line.startswith("app_domain:") for line in mistakes):  # which the aliases are often made of
            mistakes = [line for line in mistakes if not line.startswith("app_aliases:")]
        if not mistakes:
            mistakes += check_together(typed) + self._check_fleet(typed, task_vars)
        return typed, mistakes or check_ref(typed)

    def _check_fleet(self, values, task_vars):
        hosts = task_vars["groups"].get("web", [])
        if len(hosts) > 1 and values["app_jwt_algorithm"] != "none" and not values.get("app_jwt_key"):
            make = MAKE_KEY[values["app_jwt_algorithm"]]
            return [f"app_jwt_key: several hosts must sign with the same key; keep one in the vault: {make}"]
        return []

    def _check_host(self):
        probe = '. /etc/os-release; echo "$(id -u) $ID:$VERSION_ID $(uname -m) $(date +%s) $(command -v python3)"'
        try:
            done = self._low_level_execute_command(probe)
        except AnsibleConnectionFailure:
            raise
        except AnsibleError as error:
            return [f"cannot become root: {str(error).splitlines()[0]}; try: ansible-playbook … --ask-become-pass"]
        words = done["stdout"].split()
        if done["rc"] or len(words) < 4:
            said = (done["stderr"] or done["stdout"]).strip().splitlines() or ["no answer"]
            return [f"cannot become root: {said[-1]}; give the user sudo, or try: ansible-playbook … --ask-become-pass"]
        user, system, machine, clock, *python = words
        mistakes = []
        if user != "0":
            mistakes.append(f"tasks run as user id {user}; the SSH user needs sudo to root")
        if system not in SYSTEMS:
            mistakes.append(f"runs {system.replace(':', ' ')}; supported are Debian 12 and Debian 13")
        if machine not in MACHINES:
            mistakes.append(f"is a {machine} machine; supported are {' and '.join(sorted(MACHINES))}")
        if abs(int(clock) - time.time()) > CLOCK_SKEW:
            mistakes.append(
                f"its clock is {int(clock) - int(time.time()):+d} s off; type there: sudo timedatectl set-ntp true"
            )
        if not python:
            mistakes.append("has no python3; type there: sudo apt install python3")
        return mistakes

    def _check_preflight(self, values, task_vars):
        arguments = {
            "app": values["app_name"],
            "domain": values["app_domain"],
            "aliases": values["app_aliases"],
            "wsgi": values["app_wsgi"],
        }
        result = self._execute_module("app_preflight", module_args=arguments, task_vars=task_vars)
        return [result["msg"]] if result.get("failed") else result["mistakes"]
