"""A picture of make bench: how many times the recipe's requests each side answers, as bars on a logarithmic scale."""

from __future__ import annotations

import math

from bench.figures import REFERENCE
from bench.picture import BLUE, GREY, LIGHT, ORANGE, text

WIDTH, LEFT, RIGHT, TOP, ROW = 900, 260, 60, 70, 20
LEAST, MOST = 0.1, 10
COLOURS = {"project": BLUE}


def draw(found, title, below=""):
    """Return the SVG of a summary; a case of which the recipe has no figure has no bar."""
    bars = [
        (case, name, side["ratios"]["rate"])
        for case, sides in found.items()
        for name, side in sides.items()
        if name != REFERENCE and side["ratios"].get("rate")
    ]
    height = TOP + ROW * len(bars) + 30
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif">'
    paper = f'<rect width="{WIDTH}" height="{height}" fill="white"/>'
    parts = [text(20, 24, title, 16), text(20, 42, below, 12), *scale(height)]
    for row, (case, name, value) in enumerate(bars):
        parts += bar(TOP + row * ROW, f"{case}, {name}", value, COLOURS.get(name, LIGHT))
    return "\n".join([head, paper, *parts, "</svg>", ""])


def x(value):
    share = math.log10(min(max(value, LEAST), MOST) / LEAST) / math.log10(MOST / LEAST)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def bar(top, name, value, colour):
    begin, end = sorted((x(1), x(value)))
    return [
        text(LEFT - 8, top + 13, name, 12, "end"),
        f'<rect x="{begin:.1f}" y="{top + 2}" width="{max(end - begin, 1):.1f}" height="{ROW - 6}" fill="{colour}"/>',
        text(max(end, x(1)) + 6, top + 13, f"{value:.2f}", 11),
    ]


def scale(height):
    """Return lines from a tenth to ten times the recipe's, that of the recipe marked."""
    parts = []
    for value in (0.1, 0.25, 0.5, 1, 2, 4, 10):
        colour, wide = (ORANGE, 1.5) if value == 1 else (GREY, 0.4)
        at = f'x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{TOP - 4}" y2="{height - 26}"'
        parts.append(f'<line {at} stroke="{colour}" stroke-width="{wide}"/>')
        parts.append(text(x(value), height - 10, f"{value:g}", 11, "middle"))
    return parts
