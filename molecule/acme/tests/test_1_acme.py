"""Certificates from a real ACME server, through all that can go wrong, while nginx serves throughout.

The tests follow each other: each begins with what the one before left.
"""

from __future__ import annotations

import json
import re

import pytest
from cryptography import x509

KEEPER = "cd /usr/local/lib/flask-deploy && python3 -B -m keep_certificates"
PROBE = """
while :; do
  for name in app.test www.app.test; do
    code=$(curl -sk -o /dev/null -w '%{http_code}' --max-time 10 https://$name/hello.txt)
    [ "$code" = 200 ] || [ "$code" = 301 ] || echo "$(date +%T) $name $code"
  done
  echo probe; sleep 0.3
done
"""


@pytest.fixture(scope="module")
def pebble(host, until):
    """Start and stop the ACME server and its DNS; each start forgets accounts and certificates."""
    address = "https://localhost:14000/dir"
    ask = f"curl -s --cacert /etc/pebble/ca.pem {address}"

    def run(up=True, **settings):
        host.run("systemctl stop pebble challtestsrv")
        if not up:
            return
        # Of its own accord pebble believes every other name that it has seen before without asking again.
        environment = {"PEBBLE_WFE_NONCEREJECT": 0, "PEBBLE_VA_NOSLEEP": 1, "PEBBLE_AUTHZREUSE": 0, **settings}
        variables = " ".join(f"-E {name}={value}" for name, value in environment.items())
        host.check_output(
            "systemd-run -q --collect --unit=challtestsrv pebble-challtestsrv -http01 '' -https01 '' -tlsalpn01 '' "
            "-doh '' -dns01 127.0.0.1:8053 -management 127.0.0.1:8055 -defaultIPv4 127.0.0.1 -defaultIPv6 ''"
        )
        host.check_output(
            f"systemd-run -q --collect --unit=pebble {variables} pebble -config /etc/pebble/pebble.json "
            "-dnsserver 127.0.0.1:8053"
        )
        until(lambda: host.run(ask).rc == 0, 120)

    yield run
    run(up=False)


@pytest.fixture(scope="module")
def keep(host):
    """Let the host's program run as its timer does, so many days from now; return (exit code, what it says)."""

    def run(command="keep", days=0.0):
        clock = f"FAKETIME_DONT_FAKE_MONOTONIC=1 faketime -f +{days}d " if days else ""
        done = host.run(f"sh -c '{KEEPER.replace('python3', clock + 'python3')} {command} app'")
        return done.rc, json.loads(done.stdout)

    return run


@pytest.fixture(scope="module")
def served(host):
    """Return the certificate that clients of a name get."""

    def ask(name="app.test"):
        command = f"openssl s_client -connect 127.0.0.1:443 -servername {name} </dev/null 2>/dev/null | openssl x509"
        return x509.load_pem_x509_certificate(host.check_output(command).encode())

    return ask


@pytest.fixture(scope="module")
def resolve(host):
    """Let the host find the second name at another address; the file is a mount and can only be written over."""
    return lambda address: host.check_output(
        f"printf '127.0.0.1 localhost host app.test\\n{address} www.app.test\\n' > /etc/hosts"
    )


def issuer(certificate):
    return certificate.issuer.rfc4514_string()


@pytest.fixture(scope="module", autouse=True)
def probes(host):
    """Ask the site all the while; return what was not answered, and how often it was asked."""
    host.check_output("mkdir -p /srv/app/current/static && echo hello > /srv/app/current/static/hello.txt")
    host.check_output(f"cat > /run/probe <<'END'\n{PROBE}END")
    host.run("systemctl stop probe; rm -f /run/probe.log")
    host.check_output("systemd-run -q --collect --unit=probe -p StandardOutput=file:/run/probe.log sh /run/probe")

    def result():
        lines = host.check_output("cat /run/probe.log").splitlines()
        return [line for line in lines if line != "probe"], lines.count("probe")

    yield result
    host.run("systemctl stop probe")


def test_a_placeholder_serves_while_the_ca_is_down_at_first(play, served, keep):
    assert "app.test" in issuer(served()), "self-signed"
    run = play("playbooks/certificates.yml", succeed=False)
    assert run.rc == 2
    assert "selfsigned certificate serves in place of the CA's" in run.output
    assert "the CA at https://localhost:14000/dir does not answer" in run.output
    rc, said = keep("status")
    assert rc == 1 and said["wanted"] == "acme" and said["serving"] == "selfsigned"


def test_the_first_certificate_comes_with_the_next_run(play, pebble, served):
    pebble()
    run = play("playbooks/nginx.yml")
    assert run.changed_tasks == ["Ask the CA for what is due"]
    for name in ("app.test", "www.app.test"):
        assert "Pebble" in issuer(served(name))
    names = served().extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert set(names.get_values_for_type(x509.DNSName)) == {"app.test", "www.app.test"}
    assert served().public_key().curve.name == "secp256r1"
    play("playbooks/certificates.yml")


def test_a_second_run_changes_nothing(play, served):
    before = served()
    assert play("playbooks/nginx.yml").changed == 0
    assert play("playbooks/nginx.yml", "--check", "--diff").changed == 0
    assert served() == before


def test_a_certificate_of_six_days_is_renewed_at_two_thirds_of_its_life(keep, served):
    before = served()
    for days in (0, 1, 3, 3.9):
        assert keep(days=days)[1]["changed"] is False, days
    assert served() == before
    rc, said = keep(days=4.1)
    assert (rc, said["changed"]) == (0, True)
    after = served()
    assert after != before and "Pebble" in issuer(after)
    assert after.public_key() != before.public_key(), "a new key each time"
    assert keep()[1]["changed"] is False


def test_a_ca_that_is_down_at_renewal_leaves_the_old_certificate(host, keep, pebble, served):
    before = served()
    pebble(up=False)
    rc, said = keep(days=4.1)
    assert (rc, said["changed"]) == (75, False)
    assert "does not answer" in said["error"]
    assert served() == before
    rc, said = keep("status", days=4.1)
    assert rc == 1 and any("does not answer" in line for line in said["problems"])
    told = json.loads(host.check_output("cat /var/lib/flask-deploy/certificates/app.json"))
    assert "does not answer" in told["error"] and told["tried"]


def test_a_storm_of_bad_nonces_leaves_the_old_certificate(keep, pebble, served):
    before = served()
    pebble(PEBBLE_WFE_NONCEREJECT=95)
    rc, said = keep("keep --renew")
    assert (rc, said["changed"]) == (75, False), said
    assert served() == before
    pebble(PEBBLE_WFE_NONCEREJECT=10)
    rc, said = keep("keep --renew")
    assert (rc, said["changed"]) == (0, True), said
    assert keep("status")[0] == 0, "a success is the end of the alarm"


def test_an_account_that_the_ca_forgot_is_replaced(keep, pebble, served):
    before = served()
    pebble()  # which remembers nothing
    rc, said = keep("keep --renew")
    assert (rc, said["changed"]) == (0, True), said
    assert served() != before


def test_an_account_that_was_deactivated_is_replaced(host, keep, served):
    before, accounts = served(), "/etc/app/tls/acme/accounts"
    host.check_output(f"cp -a {accounts} /root/accounts")
    host.check_output(
        "REQUESTS_CA_BUNDLE=/etc/app/tls/ca.pem certbot unregister --non-interactive "
        "--config-dir /etc/app/tls/acme --work-dir /run --server https://localhost:14000/dir"
    )
    host.check_output(f"rm -rf {accounts} && mv /root/accounts {accounts}")
    rc, said = keep("keep --renew")
    assert (rc, said["changed"]) == (0, True), said
    assert served() != before


def test_a_strict_umask_hides_no_answer_from_nginx(host, keep):
    host.check_output("mv /var/lib/flask-deploy/acme /root/acme-before")
    done = host.run(f"sh -c 'umask 077; {KEEPER} keep --renew app'")
    assert done.rc == 0, done.stdout
    assert json.loads(done.stdout)["changed"] is True


def test_a_refusal_of_its_own_nginx_is_not_blamed_on_the_names(host, keep, served):
    before = served()
    host.check_output("chmod 700 /var/lib")
    rc, said = keep("keep --renew")
    host.check_output("chmod 755 /var/lib")
    assert rc == 75 and "this host's own nginx answers with status 404; its user www-data cannot read" in said["error"]
    assert served() == before


def test_a_name_that_leads_elsewhere_is_named_before_the_ca_is_asked(host, keep, resolve, served):
    before = served()
    closed = "INPUT -d 127.0.0.66 -p tcp --dport 80 -j REJECT --reject-with tcp-reset"
    host.check_output(f"iptables -I {closed}")
    resolve("127.0.0.66")
    orders = "journalctl -u pebble | grep -c newOrder || true"
    asked = host.check_output(orders)
    rc, said = keep("keep --renew")
    assert rc == 75
    assert re.search(
        r"www\.app\.test resolves to 127\.0\.0\.66, whose port 80 .*refused.*this host is \d", said["error"]
    )
    assert not said["error"].startswith("app.test")
    assert served() == before
    assert host.check_output(orders) == asked, "the CA was not asked"
    resolve("127.0.0.1")


def test_a_name_that_the_ca_sees_elsewhere_is_named(host, keep, served):
    before = served()
    dns = "curl -sf -d '%s' http://127.0.0.1:8055/%s"
    host.check_output(dns % ('{"host": "www.app.test", "addresses": ["127.0.0.66"]}', "add-a"))
    rc, said = keep("keep --renew")
    assert rc == 75 and "127.0.0.66" in said["error"], said
    assert served() == before
    host.check_output(dns % ('{"host": "www.app.test"}', "clear-a"))
    assert keep("keep --renew")[0] == 0


def test_another_key_type_gets_another_certificate(play, served):
    play("playbooks/nginx.yml", "-e", "nginx_acme_key_type=rsa")
    assert served().public_key().key_size == 2048


def test_a_new_key_is_had_for_the_asking(play, served):
    before = served()
    run = play("playbooks/nginx.yml", "-e", "nginx_certificate_renew=true")
    assert run.changed_tasks == ["Ask the CA for what is due"]
    assert served().public_key() != before.public_key()


def test_the_timer_does_the_same(host):
    timer = host.service("flask-deploy-certificates.timer")
    assert timer.is_running and timer.is_enabled
    assert host.run("systemctl start flask-deploy-certificates.service").rc == 0
    assert '"changed": false' in host.check_output("journalctl -u flask-deploy-certificates.service -n 5 -o cat")


def test_nginx_served_throughout(probes, host):
    missed, asked = probes()
    assert asked > 50
    assert missed == []
    reloads = host.check_output("journalctl -u nginx -o cat | grep -c Reloaded")
    assert int(reloads) < 15, "a reload for each new certificate, and no more"
