"""What keeps certificates on a host: renewal by share of life, refusals, failures of a CA, and what is said of them."""

from __future__ import annotations

import contextlib
import datetime
import http.server
import io
import json
import os
import re
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from ansible.module_utils.flask_deploy.certificates import acme, leading, pair, store
from ansible.module_utils.flask_deploy.certificates import main as program
from ansible.module_utils.flask_deploy.certificates.keeper import OWED, Keeper, Refused
from ansible.module_utils.flask_deploy.host import locks

from tests.authority import NOW, authority, certificate, keys, leaf, pem

NAMES = ["shop.example.com", "www.shop.example.com"]
ASKED = {
    "directory": "https://ca.example.com/dir",
    "mail": "",
    "eab_key_id": "",
    "eab_hmac_key": "",
    "key_type": "ecdsa",
    "profile": "",
    "preflight": False,
}


@pytest.fixture
def reloads(monkeypatch, tmp_path, owners):
    """Return the list of nginx's reloads."""
    done = []
    monkeypatch.setattr(store, "test", lambda _server: None)
    monkeypatch.setitem(store.SERVERS, "nginx", replace(store.SERVERS["nginx"], lock=str(tmp_path / "lock")))
    monkeypatch.setattr(locks, "RUN", str(tmp_path / "owed"))
    monkeypatch.setattr(store, "reload", lambda _server: done.append(1))
    monkeypatch.setattr(store, "running", lambda _server: True)
    return done


@pytest.fixture
def keeper(tmp_path, reloads):
    """Return one app's keeper of a kind, so many days from now, with settings changed."""
    (tmp_path / "etc" / "shop" / "tls").mkdir(parents=True, exist_ok=True)

    def made(kind="acme", days=0.0, names=NAMES, ca=None, **asked):
        settings = {"app": "shop", "kind": kind, "names": names, "ca": bool(ca), "acme": {**ASKED, **asked}}
        if ca:
            (tmp_path / "etc" / "shop" / "tls" / "ca.pem").write_bytes(ca)
        moment = NOW + datetime.timedelta(days=days)
        return Keeper(settings, str(tmp_path / "etc"), str(tmp_path / "status"), moment)

    return made


class Authority:
    """Stands for certbot and a CA; the scenario `acme` has real ones."""

    def __init__(self):
        self.down, self.days, self.asked, self.names = None, 6, 0, None
        self.late = 0  # seconds from now at which its certificates begin

    def obtain(self, app, names, asked, place, ca_file=None, server="nginx"):
        self.asked += 1
        if self.down:
            raise acme.AcmeError(self.down)
        key, late = keys()["p256"], self.late / 86400
        return leaf(key, *(self.names or names), days=(late, late + self.days)) + authority()[1], pem(key)


@pytest.fixture
def ca(monkeypatch):
    found = Authority()
    monkeypatch.setattr(acme, "obtain", found.obtain)
    return found


def provided():
    return leaf(keys()["p256"], *NAMES) + authority()[1], pem(keys()["p256"])


# -- renewal ---------------------------------------------------------------------------------


@pytest.mark.parametrize("life", [6, 45, 90])
@pytest.mark.parametrize(("spent", "renewed"), [(0.1, False), (0.66, False), (0.67, True), (0.99, True), (1.5, True)])
def test_a_certificate_is_renewed_when_a_third_of_its_life_is_left(keeper, ca, life, spent, renewed):
    ca.days = life
    keeper().keep()
    keeper(days=life * spent).keep()
    assert ca.asked == 1 + renewed


def test_a_fresh_certificate_is_not_asked_for_again_on_each_run(keeper, ca, reloads):
    assert keeper().keep()["changed"]
    assert [keeper(days=day).keep()["changed"] for day in (0, 1, 2, 3)] == [False] * 4
    assert (ca.asked, len(reloads)) == (1, 1)


@pytest.mark.parametrize(
    "change",
    [{"key_type": "rsa"}, {"profile": "shortlived"}, {"directory": "https://x.test/"}, {"names": [NAMES[0]]}],
    ids=lambda change: next(iter(change)),
)
def test_other_wishes_get_another_certificate(keeper, ca, change):
    keeper().keep()
    keeper(**change).keep()
    assert ca.asked == 2


def test_a_new_certificate_is_had_for_the_asking(keeper, ca):
    keeper().keep()
    keeper().keep(renew=True)
    assert ca.asked == 2


@pytest.mark.parametrize(("days", "renewed"), [(200, False), (244, True)])
def test_a_selfsigned_certificate_is_renewed_before_its_end(keeper, days, renewed):
    first = keeper("selfsigned").keep()["serving"]
    result = keeper("selfsigned", days).keep()
    assert (result["changed"], result["serving"] != first) == (renewed, renewed)
    assert keeper("selfsigned", days).status()["problems"] == []


def test_the_pair_before_is_kept_and_older_ones_go(keeper, ca, tmp_path):
    for day in (0, 5, 10, 15):
        keeper(days=day).keep(renew=True)
    assert len([name for name in os.listdir(tmp_path / "etc/shop/tls") if name.startswith("acme-")]) <= store.KEPT


# -- failures of the CA ----------------------------------------------------------------------


def test_a_selfsigned_certificate_serves_until_the_first_success(keeper, ca):
    ca.down = "the CA at https://ca.example.com/dir does not answer: refused"
    result = keeper().keep()
    assert result["serving"].startswith("selfsigned-") and result["error"] == ca.down
    problems = keeper().status()["problems"]
    assert "a selfsigned certificate serves in place of the CA's" in problems
    assert any(ca.down in line for line in problems)
    ca.down = None
    assert keeper().keep()["serving"].startswith("acme-")
    assert keeper().status()["problems"] == []


@pytest.mark.parametrize("days", [4.5, 7], ids=["due", "expired"])
def test_an_old_certificate_is_never_replaced_by_a_worse_one(keeper, ca, reloads, days):
    serving = keeper().keep()["serving"]
    ca.down = "down"
    result = keeper(days=days).keep()
    assert (result["changed"], result["serving"], result["error"]) == (False, serving, "down")
    assert len(reloads) == 1
    assert any("the last try" in line and "down" in line for line in keeper(days=days).status()["problems"])


def test_a_provided_certificate_serves_while_the_ca_is_down(keeper, ca):
    serving = keeper("provided", ca=authority()[0]).keep(provided())["serving"]
    ca.down = "down"
    assert keeper().keep()["serving"] == serving


def test_a_certificate_of_the_ca_for_other_names_is_not_taken(keeper, ca):
    ca.names = ["other.example.com"]
    result = keeper().keep()
    assert result["serving"].startswith("selfsigned-")
    assert "does not cover shop.example.com" in result["error"]


def test_a_ca_may_take_its_time_and_be_a_minute_ahead(keeper, ca):
    ca.late = 60
    assert keeper().keep()["serving"].startswith("acme-")


def test_a_failure_is_remembered_until_the_next_try(keeper, ca):
    ca.down = "down"
    keeper().keep()
    keeper().keep(ask=False)
    assert any("down" in line for line in keeper().status()["problems"])


# -- provided --------------------------------------------------------------------------------

BAD = {
    "other key": (lambda: (provided()[0], pem(keys()["p384"])), "is not the key of"),
    "encrypted key": (lambda: (provided()[0], pem(keys()["p256"], b"secret")), "is encrypted"),
    "no key": (lambda: (provided()[0], b"hello"), "is not a private key"),
    "no certificate": (lambda: (b"hello", provided()[1]), "no PEM certificate"),
    "expired": (lambda: (leaf(keys()["p256"], *NAMES, days=(-9, -1)) + authority()[1], provided()[1]), "not today"),
    "not yet": (lambda: (leaf(keys()["p256"], *NAMES, days=(1, 9)) + authority()[1], provided()[1]), "not today"),
    "name": (lambda: (leaf(keys()["p256"], NAMES[0]) + authority()[1], provided()[1]), "does not cover www.shop"),
    "chain": (lambda: (leaf(keys()["p256"], *NAMES), provided()[1]), "append the intermediates"),
    "order": (lambda: (authority()[1] + leaf(keys()["p256"], *NAMES), provided()[1]), "is not signed by"),
    "issuer": (
        lambda: (
            leaf(keys()["p256"], *NAMES) + certificate(keys()["x25519"], "below", issuer=("root", keys()["p384"])),
            provided()[1],
        ),
        "is not signed by",
    ),
    "weak": (
        lambda: (leaf(keys()["rsa1024"], *NAMES) + authority()[1], pem(keys()["rsa1024"])),
        "its key is weak",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_pair_that_cannot_serve_is_refused_and_the_running_one_kept(keeper, reloads, case):
    serving = keeper("provided", ca=authority()[0]).keep(provided())["serving"]
    made, said = BAD[case]
    with pytest.raises(Refused, match=said) as refused:
        keeper("provided", ca=authority()[0]).keep(made())
    assert "nginx_certificate" in str(refused.value)
    assert keeper("provided").store.current() == serving and len(reloads) == 1
    assert any(said in line for line in keeper("provided").status()["problems"])


def test_a_good_pair_is_taken_once(keeper, reloads):
    given = provided()
    assert keeper("provided", ca=authority()[0]).foretell(given)
    assert keeper("provided", ca=authority()[0]).keep(given)["changed"]
    assert not keeper("provided", ca=authority()[0]).keep(given)["changed"]
    assert not keeper("provided", ca=authority()[0]).foretell(given)
    assert not keeper("provided", ca=authority()[0]).keep()["changed"], "the timer changes nothing"
    assert len(reloads) == 1


def test_a_root_of_one_s_own_must_be_named(keeper):
    with pytest.raises(Refused, match="nginx_certificate_ca_file"):
        keeper("provided").keep(provided())


# -- nginx -----------------------------------------------------------------------------------


def test_a_pair_that_nginx_refuses_is_taken_back(keeper, ca, monkeypatch, reloads):
    serving = keeper().keep()["serving"]
    monkeypatch.setattr(store, "test", lambda _server: None if keeper().store.current() == serving else "nginx -t: no")
    with pytest.raises(store.StoreError, match="no"):
        keeper().keep(renew=True)
    assert keeper().store.current() == serving and len(reloads) == 1


def test_a_pair_is_exchanged_under_the_host_s_lock_on_nginx(keeper, ca, monkeypatch):
    """A reload of an app's in between would serve what nginx has not tested."""
    seen = []

    def free(_server):
        with contextlib.suppress(locks.LockError), locks.locked(store.SERVERS["nginx"].lock, 0):
            seen.append("free")
        seen.append("asked")

    monkeypatch.setattr(store, "test", free)
    monkeypatch.setattr(store, "reload", free)
    assert keeper().keep()["changed"]
    assert seen == ["asked"] * 3


def test_a_configuration_that_was_broken_before_does_not_keep_a_pair_out(keeper, ca, monkeypatch, reloads):
    monkeypatch.setattr(store, "test", lambda _server: "nginx -t: unknown directive")
    assert keeper().keep()["serving"].startswith("acme-")
    assert reloads == []
    assert keeper().keep()["changed"] is False and reloads == [], "refused still"
    monkeypatch.setattr(store, "test", lambda _server: None)
    assert keeper().keep()["changed"] and len(reloads) == 1, "somebody mended it, and did not reload"
    assert keeper().keep()["changed"] is False and len(reloads) == 1


def test_a_server_that_is_yet_to_start_is_owed_no_reload(keeper, ca, monkeypatch, reloads):
    """A balancer gets its certificate before HAProxy has a configuration: the second run has nothing to do."""
    monkeypatch.setattr(store, "test", lambda _server: "haproxy -c: no such file")
    monkeypatch.setattr(store, "running", lambda _server: False)
    assert keeper().keep()["changed"]
    monkeypatch.setattr(store, "test", lambda _server: None)
    assert keeper().keep()["changed"] is False and keeper().status()["problems"] == [] and reloads == []


class Killed(BaseException):
    pass


@pytest.mark.parametrize(("step", "due"), [("_point", True), ("reload", True), ("_forget", False)])
def test_a_run_that_was_killed_leaves_no_pair_that_nginx_does_not_load(keeper, ca, monkeypatch, reloads, step, due):
    """The link is right by then, and a status that reads the disk alone finds nothing wrong."""
    place = store if step == "reload" else store.Store
    real = getattr(place, step)

    def killed(*arguments):
        if step == "_point":
            real(*arguments)
        raise Killed

    keeper().keep()
    with monkeypatch.context() as patched:
        patched.setattr(place, step, killed)
        with pytest.raises(Killed):
            keeper().keep(renew=True)
    assert len(reloads) == (1 if due else 2)
    assert keeper().foretell(None) == due and keeper().status()["problems"] == [OWED] * due
    assert keeper().keep()["changed"] == due and len(reloads) == 2
    assert keeper().keep()["changed"] is False and not keeper().foretell(None) and len(reloads) == 2
    assert keeper().status()["problems"] == []


@pytest.mark.parametrize(
    ("program", "does", "said"),
    [
        ("nginx", "exec sleep 60", r"nginx -t -q took longer than 0\.5 s; look on the host: systemctl status nginx"),
        (
            "systemctl",
            '[ "$1" != reload ] || exec sleep 60',
            r"systemctl reload nginx\.service took longer than 0\.5 s",
        ),
        ("systemctl", "exec sleep 60", r"systemctl is-active .* took longer than 0\.5 s"),
        ("systemctl", '[ "$1" != reload ] || { echo refused >&2; exit 1; }', r"nginx was not reloaded: refused"),
    ],
    ids=["its test hangs", "its reload hangs", "systemd hangs", "its reload fails"],
)
def test_an_nginx_that_does_not_answer_is_said_and_the_pair_before_stays(tmp_path, monkeypatch, program, does, said):
    monkeypatch.setitem(store.SERVERS, "nginx", replace(store.SERVERS["nginx"], lock=str(tmp_path / "run" / "lock")))
    monkeypatch.setattr(locks, "RUN", str(tmp_path / "run"))
    monkeypatch.setattr(store, "PATIENCE", 0.5)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for name in ("nginx", "systemctl"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "etc/shop/tls").mkdir(parents=True)
    place = store.Store("shop", str(tmp_path / "etc"))
    first, second = (place.add("acme", name, b"key") for name in (b"one", b"two"))
    assert place.use(first)
    (tmp_path / program).write_text(f"#!/bin/sh\n{does}\n")
    if program == "nginx":
        assert re.match(said, store.test(store.SERVERS["nginx"]))
        return
    with pytest.raises(store.StoreError, match=said):
        place.use(second)
    assert place.current() == first, "the next run tries it again"


def test_no_key_of_a_run_that_was_killed_stays(tmp_path, reloads):
    (tmp_path / "etc/shop/tls").mkdir(parents=True)
    place = store.Store("shop", str(tmp_path / "etc"))
    with pytest.raises(TypeError):
        place.add("acme", b"chain", b"key", {"names": object()})  # it gets as far as its key
    assert list((tmp_path / "etc/shop/tls").glob("*/privkey.pem"))
    name = place.add("acme", b"another chain", b"another key")
    assert os.listdir(tmp_path / "etc/shop/tls") == [name]


@pytest.mark.parametrize("kind", ["selfsigned", "acme"])
def test_a_wrong_link_is_put_right_without_a_new_certificate(keeper, ca, kind):
    serving = keeper(kind).keep()["serving"]
    os.unlink(keeper(kind).store.link)
    os.symlink("nowhere", keeper(kind).store.link)
    assert keeper(kind).foretell(None)
    assert keeper(kind).keep(ask=False) == {"changed": True, "serving": serving, "error": None}
    assert not keeper(kind).foretell(None)


def test_keys_are_root_s_alone(keeper, tmp_path):
    name = keeper("selfsigned").keep()["serving"]
    place = tmp_path / "etc/shop/tls" / name
    assert place.stat().st_mode & 0o777 == 0o700
    assert (place / "privkey.pem").stat().st_mode & 0o777 == 0o400


# -- what is said ----------------------------------------------------------------------------


@pytest.mark.parametrize(("left", "alarm"), [(0.3, False), (0.26, False), (0.24, True), (-0.1, True)])
def test_less_than_a_quarter_of_the_life_left_is_a_problem(keeper, left, alarm):
    keeper("provided", ca=authority()[0]).keep(provided())  # 31 days, one of them gone
    problems = keeper("provided", days=31 * (1 - left) - 1).status()["problems"]
    assert bool(problems) == alarm
    assert not alarm or "expire" in problems[0]


def test_the_status_file_says_what_a_monitor_needs(keeper, ca, tmp_path):
    keeper().keep()
    told = json.loads((tmp_path / "status/shop.json").read_text())
    assert (told["serving"], told["wanted"], told["error"]) == ("acme", "acme", None)
    first, last, renew = (
        datetime.datetime.fromisoformat(told[name]) for name in ("not_before", "not_after", "renew_after")
    )
    assert renew == first + (last - first) * 2 / 3


def test_the_dates_are_those_of_what_serves_whoever_put_it_there(keeper, tmp_path):
    keeper("selfsigned").keep()
    key = keys()["p256"]
    current = tmp_path / "etc/shop/tls/current"
    (current / "fullchain.pem").write_bytes(leaf(key, *NAMES, days=(-1, 5)) + authority()[1])
    (current / "privkey.pem").write_bytes(pem(key))
    told = keeper("selfsigned").status()
    first, last = (datetime.datetime.fromisoformat(told[name]) for name in ("not_before", "not_after"))
    assert (last - first).days == 6 and told["days_left"] == (last - NOW).days


def test_exit_codes_tell_refusal_and_delay_apart(keeper, ca, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(store, "ETC", str(tmp_path / "etc"))
    monkeypatch.setattr(program, "LOCK", str(tmp_path / "run"))
    monkeypatch.setattr(
        "ansible.module_utils.flask_deploy.certificates.main.Keeper", lambda settings: keeper(settings["kind"])
    )

    def run(*words, sent=None):
        monkeypatch.setattr("sys.argv", ["keep_certificates", *words])
        if sent:
            monkeypatch.setattr("sys.stdin", io.StringIO(sent.read_text()))
        return program.main()

    settings = {"app": "shop", "kind": "acme", "names": NAMES, "ca": "", "provided": [], "acme": ASKED}
    (tmp_path / "sent").write_text(json.dumps(settings))
    assert run("keep", "shop", "--settings", "--no-ask", sent=tmp_path / "sent") == 0
    ca.down = "down"
    assert (run("keep"), run("status")) == (75, 1)
    ca.down = None
    assert (run("keep"), run("status")) == (0, 0)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["changed"] for line in lines if "changed" in line] == [True, False, True]
    assert (tmp_path / "etc/shop/tls/settings.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("content", ["[1]", "1", '{"app": "s', "", "null"])
@pytest.mark.parametrize("name", ["etc/shop/tls/settings.json", "status/shop.json", "asked.json"])
def test_each_file_may_hold_anything(keeper, ca, tmp_path, monkeypatch, capsys, name, content):
    """What is damaged is said or made anew, and the other apps of the host are kept."""
    monkeypatch.setattr(store, "ETC", str(tmp_path / "etc"))
    monkeypatch.setattr(program, "LOCK", str(tmp_path / "run"))
    monkeypatch.setattr(
        "ansible.module_utils.flask_deploy.certificates.main.Keeper", lambda settings: keeper(settings["kind"])
    )
    settings = {"app": "shop", "kind": "acme", "names": NAMES, "ca": False, "acme": ASKED}
    for app in ("shop", "zoo"):
        (tmp_path / "etc" / app / "tls").mkdir(parents=True, exist_ok=True)
        (tmp_path / "etc" / app / "tls/settings.json").write_text(json.dumps({**settings, "app": app}))
    keeper().keep()
    damaged = next((tmp_path / "etc/shop/tls").glob("acme-*/asked.json")) if name == "asked.json" else tmp_path / name
    damaged.write_text(content)
    refused = name.endswith("settings.json")
    for command in ("keep", "status"):
        monkeypatch.setattr("sys.argv", ["keep_certificates", command])
        assert program.main() == refused
        said = {line["app"]: line for line in map(json.loads, capsys.readouterr().out.splitlines())}
        assert set(said) == {"shop", "zoo"}
        assert ("is damaged; what makes it anew: ansible-playbook site.yml" in str(said["shop"])) == refused


# -- asking a CA -----------------------------------------------------------------------------


@pytest.fixture
def webroot(tmp_path, monkeypatch):
    """Serve a directory as nginx serves the answers; return it."""
    monkeypatch.setattr(leading, "WEBROOT", str(tmp_path / "web"))
    (tmp_path / "web").mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments):
            super().__init__(*arguments, directory=tmp_path / "web")

        def log_message(self, *words):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(leading, "PORT", server.server_port)
        yield tmp_path / "web"
        server.shutdown()


def test_a_name_that_leads_here_may_be_asked_for(webroot):
    leading.check_names(["localhost"])
    assert list((webroot / leading.CHALLENGES.strip("/")).iterdir()) == [], "no token stays behind"


@pytest.mark.parametrize(
    ("name", "address", "said"),
    [
        ("127.0.0.9", "127.0.0.9", "resolves to 127.0.0.9, whose port 80 does not answer with this host's token"),
        ("no-such-name.invalid", None, "no-such-name.invalid does not resolve"),
    ],
)
def test_a_name_that_leads_elsewhere_is_named_with_its_address(webroot, name, address, said):
    with pytest.raises(leading.AstrayError) as failure:
        leading.check_names(["localhost", name])
    assert said in str(failure.value) and "this host is " in str(failure.value)
    assert "localhost resolves" not in str(failure.value)


PLACE = leading.WEBROOT + leading.CHALLENGES


@pytest.mark.parametrize(
    ("answer", "readable", "said"),
    [
        ("status 403", False, f"its user www-data cannot read {PLACE}; type there: namei -l {PLACE}"),
        ("status 404", False, f"its user www-data cannot read {PLACE}; type there: namei -l {PLACE}"),
        (
            "status 404",
            True,
            "another site of this host answers for that name; type there: sudo nginx -T | grep server",
        ),
        ("[Errno 111] Connection refused", True, "type there: systemctl status nginx"),
    ],
)
def test_a_refusal_of_this_host_itself_is_not_blamed_on_the_name(monkeypatch, answer, readable, said):
    monkeypatch.setattr(leading, "fetch", lambda address, name, path: answer)
    monkeypatch.setattr(leading, "readable", lambda path: readable)
    (line,) = leading.astray("127.0.0.9", "token")
    assert line.startswith(f"127.0.0.9: this host's own nginx answers with {answer}; {said}")


@pytest.mark.skipif(os.getuid() != 0, reason="to become nginx's user takes root")
def test_a_file_is_readable_where_nginx_s_user_may_read_it(tmp_path):
    (tmp_path / "token").touch()
    assert not leading.readable(str(tmp_path / "token")), "pytest's directories are the caller's alone"
    assert leading.readable("/etc/hostname")


def test_a_refusal_of_another_host_is_not_taken_for_this_one_s(monkeypatch):
    answers = {"127.0.0.1": "token", "127.0.0.9": "status 403"}
    monkeypatch.setattr(leading, "fetch", lambda address, name, path: answers[address])
    (line,) = leading.astray("127.0.0.9", "token")
    assert line == "127.0.0.9 resolves to 127.0.0.9, whose port 80 does not answer with this host's token: status 403"


def test_a_ca_that_answers_with_anything_is_named(webroot):
    (webroot / "dir").write_text("[" * 200_000)
    with pytest.raises(acme.AcmeError, match=r"the CA at http://\S+/dir does not answer: .*recursion"):
        acme.check_directory({**ASKED, "directory": f"http://127.0.0.1:{leading.PORT}/dir"}, None)


def test_a_ca_that_is_down_is_named():
    with pytest.raises(acme.AcmeError, match=r"the CA at https://127.0.0.1:9/dir does not answer: .*refused"):
        acme.check_directory({**ASKED, "directory": "https://127.0.0.1:9/dir"}, None)


@pytest.mark.parametrize(
    ("meta", "asked", "said"),
    [
        ({"profiles": {"classic": ""}}, {"profile": "shortlived"}, "offers no 'shortlived'; it offers: classic"),
        ({}, {"profile": "shortlived"}, "it offers: none"),
        ({"externalAccountRequired": True}, {}, "nginx_acme_eab_key_id"),
    ],
)
def test_what_the_ca_would_refuse_is_said_before(monkeypatch, meta, asked, said):
    monkeypatch.setattr(acme, "directory", lambda url, ca_file: {"meta": meta})
    with pytest.raises(acme.AcmeError, match=said):
        acme.check_directory({**ASKED, **asked}, None)


@pytest.fixture
def certbot(tmp_path, monkeypatch):
    """Put a certbot in the path that notes its words and settings, and fails once with each line of ``says``."""
    (tmp_path / "bin").mkdir()
    script = tmp_path / "bin" / "certbot"
    script.write_text(f"""#!/bin/sh
echo "$@" >> {tmp_path}/argv
for word; do [ -f "$word" ] && cat "$word" > {tmp_path}/ini; done
read -r said < {tmp_path}/says || exit 0
: > {tmp_path}/says
echo "$said" >&2; exit 1
""")
    script.chmod(0o755)
    (tmp_path / "says").touch()
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    monkeypatch.setattr(acme, "RUN", str(tmp_path))
    monkeypatch.setattr(acme, "check_directory", lambda asked, ca_file: None)
    return tmp_path


def test_secrets_are_not_on_the_command_line(certbot):
    acme.obtain("shop", NAMES, {**ASKED, "eab_key_id": "kid-1", "eab_hmac_key": "c2VjcmV0"}, str(certbot))
    assert "c2VjcmV0" not in (certbot / "argv").read_text()
    settings = (certbot / "ini").read_text().splitlines()
    for line in (
        "eab-kid = kid-1",
        "eab-hmac-key = c2VjcmV0",
        "domains = shop.example.com,www.shop.example.com",
        "key-type = ecdsa",
        "register-unsafely-without-email = true",
    ):
        assert line in settings


@pytest.mark.parametrize("said", ["urn:ietf:params:acme:error:accountDoesNotExist", "The account was deactivated"])
def test_a_lost_account_is_replaced_once(certbot, said):
    (certbot / "acme/accounts").mkdir(parents=True)
    (certbot / "says").write_text(f"{said}\n")
    acme.obtain("shop", NAMES, ASKED, str(certbot))
    assert len((certbot / "argv").read_text().splitlines()) == 2
    assert not (certbot / "acme/accounts").exists()


def test_what_certbot_says_is_told_in_one_line(certbot):
    (certbot / "says").write_text("Detail: 192.0.2.7: Invalid response from http://shop.example.com/: 404\n")
    with pytest.raises(acme.AcmeError, match=r"^Detail: 192\.0\.2\.7: Invalid response .* 404$"):
        acme.obtain("shop", NAMES, ASKED, str(certbot))
    assert len((certbot / "argv").read_text().splitlines()) == 1


def test_debian_12_s_library_is_enough():
    """cryptography 38 has no load_pem_x509_certificates, not_valid_after_utc or verify_directly_issued_by."""
    text = Path(pair.__file__).read_text()
    assert "load_pem_x509_certificates" not in text and "verify_directly_issued_by" not in text
    assert 'hasattr(certificate, "not_valid_after_utc")' in text
