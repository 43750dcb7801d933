"""Deploys and rollbacks, mixed: the steps of a run, and the switch that each made."""

from __future__ import annotations

import itertools
import time
from dataclasses import asdict

from bench import demo
from bench.switch import switch_record

APP = "judged"
STEPS = ("deploy", "deploy", "rollback", "deploy", "return")  # "return": the release that was rejected comes back
BODIES = ("10m", "11m")  # each deploy another site file, so that nginx reloads


class Plan:
    """The steps of one run, each a real playbook.

    :param reload: each deploy changes the site file too.
    """

    def __init__(self, reload):
        self.reload = reload
        self.turns = itertools.count()
        self.served = []  # values of releases to go back to, the serving one last
        self.rejected = {}
        self.run = int(time.time())

    def steps(self, count):
        """Yield (step, its play, its switch) of so many switches."""
        serving = switch_record(demo.shell, APP).new
        for step in itertools.islice(itertools.cycle(STEPS), count):
            played = getattr(self, f"_{step}")()
            switch = switch_record(demo.shell, APP, old=serving)
            if switch.new == serving or switch.began < played.began:
                raise demo.RunError(f"{step} did not switch: {asdict(switch)}")
            serving = switch.new
            yield step, played, switch

    def _deploy(self):
        turn = next(self.turns)
        values = {"app_env": {"TURN": f"{self.run} {turn}"}}
        if self.reload:
            values["site_max_body"] = BODIES[turn % 2]
        self.served.append(values)
        return demo.play("playbooks/app.yml", **values)

    def _rollback(self):
        self.rejected = self.served.pop()
        return demo.play("playbooks/rollback.yml")

    def _return(self):
        self.served.append(self.rejected)
        return demo.play("playbooks/app.yml", **self.rejected, app_accept_rejected=True)
