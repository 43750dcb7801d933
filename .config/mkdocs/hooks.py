"""What the site adds to docs/: a page for each role, links that a Git host would follow, and one for each variable."""

from __future__ import annotations

import os
import re
from pathlib import Path
from posixpath import relpath

import yaml
from mkdocs.structure.files import File
from pymdownx.slugs import slugify

ROOT = Path(__file__).parents[2]
CODE_OR_LINK = re.compile(r"^```.*?^```$|(?<!\[)`[^`\n]+`|\[([^\]]*)\]\(([^)\s]+)\)", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\| `(\w+)` \| (.*)$", re.MULTILINE)
ROLES = {path.parent.name: path for path in sorted(ROOT.glob("roles/*/README.md"))}


def options(role):
    """Return {variable: its specification} of a role, whichever of its entry points reads it."""
    entries = yaml.safe_load((ROOT / "roles" / role / "meta/argument_specs.yml").read_text())["argument_specs"]
    return {name: spec for entry in entries.values() for name, spec in entry.get("options", {}).items()}


PAGES = {variable: f"reference/roles/{role}.md" for role in ROLES for variable in options(role)}


def kind(spec):
    """Return what a variable may be, as a table shows it."""
    of = f" of {spec['elements']}" if "elements" in spec else ""
    return ", ".join(f"`{choice}`" for choice in spec["choices"]) if "choices" in spec else f"{spec['type']}{of}"


def role_page(role):
    """Return a role's README with what the specification knows besides: kinds of values, and a place to link to."""
    specs = options(role)

    def row(match):
        return f'| <span id="{match[1]}"></span>`{match[1]}` | {kind(specs[match[1]])} | {match[2]}'

    head, table, rest = ROLES[role].read_text().partition("| Variable | Default | Meaning |\n|---|---|---|\n")
    return head + table.replace("Default", "Value | Default").replace("|---", "|---|---", 1) + ROW.sub(row, rest)


def on_config(config):
    """Let headings have the anchors that Git hosts give them."""
    config.mdx_configs["toc"]["slugify"] = slugify(case="lower")


def on_files(files, config):
    """Add the pages of roles."""
    for role in ROLES:
        files.append(File.generated(config, f"reference/roles/{role}.md", content=role_page(role)))


def on_page_markdown(markdown, page, **_rest):
    """Let links lead where they lead in the repository; a file that is no page is named beside its words."""
    here = page.file.src_uri
    source = ROLES[Path(here).stem] if here.startswith("reference/roles/") else ROOT / "docs" / here

    def link(match):
        path, _, anchor = (match[2] or "#").partition("#")
        if not path or "://" in match[2]:
            return match[0]
        target = Path(os.path.normpath(source.parent / path)).relative_to(ROOT).as_posix()
        if target.startswith("roles/") and target.endswith("/README.md"):
            target = f"docs/reference/roles/{target.split('/')[1]}.md"
        if target.startswith("docs/"):
            return f"[{match[1]}]({relpath(target[5:], Path(here).parent)}{'#' if anchor else ''}{anchor})"
        named = target.endswith(match[1].strip("`"))
        return f"`{target}`" if named else f"{match[1]} (`{target}`)"

    return CODE_OR_LINK.sub(link, markdown)


def on_page_content(html, page, files, **_rest):
    """Link each variable that a page names to its row, and show a bar in a table as it is typed."""

    def link(match):
        target = PAGES.get(match[1])
        if target in (None, page.file.src_uri):
            return match[0]
        return f'<a href="{files.get_file_from_path(target).url_relative_to(page.file)}#{match[1]}">{match[0]}</a>'

    shown = re.sub(r"<code>[^<]*</code>", lambda code: code[0].replace("\\|", "|"), html)
    return re.sub(r"<a [^>]*>.*?</a>|<code>(\w+)</code>", link, shown, flags=re.DOTALL)
