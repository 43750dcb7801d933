"""What HAProxy does with the files that role balancer writes: a real one, before hosts that answer by TLS."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import ssl
import subprocess
import threading
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from ansible.module_utils import balancer_haproxy as haproxy
from ansible.module_utils.flask_deploy.certificates import pair
from ansible.modules import nginx_signer

from tests.authority import certificate, keys, leaf, pem

NAMES = ("web1", "web2")
MEMBER = "shop.balanced.invalid"


class Host(BaseHTTPRequestHandler):
    """A host of the app: it says who asked, and does what its server was told."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        told, length = self.server.told, int(self.headers.get("Content-Length", 0))
        self.rfile.read(length)
        if self.headers["Host"] == MEMBER:
            self.say(told["health"], "")
            return
        self.server.asked.append((self.command, self.path, self.headers))
        if told["dies"]:
            self.close_connection = True
            self.connection.close()
        else:
            time.sleep(told["seconds"])
            self.say(told.get("status", 200), self.server.name)

    def say(self, status, text):
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST = do_HEAD = answer

    def log_message(self, *words):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    late = 0  # seconds until it shakes hands, as on a host whose processors are busy

    def get_request(self):
        time.sleep(self.late)
        return super().get_request()

    def handle_error(self, *_):
        pass  # who asks may end before it has an answer


def free_port():
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        return door.getsockname()[1]


def read(asked):
    with asked.getresponse() as answer:
        return answer.status, answer.read().decode(), answer.headers


class Front:
    """HAProxy, as a balancer runs it, but for ports and places."""

    def __init__(self, place, texts, ports):
        self.place, self.texts, self.ports, self.running = place, texts, ports, None

    def start(self):
        words = ["haproxy", "-f", f"{self.place}/haproxy.cfg", "-f", haproxy.PLACE]
        # Its log, which lies at /dev/log, is not here.
        tested = subprocess.run([*words, "-c"], capture_output=True, text=True, check=False)
        said = [line for line in tested.stderr.splitlines() if "NOTICE" not in line and "no log address" not in line]
        assert (tested.returncode, said) == (0, []) or self.running, tested.stderr
        self.running = subprocess.Popen([*words, "-W"], stderr=subprocess.DEVNULL)
        self.wait(lambda: haproxy.ask("show info"))

    def wait(self, seen, seconds=20):
        end = time.monotonic() + seconds
        while True:
            try:
                if found := seen():
                    return found
            except haproxy.BalancerError:
                pass
            assert time.monotonic() < end, haproxy.ask("show stat")
            time.sleep(0.1)

    def stop(self):
        self.running.send_signal(signal.SIGTERM)
        self.running.wait(20)

    def ask(self, method="GET", path="/", name="shop.example.com", body=None, headers=None):
        with closing(self.connect(name)) as asked:
            asked.request(method, path, body, headers or {})
            return read(asked)

    def connect(self, name="shop.example.com"):
        asked, context = http.client.HTTPConnection(name), ssl._create_unverified_context()
        plain = socket.create_connection(("127.0.0.1", self.ports[443]), 20)
        with closing(plain):
            asked.sock = context.wrap_socket(plain, server_hostname=name)
        return asked

    def reload(self):
        before = haproxy.ask("show info").partition("Pid: ")[2].split()[0]
        self.running.send_signal(signal.SIGUSR2)
        self.wait(lambda: haproxy.ask("show info").partition("Pid: ")[2].split()[0] != before)

    def plain(self, path="/", name="shop.example.com"):
        with closing(http.client.HTTPConnection("127.0.0.1", self.ports[80], timeout=20)) as asked:
            asked.request("GET", path, headers={"Host": name})
            return read(asked)


@pytest.fixture
def hosts(tmp_path):
    """Two hosts at 127.0.0.2 and 127.0.0.3, at one port."""
    found, port = {}, free_port()
    signer = nginx_signer.fresh("shop")
    (tmp_path / "ca.pem").write_text(signer["certificate"])
    (tmp_path / "host.pem").write_bytes(b"".join(pair.make_selfsigned(["shop.example.com"], pair.now(), signer)))
    for number, name in enumerate(NAMES, 2):
        server = Server((f"127.0.0.{number}", port), Host)
        server.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.tls.load_cert_chain(tmp_path / "host.pem")
        server.socket = server.tls.wrap_socket(server.socket, server_side=True)
        server.name, server.asked = name, []
        server.told = {"health": 200, "dies": False, "seconds": 0}
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
        found[name] = server
    yield found
    for server in found.values():
        server.shutdown()
        server.server_close()


@pytest.fixture
def front(tmp_path, hosts, render, monkeypatch):
    """Return a balancer that runs, before both hosts."""
    linked = subprocess.run(["haproxy", "-vv"], capture_output=True, text=True, check=True).stdout
    debian = 13 if re.search(r"Running on OpenSSL version : OpenSSL 3\.[5-9]", linked) else 12
    place = tmp_path / "flask-deploy"
    tls = tmp_path / "etc/shop/tls/current"
    for folder in (place, tls):
        folder.mkdir(parents=True)
    for name, at in {"PLACE": place, "SOCKET": tmp_path / "admin.sock", "STATE": tmp_path / "servers"}.items():
        monkeypatch.setattr(haproxy, name, str(at))
    (tls / "fullchain.pem").write_bytes(leaf(keys()["p256"], "shop.example.com", "*.shop.example.net"))
    (tls / "fullchain.pem.key").write_bytes(pem(keys()["p256"]))
    ports = {80: free_port(), 443: free_port()}
    paths = {"web1": "127.0.0.2", "web2": "127.0.0.3", "lb1": "127.0.0.1"}
    known = {
        "groups": {"web": list(NAMES), "balancer": ["lb1"]},
        "hostvars": {name: {"ansible_facts": {}} for name in paths},
        "balancer_paths": paths,
        "site_trusted_proxies": ["127.0.0.1"],
        "app_name": "shop",
        "__balancer_name": "lb1",
        "nginx_ipv6": False,
        "__nginx_release": str(debian),
    }
    upstream = next(iter(hosts.values())).server_address[1]
    for name in ("haproxy.cfg", "app.cfg"):
        text = render("balancer", f"{name}.j2", debian, **known)
        text = re.sub(r"^ +(chroot|user|group|log /dev/log).*\n", "", text, flags=re.MULTILINE)
        text = text.replace("/etc/haproxy/flask-deploy", str(place)).replace("/run/haproxy/admin.sock", haproxy.SOCKET)
        text = text.replace("/var/lib/flask-deploy/balancer/servers", haproxy.STATE)
        text = re.sub(r"bind :(80|443)", lambda found: f"bind :{ports[int(found[1])]}", text)
        text = re.sub(r"(127\.0\.0\.[23]):443", rf"\1:{upstream}", text)
        path = tmp_path / name if name == "haproxy.cfg" else place / "shop.cfg"
        path.write_text(text)
    for status in (502, 503, 504):
        (place / f"{status}.http").write_text(render("balancer", "page.http.j2", **known, __balancer_status=status))
    (tmp_path / "ca.pem").rename(place / "shop.pem")
    (tmp_path / "servers").write_bytes(haproxy.NO_STATES)
    for path, content in haproxy.shared({"shop": ["shop.example.com", "*.shop.example.net"]}).items():
        (tmp_path / path).write_bytes(content.replace(b"/etc/shop", str(tmp_path / "etc/shop").encode()))
    made = Front(tmp_path, known, ports)
    made.start()
    try:
        made.wait(lambda: all(each["up"] for each in haproxy.servers("shop").values()))
        yield made
    finally:
        made.stop()


def served_by(front, times=6, **more):
    return {front.ask(**more)[1] for _ in range(times)}


def state(host):
    return haproxy.servers("shop")[host]


def test_both_hosts_serve_by_tls_that_is_verified(front, hosts):
    assert served_by(front) == set(NAMES)
    assert served_by(front, name="a.shop.example.net") == set(NAMES)
    assert served_by(front, method="POST", body=b"x") == set(NAMES)


def test_hosts_see_the_visitor_and_not_what_the_visitor_says(front, hosts):
    front.ask(headers={"X-Forwarded-For": "203.0.113.9"})
    ((_method, _path, headers),) = hosts["web1"].asked + hosts["web2"].asked
    assert headers["X-Forwarded-For"] == "127.0.0.1" and headers["Host"] == "shop.example.com"


def test_plain_requests_are_led_to_tls_and_strange_names_get_nothing(front):
    status, _, headers = front.plain("/a?b=c")
    assert (status, headers["location"]) == (301, "https://shop.example.com/a?b=c")
    with pytest.raises(http.client.RemoteDisconnected):
        front.plain(name="other.example.com")
    with pytest.raises(ssl.SSLError):
        front.ask(name="other.example.com")
    assert front.ask(headers={"Host": "other.example.com"})[0] == 421


def test_a_host_whose_certificate_another_ca_signed_gets_nothing(front, hosts, tmp_path):
    strange = certificate(keys()["p256"], "shop.example.com")
    (tmp_path / "host.pem").write_bytes(strange + pem(keys()["p256"]))
    hosts["web2"].tls.load_cert_chain(tmp_path / "host.pem")
    front.wait(lambda: not state("web2")["up"])
    assert served_by(front) == {"web1"}


def test_what_may_be_asked_twice_is_when_a_host_ends_in_the_midst(front, hosts):
    hosts["web2"].told["dies"] = True
    assert served_by(front) == {"web1"}
    assert hosts["web2"].asked, "it was asked first"


def test_what_may_be_asked_twice_is_when_a_host_s_nginx_has_no_app(front, hosts):
    hosts["web2"].told["status"] = 502
    assert {front.ask()[:2] for _ in range(6)} == {(200, "web1")} and hosts["web2"].asked
    hosts["web1"].asked.clear()
    assert {front.ask("POST", body=b"pay")[:2] for _ in range(6)} == {(200, "web1"), (502, "web2")}
    assert len(hosts["web1"].asked) == 3


def test_what_the_app_itself_answers_is_handed_on(front, hosts):
    for host in hosts.values():
        host.told["status"] = 500
    assert front.ask()[0] == 500
    assert sum(len(host.asked) for host in hosts.values()) == 1


def test_what_may_not_be_asked_twice_is_sent_once(front, hosts):
    for host in hosts.values():
        host.told["dies"] = True
    assert front.ask("POST", body=b"pay")[0] == 502
    assert [len(host.asked) for host in hosts.values()] in ([1, 0], [0, 1])


def test_a_write_to_a_host_that_is_gone_goes_to_another(front, hosts):
    """Nothing of it was sent, so nothing of it can be done twice."""
    hosts["web2"].shutdown()
    hosts["web2"].server_close()
    assert served_by(front, method="POST", body=b"pay") == {"web1"}


def test_each_write_has_a_connection_of_its_own(front, hosts):
    """One that was idle may be closed by the host just as a request comes, and then that is lost."""
    for _ in range(6):
        front.ask("POST", body=b"x")
    asked = [headers["Connection"] for host in hosts.values() for _method, _path, headers in host.asked]
    assert asked == ["close"] * 6


@pytest.mark.parametrize("status", [404, 500])
def test_a_host_that_shuts_down_or_is_unwell_gets_no_new_requests(front, hosts, status):
    hosts["web2"].told["health"] = status
    front.wait(lambda: not state("web2")["up"])
    assert served_by(front) == {"web1"}
    assert served_by(front, method="POST") == {"web1"}
    hosts["web2"].told["health"] = 302
    front.wait(lambda: state("web2")["up"])
    assert served_by(front) == set(NAMES)


def test_hosts_that_are_all_slow_for_a_moment_go_on_to_get_requests(front, hosts):
    """Else a moment without processors, there or on the balancer, is an outage."""
    for host in hosts.values():
        host.late = 1.3
    end = time.monotonic() + 6
    while time.monotonic() < end:
        assert all(state(name)["up"] for name in NAMES)
        time.sleep(0.05)
    assert front.ask()[0] == 200


def test_where_no_host_serves_a_person_gets_a_page_and_a_program_json(front, hosts):
    for host in hosts.values():
        host.told["health"] = 500
    front.wait(lambda: not any(state(name)["up"] for name in NAMES))
    status, page, headers = front.ask(headers={"Accept": "text/html"})
    assert (status, headers["Retry-After"], headers["Cache-Control"]) == (503, "1", "no-store")
    assert "<h1>No answer</h1>" in page
    for method in ("GET", "POST"):
        status, said, headers = front.ask(method, headers={"Accept": "application/json"})
        assert status == 503 and headers["Content-Type"] == "application/problem+json"
        assert json.loads(said)["title"] == "No answer"


def test_a_host_that_was_left_out_stays_out_over_a_reload_and_a_restart(front, hosts):
    haproxy.tell("shop", "web2", "maint")
    assert state("web2")["out"] and served_by(front) == {"web1"} == served_by(front, method="POST")
    front.reload()
    assert state("web2")["out"] and served_by(front) == {"web1"}
    front.stop()
    front.start()
    front.wait(lambda: state("web1")["up"])
    assert state("web2")["out"] and served_by(front) == {"web1"} == served_by(front, method="POST")
    haproxy.tell("shop", "web2", "ready")
    front.wait(lambda: state("web2")["up"])
    assert served_by(front) == set(NAMES)
    assert "web2" not in Path(haproxy.STATE).read_text()


def test_a_request_on_a_connection_from_before_a_reload_is_answered(front):
    with closing(front.connect()) as waiting:
        waiting.request("GET", "/")
        assert read(waiting)[0] == 200
        front.reload()
        time.sleep(1)  # the old process has closed what it would
        waiting.request("POST", "/", b"pay")
        status, _said, headers = read(waiting)
        assert (status, headers["Connection"]) == (200, "close")


def test_a_host_that_is_drained_ends_what_it_has(front, hosts):
    hosts["web1"].told["seconds"] = hosts["web2"].told["seconds"] = 2
    said = []
    asking = [threading.Thread(target=lambda: said.append(front.ask("POST", body=b"x")[:2])) for _ in range(4)]
    for each in asking:
        each.start()
    front.wait(lambda: sum(state(name)["sessions"] for name in NAMES) == len(asking))
    haproxy.tell("shop", "web2", "drain")
    assert haproxy.wait_until_idle("shop", ["web2"], 0) == {"web2": state("web2")["sessions"]}
    hosts["web1"].told["seconds"] = 0
    assert served_by(front) == {"web1"}
    assert haproxy.wait_until_idle("shop", ["web2"], 20) == {}
    for each in asking:
        each.join(20)
    assert sorted(said) == [(200, "web1")] * 2 + [(200, "web2")] * 2


def test_whichever_balancer_the_ca_asks_the_one_that_knows_answers(front, hosts, tmp_path):
    """RFC 8555 section 8.3; two stand-ins for certbot, behind one name."""
    path = "/.well-known/acme-challenge/token"
    text = (tmp_path / "haproxy.cfg").read_text()
    doors = [Server(("127.0.0.1", 0), Host) for _ in range(2)]
    for number, door in enumerate(doors):
        door.name, door.asked, door.told = f"lb{number}", [], {"health": 200, "dies": False, "seconds": 0}
        threading.Thread(target=door.serve_forever, args=(0.1,), daemon=True).start()
    servers = "".join(f"    server lb{number} 127.0.0.1:{door.server_port}\n" for number, door in enumerate(doors))
    (tmp_path / "haproxy.cfg").write_text(re.sub(r" +server lb1 127\.0\.0\.1:8402\n", servers, text))
    doors[0].told["status"] = 404
    front.stop()
    front.start()
    assert {front.plain(path)[:2] for _ in range(6)} == {(200, "lb1")}
    assert doors[0].asked, "it was asked first, and had nothing"
    for door in doors:
        door.shutdown()
        door.server_close()
