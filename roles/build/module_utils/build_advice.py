"""Why a source did not become an image, as git, docker, uv, pip and apt say it, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ansible.module_utils import build_python as pythons
from ansible.module_utils.flask_deploy.host.building import BUILDING, LISTS
from ansible.module_utils.flask_deploy.host.compiling import CAUSES, LACKING, NO_PROGRAM, package
from ansible.module_utils.flask_deploy.host.frozen import FROZEN

SHOWN, LONGEST = 8, 400  # lines that are shown of a failure, and characters of one
FIRST = 2  # of those, from where it began
IN_THE_ROLE = rf"build_packages: \[([^\]]+)\]|build_python: '([\d.]+)'|{LISTS}|build_python(?!:)"
BEGINS = re.compile(r"(?i)\s*(error\b|\u00d7 |fatal:|e: |npm err|.*\berror:)")
OF_STEP = re.compile(r"#(\d+) (?:\d+\.\d+ (.*)|ERROR\b)")
BLOCK = re.compile(r"\n-{6}\n > (\[.*?)\n(.*?)\n-{6}\n", re.DOTALL)
NO_WHEEL = "has a wheel for none of"  # files/steps.sh says so
NO_PG_CONFIG = "pg_config executable not found"  # the wheel of another Python needs no compiler
WAY_OUT = re.compile(r"what to do: (.*)")

KEY = (
    "the repository is private, or its name is another. A key that may read it: build_source: "
    "git@git.example.com:team/app.git with build_git_key; docs/how-to/private-repository.md"
)
# What stops a pull of an image too.
PULLS = [
    (
        r"(?i)no space left on device|ENOSPC|enough free space in",
        "make room on the host that builds; sudo docker builder prune frees what earlier builds left",
    ),
    (
        r"(?i)toomanyrequests|pull rate limit",
        "Docker Hub lets an address pull so much in an hour, and a user more: build_registry: docker.io, "
        "build_registry_user, and build_registry_password in the vault; or try again later",
    ),
    (r"429 Too Many Requests|429 Client Error", "that server was asked too often: try again later, or take a mirror"),
    (
        r"(?i)(?:certificate|cert) (?:has )?expired|chain uses expired|peer certificate: Expired",
        "the certificate of what the build asks has expired: its owner renews it. Where it has not, the "
        "host's clock is wrong: sudo timedatectl set-ntp true",
    ),
    (r"(?i)not yet valid|NotValidYet|not yet activated", "the host's clock is wrong: sudo timedatectl set-ntp true"),
    (
        r"NotValidForName|certificate is (?:not )?valid for|no alternative certificate subject|Hostname mismatch",
        "the certificate is for another name than the address that the build asks: correct that address",
    ),
]
ADVICE = [
    *PULLS,
    (r"could not read Username|Authentication failed|Permission denied \(publickey|Repository not found", KEY),
    (r"does not appear to be a git repository|repository '[^']*' not found|returned error: 40[134]", KEY),
    (
        r"Host key verification failed",
        "the repository's host has another key than before, or a key of a kind that this host does not take: see "
        "/etc/ssh/ssh_known_hosts there",
    ),
    (r"dockerfile parse error on line (\d+): ([^\n]*)", "correct line {0} of the Dockerfile: {1}"),
    (
        r'target stage "?([\w.-]+)"? could not be found',
        "build_target: the Dockerfile has no stage {0}",
    ),
    (r"(?:dockerfile parse error|unknown instruction): ?(.*)", "correct it: {0}"),
    (
        r'"?/([^"\s]+)"?: not found',
        "the source has no {0}: git has to list it, and .dockerignore must not leave it out",
    ),
    (
        r"(?i)pull access denied|manifest unknown|failed to resolve source metadata for ([^\s:]+:?[^\s:]*)",
        "the base image {0} cannot be had: correct its name, or say who may pull it: build_registry, "
        "build_registry_user, and build_registry_password in the vault",
    ),
    (
        r"(?i)self[- ]signed certificate|UnknownIssuer|CERTIFICATE_VERIFY_FAILED|certificate verify failed",
        "a proxy signs with its own certificate: build_ca_file names the CA's file",
    ),
    (
        r"(?i)(?:401|403) (?:Unauthorized|Forbidden)|HTTP status client error \(40[13]",
        "the index wants a password: build_secrets: {{PIP_INDEX_URL: https://user:password@index.example.com/simple}}",
    ),
    (
        r"unable to access '\w+://([^/']+)[^\n]*Could not resolve host|Could not resolve hostname ([^\s:]+)",
        "the host finds no {0}: correct the name in build_source, or the servers of names that the host asks, "
        "/etc/resolv.conf there",
    ),
    (
        r"(?i)name resolution|could not resolve host|dns error|failed to lookup|Connection timed out|"
        r"Network is unreachable|error trying to connect|error sending request",
        "the host does not reach what the build asks for: a mirror, build_args: {{PIP_INDEX_URL: …}}, or a proxy, "
        "build_args: {{HTTPS_PROXY: …}}",
    ),
    (
        r"([\w.\[\]-]+) was not found in the (?:package registry|cache)|No matching distribution found for (\S+)",
        "no index has {0}: correct it where the app lists it, or name the index that has it, build_args: "
        "{{PIP_EXTRA_INDEX_URL: …}}",
    ),
    (
        r"path could not be normalized|relative path beyond the base directory",
        "what the app lists by its path lies above build_subdir, and the build has that directory alone: list it by "
        "its name, or leave build_subdir out",
    ),
    (r"there (?:is|are) no versions? of ([\w.-]+)", "no index has that version of {0}: correct it where it is listed"),
    (
        r"your (?:project's )?requirements are unsatisfiable|No solution found|ResolutionImpossible|conflicting",
        "two requirements exclude each other: the lines above name them; change one where the app lists it",
    ),
    (
        r"poetry\.lock was last generated|poetry\.lock is not up to date",
        "poetry.lock is older than pyproject.toml. Type in the source: poetry lock; and commit it",
    ),
    (
        r"lockfile at `(?:\S*/)?uv\.lock` needs to be updated",
        "uv.lock is older than pyproject.toml: uv lock; commit it",
    ),
    (
        r"Pipfile\.lock \(\w+\) out of date",
        "Pipfile.lock is older than Pipfile. Type in the source: pipenv lock; commit it",
    ),
    (
        r"`npm ci` can(?: only install|not)|`npm ci` command can only",
        "type in the source: npm install; commit package-lock.json",
    ),
    (
        r"(?i)hash(?:es)? mismatch|do not match the hashes",
        "a package is not the one that was locked: lock anew, with uv lock, pipenv lock or poetry lock",
    ),
    (
        r"parse requirement in `([^`]+)`[^\n]*\n[^\n]*found `\x00?`|Unexpected '\x00?', expected '-c'[^\n]*: "
        r"([^:\s]+):1:1"
        r"|`([^`]+)`: stream did not contain valid UTF-8|\\x00(?s:.*)\(from line \d+ of ([^)]+)\)",
        "{0} is not in UTF-8: > of PowerShell writes UTF-16. There: pip freeze | Out-File -Encoding utf8 {0}",
    ),
    (
        r"'utf-8' codec can't decode byte",
        "a file that lists dependencies is not in UTF-8. In PowerShell: pip freeze | Out-File -Encoding utf8 "
        "requirements.txt",
    ),
    (
        r"(?:Couldn't|Could not) parse requirement in `?([^`\s]+)`?[^\n]* position|Invalid requirement: '?([^'\n]+)",
        "correct {0}: a line there is no requirement",
    ),
    (r"TOML parse error at line (\d+)|invalid TOML.*?line (\d+)", "correct line {0} of the file that it names"),
    (
        r"E: Unable to locate package (\S+)|E: Package '([^']+)' has no installation candidate",
        f"Debian has no package {{0}}: {LISTS}",
    ),
    (r"(yarn|pnpm): (?:command )?not found", "build_packages: [npm], and in build_command npx {0} in place of {0}"),
    (r"(?:sh: \d+: |: )([\w.-]+): (?:command )?not found", NO_PROGRAM),
    (r"build_command ended with code", "correct build_command, or what it runs; it runs in /app"),
    (
        r"(?i)exit code: 137|signal: killed|cannot allocate memory|out of memory",
        "the host has too little memory for this build: a bigger server, or swap",
    ),
    (
        r"(?s)File \"([^\"]+)\", line (\d+)[^\"]*SyntaxError",
        "correct line {1} of {0}, or build with the Python that it was written for: build_python",
    ),
    (
        r"error: command '\S*(?:gcc|g\+\+|cc|clang)\S*' failed with exit",
        "its C code does not compile here: a newer version of the package, build_requirements, or an older Python, "
        "build_python",
    ),
    (
        r"Failed to build `?([^`\s]+)",
        "{0} does not build here: what it needs of Debian, build_packages, or another version, build_requirements",
    ),
    (
        r"exec format error",
        "an image that it builds on is for another kind of processor than this host: take --platform out of its FROM, "
        "or name an image that is for both",
    ),
    (r"exit code: \d+|returned a non-zero code", "the step fails: the lines above are its own last words"),
]


def explained(error: str) -> str:
    """Return a failure with its cause and, last, with what to do; one that says that itself stays as it is."""
    if "\n  what to do: " in error:
        return error
    step, lines = said_by_step(error)
    if not lines:
        advice = known(error)
        return f"{error}\n  what to do: {advice}" if advice else error
    told = [found[1] for line in lines if (found := WAY_OUT.search(line))]
    shown = _cut([line for line in lines if line.strip() and not WAY_OUT.search(line)])
    advice = known("\n".join([*lines, error.splitlines()[-1]]), *told[-1:])
    if advice and step.startswith("[") and "/run/secrets/steps" not in step:
        advice = re.sub(IN_THE_ROLE, _in_a_dockerfile, advice)
    text = [f"docker build: {step}", "  what it says of the cause:", *(f"    {line[:LONGEST]}" for line in shown)]
    return "\n".join([*text, f"  what to do: {advice}"] if advice else text)


def _in_a_dockerfile(found: re.Match[str]) -> str:
    """Return what does the same in a Dockerfile of the app's own, where variables of the role change nothing."""
    if found[2]:
        return f"in the Dockerfile, FROM python:{found[2]}-slim-trixie"
    if not found[1]:
        return "correct that line of the Dockerfile" if found[0] == LISTS else "another FROM in the Dockerfile"
    return f"in the Dockerfile, RUN apt-get update && apt-get install -y {found[1].replace(',', '')}"


def known(said: str, told: str = "") -> str | None:
    """Return what to do about all that was said, or None.

    :param told: what the failed step itself says of that.
    """
    wheel = told if NO_WHEEL not in told else ""
    if wheel and NO_PG_CONFIG in said:
        return f"{wheel}; or, to compile it, build_packages: [libpq-dev]"
    exact = (
        of(said, FROZEN) or of(said, BUILDING) or of(said, LACKING) or wheel or pythons.other(said) or of(said, CAUSES)
    )
    return exact or told or of(said)


def of(said: str, table: Sequence[tuple[str, str]] = ADVICE) -> str | None:
    """Return what to do about what was said, or None."""
    for pattern, advice in table:
        if found := re.search(pattern, said):
            groups = [each for each in found.groups() if each] or [""]
            return advice.format(*groups, "", "", package=package(groups[0]))
    return None


def said_by_step(error: str) -> tuple[str, list[str]]:
    """Return (the step of a build that failed, what it printed), once; ("", []) where no step did.

    BuildKit prints a failed step up to three times: as it runs, below its name, and as a part of the Dockerfile.
    """
    rows = [(found[1], found[2]) for line in error.splitlines() if (found := OF_STEP.match(line))]
    failed = next((number for number, text in reversed(rows) if text is None), "")
    lines = [text for number, text in rows if number == failed and text is not None]
    block = BLOCK.search(f"{error}\n")
    if block and not lines:
        lines = [re.sub(r"^(#\d+ )?\d+\.\d+ ", "", line) for line in block[2].splitlines()]
    name = re.sub(r"--mount=\S+ |\s{2,}", "", block[1]).rstrip(":") if block else "a step failed"
    return name[:LONGEST], lines


def _cut(lines: Sequence[str]) -> list[str]:
    """Return the last lines of many, and those before them in which the failure begins."""
    last = list(lines[-SHOWN:])
    before = [line for line in lines[:-SHOWN] if BEGINS.match(line)]
    return [*before[-FIRST:], *last[-SHOWN + len(before[-FIRST:]) :]] if before else last
