"""A role's defaults, argument specification, README and inventory check say the same."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
import yaml
from inventory_check.inventory import CHECKS

ROLES = Path(__file__).parents[1] / "roles"
NAMES = (
    *("host", "kernel", "docker", "nginx", "postgres", "valkey", "build", "site", "tokens", "app", "backup", "archive"),
    *("logs", "run", "restore", "remove", "doctor", "report", "monitor", "metrics", "balancer", "kubernetes"),
)
WITHOUT = ("check", "inspect", "restart", "status")  # variables of their own
TABLE = "| Variable | Default | Meaning |"
REQUIRED = "**required**"
README_LINES = 60  # apart from the table
OF_ANSIBLE = {"failed", "skipped", "unreachable"}  # keys of a result that Ansible takes for its own and for bools
UNBOUND = {"tokens_keys": "judged together with tokens_algorithm"}


def cell(value):
    """Return a value as a README's table shows it."""
    text = value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)
    return f"`{text.replace('|', chr(92) + '|')}`"


def options(role):
    """Return {variable: specification} of a role, whichever of its entry points reads it."""
    entries = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    return {name: spec for entry in entries.values() for name, spec in entry.get("options", {}).items()}


def rows(role):
    """Return {variable: (default, meaning)} of a README's table."""
    table = (role / "README.md").read_text().partition(f"{TABLE}\n|---|---|---|\n")[2].partition("\n\n")[0]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines()]
    return {name.strip().strip("`"): (default.strip(), meaning.strip()) for name, default, meaning in cells}


def uncommented(text):
    """Return the defaults that no comment explains; one may speak for the variables right below it."""
    missing, explained = [], False
    for line in text.splitlines():
        name = re.match(r"([a-z]\w*):", line)
        if line.startswith("#"):
            explained = True
        elif name and not explained:
            missing.append(name[1])
        elif name:
            explained = name[1].rpartition("_")[0] == "docker_log_max"  # size and number are one limit
    return missing


def contradictions(role):
    """Return a line for each thing that a role says in two ways."""
    text = (role / "defaults" / "main.yml").read_text()
    defaults, specs, table = yaml.safe_load(text), options(role), rows(role)
    required = {name for name, spec in specs.items() if spec.get("required")}
    found = [f"{name}: not in every place" for name in (defaults.keys() | required) ^ specs.keys()]
    found += [f"{name}: not in README and spec both" for name in table.keys() ^ specs.keys()]
    given = defaults.keys() | {name for name, spec in specs.items() if "default" in spec}
    found += [f"{name}: required, and has a default" for name in required & given]
    found += [f"{name}: lacks the role's prefix" for name in specs if not name.startswith(f"{role.name}_")]
    found += [f"{name}: no comment in defaults" for name in uncommented(text)]
    for name in specs.keys() & table.keys():
        spec, (default, meaning) = specs[name], table[name]
        if name not in required and (name not in defaults or "default" not in spec):
            found.append(f"{name}: neither required nor a default")
        elif name not in required and json.dumps(defaults[name]) != json.dumps(spec["default"]):
            found.append(f"{name}: default {defaults[name]!r}, in the spec {spec['default']!r}")
        if default != (REQUIRED if name in required else cell(spec.get("default"))):
            found.append(f"{name}: README says default {default}")
        if meaning != spec["description"].replace("|", "\\|"):
            found.append(f"{name}: README says {meaning!r}, the spec {spec['description']!r}")
    return found


@pytest.mark.parametrize("name", NAMES)
def test_defaults_spec_and_readme_agree(name):
    assert contradictions(ROLES / name) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("defaults/main.yml", "app_timeout: 30", "app_timeout: 31", "app_timeout: default 31"),
        ("defaults/main.yml", "app_timeout: 30", 'app_timeout: "30"', "app_timeout: default '30'"),
        ("defaults/main.yml", "app_timeout: 30\n", "", "app_timeout: not in every place"),
        ("defaults/main.yml", "app_timeout: 30", "app_timeout: 30\napp_new: 1", "app_new: not in every place"),
        ("defaults/main.yml", "app_timeout: 30", "app_timeout: 30\napp_new: 1", "app_new: no comment"),
        ("defaults/main.yml", "---", "---\n# A name.\napp_wsgi: shop", "app_wsgi: required, and has"),
        ("meta/argument_specs.yml", "default: 256", "default: 257", "app_pids: default 256"),
        ("meta/argument_specs.yml", "app_pids:", "pids:", "pids: lacks the role's prefix"),
        ("meta/argument_specs.yml", "User id the app runs as", "User id", "app_uid: README says"),
        ("meta/argument_specs.yml", "        required: true\n", "", "app_wsgi: neither required nor"),
        ("README.md", "| `256` |", "| `257` |", "app_pids: README says default `257`"),
        ("README.md", "| **required** |", '| `""` |', 'README says default `""`'),
        ("README.md", "User id the app runs as", "User id", "app_uid: README says 'User id.'"),
        ("README.md", "| `app_uid` |", "| `app_user` |", "app_user: not in README and spec both"),
    ],
)
def test_a_change_in_one_place_alone_is_seen(tmp_path, file, old, new, said):
    role = shutil.copytree(ROLES / "app", tmp_path / "app")
    text = (role / file).read_text()
    assert old in text
    (role / file).write_text(text.replace(old, new, 1))
    assert any(said in line for line in contradictions(role)), contradictions(role)


def defaults(name):
    return yaml.safe_load((ROLES / name / "defaults/main.yml").read_text())


def test_nginx_takes_the_app_s_names_as_roles_app_and_site_have_them():
    app, site, nginx = (defaults(name) for name in ("app", "site", "nginx"))
    assert nginx["nginx_certificate_owner"] == f"{{{{ app_name | default('{app['app_name']}') }}}}"
    other = site["site_aliases"].removeprefix("{{ ").removesuffix(" }}")
    wanted = f"{{{{ [site_domain] + site_aliases | default({other}) + site_names | default([]) }}}}"
    assert nginx["nginx_certificate_names"] == wanted


def test_the_app_listens_on_ipv6_where_nginx_does():
    site, nginx = (defaults(name) for name in ("site", "nginx"))
    assert site["site_ipv6"] == f"{{{{ nginx_ipv6 | default({json.dumps(nginx['nginx_ipv6'])}) }}}}"


@pytest.mark.parametrize("name", NAMES)
def test_every_value_is_bounded(name):
    free = {
        variable
        for variable, spec in options(ROLES / name).items()
        if variable not in CHECKS and spec["type"] != "bool" and "choices" not in spec
    }
    assert free == {variable for variable in UNBOUND if variable.startswith(f"{name}_")}


def test_every_role_is_judged():
    """Some roles have no variables of their own."""
    assert sorted(path.name for path in ROLES.iterdir()) == sorted([*NAMES, *WITHOUT])
    assert [name for name in WITHOUT if options(ROLES / name)] == []


@pytest.mark.parametrize("name", [*NAMES, *WITHOUT])
def test_every_entry_point_of_a_role_is_specified(name):
    """Those are the files that other roles and playbooks name, and main.yml."""
    entries = yaml.safe_load((ROLES / name / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    named = {"main"} if (ROLES / name / "tasks/main.yml").exists() or options(ROLES / name) else set()
    for _file, task in tasks():
        told = task.get("ansible.builtin.import_role") or task.get("ansible.builtin.include_role") or {}
        named |= {told.get("tasks_from", "main")} if told.get("name") == name else set()
    assert entries.keys() == named
    assert all(entry["short_description"] for entry in entries.values())


def test_role_check_alone_judges_what_a_user_wrote():
    """Ansible's own validation of each role that is imported would be a task more, and a page where a line does."""
    named = [task[word] for _file, task in tasks() for word in task if word.endswith(("import_role", "include_role"))]
    assert len(named) > 20
    assert [options["name"] for options in named if options.get("rolespec_validate") is not False] == []


def test_every_check_is_of_a_variable():
    assert not CHECKS.keys() - {variable for name in NAMES for variable in options(ROLES / name)}


@pytest.mark.parametrize("name", NAMES)
def test_internals_are_marked_as_such(name):
    role = ROLES / name
    path = role / "vars" / "main.yml"
    constants = yaml.safe_load(path.read_text()) if path.exists() else {}
    text = "".join(path.read_text() for path in sorted((role / "tasks").glob("*.yml")))
    registers = re.findall(r"^\s*(?:register|loop_var): (\w+)", text, re.MULTILINE)
    assert [variable for variable in [*constants, *registers] if not variable.startswith(f"__{name}_")] == []


def tasks():
    """Return (file, task) of every task of this project, those inside blocks too."""

    def inner(entries):
        for entry in entries:
            yield entry
            for part in ("block", "rescue", "always", "tasks", "pre_tasks", "post_tasks"):
                yield from inner(entry.get(part) or [])

    for pattern in ("*/tasks/*.yml", "*/handlers/*.yml", "../playbooks/*.yml"):
        for path in sorted(ROLES.glob(pattern)):
            yield from ((path.name, task) for task in inner(yaml.safe_load(path.read_text()) or []))


def test_nothing_needs_a_collection():
    """Also in files that --syntax-check does not open, because they are included while a play runs."""
    known = re.compile(
        r"\b(?:ansible\.(?!builtin|module_utils|plugins|errors|utils|parsing)|community\.)[a-z_]+\.[a-z_]+"
    )
    files = [
        ROLES.parent / "site.yml",
        ROLES.parent / "ansible.cfg",
        *ROLES.glob("../playbooks/*.yml"),
        *(path for end in ("yml", "j2", "py") for path in ROLES.glob(f"**/*.{end}")),
    ]
    assert [path.name for path in files if known.search(path.read_text())] == []
    named = {key for _file, task in tasks() for key in task if key.count(".") > 1}
    assert {name for name in named if not name.startswith("ansible.builtin.")} == set()


def test_no_step_is_named_like_a_failure():
    """A run prints its name where all is well, too."""
    failing = re.compile(r"(Fail|Stop|Abort|Refuse|Give up) (where|if|when|unless)\b", re.IGNORECASE)
    assert [task["name"] for _file, task in tasks() if failing.match(task.get("name", ""))] == []


def test_every_file_that_a_task_writes_has_a_mode_of_its_own():
    """Else the umask of whoever deploys decides who may read it."""
    unsaid = []
    for file, task in tasks():
        for module in ("copy", "template", "file"):
            options = task.get(f"ansible.builtin.{module}", {"state": "absent"})
            wanted = {"mode", "directory_mode"} if str(options.get("src", "")).endswith("/") else {"mode"}
            if options.get("state") != "absent" and not wanted <= options.keys():
                unsaid.append(f"{file}: {task['name']}")
    assert unsaid == []


def test_no_list_is_made_by_a_filter_whose_order_is_chance():
    """Ansible makes sets in these: a file with such a list would change from run to run."""
    files = [path for pattern in ("*.yml", "*.j2") for path in ROLES.rglob(pattern)]
    chance = re.compile(r"\|\s*(difference|union|intersect|symmetric_difference)\b")
    assert len(files) > 100 and [path.name for path in files if chance.search(path.read_text())] == []


def test_apt_never_removes():
    """Packages are installed by one action, which says so: tests/plugins/action."""
    assert [file for file, task in tasks() if {"ansible.builtin.apt", "ansible.builtin.package"} & task.keys()] == []
    code = [*ROLES.glob("*/tasks/*.yml"), *ROLES.glob("**/*.py"), *ROLES.parent.glob("plugins/**/*.py")]
    commands = re.compile(r"""(apt|apt-get|dpkg)["', ]+(-[\w-]+["', ]+)*(remove|purge|autoremove|--purge|--remove)""")
    found = [(path, line) for path in code for line in path.read_text().splitlines() if commands.search(line)]
    assert [path.name for path, line in found if "sudo apt" not in line] == [], "what people may type is theirs"


@pytest.mark.parametrize("name", NAMES)
def test_secrets_are_not_logged(name):
    secret = re.compile(r"_(secrets?|password|token|git_key|jwt_key|secret_files)$")
    shown = [v for v, spec in options(ROLES / name).items() if secret.search(v) and not spec.get("no_log")]
    assert shown == []


@pytest.mark.parametrize("name", NAMES)
def test_the_readme_is_short_and_has_an_example(name):
    text = (ROLES / name / "README.md").read_text()
    assert len([line for line in text.splitlines() if not line.startswith("|")]) <= README_LINES
    assert "```yaml" in text


@pytest.mark.parametrize("path", sorted(ROLES.glob("*/library/*.py")), ids=lambda path: path.stem)
def test_no_module_returns_what_ansible_takes_for_its_own(path):
    told = re.search(r'^RETURN = r"""\n(.*?)"""', path.read_text(), re.MULTILINE | re.DOTALL)
    assert not OF_ANSIBLE & set(yaml.safe_load(told[1]) if told else {})
