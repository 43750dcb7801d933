"""make bench: this project beside the copy-paste recipe and other servers, on one host, in one run.

All sides serve the same app (bench/measured) on the demo's host. Debian's wrk and h2load run there too and send their
load over the loopback interface. Rounds alternate (A B A B), medians count. The command writes build/bench.json and
build/bench.svg. With --docs it also writes docs/reference/speed.md and its picture, unless the run was shorter
than a whole one or disturbed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from dataclasses import asdict

from bench import bars, cases, conditions, demo, figures, loads, setting

PAGE = demo.ROOT / "docs/reference/speed.md"
ROUNDS, LASTING = 5, 6  # the least of a whole run; seconds of a load
BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"


def main(words=None):
    """Measure, print the table and write the files."""
    options = asked(words)
    started = time.time()
    say(f"starting {', '.join(options.sides)} on the demo's server")
    with setting.sides(options.sides) as run:
        found = conditions.conditions(run, options)
        rounds = []
        for number in range(options.rounds):
            rounds.append(one_round(run, options, number))
            say(f"round {number + 1} of {options.rounds}, {time.time() - started:.0f} s")
        found["load after"] = run("cut -d' ' -f1-3 /proc/loadavg").strip()
    summary = figures.summary(rounds)
    said = shortened(options) + missing(rounds, options) + figures.labels(summary)
    write(summary, rounds, found, said)
    say("\n" + figures.plain(figures.rows(summary)) + "\n")
    say("ratio: to the recipe in the same case; CPU ms: of the side's processes, an answer; MB: their memory (PSS)")
    for name, value in found.items():
        say(f"{name}: {value}")
    for label in said:
        say(f"no claim can rest on this: {label}")
    if options.docs:
        return publish(summary, found, said)
    return 0


def asked(words):
    """Return the options, all names of cases and sides known."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--cases", default="", help=f"some of: {' '.join(cases.CASES)}")
    parser.add_argument("--sides", default="", help=f"some of: {' '.join(cases.SIDES)}")
    parser.add_argument("--rounds", type=int, help=f"{ROUNDS}; 2 in a quick run")
    parser.add_argument("--seconds", type=int, help=f"that each load lasts: {LASTING}; 2 in a quick run")
    parser.add_argument("--quick", action="store_true", help="four cases of the recipe and this project, in minutes")
    parser.add_argument("--docs", action="store_true", help="write the page of the documentation too")
    options = parser.parse_args(words)
    fewer = cases.QUICK if options.quick else {"cases": (), "sides": ()}
    options.cases = cases.chosen(options.cases.split() or fewer["cases"], cases.CASES, "case")
    options.sides = cases.chosen(options.sides.split() or fewer["sides"], cases.SIDES, "side")
    options.rounds = options.rounds or (2 if options.quick else ROUNDS)
    options.seconds = options.seconds or (2 if options.quick else LASTING)
    return options


def shortened(options):
    """Return why no claim can rest on a run that was asked for less than the whole."""
    said = []
    if options.rounds < ROUNDS or options.seconds < LASTING:
        said.append(f"few or short rounds: {options.rounds} of {options.seconds} s")
    if len(options.cases) < len(cases.CASES) or len(options.sides) < len(cases.SIDES):
        said.append("not every case, or not every side")
    return said


def one_round(run, options, number):
    """Ask each side in each case once; every other round in the other order. Return {case: {side: Figure}}."""
    order = options.sides if number % 2 == 0 else options.sides[::-1]
    seen = {case: {} for case in options.cases}
    for case, side in wanted(options, order):
        try:
            seen[case][side] = one(run, side, case, options.seconds)
        except demo.RunError as error:
            say(f"no figure of {error}")
    return seen


def wanted(options, order):
    """Return each case with each side that can answer it."""
    return [(case, side) for case in options.cases for side in order if cases.answers(side, case)]


def missing(rounds, options):
    """Return which loads gave no figures in some round, as a reason that no claim can rest on the run."""
    gone = [
        f"{case} of {side}"
        for case, side in wanted(options, options.sides)
        for seen in rounds
        if side not in seen[case]
    ]
    return [f"loads without figures: {', '.join(dict.fromkeys(gone))}"] if gone else []


def one(run, side, case, seconds):
    """Return the figure of one load.

    :raises demo.RunError: it has none.
    """
    token = setting.token(run, side, case)
    job = {
        "roots": cases.SIDES[side].roots,
        "load": cases.command(side, case, seconds, token),
        "warm": cases.command(side, case, cases.WARM, token),
        "seconds": seconds,
        "beside": cases.beside(side, case),
    }
    took = json.loads(run("python3 /srv/bench/on_host.py", json.dumps(job).encode()))
    try:
        load = loads.read(took["said"])
    except loads.UnreadableError as error:
        raise demo.RunError(f"{case} of {side}: {error}") from error
    if not load.requests:
        raise demo.RunError(f"{case} of {side}: no answer was a success, {load.errors} errors")
    return figures.figure(load, took)


def write(summary, rounds, found, said):
    """Write build/bench.json and build/bench.svg."""
    raw = [
        {case: {side: asdict(one) for side, one in sides.items()} for case, sides in seen.items()} for seen in rounds
    ]
    build = demo.ROOT / "build"
    whole = {"no claim": said, "conditions": found, "summary": summary, "rounds": raw}
    (build / "bench.json").write_text(json.dumps(whole, indent=1) + "\n")
    (build / "bench.svg").write_text(picture(summary, said))


def picture(summary, said):
    return bars.draw(summary, "Requests a second, as a multiple of the recipe's", "; ".join(said))


def publish(summary, found, said, page=PAGE):
    """Write the figures into their page, and the picture beside it; return 1 where no claim can rest on them."""
    if said:
        return 1
    before, _, rest = page.read_text().partition(BEGIN)
    shown = [
        "![Requests a second of each side, as a multiple of the recipe's](../assets/bench.svg)",
        figures.markdown(figures.rows(summary)),
        "\n".join(f"- {name}: {value}" for name, value in found.items()),
    ]
    page.write_text(before + "\n\n".join([BEGIN, *shown, END]) + rest.partition(END)[2])
    (page.parents[1] / "assets/bench.svg").write_text(picture(summary, said))
    return 0


def say(*words):
    print(*words, flush=True)  # noqa: T201 - what the command is for


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (demo.RunError, subprocess.CalledProcessError) as error:
        raise SystemExit(f"error: {error}") from None
