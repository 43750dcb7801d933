"""The session store for several hosts, on a real server: two apps, a server that goes and comes."""

from __future__ import annotations

import sys
import time

import jwt
import pytest
from valkey_server import Server

from flask_jwt_keys import ConfigError, StoreError, ValkeyStore
from flask_jwt_keys.testing import StoreContract
from flask_jwt_keys.testing import a_session as session


@pytest.fixture(autouse=True)
def _empty(server):
    server.client.flushall()
    server.client.config_set("maxmemory", 0)
    server.client.config_set("maxmemory-policy", "noeviction")


@pytest.fixture
def store(server):
    store = ValkeyStore(server.url)
    yield store
    store.close()


class TestValkey(StoreContract):
    @pytest.fixture
    def store(self, server):
        store = ValkeyStore(server.url)
        yield store
        store.close()

    def another(self, store):
        return ValkeyStore("unix://" + store._server.connection_pool.connection_kwargs["path"])


# Two hosts


@pytest.fixture
def hosts(keyed, signers, server):
    """Clients of one app on two hosts: they share keys and the server, and nothing else."""
    return [keyed(signers["EdDSA"], JWT_STORE_URL=server.url).test_client() for _ in range(2)]


def refresh(client, tokens):
    return client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})


def test_log_in_here_refresh_there_log_out_here(hosts, call):
    one, two = hosts
    first = call.login(one).json
    second = refresh(two, first).json
    for client in hosts:
        for tokens in (first, second):
            assert call.protected(client, tokens["access_token"]).status_code == 200
    headers = {"Authorization": f"JWT {first['access_token']}"}
    assert one.post("/auth/logout", headers=headers).status_code == 204
    for client in hosts:
        for tokens in (first, second):
            assert call.protected(client, tokens["access_token"]).status_code == 401
            assert refresh(client, tokens).status_code == 401


def test_a_token_used_twice_on_different_hosts_ends_the_session(hosts, call):
    one, two = hosts
    first = call.login(one).json
    third = refresh(one, refresh(two, first).json).json
    assert refresh(two, first).status_code == 401
    assert refresh(one, third).status_code == 401
    assert call.protected(one, third["access_token"]).status_code == 401


def test_a_lost_answer_may_be_asked_for_on_the_other_host(hosts, call):
    first = call.login(hosts[0]).json
    lost, again = (refresh(client, first).json for client in hosts)
    assert lost["refresh_token"] == again["refresh_token"]


# A server that goes and comes


@pytest.fixture
def own(tmp_path):
    server = Server(tmp_path)
    server.start()
    yield server
    server.stop()


def test_a_server_that_is_gone_is_503_and_back_it_works(keyed, signers, own, call):
    client = keyed(signers["EdDSA"], JWT_STORE_URL=own.url).test_client()
    out, tokens = call.login(client).json, call.login(client).json
    client.post("/auth/logout", json={"refresh_token": out["refresh_token"]})
    own.stop()
    for answer in (
        call.login(client),
        refresh(client, tokens),
        call.protected(client, tokens["access_token"]),
        client.post("/auth/logout", headers={"Authorization": f"JWT {tokens['access_token']}"}),
    ):
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert str(own.directory) not in answer.text
    own.start()
    assert call.protected(client, tokens["access_token"]).status_code == 200
    assert call.protected(client, out["access_token"]).status_code == 401, "it was logged out"
    assert refresh(client, tokens).status_code == 200
    assert call.login(client).status_code == 200


def test_an_app_starts_without_its_server(keyed, signers, tmp_path, call):
    server = Server(tmp_path)
    client = keyed(signers["EdDSA"], JWT_STORE_URL=server.url).test_client()
    assert call.login(client).status_code == 503
    server.start()
    assert call.login(client).status_code == 200
    server.stop()


def test_a_server_that_hangs_is_an_error_after_seconds(own, store, monkeypatch):
    store = ValkeyStore(f"{own.url}?socket_timeout=0.2")
    store.add(session())
    own.client.client_pause(3000)
    began = time.monotonic()
    with pytest.raises(StoreError, match="Try again"):
        store.find("s1")
    assert time.monotonic() - began < 2
    time.sleep(3)
    assert store.find("s1")
    store.close()


def test_a_server_that_is_full_loses_nothing(server, store):
    server.client.config_set("maxmemory", 1)
    with pytest.raises(StoreError) as caught:
        store.add(session())
    assert "maxmemory" in caught.value.reason
    with pytest.raises(StoreError):
        store.check()
    server.client.config_set("maxmemory", 0)
    store.add(session())


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
def test_a_server_that_forgets_is_refused(server, store, policy):
    server.client.config_set("maxmemory", 100_000_000)
    server.client.config_set("maxmemory-policy", policy)
    with pytest.raises(StoreError) as caught:
        store.add(session())
    assert f"its maxmemory-policy is {policy}; set it to noeviction" in caught.value.reason


def test_a_read_only_server_fails_the_check(own):
    store = ValkeyStore(own.url)
    store.check()
    own.client.replicaof("127.0.0.1", 9)
    with pytest.raises(StoreError):
        store.check()
    store.close()


# What stays


def test_everything_is_forgotten_a_day_after_its_time(server, store):
    now = int(time.time())
    store.add(session(nameless="n", until=now + 100, access_until=now + 300))
    store.add(session("s2", until=now + 50))
    store.end("s2")
    assert store.replace(session(version=2, nameless="m", until=now + 100))
    left = {key: server.client.ttl(key) for key in server.client.scan_iter()}
    assert len(left) == 5, "the session, its user, its token, what has ended"
    assert all(24 * 3600 < ttl <= 24 * 3600 + 300 for ttl in left.values()), left


def test_a_refresh_adds_no_key(server, store):
    store.add(session())
    before = server.client.dbsize()
    assert all(store.replace(session(version=version)) for version in range(2, 40))
    assert server.client.dbsize() == before


def test_apps_with_names_of_their_own_share_a_server(server, store):
    other = ValkeyStore(server.url, name="other")
    store.add(session())
    other.add(session())
    assert other.end_all("1") == 1
    assert store.find("s1") and not store.ended("s1")
    other.close()


def test_no_key_and_no_value_tells_a_refresh_token(keyed, signers, server, call):
    client = keyed(signers["EdDSA"], JWT_STORE_URL=server.url).test_client()
    tokens = refresh(client, call.login(client).json).json
    kept = b" ".join(
        server.client.dump(key) + key for key in server.client.scan_iter() if b"check" not in key
    )
    for part in tokens["refresh_token"].split("."):
        assert part.encode() not in kept


# Settings


def test_an_address_that_is_none_stops_the_start(build):
    with pytest.raises(ConfigError, match="JWT_STORE_URL: "):
        build(SECRET_KEY="s" * 32, JWT_STORE_URL="10.0.0.5")


@pytest.mark.parametrize(
    "option",
    ["bogus=1", "retry=3", "timeout=3", "protocol=9", "socket_timeout=x", "credential_provider=x"],
)
def test_an_option_that_redis_py_does_not_take_stops_the_start(build, option):
    """The server need not be there."""
    with pytest.raises(ConfigError, match="JWT_STORE_URL: "):
        build(SECRET_KEY="s" * 32, JWT_STORE_URL=f"redis://10.0.0.5:6379/0?{option}")


@pytest.mark.parametrize("option", ["socket_timeout=5", "health_check_interval=9", "protocol=2"])
def test_an_option_that_redis_py_takes_is_taken(build, server, call, option):
    client = build(SECRET_KEY="s" * 32, JWT_STORE_URL=f"{server.url}?{option}").test_client()
    assert call.login(client).status_code == 200


@pytest.mark.parametrize(
    "url",
    [
        "unix:///run/valkey/s",
        "redis://localhost/0",
        "rediss://:secret@127.0.0.1:6379/0",
        "redis://[::1]:6379",
        "redis://",
        "redis://LOCALHOST.:6379",
        "redis://db.localhost",
        "redis://ip6-localhost",
        "redis://127.1",
        "redis://0.0.0.0:6379/0",
        "redis://[::]:6379",
        "redis://[::ffff:127.0.0.1]:6379",
    ],
)
def test_a_server_of_each_host_is_refused_for_several(build, url):
    """Each would end sessions of its own."""
    with pytest.raises(ConfigError, match="JWT_HOSTS is 2, but each host would have a session"):
        build(SECRET_KEY="s" * 32, JWT_STORE_URL=url, JWT_HOSTS=2)


@pytest.mark.parametrize(
    "url",
    [
        "redis://10.0.0.5:6379/0",
        "rediss://:secret@valkey.example.com",
        "redis://[fd00::5]",
        "redis://[::ffff:10.0.0.5]",
        "redis://127.example.com",
        "redis://localhost.example.com",
    ],
)
def test_a_server_that_all_hosts_reach_is_taken_for_several(build, url):
    build(SECRET_KEY="s" * 32, JWT_STORE_URL=url, JWT_HOSTS=2)


def test_the_address_wins_over_the_file(build, server, tmp_path):
    path = tmp_path / "s.sqlite3"
    app = build(SECRET_KEY="s" * 32, JWT_STORE_URL=server.url, JWT_STORE_PATH=path)
    assert isinstance(app.extensions["flask_jwt_keys"].kept.store, ValkeyStore)
    assert not path.exists()


def test_without_redis_py_the_start_says_what_to_install(build, monkeypatch):
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigError, match="pip install redis"):
        build(SECRET_KEY="s" * 32, JWT_STORE_URL="redis://localhost")


def test_sessions_of_a_user_end_on_all_hosts(hosts, call, user):
    from flask_jwt_keys import end_sessions_of

    tokens = call.login(hosts[0]).json
    with hosts[1].application.app_context():
        assert end_sessions_of(user) == 1
    assert call.protected(hosts[0], tokens["access_token"]).status_code == 401
    assert jwt.decode(tokens["access_token"], options={"verify_signature": False})["sid"]
