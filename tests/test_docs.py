"""The documents name only what exists, and their examples are valid."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.action import check_inventory
from ansible.template import Templar, trust_as_template
from inventory_check.renamed import GONE, RENAMED

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    path.relative_to(ROOT) for pattern in ("*.md", "docs/**/*.md", "roles/*/README.md") for path in ROOT.glob(pattern)
)
# Rooms whose paths can be told from other words; inventories are the reader's own, but for two.
ROOM = r"(?:roles|plugins|playbooks|molecule|tests|docs|app|bench|inventories/(?:local|example))/"
ERRORS = "docs/how-to/troubleshooting.md"
FENCED = re.compile(r"^```(\w*)(?: title=\"[^\"]*\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class UnsafeLoader(yaml.SafeLoader):
    """Reads `!unsafe`, as Ansible does."""


UnsafeLoader.add_constructor("!unsafe", lambda loader, node: loader.construct_scalar(node))


def text(page):
    return (ROOT / page).read_text()


def code(page):
    """Return what a page shows as code, in words and in blocks."""
    fenced = [block for _language, block in FENCED.findall(text(page))]
    return [*fenced, *re.findall(r"`([^`\n]+)`", FENCED.sub("", text(page)))]


def blocks(language):
    return [(page, block) for page in PAGES for found, block in FENCED.findall(text(page)) if found == language]


def heading(line):
    """Return the anchor of a heading, as forges make it."""
    return re.sub(r"[^\w -]", "", line.lstrip("# ").lower()).replace(" ", "-")


def literal(node):
    """Return a text of Python as a reader sees it: … where a value goes; None where it is no text."""
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.sub(r"\{\w*\}", "…", node.value)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return f"{literal(node.left) or '…'}{literal(node.right) or '…'}"
    return None


def all_that_is_said():
    """Return all texts of roles and plugins, a line each."""
    paths = [path for room in ("roles", "plugins") for path in (ROOT / room).rglob("*.py")]
    texts = [literal(node) for path in paths for node in ast.walk(ast.parse(path.read_text()))]
    scripts = [path.read_text() for path in (ROOT / "roles").rglob("*.sh")]
    return "\n".join([*(found.replace("\n", " ") for found in texts if found), *scripts])


def modules():
    return {path.stem for path in ROOT.glob("roles/**/*.py")}


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]+`", "", FENCED.sub("", text(page)))):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        place = (ROOT / page).parent / path if path else ROOT / page
        assert place.exists(), target
        if anchor:
            assert anchor in {heading(line) for line in place.read_text().splitlines() if line.startswith("#")}, target


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_source_named_has_an_address(page):
    named = set(re.findall(r"\[([A-Z]\d+)\](?!:)", FENCED.sub("", text(page))))
    assert named == set(re.findall(r"^\[([A-Z]\d+)\]: https://\S+$", text(page), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_variable_named_exists(page):
    named = set(
        re.findall(
            r"(?<![\w.-])(?:app|build|site|tokens|nginx|postgres|valkey|docker|host|kernel|backup|archive|restore|run|remove|doctor"
            r"|report|monitor|metrics|kubernetes)_[a-z0-9_]+\b(?!\.)",
            text(page),
        )
    )
    before = RENAMED.keys() | GONE.keys() if page.name == "CHANGELOG.md" else set()
    of_postgres = {"archive_mode", "archive_command", "archive_timeout"} if "postgres" in str(page) else set()
    assert named - check_inventory.load_specs().keys() - modules() - before - of_postgres == set()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_path_named_exists(page):
    for shown in code(page):
        for path in re.findall(rf"(?<![\w./-])(?:{ROOM}[\w./*-]*|site\.yml)", shown):
            assert list(ROOT.glob(path.rstrip("/."))), path


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_make_target_named_exists(page):
    targets = set(re.findall(r"^([a-z-]+):", text("Makefile"), re.MULTILINE))
    named = {target for shown in code(page) for target in re.findall(r"^(?:\$ )?make ([a-z-]+)", shown, re.MULTILINE)}
    assert named - targets == set()


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_every_test_named_exists(page):
    for path, name in re.findall(r"([\w./]+\.py)::(\w+)", text(page)):
        assert f"\ndef {name}(" in text(path), f"{path}::{name}"


def test_lists_of_scenarios_name_each_one_and_no_other():
    scenarios = {path.parent.name for path in ROOT.glob("molecule/*/molecule.yml")}
    assert len(scenarios) > 20
    commands = re.findall(r"`molecule test(?: -s (\w+))?`", (ROOT / "docs/CONTRIBUTING.md").read_text())
    assert {name or "default" for name in commands} == scenarios
    row = re.search(r"^\| \[molecule/\]\(molecule\) \|(.*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", row[1])) == sorted(scenarios)
    claims = (ROOT / "docs/reference/guarantees.md").read_text()
    rows = re.findall(r"^\| `molecule/(\w+)/` \| `molecule test(?: -s (\w+))?`", claims, re.MULTILINE)
    assert {name for name, of in rows if name == (of or "default")} == set(re.findall(r"`molecule/(\w+)/tests", claims))
    texts = [path.read_text() for path in (ROOT / "Makefile", ROOT / ".github/workflows/ci.yml", ROOT / ".ci/run")]
    named = re.findall(r"molecule test -s (\w+)", "\n".join(texts))
    named += " ".join(re.findall(r"SCENARIOS(?: :)?=\"?([a-z ]+)", "\n".join(texts))).split()
    assert named and set(named) <= scenarios


def test_the_first_page_leads_to_every_page():
    linked = re.findall(r"\]\(([^)#\s]+\.md)\)", text("docs/README.md"))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").glob("**/*.md")} - {"README.md"}
    assert pages - set(linked) == set()


def test_every_claim_has_a_test():
    tables = text("docs/reference/guarantees.md").partition("## Deploys")[2].partition("## Limits")[0]
    rows = [line for line in tables.splitlines() if line.startswith("| ") and not line.startswith("| Claim ")]
    assert rows
    assert [row for row in rows if "::test_" not in row] == []


def test_every_message_explained_is_one_that_is_said():
    """As the code says it, with … for values: who searches for what a run printed finds it."""
    tables = re.findall(r"^\| It says \| Do \|\n\|---\|---\|\n(.*?)\n\n", text(ERRORS), re.MULTILINE | re.DOTALL)
    messages = [
        shown for table in tables for line in table.splitlines() for shown in re.findall(r"^\| `([^`]+)` \|", line)
    ]
    assert len(messages) == sum(len(table.splitlines()) for table in tables) > 50
    said = all_that_is_said()
    parts = [[re.escape(part) for part in message.split("…")] for message in messages]
    unsaid = [each for each in parts if not re.search(".*?".join(each), said)]
    assert ["…".join(each) for each in unsaid] == []


def test_the_log_s_fields_are_those_that_are_logged():
    listed = text("docs/how-to/logs.md").partition("Fields of the access log:")[2].partition(".")[0]
    logged = re.findall(r'"(\w+)":', text("roles/nginx/templates/nginx/log.conf.j2"))
    assert re.findall(r"`(\w+)`", listed) == logged


def test_the_room_of_nginx_s_logs_is_as_said():
    rules = text("roles/nginx/files/rotate_logs.conf")
    size, kept = (int(re.search(rf"^    {word} (\d+)M?$", rules, re.MULTILINE)[1]) for word in ("size", "rotate"))
    told = " ".join(text("docs/how-to/logs.md").split())
    assert f"larger than {size} MB, and keeps {kept}: a log takes at most {size * (kept + 1)} MB" in told


@pytest.mark.parametrize(("page", "block"), blocks("yaml"), ids=lambda value: str(value).partition("\n")[0])
def test_an_example_sets_variables_of_the_right_type(page, block):
    values = yaml.load(block, UnsafeLoader)
    assert check_inventory.check_names(check_inventory.load_specs(), values) == []
    assert check_inventory.check_types(check_inventory.load_specs(), values)[1] == []


@pytest.fixture
def example(variables, monkeypatch):
    """Return what the check says about the inventory that users copy, with their vault or without."""
    monkeypatch.setattr(check_inventory, "check_outside", lambda *values: [])

    def lines(**vault):
        known = variables("", **vault)
        known = {name: value for name, value in known.items() if name not in check_inventory.load_specs()}
        known["groups"] = {"web": list(yaml.safe_load(text("inventories/example/hosts.yml"))["web"]["hosts"])}
        for path in sorted((ROOT / "inventories/example/group_vars/web").glob("*.yml")):
            known |= DataLoader().load(trust_as_template(path.read_text()))
        plugin = object.__new__(check_inventory.ActionModule)
        plugin._templar = Templar(DataLoader(), variables=known)
        return plugin._check_inventory(known)[1]

    return lines


def vault():
    return yaml.safe_load(text("inventories/example/group_vars/web/vault.yml.example"))


def test_the_example_is_valid_once_its_vault_is_filled_in(example):
    assert example(**dict.fromkeys(vault(), "5f0c" * 16)) == []


def test_the_example_does_not_deploy_with_an_empty_vault(example):
    (line,) = example(**vault())
    assert line.startswith("app_secrets: SECRET_KEY is empty")


def test_the_example_says_what_the_readme_says(example):
    values = {}
    for path in (ROOT / "inventories/example/group_vars/web").glob("*.yml"):
        values |= yaml.safe_load(path.read_text())
    lines = re.findall(r"^\| .*?\| `(\w+: [^`]+)`", text("README.md"), re.MULTILINE)
    shown = [yaml.safe_load(line) for line in lines]
    assert len(shown) == 5
    for setting in shown:
        assert setting.items() <= values.items()
