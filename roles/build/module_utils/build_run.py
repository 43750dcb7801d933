"""One build: a source is found and unpacked, and docker makes an image of it."""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import IO, Any

from ansible.module_utils import build_advice as advice
from ansible.module_utils import build_bases as bases
from ansible.module_utils import build_repositories as repositories
from ansible.module_utils.flask_deploy.host import command as commands
from ansible.module_utils.flask_deploy.host import engine

Pack = Callable[[str], None]  # writes a source to a path
UNPACK_PATIENCE = 600  # seconds
BUILD_PATIENCE = 1800
NOTES = "/venv/flask-deploy/said"  # files/steps.sh writes it
CA = "/run/secrets/ca"
TRUSTING = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "GIT_SSL_CAINFO", "CURL_CA_BUNDLE")
KNOWN_HOSTS = "/etc/ssh/ssh_known_hosts"
SSH = "ssh -o BatchMode=yes -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=/run/secrets/known_hosts"


@dataclass
class Source:
    """The code of an app: where it came from, its own build file, and what it says of how to build it."""

    record: dict[str, Any]
    dockerfile: str | None
    told: dict[str, str]
    pack: Pack | None  # None where it was sent, or has to be


@contextmanager
def find_source(options: dict[str, Any], dry: bool) -> Iterator[Source]:
    """Give the code."""
    if not options["repository"]:
        record = {"kind": "directory", "digest": options["source_digest"]}
        if options["source_commit"]:
            record |= {"commit": options["source_commit"], "changes": options["source_changes"]}
        yield Source(record, options["dockerfile_content"], options["told"], None)
        return
    with lent(options["git_key"]) as key:
        repository = repositories.Repository(options["app"], options["repository"], key)
        commit = repository.commit(options["ref"])
        record = {"kind": "git", "repository": options["repository"], "ref": options["ref"], "commit": commit}
        place = (commit, options["subdir"], options["dockerfile"], options["choices"].get("dependencies", ""))
        with repositories.Checkout(repository, *place, dry) as checkout:
            digest, dockerfile, told = checkout.look()
            yield Source({**record, "digest": digest}, dockerfile, told, checkout.pack)


class BuildError(Exception):
    """The source does not unpack."""


def unpack(archive: str, folder: str) -> None:
    """Unpack with new times: BuildKit takes a file of the same size and time for the one it had before.

    By tar itself, which lets nothing leave the folder: the Python of Debian 12 has no such filter.
    """
    # The directories between the files are its own, and the app's user must read them in the image: umask 022.
    words = ("tar", "--extract", "--touch", "--no-same-owner", f"--directory={folder}", f"--file={archive}")
    commands.run(*words, error=BuildError, limit=UNPACK_PATIENCE, called="the source does not unpack")


def build(
    options: dict[str, Any], tag: str, dockerfile: str, steps: str, archive: str, labels: Mapping[str, str]
) -> None:
    """Make an image.

    :param steps: commands of the role's own Dockerfile; "" with another.
    """
    folder = tempfile.mkdtemp(prefix="flask-deploy-build-", dir="/var/tmp")
    try:
        context = f"{folder}/context"
        os.mkdir(context)
        os.chmod(context, 0o755)
        unpack(archive, context)
        with open(f"{folder}/Dockerfile", "w", encoding="utf-8") as file:
            file.write(dockerfile)
        if steps:  # the source's .dockerignore is that of a Dockerfile which is not used: it may leave out the app
            with open(f"{folder}/Dockerfile.dockerignore", "w", encoding="utf-8"):
                pass
        given = bases.arguments(options, dockerfile)
        with lent_to_build(options, steps) as lent_words, shown(options["progress"]) as copy:
            engine.docker(
                *("build", "--progress", "plain", "-f", f"{folder}/Dockerfile", "-t", tag),
                *(("--no-cache",) if options["rebuild"] else ()),
                *(("--target", options["target"]) if options["target"] else ()),
                *(part for name, value in labels.items() for part in ("--label", f"{name}={value}")),
                *(part for name, value in given.items() for part in ("--build-arg", f"{name}={value}")),
                *lent_words,
                context,
                environment={"DOCKER_BUILDKIT": "1"},
                timeout=BUILD_PATIENCE,
                copy=copy,
            )
    except engine.EngineError as error:
        raise engine.EngineError(advice.explained(error.whole)) from None
    finally:
        shutil.rmtree(folder)


@contextmanager
def shown(path: str) -> Iterator[IO[bytes] | None]:
    """Give a new file in the directory of the user who logs in: that user reads it while the build runs."""
    if not path:
        yield None
        return
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
    with open(handle, "wb", buffering=0) as file:
        os.fchmod(handle, 0o644)
        yield file


@contextmanager
def lent_to_build(options: dict[str, Any], steps: str) -> Iterator[list[str]]:
    """Give the words that lend a build its secrets, which are in memory alone, and a key for private repositories."""
    secrets = {**options["secrets"], "ca": options["ca"]}
    if steps:
        secrets["steps"] = "\n".join([*environment(options), steps])
    with ExitStack() as stack:
        lend = {name: stack.enter_context(lent(str(text))) for name, text in secrets.items() if text}
        words = [part for name, path in lend.items() for part in ("--secret", f"id={name},src={path}")]
        if os.path.isfile(KNOWN_HOSTS):
            words += ["--secret", f"id=known_hosts,src={KNOWN_HOSTS}"]
        if key := stack.enter_context(lent(options["git_key"])):
            words += ["--ssh", f"default={key}"]
        yield words


def environment(options: dict[str, Any]) -> list[str]:
    """Return commands that give each step of the role's own Dockerfile its environment."""
    known = dict.fromkeys(TRUSTING, CA) if options["ca"] else {}
    known |= {"GIT_SSH_COMMAND": SSH, **options["secrets"]}
    return [f"export {name}={shlex.quote(str(value))}" for name, value in known.items()]


def notes(tag: str) -> list[str]:
    """Return the lines that the steps of the role's own Dockerfile wrote for people."""
    words = ("run", "--rm", "--network", "none", "--read-only", "--entrypoint", "cat", tag, NOTES)
    return engine.docker(*words).splitlines()


@contextmanager
def lent(secret: str | None) -> Iterator[str | None]:
    """Give the path of a secret that is in memory alone: nothing is left of it, however this process ends."""
    if not secret:
        yield None
        return
    handle = os.memfd_create("flask-deploy-key")
    try:
        os.fchmod(handle, 0o600)
        os.write(handle, secret.rstrip("\n").encode() + b"\n")
        yield f"/proc/{os.getpid()}/fd/{handle}"
    finally:
        os.close(handle)
