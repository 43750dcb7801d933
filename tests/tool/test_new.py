"""A repository of one's own: what is made, that nothing is overwritten, and that Ansible understands it."""

from __future__ import annotations

import json
import os
import re
import shlex
import stat
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible.plugins.action import check_inventory
from click.testing import CliRunner
from flask_deploy_tool import __version__, command, project, repository

from tests.runners import RUNNERS

FLAGS = ("--domain", "shop.example.com", "--source", "https://git.example.com/shop.git", "--wsgi", "shop:create_app()")
BIN = Path(sys.executable).parent


def new(*words, typed=None):
    """Type `flask-deploy new …`; return its exit code and what it said."""
    ran = CliRunner().invoke(command.cli, ["new", *words], input=typed)
    return ran.exit_code, ran.output


def contents(place):
    files = (path for path in place.rglob("*") if path.is_file() and ".git/" not in str(path))
    return {str(path.relative_to(place)): path.read_bytes() for path in files}


def lines(place, name):
    """Return what an environment says, each file's lines without the mark of YAML's begin."""
    folder = place / "inventories" / name
    files = [folder / "hosts.yml", *sorted((folder / "group_vars/web").glob("[!v]*.yml"))]
    return {path.name: path.read_text().removeprefix("---\n") for path in files}


def ansible(place, *words):
    """Run a command of Ansible in a directory; return its exit code and all it said."""
    ran = subprocess.run(
        [BIN / words[0], *words[1:]],
        cwd=place,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return ran.returncode, ran.stdout + ran.stderr


def test_an_environment_holds_what_a_user_must_write_and_nothing_else(here):
    assert new("infra", *FLAGS, "--host", "deploy@203.0.113.7")[0] == 0
    assert lines(here / "infra", "production") == {
        "hosts.yml": "web:\n  hosts:\n    203.0.113.7:\n      ansible_user: deploy\n",
        "app.yml": 'app_wsgi: shop:create_app()\napp_secrets:\n  SECRET_KEY: "{{ vault_app_secret_key }}"\n',
        "build.yml": "build_source: https://git.example.com/shop.git\n",
        "nginx.yml": "nginx_certificate: selfsigned\n",
        "site.yml": "site_domain: shop.example.com\n",
    }


@pytest.fixture
def ssh(tmp_path, monkeypatch):
    """Let ssh log in as deploy, as ~/.ssh/config may say."""
    program = tmp_path / "bin/ssh"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n[ \"$1 $2\" = '-G --' ] && echo host $3 && echo user deploy\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return program


def test_the_user_that_ssh_knows_is_written_for_all_who_deploy(here, ssh):
    new("infra", *FLAGS)
    assert yaml.safe_load(lines(here / "infra", "production")["hosts.yml"]) == {
        "web": {"hosts": {"shop.example.com": {"ansible_user": "deploy"}}}
    }


def test_without_ssh_no_user_is_written(here, ssh, monkeypatch):
    ssh.write_text("#!/bin/sh\nexit 255\n")
    new("infra", *FLAGS)
    assert lines(here / "infra", "production")["hosts.yml"] == "web:\n  hosts:\n    shop.example.com:\n"


def test_staging_is_another_server_of_another_name(here, ssh):
    new("infra", *FLAGS)
    staging = lines(here / "infra", "staging")
    assert staging["hosts.yml"] == "web:\n  hosts:\n    staging.shop.example.com:\n      ansible_user: deploy\n"
    assert staging["site.yml"] == "site_domain: staging.shop.example.com\n"


def test_each_environment_has_a_secret_of_its_own_that_the_password_opens(here):
    new("infra", *FLAGS)
    password = here / "infra/.vault-password"
    vault = VaultLib([("default", VaultSecret(password.read_text().strip().encode()))])
    found = [vault.decrypt(path.read_text()) for path in here.glob("infra/inventories/*/group_vars/web/vault.yml")]
    keys = [yaml.safe_load(text)["vault_app_secret_key"] for text in found]
    assert len(set(keys)) == 2 and all(re.fullmatch("[0-9a-f]{64}", key) for key in keys)
    assert stat.S_IMODE(password.stat().st_mode) == 0o600


def test_it_says_where_the_password_is_and_what_to_type_next(here):
    said = new("infra", *FLAGS)[1]
    assert "\nkeep a copy of infra/.vault-password where your team keeps passwords: it opens the vaults" in said
    assert said.partition("\n\n")[2].splitlines() == [
        "next, when you have read infra/inventories and committed all:",
        "  cd infra",
        "  flask-deploy check -e production   # changes nothing",
        "  flask-deploy setup -e production   # sets up the server, and deploys the app",
    ]
    (here / "infra/README.md").unlink()
    assert ".vault-password" not in new("infra")[1]


def test_a_reader_who_is_there_already_is_sent_nowhere(here, monkeypatch):
    new("infra", *FLAGS)
    monkeypatch.chdir(here / "infra")
    said = new(".", "-e", "testing", *FLAGS)[1]
    typed = [line.split("#")[0].strip() for line in said.splitlines() if line.startswith("  ")]
    assert typed == ["flask-deploy check -e testing", "flask-deploy setup -e testing"]


def test_git_takes_neither_password_nor_plan(here):
    new("infra", *FLAGS)
    subprocess.run(["git", "init", "-q", "infra"], check=True)
    (here / "infra/plan.txt").touch()
    subprocess.run(["git", "-C", "infra", "add", "."], check=True)
    listed = subprocess.run(["git", "-C", "infra", "ls-files"], check=True, capture_output=True, text=True).stdout
    assert "vault.yml" in listed and ".vault-password" not in listed and "plan.txt" not in listed


def test_a_second_time_changes_nothing_and_says_so(here):
    new("infra", *FLAGS)
    (here / "infra/README.md").write_text("mine\n")
    (here / "infra/inventories/staging/group_vars/web/nginx.yml").unlink()
    before = contents(here)
    done, said = new("infra", "--domain", "other.example.com")
    assert done == 0 and contents(here) == before
    left = said.partition("left as it was: ")[2].partition("\n")[0].split(", ")
    assert "made: " not in said and "infra/README.md" in left and "infra/inventories/production" in left


def test_what_is_missing_is_made_a_second_time(here):
    new("infra", *FLAGS)
    (here / "infra/README.md").unlink()
    assert "made: infra/README.md\n" in new("infra")[1]


def test_an_environment_that_was_cut_off_is_made_anew(here, monkeypatch):
    (here / "infra/inventories/.production.new/group_vars").mkdir(parents=True)
    (here / "infra/inventories/.production.new/old").touch()
    new("infra", *FLAGS)
    assert sorted(path.name for path in (here / "infra/inventories").iterdir()) == ["production", "staging"]
    assert not (here / "infra/inventories/production/old").exists()


def test_two_at_once_make_each_thing_once(tool):
    flags = [*FLAGS, "--host", "web1"]
    running = [
        subprocess.Popen(tool.command("new", "infra", *flags), cwd=tool.place, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    said = [each.communicate(timeout=120)[0] for each in running]
    assert [each.returncode for each in running] == [0, 0, 0]
    for made in ("inventories/production", "inventories/staging", ".vault-password", "README.md"):
        assert sum(f"infra/{made}" in text.partition("left as it was")[0] for text in said) == 1, made
    assert sorted(path.name for path in (tool.place / "infra/inventories").iterdir()) == ["production", "staging"]


def test_a_place_that_cannot_be_written_to_is_said_in_a_line(tool):
    (tool.place / "file").touch()
    ran = tool("new", "file/infra", *FLAGS, "--host", "web1")
    assert (ran.code, ran.err) == (1, "flask-deploy: file/infra: Not a directory\n")


def test_another_app_on_the_server_has_its_own_name_and_user_id(here):
    new("infra", *FLAGS)
    for name in ("blog", "wiki"):
        flags = ("--domain", f"{name}.example.com", "--host", "shop.example.com", *FLAGS[2:])
        assert new("infra", "-e", name, "--app", name, *flags)[0] == 0
    found = {name: yaml.safe_load(lines(here / "infra", name)["app.yml"]) for name in ("production", "blog", "wiki")}
    assert [(app.get("app_name"), app.get("app_uid")) for app in found.values()] == [
        (None, None),
        ("blog", 10002),
        ("wiki", 10003),
    ]


def test_inside_the_app_s_repository_its_source_is_that_repository(here):
    subprocess.run(["git", "init", "-q", "shop"], check=True)
    code, said = new("shop/deploy", "--domain", "shop.example.com", "--wsgi", "shop:app")
    assert code == 0 and "build_source" not in said
    assert lines(here / "shop/deploy", "production")["build.yml"] == "build_source: '{{ inventory_dir }}/../../..'\n"
    assert (here / "shop/deploy/inventories/production/../../..").resolve() == here / "shop"
    workflow = yaml.safe_load((here / "shop/.github/workflows/flask-deploy.yml").read_text())
    assert workflow["defaults"]["run"]["working-directory"] == "deploy"
    assert workflow["jobs"]["plan"]["steps"][-1]["with"]["path"] == "deploy/plan.txt"
    assert yaml.safe_load((here / "shop/.gitlab-ci.yml").read_text())["default"]["before_script"][0] == 'cd "deploy"'


def test_environments_that_ci_does_not_deploy_are_named_with_the_files_to_change(here):
    files = "infra/.github/workflows/flask-deploy.yml, infra/.gitlab-ci.yml"
    said = f"for CI: it deploys only the environments that its files list; add {{}} to each list in {files}\n"
    assert said.format("staging") in new("infra", *FLAGS)[1]
    assert "it deploys only" not in new("shop", *FLAGS, "-e", "production")[1]
    assert said.format("blog") in new("infra", *FLAGS, "-e", "blog")[1]
    for name in files.split(", "):
        path = here / name
        path.write_text(path.read_text().replace('["production"]', '["production", "wiki"]'))
    assert "it deploys only" not in new("infra", *FLAGS, "-e", "wiki")[1]


def test_beside_the_app_s_repository_the_source_is_found_from_any_clone(here):
    (here / "shop").mkdir()
    code, said = new("infra", "--domain", "shop.example.com", "--source", "shop", "--wsgi", "shop:app")
    assert lines(here / "infra", "production")["build.yml"] == "build_source: '{{ inventory_dir }}/../../../shop'\n"
    assert code == 0
    assert "for CI: write a Git address as build_source; shop is not in this repository\n" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Missing argument 'DIRECTORY'"),
        (("infra",), "there is no terminal to ask on; add --domain, --source, --wsgi"),
        (("infra", *FLAGS, "-e", "../x"), "'../x' cannot be an environment's name"),
        (("infra", *FLAGS, "-e", ".x"), "'.x' cannot be an environment's name"),
        (("file", *FLAGS), "Directory 'file' is a file"),
    ],
)
def test_wrong_use_makes_nothing(here, words, said):
    (here / "file").touch()
    before = contents(here)
    done, output = new(*words)
    assert done == 2 and said in output and contents(here) == before


def test_a_gitignore_that_would_let_the_password_in_stops_it(here):
    (here / ".gitignore").write_text("*.pyc\n")
    done, said = new(".", *FLAGS)
    assert done == 2 and "add the line /.vault-password to .gitignore first" in said
    assert contents(here).keys() == {".gitignore"}


def test_a_password_that_is_elsewhere_is_asked_for_before_another_is_made(here):
    new("infra", *FLAGS)
    (here / "infra/.vault-password").unlink()
    before = contents(here)
    done, said = new("infra", *FLAGS, "-e", "blog")
    assert done == 2 and "put their password into infra/.vault-password first" in said
    assert contents(here) == before


class Distribution:
    """Stands for what pip knows of an installed package."""

    def __init__(self, came):
        self.came = came

    def read_text(self, name):
        return self.came and json.dumps(self.came)


GIT = {"url": "https://git.example.com/flask-deploy.git", "vcs_info": {"vcs": "git", "commit_id": "4d64c99"}}


@pytest.mark.parametrize(
    ("came", "line"),
    [
        (None, f"flask-deploy=={__version__}"),
        (GIT, "flask-deploy @ git+https://git.example.com/flask-deploy.git@4d64c99"),
        ({"url": "file:///srv/a.whl", "archive_info": {}}, "flask-deploy @ file:///srv/a.whl"),
    ],
)
def test_the_pin_is_where_the_tool_came_from(here, monkeypatch, came, line):
    monkeypatch.setattr(metadata, "distribution", lambda name: Distribution(came))
    said = new("infra", *FLAGS)[1]
    assert (here / "infra/requirements.txt").read_text() == f"{line}\n"
    assert ("an address that CI and your team can reach" in said) == ("file:" in line)


def test_from_a_checkout_no_stranger_s_package_is_pinned(here, monkeypatch):
    def none(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", none)
    assert repository.pin() == f"flask-deploy @ {project.PROJECT.as_uri()}\n"


def test_ansible_reads_what_was_made_without_a_word_more(here, ssh):
    new("infra", *FLAGS)
    done, said = ansible(here / "infra", "ansible-inventory", "-i", "inventories/production", "--list")
    assert done == 0, said
    known = json.loads(said)["_meta"]["hostvars"]["shop.example.com"]
    assert len(known.pop("vault_app_secret_key")) == 64
    assert known == {
        "app_secrets": {"SECRET_KEY": "{{ vault_app_secret_key }}"},
        "app_wsgi": "shop:create_app()",
        "ansible_user": "deploy",
        "build_source": "https://git.example.com/shop.git",
        "nginx_certificate": "selfsigned",
        "site_domain": "shop.example.com",
    }
    assert known.keys() - {"ansible_user"} <= check_inventory.load_specs().keys()


def test_the_check_finds_nothing_wrong_but_that_the_host_is_away(here):
    (here / "shop").mkdir()
    (here / "shop/app.py").write_text("app = None\n")
    (here / "shop/requirements.txt").write_text("flask\n")
    new("infra", "--domain", "shop.example.com", "--source", "shop", "--wsgi", "app:app", "--host", "127.0.0.1")
    environment = {**os.environ, "PYTHONPATH": str(project.PACKAGE.parent), "ANSIBLE_NOCOLOR": "1"}
    ran = subprocess.run(
        [sys.executable, "-m", "flask_deploy_tool", "check", "-e", "production", "--", "-e", "ansible_port=1"],
        cwd=here / "infra",
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == 4 and "unreachable=1" in ran.stdout and "failed=" not in ran.stdout, ran.stdout
    assert (ran.stdout + ran.stderr).count("Connection refused") == 1, ran.stdout


# CI

STEPS = """\
for each in pip flask-deploy; do printf '#!/bin/sh\\necho "$0" "$@" >>"$CALLED"\\n' >bin/$each; chmod +x bin/$each; done
PATH=$PWD/bin:$PATH; cd infra
"""


@pytest.mark.parametrize("runner", RUNNERS)
@pytest.mark.parametrize(
    ("job", "call"),
    [
        ("plan", "plan -e production"),
        ("deploy", "deploy -e production -- -e app_lock_wait=900"),
        ("rebuild", "deploy -e production -- -e app_lock_wait=900 -e build_fresh=true"),
    ],
)
def test_the_steps_of_ci_prepare_what_ansible_needs(here, runner, job, call):
    new("infra", *FLAGS)
    (here / "bin").mkdir()
    (here / "infra/.vault-password").unlink()
    secrets = {"SSH_KEY": "the key", "SSH_KNOWN_HOSTS": "web1 ssh-ed25519 A", "VAULT_PASSWORD": "geheim"}
    ci = runner((here / "infra" / runner.file).read_text())
    assert ci.environments(job) == ["production"]
    lines = "\n".join(lines for _place, lines in ci.steps(job, "production"))
    ran = subprocess.run(
        [*runner.shell, "-c", STEPS + lines],
        cwd=here,
        env={**os.environ, **secrets, "HOME": str(here), "CALLED": str(here / "called")},
        check=False,
    )
    assert ran.returncode == 0
    calls = [line.replace(f"{here}/bin/", "") for line in (here / "called").read_text().splitlines()]
    assert calls == ["pip install --quiet -r requirements.txt", f"flask-deploy {call}"]
    written = {
        ".ssh/id_ed25519": "the key",
        ".ssh/known_hosts": "web1 ssh-ed25519 A",
        "infra/.vault-password": "geheim",
    }
    for path, text in written.items():
        assert (here / path).read_text() == f"{text}\n"
        assert stat.S_IMODE((here / path).stat().st_mode) == 0o600


def test_the_readme_names_the_secrets_of_ci_and_six_commands(here):
    new("infra", *FLAGS)
    text = (here / "infra/README.md").read_text()
    workflow = yaml.safe_load((here / "infra/.github/workflows/flask-deploy.yml").read_text())
    assert set(re.findall(r"^\| `([A-Z_]+)`", text, re.MULTILINE)) == workflow["env"].keys()
    commands = re.findall(r"^flask-deploy (.*?)(?: +#.*)?$", text, re.MULTILINE)
    assert len(commands) == 6
    for typed in commands:
        verb, *words = shlex.split(typed)
        assert command.cli.commands[verb].make_context(verb, words)


def test_only_plans_run_on_pull_requests_only_deploys_on_main_and_only_rebuilds_on_a_schedule(here):
    new("infra", *FLAGS)
    jobs = yaml.safe_load((here / "infra/.github/workflows/flask-deploy.yml").read_text())["jobs"]
    assert jobs["plan"]["if"].startswith("github.event_name == 'pull_request' && ")
    assert jobs["deploy"]["if"] == "github.event_name == 'push'"
    assert jobs["rebuild"]["if"] == "github.event_name == 'schedule'"
    assert jobs["rebuild"]["concurrency"] == jobs["deploy"]["concurrency"]
    gitlab = yaml.safe_load((here / "infra/.gitlab-ci.yml").read_text())
    assert gitlab["plan"]["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "merge_request_event"'}]
    pushed = '$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH && $CI_PIPELINE_SOURCE != "schedule"'
    assert gitlab["deploy"]["rules"] == [{"if": pushed}]
    assert gitlab["rebuild"]["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "schedule"'}]
    assert gitlab["rebuild"]["resource_group"] == gitlab["deploy"]["resource_group"]


@pytest.mark.parametrize(
    ("flag", "given", "said"),
    [
        ("--domain", "https://shop.example.com/", "--domain: write the name alone, such as shop.example.com"),
        ("--domain", "shop.example.com:8443", "--domain: write the name alone"),
        ("--domain", "a\nb", "--domain: write the name alone"),
        ("--app", "Shop 1", "--app: write a short name of small letters and digits, such as shop"),
        ("--host", "web 1", "--host: write one server, such as deploy@shop.example.com"),
        ("--host", "-oProxyCommand=x", "--host: write one server"),
        ("--wsgi", "shop", "--wsgi: write module:name, such as shop:app or shop:create_app()"),
        ("--source", "./nope", "--source: ./nope is no directory here, and no address"),
    ],
)
def test_an_answer_that_cannot_be_right_is_told_before_anything_is_made(here, flag, given, said):
    code, told = new("infra", *FLAGS, flag, given)
    assert code == 2 and said in told
    assert not (here / "infra").exists()


def test_what_to_type_next_can_be_pasted(here):
    said = new("my infra", *FLAGS, "-e", "live")[1]
    assert "\n  cd 'my infra'\n  flask-deploy check -e live " in said
    assert "  cd " not in new(".", *FLAGS)[1]


def test_an_empty_password_encrypts_nothing(here):
    (here / "infra").mkdir()
    (here / "infra/.vault-password").touch()
    code, told = new("infra", *FLAGS)
    assert code == 2 and "infra/.vault-password is empty: write the vault's password into it, or delete it" in told
    assert not (here / "infra/inventories").exists()


def test_a_configuration_that_was_there_is_told_the_line_that_opens_the_vault(here):
    line = "add to infra/ansible.cfg, below [defaults]: vault_password_file = .vault-password"
    (here / "infra").mkdir()
    (here / "infra/ansible.cfg").write_text("[defaults]\nforks = 3\n")
    assert line in new("infra", *FLAGS)[1]
    (here / "infra/ansible.cfg").write_text("[defaults]\nvault_password_file = .vault-password\n")
    assert line not in new("infra", *FLAGS)[1]
