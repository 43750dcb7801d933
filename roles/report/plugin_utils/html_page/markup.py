"""HTML whose texts cannot be taken for marks: what is not made here is escaped."""

from __future__ import annotations

import html
from typing import Any

VOID = {"meta", "rect", "line", "circle"}


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def text(value: Any) -> Html:
    """Return a value as HTML: a text is escaped, and what does not print is shown as a question mark."""
    if isinstance(value, Html):
        return value
    shown = "".join(char if char.isprintable() or char == "\n" else "?" for char in str(value))
    return Html(html.escape(shown))


def join(parts: Any) -> Html:
    """Return parts behind each other."""
    return Html("".join(map(text, parts)))


def tag(name: str, /, *inside: Any, **attributes: Any) -> Html:
    """Return an element.

    :param inside: texts and elements.
    :param attributes: a name that Python reserves ends in "_"; other "_" are dashes. None and False are left out.
    """
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{text(value)}"'
        for key, value in attributes.items()
        if value is not None and value is not False
    )
    if name in VOID:
        return Html(f"<{name}{told}>") if name == "meta" else Html(f"<{name}{told}/>")
    return Html(f"<{name}{told}>{join(inside)}</{name}>")


def table(
    caption: str,
    headings: list[str],
    rows: list[list[Any]],
    numbers: tuple[int, ...] = (),
    texts: tuple[int, ...] = (),
) -> Html:
    """Return a table that scrolls by itself where a screen is narrow; the first cell of a row is its heading.

    :param numbers: columns that are written to the right.
    :param texts: columns whose lines may be broken.
    """
    side = ["n" if place in numbers else "t" if place in texts else None for place in range(len(headings))]
    head = [tag("th", each, scope="col", class_=side[place]) for place, each in enumerate(headings)]
    body = [tag("tr", *(_cell(place, each, side[place]) for place, each in enumerate(row))) for row in rows]
    inner = tag("table", tag("caption", caption), tag("thead", tag("tr", *head)), tag("tbody", *body))
    return tag("div", inner, class_="wide", role="region", tabindex="0", aria_label=f"Table: {caption}")


def _cell(place: int, value: Any, side: str | None) -> Html:
    return tag("td", value, class_=side) if place else tag("th", value, scope="row", class_=side)
