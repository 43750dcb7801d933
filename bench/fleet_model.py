"""make bench-fleet: how long a deploy to many hosts takes by a model, and whether their confirmation comes in time.

The model (bench/fleet.py) is arithmetic on the constants in bench/fleet.json: hosts take their turns at a task as forks
come free, and a task lasts at least as long as the controller's processors have work with it. `--measure` replaces the
constants by those of a deploy to 3 stand-in hosts, and says how far off the model is at 25.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from bench import fleet_measure
from bench.deploys import say
from bench.fleet import table

CONSTANTS = Path(__file__).with_name("fleet.json")


def main():
    """Print the table; with --measure, first the constants and how far off they are."""
    parser = argparse.ArgumentParser(prog="make bench-fleet", description=__doc__)
    parser.add_argument("--measure", action="store_true", help="by stand-in hosts in containers of this machine")
    parser.add_argument("--forks", type=int, help="of the controller")
    parser.add_argument("--uplink", type=float, help="bytes a second that the controller sends")
    options = parser.parse_args()
    known = json.loads(CONSTANTS.read_text())
    known["forks"] = options.forks or known["forks"]
    known["links"]["uplink"] = options.uplink or known["links"]["uplink"]
    if options.measure:
        known = fleet_measure.run(known, options.forks)
    for line in table(known):
        say(line)


if __name__ == "__main__":
    sys.exit(main())
