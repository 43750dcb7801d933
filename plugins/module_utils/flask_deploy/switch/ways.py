"""Which releases an app can go back to, what each of the others lacks, and the way out of that."""

from __future__ import annotations

import shlex

from ansible.module_utils.flask_deploy.host import certificate
from ansible.module_utils.flask_deploy.release import ahead
from ansible.module_utils.flask_deploy.release.places import App
from ansible.module_utils.flask_deploy.switch import retire

BUILD = "ansible-playbook site.yml -i inventories/... -e build_ref="
ANOTHER = (
    "it is the only release on this host; to change what serves, mend the app and deploy it, or deploy another commit: "
    "ansible-playbook playbooks/app.yml -i inventories/..."
)
WORD = "needs its id and a word: -e app_rollback_to={} -e app_accept_rejected=true"


def impossible(app: App, wanted: str | None) -> str:
    """Return the message for a rollback that cannot be: what can be gone back to, and what the others lack."""
    possible, serving = retire.targets(app), app.serving()
    named = wanted or "a release before"
    listed = "".join(f"\n    {app.describe(each)}{_needs(app, each)}" for each in possible) or " none"
    others = [each for each in sorted(app.known(), key=app.order, reverse=True) if each not in (*possible, serving)]
    here = retire.images_here(app, others)
    lacks = "".join(
        f"\n    {app.describe(each)}\n      {retire.lack(app, each, here)}; {way_out(app, each)}" for each in others
    )
    said = f"cannot roll back to {named}; possible are:{listed}"
    if lacks:
        said += f"\n  not possible as they are:{lacks}"
    if wanted and wanted == serving:
        said += f"\n  {wanted} serves already"
    elif wanted and wanted not in app.known():
        said += f"\n  there is no release {wanted} on this host"
    if serving and not possible and not others:
        said += f"\n  {serving} serves; {ANOTHER}"
    return said


def _needs(app: App, release: str) -> str:
    """Return on a line of its own what stands between a release and a rollback without a word."""
    said = [WORD.format(release)] if app.state(release).get("state") == "rejected" else []
    why, _ = ahead.judge(app, release, ahead.recorded(app, "nothing asked now"))
    said += [f"{why}; if that code can work with the database as it is: {ahead.ACCEPT}"] if why else []
    refused, _ = certificate.judge((app.site(release) or b"").decode(errors="replace"))
    return "".join(f"\n      {each}" for each in [*said, *([refused] if refused else [])])


def way_out(app: App, release: str) -> str:
    """Return how to have a release's code again, as far as this host knows where it came from."""
    source, commit = app.record(release)["source"] or {}, (app.record(release)["source"] or {}).get("commit")
    if commit and source.get("kind") == "git":
        here = (app.record(app.serving() or "")["source"] or {}).get("repository")
        address = source.get("repository", here)
        other = "" if address == here else f" -e build_source={shlex.quote(address)}"
        return f"to build its commit again, with the settings of now: {BUILD}{commit}{other}"
    if commit and not source.get("changes"):
        return f"its source was a checkout of {commit}: git checkout {commit} there, then deploy"
    if commit:
        return f"its source was a checkout of {commit} with changes that no commit holds: it cannot be built again"
    return "its source was a directory that was no git checkout: this host cannot tell how to build it again"
