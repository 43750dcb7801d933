"""make bench-audit: what lynis, ssh-audit, testssl and docker-bench-security say of a host before and after site.yml.

The host is a bare Debian 13 in a container; the words host, docker, nginx and app then make it what it is. A tool whose
subject is not there yet says nothing: testssl without a web server, docker-bench-security without an engine.

What is left has its reason in docs/reference/hardening.md. The command fails if a finding has none there. PUBLIC_FROM
is where docker-bench-security is fetched from, https://github.com by default.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass

from bench import demo, findings, own_host, public

PAGE = demo.ROOT / "docs/reference/hardening.md"
DOCKER_BENCH = {
    "repository": "docker/docker-bench-security",  # version 1.6.0, of CIS' Docker Benchmark 1.6.0; Debian has none
    "commit": "ff26d67f25be60fc2d82a01710ee14570b2cb9db",
}
PLACE = "/root/audit"
DOMAIN = "judged.test"  # of bench/app.yml
INSTALL = f"""
set -e
mkdir -p {PLACE}/docker-bench
tar -x --no-same-owner -C {PLACE}/docker-bench
apt-get -qq update >&2
DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes --no-install-recommends \
  lynis ssh-audit testssl.sh bsdextrautils >&2
"""
WORDS = {"host_firewall": True, "host_ssh": True, "host_updates": True}


@dataclass(frozen=True)
class Tool:
    """A tool on the host.

    :ivar command: prints what it found, and nothing where there is nothing to look at.
    :ivar read: makes a report of that.
    """

    command: str
    read: Callable[[str], findings.Report]


TOOLS = {
    "lynis": Tool(
        f"rm -f {PLACE}/lynis.dat; lynis audit system --quick --quiet --no-colors --report-file {PLACE}/lynis.dat "
        f"--logfile {PLACE}/lynis.log >/dev/null 2>&1 </dev/null; cat {PLACE}/lynis.dat",
        findings.lynis,
    ),
    # Without its flood of connections: how many may come is a test of the scenario `host`.
    "ssh-audit": Tool("ssh-audit --json --skip-rate-test 127.0.0.1 || true", findings.ssh_audit),
    "testssl": Tool(
        f"ss -Hltn 'sport = :443' | grep -q . || exit 0; rm -f {PLACE}/testssl.json; testssl --quiet --color 0 "
        f"--warnings off --ip 127.0.0.1 --add-ca {PLACE}/root.pem --jsonfile {PLACE}/testssl.json https://{DOMAIN}/ "
        f">/dev/null 2>&1 </dev/null; cat {PLACE}/testssl.json",
        findings.testssl,
    ),
    "docker-bench-security": Tool(
        f"command -v docker >/dev/null || exit 0; cd {PLACE}/docker-bench; bash *security.sh -b 2>/dev/null",
        findings.docker_bench,
    ),
}
# A CA that browsers do not know, as testssl's --add-ca does; its certificate is good for as long as Let's Encrypt's.
CERTIFICATE = f"""
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca-key.pem -out ca.pem -days 900 \
  -subj "/CN=The CA of the audit" -addext basicConstraints=critical,CA:true -addext keyUsage=critical,keyCertSign
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out request.pem \
  -subj "/CN={DOMAIN}"
printf '%s\\n' subjectAltName=DNS:{DOMAIN},DNS:www.{DOMAIN} keyUsage=digitalSignature \
  extendedKeyUsage=serverAuth > names
openssl x509 -req -in request.pem -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 90 -extfile names -out leaf.pem
"""


def main():
    """Print the scores, what is left and what of it has no reason; write build/bench-audit.json."""
    parser = argparse.ArgumentParser(prog="make bench-audit", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave the host: ssh -F build/audit/ssh_config audit")
    options = parser.parse_args()
    bench = public.fetch("docker-bench-security", DOCKER_BENCH)
    tar = subprocess.run(["git", "-C", bench, "archive", "HEAD"], check=True, capture_output=True).stdout
    with own_host.standing("audit", options.keep) as (shell, play):
        shell(INSTALL, tar)
        seen = {"before": audit(shell)}
        say("before: done")
        play("site.yml", **WORDS, **certificate(shell, demo.ROOT / "build/audit"))
        seen["after"] = audit(shell)
    (demo.ROOT / "build/bench-audit.json").write_text(json.dumps(seen, indent=1, default=asdict) + "\n")
    return show(seen, findings.reasons(PAGE.read_text()))


def certificate(shell, place):
    """Make a CA and a certificate; return the variables of it. The host's testssl trusts that CA."""
    subprocess.run(["sh", "-ec", CERTIFICATE], cwd=place, check=True, capture_output=True)
    shell(f"cat > {PLACE}/root.pem", (place / "ca.pem").read_bytes())
    files = {"file": "leaf.pem", "key_file": "key.pem", "ca_file": "ca.pem"}
    return {
        "nginx_certificate": "provided",
        **{f"nginx_certificate_{name}": str(place / file) for name, file in files.items()},
    }


def audit(shell):
    """Return what each tool found; nothing of one whose subject is not there."""
    said = {name: shell(tool.command) for name, tool in TOOLS.items()}
    return {name: tool.read(said[name]) if said[name] else None for name, tool in TOOLS.items()}


def show(seen, reasons):
    """Print it; return whether something is left without a reason, or a tool found nothing to look at.

    :param seen: reports before and after, by tool.
    """
    say(f"{'':<24}{'before':<46}after")
    for name in TOOLS:
        before, after = (seen[when][name].score if seen[when][name] else "-" for when in ("before", "after"))
        say(f"{name:<24}{before:<46}{after}")
    silent = [name for name, report in seen["after"].items() if not report]
    without = sum(list_left(name, seen, reasons.get(name, {})) for name in TOOLS if name not in silent)
    say(f"\n{without} left without a reason in {PAGE.relative_to(demo.ROOT)}")
    if silent:
        say(f"nothing to look at for: {', '.join(silent)}")
    return bool(without or silent)


def list_left(name, seen, why):
    """Print what one tool has left; return how much of it has no reason."""
    before, left = seen["before"][name], seen["after"][name].left
    say(f"\n{name}: {len(before.left.keys() - left.keys()) if before else 0} findings gone, {len(left)} left")
    for each, title in left.items():
        say(f"  {each:<44} {title}{'' if each in why else '  <- no reason'}")
    if more := why.keys() - left.keys():
        say(f"  not found, but with a reason: {', '.join(sorted(more))}")
    return len(left.keys() - why.keys())


def say(words):
    print(words, flush=True)  # noqa: T201 - what the command is for


if __name__ == "__main__":
    sys.exit(main())
