"""A queue keeps what it holds, a cache what is used; neither has a network, and its directory stays."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible.module_utils.flask_deploy.host import files, locks, systemd
from ansible.modules import valkey_instance as module


def settings(text):
    rows = [line.split(None, 1) for line in text.splitlines() if line and not line.startswith("#")]
    return dict(row if len(row) == 2 else (*row, "") for row in rows)


@pytest.mark.parametrize(("debian", "word"), [(12, "redis"), (13, "valkey")])
def test_a_queue_refuses_and_a_cache_forgets(render, debian, word):
    queue = settings(render("valkey", "valkey.conf.j2", debian, app_name="shop"))
    assert (queue["maxmemory"], queue["maxmemory-policy"], queue["appendonly"]) == ("128mb", "noeviction", "yes")
    assert queue["dir"] == f"/var/lib/{word}/shop-queue"
    cache = settings(render("valkey", "valkey.conf.j2", debian, app_name="shop", valkey_use="cache"))
    assert (cache["maxmemory-policy"], cache["appendonly"], cache["save"]) == ("allkeys-lru", "no", '""')
    for each in (queue, cache):
        assert (each["port"], each["unixsocketperm"]) == ("0", "770")


@pytest.mark.parametrize("debian", [12, 13])
def test_the_place_is_the_same_on_each_debian_and_stays_over_a_restart(render, debian):
    unit = render("valkey", "unit.conf.j2", debian, app_name="shop").splitlines()
    for line in ("Group=10001", "RuntimeDirectory=valkey-shop-queue", "RuntimeDirectoryPreserve=yes"):
        assert line in unit
    assert "PrivateNetwork=yes" in unit and unit[-2] == "RestrictAddressFamilies=AF_UNIX"
    assert "d /run/valkey-shop-queue 0750 " in render("valkey", "__valkey_tmpfiles", debian, app_name="shop")


def test_the_texts_say_whose_they_are(render):
    for template in ("valkey.conf.j2", "unit.conf.j2", "__valkey_tmpfiles"):
        assert module.HEAD in render("valkey", template).encode()


@pytest.fixture
def instance(tmp_path, monkeypatch):
    made = module.Instance("valkey", "shop-queue")
    made.paths = {what: str(tmp_path / what / what) for what in made.paths}
    for what in made.paths:
        (tmp_path / what).mkdir()
    monkeypatch.setattr(files, "ensure_file", lambda path, text, **of: bool(Path(path).write_bytes(text)))
    monkeypatch.setattr(systemd, "ask", lambda *words, **more: "")
    monkeypatch.setattr(locks, "RUN", str(tmp_path / "run"))
    return made


def texts(more=""):
    return dict.fromkeys(("conf", "unit", "place"), f"# Of role valkey of flask-deploy.\n{more}")


def test_a_file_of_somebody_s_is_left_alone(instance, tmp_path):
    (tmp_path / "conf/conf").write_text("port 6379\n")
    with pytest.raises(module.ValkeyError, match="flask-deploy did not write it"):
        instance.ensure(texts(), dry=False)
    assert (tmp_path / "conf/conf").read_text() == "port 6379\n"


def test_files_that_it_does_not_start_with_are_put_back(instance, tmp_path, monkeypatch):
    def fail(changed):
        raise module.ValkeyError("it does not answer")

    monkeypatch.setattr(instance, "take_effect", fail)
    monkeypatch.setattr(files, "write", lambda path, text: Path(path).write_bytes(text))
    (tmp_path / "conf/conf").write_text("# Of role valkey of flask-deploy.\nport 0\n")
    with pytest.raises(module.ValkeyError, match="does not answer"):
        instance.ensure(texts("port x\n"), dry=False)
    assert (tmp_path / "conf/conf").read_text() == "# Of role valkey of flask-deploy.\nport 0\n"
    assert not (tmp_path / "unit/unit").exists()


def test_files_that_a_killed_run_wrote_take_effect_in_the_next(host, engine, tmp_path, monkeypatch):
    """It answers, as it was before; the files say otherwise."""
    host()
    made, done = module.Instance("valkey", "shop-queue"), []
    made.paths = {what: str(tmp_path / what / what) for what in made.paths}
    for what in made.paths:
        (tmp_path / what).mkdir()
    ask = lambda *words, **_more: done.append(words[0]) or ("enabled" if words[0] == "is-enabled" else "")  # noqa: E731
    monkeypatch.setattr(systemd, "ask", ask)
    monkeypatch.setattr(made, "run", lambda *words: done.append(words[1]))
    monkeypatch.setattr(made, "answers", lambda: True)

    def killed(_changed):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(made, "take_effect", killed)
        made.ensure(texts(), dry=False)
    assert made.ensure(texts(), dry=False) == [f"{made.unit} started"]
    assert [word for word in done if word in ("daemon-reload", "restart")] == ["daemon-reload", "restart"]
    done.clear()
    assert made.ensure(texts(), dry=False) == [] and done == ["is-enabled"], "nor does a boot make it restart"
