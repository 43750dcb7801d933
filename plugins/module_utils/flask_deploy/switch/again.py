"""The serving release once more, as another one: a restart that goes the way of a deploy, so no request is lost.

All that decides a release's id stays as it is, but for the key of secret digests: it is made anew, and becomes the
host's once the release serves for good. The next deploy of the same inventory finds the restarted release under the
same id, or the one before where the restart was refused or taken back.
"""

from __future__ import annotations

from typing import Any

from ansible.module_utils.flask_deploy.host import files
from ansible.module_utils.flask_deploy.release import plan, processes, schema, secrets
from ansible.module_utils.flask_deploy.release.places import App, ReleaseError
from ansible.module_utils.flask_deploy.switch import steps

OF_NOW = {"static", "by"}  # of a record: what is written otherwise there, and who restarts


def renew(app: App, options: dict[str, Any], dry: bool) -> tuple[str, list[str], dict[str, Any]]:
    """Prepare what serves as a release of another id, with the secrets of now; return (id, what was done, plan).

    :raises ReleaseError: nothing serves.
    """
    serving = app.serving()
    if not serving:
        raise ReleaseError(
            f"{app.name} does not serve on this host yet; type: ansible-playbook site.yml -i inventories/..."
        )
    if dry:
        return serving, [f"release {serving} once more"], {"lines": foretold(app, serving, options), "diff": []}
    key = options["release_key"]
    made = {**options, **as_made(app, serving, options), "release_key": None, "renewed": key}
    release, actions, planned = steps.prepare(app, made, dry)
    secrets.keep_renewed(app, release, key)
    app.set_state(release, "prepared", instead=serving)
    keep_schema(app, serving, release)
    return release, actions, planned


def as_made(app: App, release: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return those options that a release was made with, as its directory tells them."""
    known, record = plan.of_release(app, release), app.record(release)
    given = {name: record[name] for name in options.keys() & record.keys() - OF_NOW}
    own = {"static": record["static"]["path"], "files": known["texts"], "environment": known["environment"]}
    return {**given, **own, "processes": processes.of(record), "command": "", "commanded": None}


def foretold(app: App, serving: str, options: dict[str, Any]) -> list[str]:
    """Return what a restart would do, in lines for people; of secrets the names alone."""
    lines = [f"restarts: release {serving} under another id, with its image, code and settings"]
    wanted = (steps.text(options["secrets"]), steps.text(options["secret_files"]))
    for variable, before, after in zip(("app_secrets", "app_secret_files"), secrets.held(app), wanted, strict=True):
        names = sorted({name for part in plan.named(before, after) for name in part})
        lines += [f"{variable}: {', '.join(names)} as they are now"] if names else []
    return lines


def keep_schema(app: App, serving: str, release: str) -> None:
    """Let the restarted release know what the one before it knew of the database: no release command runs."""
    if own := files.read_json(app.path(serving, "command.json")):
        files.write_json(app.path(release, "command.json"), {**own, "release": release})
    if then := schema.ran_with(app, serving):
        schema.served_with(app, release, then["state"], then["schema_command"])
    if app.schema().get("release") == serving:
        files.write_json(app.schema_file, {**app.schema(), "release": release})
