"""A picture of a run: latency over time on a logarithmic scale, switches and failures marked, as SVG."""

from __future__ import annotations

import math
from statistics import median
from xml.sax.saxutils import escape

from bench.kinds import QUICK

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 1200, 420, 60, 50, 40
LEAST, MOST = 1, 100_000  # milliseconds
COLUMNS = 380
BLUE, LIGHT, ORANGE, RED, GREY = (
    "#0072b2",
    "#9ecae9",
    "#e69f00",
    "#d00000",
    "#888888",
)  # also apart for the colour-blind


def draw(answers, switches, title):
    """Return the SVG of a history, with its switches at these epoch seconds.

    Each column is the span from the fastest to the slowest quick request that started in it, with its median.
    """
    begin, end = min(answer.started for answer in answers), max(answer.ended for answer in answers)

    def x(at):
        return LEFT + (at - begin) / (end - begin or 1) * (WIDTH - LEFT - 20)

    parts = [*scale(end - begin, x, begin), *(mark(x(at)) for at in switches)]
    for at, values in columns(answers, begin, end):
        parts.append(bar(x(at), y(min(values)), y(max(values)), LIGHT))
        parts.append(bar(x(at), y(median(values)) - 1, y(median(values)) + 1, BLUE))
    for answer in answers:
        if answer.failure:
            what = escape(f"{answer.kind}/{answer.number}: {answer.failure}")
            parts.append(
                f'<circle cx="{x(answer.ended):.1f}" cy="{TOP + 8}" r="4" fill="{RED}"><title>{what}</title></circle>'
            )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">'
    paper = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    named = text(LEFT, 22, title, 16) + text(LEFT, 40, LEGEND, 12)
    return "\n".join([head, paper, named, *parts, "</svg>", ""])


LEGEND = "blue: quick requests, slowest to fastest and median; orange: a switch; red: a failed request"


def columns(answers, begin, end):
    """Return [(time, [milliseconds])] of quick requests that had their answer."""
    width = (end - begin) / COLUMNS or 1
    found = {}
    for answer in answers:
        if answer.kind in QUICK and not answer.failure:
            found.setdefault(int((answer.started - begin) / width), []).append((answer.ended - answer.started) * 1000)
    return [(begin + (column + 0.5) * width, found[column]) for column in sorted(found)]


def y(milliseconds):
    share = math.log10(max(milliseconds, LEAST) / LEAST) / math.log10(MOST / LEAST)
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def bar(x, low, high, colour):
    top, bottom = min(low, high), max(low, high)
    return f'<rect x="{x - 1:.1f}" y="{top:.1f}" width="2" height="{max(bottom - top, 1):.1f}" fill="{colour}"/>'


def mark(x):
    return f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="{ORANGE}"/>'


def text(x, y, words, size, anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}">{escape(words)}</text>'


def scale(seconds, x, begin):
    """Return the axes: powers of ten in ms or s upwards, about ten steps in seconds to the right."""
    parts = []
    for power in range(6):
        at = y(10**power)
        parts.append(
            f'<line x1="{LEFT}" x2="{WIDTH - 20}" y1="{at:.1f}" y2="{at:.1f}" stroke="{GREY}" stroke-width="0.3"/>'
        )
        parts.append(text(LEFT - 6, at + 4, f"{10**power} ms" if power < 3 else f"{10 ** (power - 3)} s", 11, "end"))
    step = max(round(seconds / 10, -1), 1)
    parts += [
        text(x(begin + count * step), HEIGHT - 15, f"{count * step:.0f} s", 11, "middle")
        for count in range(int(seconds / step) + 1)
    ]
    return parts
