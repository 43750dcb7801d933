"""systemd knows of the programs that work at their times, also where the run before was killed."""

from __future__ import annotations

import pytest
from ansible.module_utils.flask_deploy.host import systemd, timed


def test_timers_that_a_killed_run_wrote_are_told_of_by_the_next(host, engine, tmp_path, monkeypatch):
    texts = {f"{tmp_path}/flask-deploy-backup@shop.{kind}": kind for kind in ("service", "timer")}

    def killed(*words):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(systemd, "ask", killed)
        with pytest.raises(KeyboardInterrupt):
            timed.keep(texts, dry=False)
    assert timed.keep(texts, dry=True) == [] and engine.calls() == []
    assert timed.keep(texts, dry=False) == []
    assert engine.calls() == ["systemctl daemon-reload", "systemctl try-restart flask-deploy-backup@shop.timer"]
    engine.forget()
    assert timed.keep(texts, dry=False) == [] and engine.calls() == []
