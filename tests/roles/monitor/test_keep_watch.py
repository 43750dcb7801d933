"""What is found wrong on a host is told to people: once, to each of them, and once more when it is good again."""

from __future__ import annotations

import base64
import email
import email.policy
import http.client
import http.server
import json
import os
import re
import smtplib
import socketserver
import ssl
import threading
import time
import urllib.error
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
from ansible.module_utils.flask_deploy.host import condition, engine, files, locks, nginx
from ansible.module_utils.flask_deploy.release import jobs, processes
from ansible.module_utils.flask_deploy.switch import log, progress, switch
from keep_watch import __main__ as program
from keep_watch import looking, sending, telling, traffic

from tests.deploys import begin, deploy, prepare, roll_back, serve

NOON = 1_795_000_000


@pytest.fixture
def receiver():
    """Return an address that takes messages, and the list of (path, headers, body) that it took."""
    taken = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            taken.append((self.path, dict(self.headers), body.decode()))
            bad = b"poison" in body or "nothing" in self.path
            self.send_response(500 if "broken" in self.path else 400 if bad else 200)
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *words):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", taken
        server.shutdown()


@pytest.fixture
def watch(tmp_path, monkeypatch, owners, receiver):
    """Return what gives an app its settings; its messages go to the receiver."""
    monkeypatch.setattr(looking, "ETC", str(tmp_path / "monitor"))
    monkeypatch.setattr(looking, "WORK", str(tmp_path / "work"))
    monkeypatch.setattr(telling, "SPARE", str(tmp_path / "run/record.json"))
    monkeypatch.setattr(telling, "PID", str(tmp_path / "monit.pid"))
    monkeypatch.setattr(telling, "LOCKS", {name: str(tmp_path / "run" / name) for name in ("record", "tell")})
    for folder in ("monitor", "work/found"):
        (tmp_path / folder).mkdir(parents=True)

    def told(app="shop", **more):
        known = {"app": app, "host": "web1", "domain": "shop.example.com", "certificate": app, "backup": True}
        known |= {"needs": [], "webhooks": {"ntfy": f"{receiver[0]}/{app}"}, "mail": [], "smtp": "", "ping": ""}
        known |= {"errors": 5, "slow": 5, "limit": 20}
        (tmp_path / f"monitor/{app}.json").write_text(json.dumps({**known, **more}))

    told()
    return told


def bodies(receiver):
    return [body for _path, _headers, body in receiver[1]]


def test_each_thing_is_told_once_and_once_more_when_it_is_good_again(watch, receiver):
    for moment in range(3):
        telling.note("shop.jobs", {"purge": "job purge failed; type there: x"}, NOON + moment)
        telling.tell(NOON + moment)
    telling.note("shop.jobs", {"purge": "job purge failed", "mail": "job mail failed"}, NOON + 60)
    telling.tell(NOON + 60)
    for moment in (720, 721):
        telling.note("shop.jobs", {"mail": "job mail failed"}, NOON + moment)
        telling.tell(NOON + moment)
    assert bodies(receiver) == [
        "web1: job purge failed; type there: x",
        "web1: job mail failed",
        "web1: good again after 12 min: job purge failed",
    ]


def test_what_nobody_takes_waits_and_loses_nothing(watch, receiver, capsys):
    watch(webhooks={"ntfy": f"{receiver[0]}/broken/5f0c"})
    telling.note("shop.jobs", {"purge": "job purge failed"}, NOON)
    telling.tell(NOON)
    telling.note("host.units", {"a.service": "a.service failed"}, NOON)
    telling.tell(NOON)
    said = capsys.readouterr().err
    assert "2 lines wait: HTTP Error 500" in said and "5f0c" not in said
    receiver[1].clear()
    address = f"{receiver[0]}/broken/5f0c".replace("broken", "whole")
    watch(webhooks={"ntfy": address})
    telling.note("shop.answers", {"web": "no answer"}, NOON)
    telling.tell(NOON)
    assert bodies(receiver) == ["web1: no answer"], "an address that is no longer named gets nothing"


def test_a_run_waits_for_another_that_sends(watch, receiver):
    with locks.locked(telling.LOCKS["tell"]):
        telling.note("shop.jobs", {"purge": "job purge failed"})
        other = threading.Thread(target=telling.tell)
        other.start()
        time.sleep(0.3)
        assert bodies(receiver) == []
    other.join()
    assert bodies(receiver) == ["web1: job purge failed"]


def test_what_comes_too_often_waits_and_comes_as_one(watch, receiver):
    watch(limit=2)
    for number in range(5):
        telling.note("host.units", {f"{each}.service": f"{each} failed" for each in range(number + 1)}, NOON + number)
        telling.tell(NOON + number)
    assert bodies(receiver) == ["web1: 0 failed", "web1: 1 failed"]
    telling.tell(NOON + 3602)
    assert bodies(receiver)[2:] == ["web1: 2 failed\nweb1: 3 failed\nweb1: 4 failed"]
    telling.tell(NOON + 3603)
    assert len(receiver[1]) == 3


def test_what_is_the_host_s_is_told_to_the_people_of_each_app_once(watch, receiver):
    watch("blog", webhooks={"ntfy": f"{receiver[0]}/shop", "slack": f"{receiver[0]}/slack"})
    telling.note("host.units", {"a.service": "a.service failed"})
    telling.note("blog.jobs", {"x": "x failed"})
    telling.note("shop.jobs", {"y": "y failed"})
    telling.tell()
    assert sorted(path for path, _headers, _body in receiver[1]) == ["/shop", "/slack"]
    assert {path: body.count("failed") for path, _headers, body in receiver[1]} == {"/shop": 3, "/slack": 2}


def test_each_kind_has_its_form(watch, receiver):
    forms = {kind: f"{receiver[0]}/{kind}" for kind in ("slack", "discord")}
    with_password = f"{receiver[0].replace('//', '//ada:5f%40c@')}/ntfy"
    watch(webhooks={**forms, "ntfy": with_password})
    telling.note("shop.jobs", {"purge": "Jöb failed"})
    telling.tell()
    got = {path: (headers, body) for path, headers, body in receiver[1]}
    assert json.loads(got["/slack"][1]) == {"text": "web1: Jöb failed"}
    assert json.loads(got["/discord"][1]) == {"content": "web1: Jöb failed"}
    headers, body = got["/ntfy"]
    assert body.encode("latin-1", "replace") and headers["Content-Type"].startswith("text/plain")
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"ada:5f@c"


def test_a_text_is_as_short_as_every_receiver_takes():
    text = sending.short([f"line {number} " + "x" * 90 for number in range(100)])
    assert len(text) <= 2000 and text.endswith("line 99 " + "x" * 90) and text.startswith("81 older lines")
    assert len(sending.short(["y" * 9000])) <= 2000


@pytest.fixture
def post():
    """Return a server that takes mail but what holds "poison", and the list of messages that it took."""
    taken = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            self.wfile.write(b"220 ready\r\n")
            while line := self.rfile.readline():
                said = b"221 bye\r\n" if line[:4].upper() == b"QUIT" else b"250 ok\r\n"
                if line[:4].upper() == b"DATA":
                    self.wfile.write(b"354 go\r\n")
                    lines = iter(self.rfile.readline, b".\r\n")
                    text = b"".join(lines).decode()
                    said = b"554 spam\r\n" if "poison" in text else said
                    taken.extend([] if "poison" in text else [text])
                self.wfile.write(said)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"smtp://127.0.0.1:{server.server_address[1]}", taken
        server.shutdown()


def test_mail_goes_to_the_people_by_the_server(watch, post):
    watch(webhooks={}, mail=["ops@example.com", "ada@example.com"], smtp=post[0])
    telling.note("shop.jobs", {"purge": "job purge failed"})
    telling.tell()
    (taken,) = post[1]
    assert "To: ops@example.com, ada@example.com" in taken and "Subject: web1: job purge failed" in taken
    known = email.message_from_string(taken)
    assert abs(parsedate_to_datetime(known["Date"]).timestamp() - time.time()) < 60
    assert re.fullmatch(r"<[^@\s]+@example\.com>", known["Message-ID"])


def test_what_a_program_printed_is_one_line(watch, post, receiver, monkeypatch, capsys):
    """monit gives the whole output of a program, and of what is no text any byte."""
    watch(mail=["ops@example.com"], smtp=post[0])
    printed = "status failed (1) -- Traceback:\n  File x\r\nOSError: \udcff\x1bno space\n"
    monkeypatch.setenv("MONIT_DESCRIPTION", printed)
    monkeypatch.setattr("sys.argv", ["watch", "failed", "host.look"])
    program.main()
    telling.note("shop.jobs", {"purge": "job purge failed\nhere"})
    telling.tell()
    said = "the watch cannot look at this host: status failed (1) -- Traceback: File x OSError: no space; type there: "
    assert [text.startswith(f"web1: {said}") for text in bodies(receiver)] == [True, False]
    assert bodies(receiver)[1] == "web1: job purge failed here"
    subjects = [re.sub(r"\s+", " ", email.message_from_string(text)["Subject"]) for text in post[1]]
    assert subjects[0].startswith(f"web1: {said[:100]}") and subjects[1] == "web1: job purge failed here"
    assert capsys.readouterr().err == "" and telling._record()["queue"] == {}


def test_a_disk_that_takes_nothing_is_told_and_what_nobody_takes_then_waits(watch, receiver, monkeypatch):
    """monit calls once, and somebody makes room later."""
    full, write = [True], files.write

    def refuse(path, *more, **words):
        if full[0] and path.startswith(looking.WORK):
            raise OSError(28, "No space left on device", path)
        return write(path, *more, **words)

    monkeypatch.setattr(files, "write", refuse)
    monkeypatch.setenv("MONIT_DESCRIPTION", "space usage 100.0% matches resource limit")
    monkeypatch.setattr("sys.argv", ["watch", "failed", "host.disk./"])
    program.main()
    program.main()
    assert len(bodies(receiver)) == 1 and "/ is nearly full: space usage 100.0%" in bodies(receiver)[0]
    watch(webhooks={"ntfy": f"{receiver[0]}/broken"})
    telling.note("host.nginx", {"host.nginx": "nginx is ill"})
    telling.tell()
    assert list(telling._record()["queue"].values()) == [["nginx is ill"]]
    full[0] = False
    telling.note("host.docker", {"host.docker": "docker is ill"})
    assert list(files.read_json(f"{looking.WORK}/record.json")["queue"].values()) == [["nginx is ill", "docker is ill"]]
    assert not Path(telling.SPARE).exists()


@pytest.mark.parametrize("way", ["webhook", "mail"])
def test_a_line_that_is_refused_holds_up_no_other(watch, post, receiver, capsys, way):
    """Neither those that are told with it nor those that come later."""
    watch(**({} if way == "webhook" else {"webhooks": {}, "mail": ["ops@example.com"], "smtp": post[0]}))
    lines = {"a": "a failed", "b": "poison failed", "c": "c failed", "d": "d failed", "e": "e failed"}
    telling.note("shop.jobs", lines, NOON)
    telling.tell(NOON)
    telling.note("shop.jobs", {**lines, "f": "f failed"}, NOON)
    telling.tell(NOON)
    said = "\n".join(bodies(receiver) or map(content, post[1]))
    assert [said.count(f"web1: {each} failed") > 0 for each in "abcdef"] == [True, False, True, True, True, True]
    assert "web1: one message could not be sent (" in said and "type there: sudo journalctl" in said
    assert "never sent: " in (err := capsys.readouterr().err) and "poison failed" in err
    assert telling._record()["queue"] == {}


def content(mail):
    return email.message_from_string(mail, policy=email.policy.default).get_content()


def test_an_address_that_refuses_everything_loses_nothing(watch, receiver, capsys):
    watch(webhooks={"ntfy": f"{receiver[0]}/nothing"})
    telling.note("shop.jobs", {each: f"{each} failed" for each in "abc"}, NOON)
    telling.tell(NOON)
    assert "3 lines wait: HTTP Error 400" in capsys.readouterr().err
    assert list(telling._record()["queue"].values()) == [["a failed", "b failed", "c failed"]]


@pytest.mark.parametrize(
    ("error", "another"),
    [
        (urllib.error.HTTPError("x", 400, "", None, None), True),
        (urllib.error.HTTPError("x", 429, "", None, None), False),
        (urllib.error.HTTPError("x", 404, "", None, None), False),
        (smtplib.SMTPDataError(554, b"spam"), True),
        (smtplib.SMTPDataError(451, b"later"), False),
        (smtplib.SMTPAuthenticationError(535, b"no"), False),
        (ssl.SSLCertVerificationError("expired"), False),
        (TimeoutError(), False),
        (http.client.BadStatusLine("x"), False),
        (UnicodeEncodeError("ascii", "x", 0, 1, "x"), True),
    ],
)
def test_another_text_is_tried_where_it_may_help(error, another):
    assert sending.refuses(error) is another


def test_a_password_for_mail_never_goes_in_the_clear(watch, monkeypatch):
    monkeypatch.setattr(smtplib.SMTP, "connect", lambda self, *_where: (220, b"ready"))
    monkeypatch.setattr(smtplib.SMTP, "ehlo_or_helo_if_needed", lambda self: None)
    monkeypatch.setattr(smtplib.SMTP, "close", lambda self: None)
    logged = []
    monkeypatch.setattr(smtplib.SMTP, "login", lambda self, *words: logged.append(words))
    watch(webhooks={}, mail=["ops@example.com"], smtp="smtp://ada:5f0c@smtp.example.com")
    target = sending.targets(looking.settings()["shop"])[0]
    with pytest.raises(smtplib.SMTPException, match="STARTTLS"):
        sending.send(target, looking.settings()["shop"], ["x"])
    assert logged == []


def test_what_happened_is_told_and_never_good_again(watch, receiver):
    looking.keep("shop.release", {"aaa 1": "release aaa serves"}, NOON)
    telling.begin()
    telling.tell()
    assert bodies(receiver) == [], "what was there before is no news"
    telling.note("shop.release", {"aaa 1": "release aaa serves", "bbb 2": "release bbb serves"})
    telling.note("shop.release", {"bbb 2": "release bbb serves"})
    telling.begin()
    telling.tell()
    assert bodies(receiver) == ["web1: release bbb serves"]


def test_after_a_restart_of_monit_what_got_well_meanwhile_is_told(watch, receiver, monkeypatch):
    states = {"host.nginx": "OK", "host.docker": "Does not exist", "shop.jobs": "OK"}
    monkeypatch.setattr(telling, "states", lambda: states)
    for key in ("host.nginx", "host.docker", "old.jobs"):
        telling.note(key, {key: f"{key} is ill"}, NOON)
    looking.keep("shop.jobs", {}, NOON)
    telling.note("shop.jobs", {"purge": "purge failed"}, NOON)
    telling.tell(NOON)
    receiver[1].clear()
    Path(telling.PID).touch()
    os.utime(telling.PID, (NOON, NOON))
    telling.settle(NOON + 200)
    telling.tell(NOON + 200)
    assert bodies(receiver) == [], "monit has not looked at everything yet"
    for moment in (360, 420):
        telling.settle(NOON + moment)
        telling.tell(NOON + moment)
    assert sorted("".join(bodies(receiver)).splitlines()) == [
        "web1: good again after 6 min: host.nginx is ill",
        "web1: good again after 6 min: purge failed",
    ]
    assert set(telling._record()["open"]) == {"host.nginx", "host.docker", "shop.jobs"}


STATUS = """\
Monit 5.33.0 uptime: 0m

File '{app}.processes'
  status                       OK
  monitoring status            Monitored
  size                         0 B

File '{app}.answers'
  status                       OK

Filesystem 'host.disk./srv/{app}/data'
  status                       Resource limit matched
  space free total             214.9 GB [85.3%]

Process 'host.nginx'
  status                       Does not exist

Program 'host.look'
  status                       Status failed
  last output                  b
                               Process 'host.docker'
                                 status                       OK

System 'vm'
  status                       OK
"""


def test_monit_s_status_is_read_with_names_as_long_as_they_are(watch, receiver, monkeypatch):
    app = "customer-portal-staging-eu-west"
    told = STATUS.format(app=app)
    monkeypatch.setattr(condition, "run", lambda *words: (0, told if words[-1] == "status" else "", ""))
    assert telling.states() == {
        f"{app}.processes": "OK",
        f"{app}.answers": "OK",
        f"host.disk./srv/{app}/data": "Resource limit matched",
        "host.nginx": "Does not exist",
        "host.look": "Status failed",
        "vm": "OK",
    }


def test_what_got_well_is_told_after_the_clock_went_back(watch, receiver, monkeypatch):
    monkeypatch.setattr(telling, "states", lambda: {"host.nginx": "OK"})
    telling.note("host.nginx", {"host.nginx": "nginx is ill"}, NOON + 86400)
    Path(telling.PID).touch()
    os.utime(telling.PID, (NOON + 86400, NOON + 86400))
    for moment in (0, 200, 400):
        telling.settle(NOON + moment)
        telling.tell(NOON + moment)
        assert telling._record()["queue"] == {}
    assert bodies(receiver) == ["web1: nginx is ill", "web1: good again: nginx is ill"]


def test_an_app_with_a_long_name_is_told_once_and_its_end_too(watch, receiver, monkeypatch):
    app = "customer-portal-staging-eu-west"
    watch(app)
    key, wrong = f"{app}.processes", {"worker": "1 of 2 worker are up"}
    monkeypatch.setattr(condition, "run", lambda *words: (0, monit(words[-1]), ""))
    names = [key, f"{app}.answers", "host.nginx"]

    def monit(word):
        if word == "status":
            return "Monit 5.33.0 uptime: 0m\n" + "".join(f"\nFile '{name}'\n  status   OK\n" for name in names)
        cut = [name if len(name) <= 31 else f"{name[:28]}..." for name in names]
        return "Monit\n Service Name  Status  Type\n" + "".join(f" {name}  OK  File\n" for name in cut)

    looking.keep(key, wrong, NOON)
    telling.note(key, wrong, NOON)
    for began in (NOON, NOON + 1000):
        Path(telling.PID).touch()
        os.utime(telling.PID, (began, began))
        telling.settle(began + 400)
        telling.note(key, wrong, began + 500)
    looking.keep(key, {}, NOON + 1800)
    telling.note(key, {}, NOON + 1800)
    telling.tell(NOON + 1800)
    assert bodies(receiver) == ["web1: 1 of 2 worker are up\nweb1: good again after 30 min: 1 of 2 worker are up"]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("host.nginx", "nginx does not run; type there: "),
        ("host.disk./srv", "/srv is nearly full: 95 %; type there: df -h /srv"),
        ("shop.valkey", "Valkey does not answer"),
        ("host.memory", "memory is short: 95 %"),
    ],
)
def test_what_monit_sees_is_told_in_words_with_a_command(key, words):
    assert telling.words(key, "95 %").startswith(words)


# What is looked at.


def line(release, **more):
    told = {"at": time.time(), "release": release, "status": 200, "seconds": 0.1, "upstream_seconds": "0.1"}
    return json.dumps({**told, "first": "0.1", "upstream_status": "200", **more}) + "\n"


@pytest.fixture
def logged(app, monkeypatch):
    """Return what writes requests of a release that serves into nginx's log."""
    monkeypatch.setattr(traffic, "App", lambda _name: app)
    release = deploy(app)
    path = Path(log.LOG)

    def write(number, **more):
        with path.open("a") as file:
            file.write(line(release, **more) * number)

    write(50, status=502)  # before anybody looked
    return write


def counted(now):
    return traffic.look({"shop": 5}, now, f"{looking.WORK}/traffic.json")["shop"]


def test_requests_are_counted_once_from_the_first_look_on_for_five_minutes(watch, logged):
    assert counted(NOON) == {"requests": 0, "failed": 0, "slow": 0}
    logged(90)
    logged(10, status=502)
    logged(7, first="6.0")
    assert counted(NOON + 30) == {"requests": 107, "failed": 10, "slow": 7}
    assert counted(NOON + 60) == {"requests": 107, "failed": 10, "slow": 7}
    os.rename(log.LOG, f"{log.LOG}.1")
    logged(3)
    assert counted(NOON + 90)["requests"] == 110
    assert counted(NOON + 331)["requests"] == 3
    assert counted(NOON + 400)["requests"] == 0


def test_what_the_host_itself_asks_is_no_request_of_a_visitor(watch, logged):
    counted(NOON)
    logged(9, status=502, agent="flask-deploy", remote_addr="127.0.0.1")
    assert counted(NOON + 30) == {"requests": 0, "failed": 0, "slow": 0}
    logged(2, status=502, agent="flask-deploy", remote_addr="192.0.2.7")
    logged(1, status=502, agent="curl/8.14.1", remote_addr="127.0.0.1")
    assert counted(NOON + 60) == {"requests": 3, "failed": 3, "slow": 0}


def test_an_answer_of_another_app_that_names_a_release_of_this_one_is_not_counted(watch, logged):
    counted(NOON)
    logged(9, status=500, app="blog")
    logged(2, app="shop")
    assert counted(NOON + 30) == {"requests": 2, "failed": 0, "slow": 0}


def test_a_line_that_is_half_written_is_counted_when_it_is_whole(watch, logged, app):
    counted(NOON)
    whole = line(app.serving())
    with open(log.LOG, "a") as file:
        file.write(whole[:40])
    assert counted(NOON + 30)["requests"] == 0
    with open(log.LOG, "a") as file:
        file.write(whole[40:])
    assert counted(NOON + 60)["requests"] == 1


@pytest.mark.parametrize(
    ("requests", "failed", "slow", "wrong"),
    [
        (0, 0, 0, []),
        (1000, 49, 99, []),
        (1000, 50, 0, ["errors"]),
        (1000, 0, 100, ["slow"]),
        (4, 4, 0, []),
        (5, 5, 0, ["errors"]),
        (10, 5, 5, ["errors", "slow"]),
    ],
)
def test_errors_and_slow_answers_are_judged_by_their_share(requests, failed, slow, wrong):
    counts, told = {"requests": requests, "failed": failed, "slow": slow}, {"errors": 5, "slow": 5}
    assert [what for what, judge in traffic.JUDGES.items() if judge("shop", counts, told)] == wrong


def test_what_is_not_to_be_judged_is_not():
    counts, told = {"requests": 10, "failed": 10, "slow": 10}, {"errors": 0, "slow": 0}
    assert [judge("shop", counts, told) for judge in traffic.JUDGES.values()] == [{}, {}]


@pytest.fixture
def quiet(watch, logged, app, monkeypatch):
    """A host on which all is well; return what it says, to be changed."""
    said = {"units": {"failed": [], "auto-restart": []}, "clock": {"kept": True, "in_step": True}, "told": {}}
    said |= {"processes": [], "jobs": [], "status": 200, "asleep": []}
    monkeypatch.setattr(looking, "App", lambda _name: app)
    monkeypatch.setattr(looking, "BOOT", 0)
    for name in ("units", "clock", "asleep"):
        monkeypatch.setattr(condition, name, lambda name=name: said[name])
    monkeypatch.setattr(condition, "told", lambda kind, _app: said["told"].get(kind, {"problems": [], "days_left": 60}))
    monkeypatch.setattr(processes, "told", lambda _app: said["processes"])
    monkeypatch.setattr(jobs, "status", lambda _app: said["jobs"])
    monkeypatch.setattr(nginx, "probe_door", lambda _domain, _path, _patience: said["status"])
    return said


def row(name="purge", timer=True, **record):
    return {"name": name, "runs": False, "next": 0, "timer": timer, "record": record}


def unit(name, **more):
    return {"name": name, "result": "exit-code", "since": NOON, "restarts": 3, **more}


def wrong(now=NOON):
    looking.look(now)
    found = Path(looking.WORK, "found").iterdir()
    return {path.name: looking.items(path.name) for path in found if path.read_text() and path.name != "shop.release"}


WRONG = {
    "shop.answers": ({"status": 503}, "/ answers 503 through nginx"),
    "shop.processes": (
        {"processes": [{"process": "worker", "up": 1, "wanted": 2, "down": "shop-x-worker-2"}]},
        "1 of 2 worker are up; type there: sudo docker logs --tail 50 shop-x-worker-2",
    ),
    "shop.jobs": (
        {"jobs": [row(began=1, ended=2, result="exit-code", code="1")]},
        "job purge failed (exit-code 1); type there: sudo journalctl -n 50 -u flask-deploy-job-shop-purge.service",
    ),
    "shop.certificate": (
        {"told": {"keep_certificates": {"days_left": 5, "problems": ["expires at noon"]}}},
        "the certificate of shop.example.com (5 days left): expires at noon",
    ),
    "shop.backup": ({"told": {"keep_backups": {"problems": ["the backup is late"]}}}, "shop: the backup is late"),
    "host.units": (
        {"units": {"failed": [unit("a.service")], "auto-restart": []}},
        "a.service failed (exit-code); type there: sudo journalctl -n 50 -u a.service",
    ),
    "host.asleep": (
        {"asleep": ["flask-deploy-job-shop-purge.timer", "flask-deploy-metrics-node.service"]},
        "flask-deploy-metrics-node.service does not run; type there: sudo systemctl start flask-deploy-metrics-node",
    ),
    "host.clock": ({"clock": {"kept": True, "in_step": False}}, "the clock is not set by any server"),
}


@pytest.mark.parametrize("key", WRONG)
def test_each_thing_that_is_wrong_is_one_item_and_goes_again(quiet, key):
    assert wrong() == {}
    change, words = WRONG[key]
    before = {name: quiet[name] for name in change}
    quiet.update(change)
    wrong(time.time() + 30)
    found = wrong(time.time() + 60)
    assert list(found) == [key] and [words in text for text in found[key].values()] == [True]
    quiet.update(before)
    assert wrong(time.time() + 300) == {}


def test_a_restart_loop_is_wrong_and_what_other_keys_tell_is_not_told_by_units(quiet):
    quiet["units"] = {
        "failed": [unit(f"flask-deploy-{name}.service") for name in ("job-shop-purge", "backup@shop", "certificates")],
        "auto-restart": [unit("loop.service"), unit("docker.service")],
    }
    assert wrong() == {"host.units": {"loop.service": wrong()["host.units"]["loop.service"]}}
    assert "is started again and again" in wrong()["host.units"]["loop.service"]


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (row(began=1), "was cut off with its host"),
        (row(timer=False), "the timer of job purge does not run"),
    ],
)
def test_a_job_that_was_cut_off_or_has_no_timer_is_wrong(quiet, job, words):
    quiet["jobs"] = [job]
    (text,) = wrong()["shop.jobs"].values()
    assert words in text


def test_what_is_started_again_and_again_is_wrong_until_it_is_well_for_a_while(quiet):
    loop = {"failed": [], "auto-restart": [unit("loop.service")]}
    well = quiet["units"]
    for moment, state, number in ((0, loop, 1), (30, well, 1), (60, loop, 1), (120, well, 1), (160, well, 0)):
        quiet["units"] = state
        assert len(wrong(NOON + moment)) == number, moment


def test_a_job_that_failed_is_wrong_until_a_run_of_it_ends_well(quiet):
    quiet["jobs"] = [row(began=1, ended=2, result="exit-code", code="1")]
    failed = wrong(NOON)
    quiet["jobs"] = [{**row(began=900), "runs": True}]
    assert wrong(NOON + 900) == failed
    quiet["jobs"] = [row(began=900, ended=2000, result="success", code="0")]
    assert wrong(NOON + 2000) == {}


def test_a_day_on_which_all_is_well_is_quiet(quiet, logged, receiver, monkeypatch):
    """A look every five minutes, with visitors and now and then an error, a worker that is new and a job that runs."""
    monkeypatch.setattr(os, "fsync", lambda _handle: None)  # no power is lost here
    telling.begin()
    for moment in range(0, 86400, 300):
        logged(20)
        logged(1, status=502) if moment % 600 == 0 else None
        worker = {"process": "worker", "up": int(moment % 7200 != 0), "wanted": 1, "down": "x"}
        quiet["processes"] = [worker]
        quiet["jobs"] = [{**row(began=1), "runs": moment % 3600 == 0, "record": {"result": "success", "ended": 1}}]
        assert wrong(NOON + moment) == {}
    telling.tell(NOON + 86400)
    assert receiver[1] == []


def test_a_job_that_runs_or_never_ran_is_not_wrong(quiet):
    quiet["jobs"] = [row(), {**row(began=1), "runs": True}, row(began=1, ended=2, result="success", code="0")]
    assert wrong() == {}


def test_what_is_away_for_one_look_is_not_wrong_and_one_worker_does_not_hide_another(quiet):
    worker = {"process": "worker", "up": 0, "wanted": 1, "down": "x"}
    for moment, rows, items in ((0, [worker], []), (30, [], []), (60, [worker], []), (90, [worker], ["worker"])):
        quiet["processes"] = rows
        assert [*wrong(NOON + moment).get("shop.processes", {})] == items
    quiet["processes"] = [worker, {**worker, "process": "mailer"}]
    wrong(NOON + 120)
    assert sorted(wrong(NOON + 150)["shop.processes"]) == ["mailer", "worker"]


def test_maintenance_and_a_switch_under_way_are_not_wrong(quiet, app):
    quiet.update(status=503, processes=[{"process": "worker", "up": 0, "wanted": 1, "down": "x"}])
    Path(app.root, "maintenance/html").mkdir(parents=True)
    Path(app.pending).write_text("{}")
    assert wrong() == {}


def test_an_app_that_starts_with_its_host_is_given_time(quiet, monkeypatch):
    quiet.update(status=502, asleep=["flask-deploy-metrics-node.service"])
    monkeypatch.setattr(looking, "BOOT", float("inf"))
    assert [wrong(), wrong()] == [{}, {}]


def test_an_engine_that_is_away_is_told_by_monit_alone(quiet, monkeypatch):
    def away(_app):
        raise engine.EngineError("no answer")

    monkeypatch.setattr(processes, "told", away)
    assert wrong() == {}


def test_what_cannot_be_looked_at_is_told_and_hides_nothing(quiet, monkeypatch):
    Path(looking.WORK, "traffic.json").write_text('{"position": "x"}')
    monkeypatch.setattr(jobs, "status", lambda _app: 1 / 0)
    quiet["status"] = 503
    assert wrong()["shop.jobs"] == {"look": "shop.jobs cannot be looked at: ZeroDivisionError: division by zero"}
    assert wrong().keys() == {"shop.jobs", "shop.answers", "shop.errors", "shop.slow"}


def test_backups_and_certificates_are_not_asked_at_each_look(quiet, monkeypatch):
    asked = []
    monkeypatch.setattr(condition, "told", lambda kind, _app: asked.append(kind) or {})
    now = time.time()
    for moment in (0, 30, 60, 90):
        looking.look(now + moment)
    assert asked.count("keep_certificates") == 2


def test_backups_and_certificates_are_asked_after_the_clock_went_back(quiet, monkeypatch):
    asked = []
    monkeypatch.setattr(condition, "told", lambda kind, _app: asked.append(kind) or {})
    for moment in (30 * 86400, 0, 30, 60):
        looking.look(NOON + moment)
    assert asked.count("keep_certificates") == asked.count("keep_backups") == 3


def test_an_app_without_backups_is_not_asked_for_them(quiet, watch):
    watch(backup=False)
    quiet["told"] = {"keep_backups": {"problems": ["late"]}}
    assert wrong() == {}


def test_a_deploy_and_a_return_are_told(quiet, app, receiver):
    looking.look(NOON)
    telling.begin()
    first = app.serving()
    second = deploy(app, environment={"A": "2"})
    looking.look(NOON + 30)
    telling.note("shop.release", looking.items("shop.release"))
    app.set_state(second, "rejected", reason="too many errors")
    looking.look(NOON + 60)
    telling.note("shop.release", looking.items("shop.release"))
    telling.tell()
    said = "\n".join(bodies(receiver))
    assert f"release {second} of" in said and f"release {second} was taken back: too many errors" in said
    assert first not in said


def test_the_program_s_words_do_what_monit_needs(quiet, receiver, watch, monkeypatch):
    watch(ping=f"{receiver[0]}/alive")
    monkeypatch.setattr(telling, "states", dict)
    quiet["status"] = 503

    def typed(*words):
        monkeypatch.setattr("sys.argv", ["watch", *words])
        assert program.main() == 0

    typed("look")
    typed("note", "shop.answers")
    monkeypatch.setenv("MONIT_DESCRIPTION", "process is not running")
    typed("failed", "host.nginx")
    typed("good", "host.nginx")
    typed("tell")
    typed("try")
    assert [path for path, _headers, _body in receiver[1]] == ["/shop", "/shop", "/shop", "/alive", "/shop"]
    assert "nginx does not run" in bodies(receiver)[1] and "good again" in bodies(receiver)[2]
    assert bodies(receiver)[4] == f"web1: {program.TRY}"


def test_a_switch_is_told_when_it_is_decided_and_the_release_before_is_no_news(quiet, app):
    def happened():
        looking.look(NOON)
        return looking.items("shop.release")

    before = happened()
    assert list(before.values()) == [f"shop: release {app.serving()} of tester serves"]
    release = prepare(app, environment={"A": "y"})
    begun = begin(app, release)
    switch.move(app, progress.pending(app))
    assert app.serving() == release and happened() == before
    progress.decide(app, begun, False, "it was lost")
    switch.carry_out(app)
    after = happened()
    assert [after[key] for key in after.keys() - before] == [f"shop: release {release} was taken back: it was lost"]
    assert before.items() <= after.items()
    serve(app, release)
    assert not happened().keys() & after.keys()
    assert list(happened().values()) == [f"shop: release {release} of tester serves"]


def test_a_release_that_was_rolled_back_from_is_told_without_a_reason(quiet, app):
    """Nobody gives one; that of an earlier time is none."""
    release = deploy(app, environment={"A": "y"})
    app.set_state(release, "live", reason=None)
    roll_back(app)
    looking.look(NOON)
    told = looking.items("shop.release").values()
    assert [text for text in told if release in text] == [f"shop: release {release} was taken back"]
