"""A visitor of the demo's host who has no script: pages, forms, cookies."""

from __future__ import annotations

import html.parser
import shlex
import subprocess

from bench import demo


class Form(html.parser.HTMLParser):
    """The hidden fields of a page's forms: what a browser would send with the rest."""

    def __init__(self, page):
        super().__init__()
        self.hidden = {}
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        known = dict(attrs)
        if tag == "input" and known.get("type") == "hidden" and known.get("name"):
            self.hidden[known["name"]] = known.get("value") or ""


class Browser:
    """One visitor: cookies stay, forms are sent with their hidden fields, redirects are followed."""

    def __init__(self, domain, place):
        self.domain, self.jar = domain, f"{place}/{domain}.cookies"

    def visit(self, words):
        """Ask for a path; with fields, open its form and send it. Return the page.

        :raises demo.RunError: the last answer has a status of 400 or above.
        """
        path, _, json_body = words.partition(" {")
        if json_body:
            return self._ask(path, "-H", "Content-Type: application/json", "-d", "{" + json_body)
        path, *fields = shlex.split(words)
        page = self._ask(path)
        if fields:
            sent = {**Form(page).hidden, **dict(each.split("=", 1) for each in fields)}
            page = self._ask(path, *(part for pair in sent.items() for part in ("--data-urlencode", "=".join(pair))))
        return page

    def _ask(self, path, *form):
        where = f"{self.domain}:443:{demo.address()}"
        url = f"https://{self.domain}{path}"
        again = ["-e", url] if form else []
        command = ["curl", "-skL", "-m", "30", "--resolve", where, "-b", self.jar, "-c", self.jar, *again, *form]
        done = subprocess.run(
            [*command, "-w", "\n%{http_code}", url], capture_output=True, text=True, errors="replace", check=False
        )
        page, _, status = done.stdout.rpartition("\n")
        if not status.startswith(("2", "3")) and (form or status != "405"):  # that of a path that takes forms alone
            raise demo.RunError(f"{path} answers {status}: {page[:300]}")
        return page
