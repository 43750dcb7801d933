"""The README beside the manifests: what to type, what is another thing there than on a host, and what is not "
"there."""

from __future__ import annotations

from typing import Any

from . import beside, pods, stored, web

FILE = "README.md"
MARK = "<!-- Written by flask-deploy: playbooks/kubernetes.yml writes it anew. -->"


def text(known: dict[str, Any]) -> str:
    """Return the README of an app's manifests."""
    parts = [
        _head(known),
        _image(known),
        _secrets(known),
        _apply(known),
        _later(known),
        _other(known),
        _not_there(known),
    ]
    return f"{MARK}\n" + "\n\n".join(parts) + "\n"


def _listed(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _block(*lines: str) -> str:
    return "\n".join(["```sh", *lines, "```"])


def _head(known: dict[str, Any]) -> str:
    return (
        f"# {known['app']} on Kubernetes\n\nRelease `{known['release']}`, for Kubernetes 1.30 or newer. `1-before/` "
        "holds what must be there before the app, `2-app/` the app. No file here holds a secret."
    )


def _image(known: dict[str, Any]) -> str:
    app, image = known["app"], known["image"].partition("@")[0]
    saved = "sudo docker save $(sudo docker inspect -f {{.Image}} " + (
        f"{app}-$(basename $(readlink /srv/{app}/current)))"
    )
    return "\n\n".join(
        [
            "## 1. The image",
            f"The cluster pulls `{known['image']}`. To push the image that a server runs, from your machine:",
            _block(
                f"ssh {known['first']} '{saved}' > {app}.tar", f"skopeo copy docker-archive:{app}.tar docker://{image}"
            ),
            f"Without skopeo: `docker load -i {app}.tar`, `docker tag` with the id that it prints, `docker push "
            f"{image}`. A registry that asks for a password needs an image pull secret on the namespace's service "
            "account.",
        ]
    )


def _secrets(known: dict[str, Any]) -> str:
    parts = ["## 2. Namespace and secrets", _block(f"kubectl create namespace {known['namespace']}", *_created(known))]
    if pods.secret_names(known):
        parts.append(
            "`secrets.env` has a line `NAME=value` for each of these. Write it where nobody else reads it, and remove "
            "it then. A value of several lines goes in by `--from-file=NAME=FILE`. Your inventory has: "
            f"{_names(known['secrets'])}."
        )
    if known["needs"]:
        parts.append(
            f"You have to provide what the addresses lead to: {_names(known['needs'])}. On a host `app_needs` did. A "
            "socket's address (`unix://`, `?host=/run/postgresql`) does not work here: write one with host, user, "
            "password and TLS. An app that builds an address of parts needs `PGHOST`, `PGUSER`, `PGDATABASE` and "
            "`PGPASSWORD` there too."
        )
    return "\n\n".join(parts)


def _created(known: dict[str, Any]) -> list[str]:
    """Return the commands that make the secrets of an app."""
    app, create, lines = known["app"], f"kubectl -n {known['namespace']} create secret", []
    if given := pods.secret_names(known):
        lines.append(f"{create} generic {app}-env --from-env-file=secrets.env   # {', '.join(given)}")
    placed = [f"file-{number}={path}" for number, path in enumerate(sorted(known["files"]))]
    for name, keys in (("files", sorted(known["secret_files"])), ("placed", placed)):
        if keys:
            lines.append(" ".join([f"{create} generic {app}-{name}", *(f"--from-file={key}" for key in keys)]))
    if known["keys"]:
        lines += [
            f"mkdir keys && ssh {known['first']} sudo tar -C /etc/{app}/jwt -c . | tar -x -C keys",
            f"{create} generic {app}-jwt --from-file=keys",
        ]
    return [*lines, f"{create} tls {app}-tls --cert=fullchain.pem --key=privkey.pem   # or let cert-manager make it"]


def _names(names: list[str]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)) or "none of them"


def _apply(known: dict[str, Any]) -> str:
    wait = (
        [
            f"kubectl -n {known['namespace']} wait --for=condition=complete --timeout={known['command_timeout']}s "
            f"job/{beside.command_name(known)}"
        ]
        if known["command"]
        else []
    )
    status = f"kubectl -n {known['namespace']} rollout status deployment/{known['app']}"
    parts = ["## 3. Apply", _block("kubectl apply -f 1-before/", *wait, "kubectl apply -f 2-app/", status)]
    if wait:
        parts.append("If the wait ends with an error, the release command failed: do not apply `2-app/`.")
    return "\n\n".join(parts)


def _later(known: dict[str, Any]) -> str:
    app, space = known["app"], known["namespace"]
    return "\n\n".join(
        [
            "## Each later release",
            "Push the image under another tag, run the playbook again with that `kubernetes_image`, and apply as "
            "above. Files and environment of a release lie in ConfigMaps of its own, so going back restores them "
            "with the image:",
            _block(f"kubectl -n {space} rollout undo deployment/{app}"),
            "That goes for one Deployment at a time: undo those of workers too. ConfigMaps and Jobs of former "
            f"releases stay until you delete them. After a change of a secret: `kubectl -n {space} rollout restart "
            f"deployment -l app.kubernetes.io/name={app}`.",
        ]
    )


def _other(known: dict[str, Any]) -> str:
    http, probe = web.ports(known)
    body = known["max_body"]
    lines = [
        "TLS ends at the Ingress. nginx in the pod has the names, redirects, headers, limits, error pages and public "
        "files that a host has, but for Brotli. The Ingress has to pass on `X-Forwarded-For` and "
        "`X-Forwarded-Proto`, and is believed from private networks.",
        f"nginx takes bodies of {body}. Your Ingress controller may take less (1 MB is a usual limit): each has a "
        "setting of its own for that, so none is written here. The same goes for websockets and for answers that "
        "take long.",
        "Limits of requests count in each pod by itself.",
        f"The readiness and startup probes ask `{known['health_path']}` by way of nginx, on port {probe}. The "
        "liveness probe only connects to the app: a database that is away does not restart it. A load balancer with "
        f"a check of its own has to ask port {probe}, not {http}.",
        f"gunicorn has {stored.workers(known)} workers in each pod. A pod sees all processors of its node, so none "
        "are counted.",
        "Jobs run in UTC, unless their time ends with a zone. A job that is due while its last run goes on is "
        "skipped; a host runs it afterwards.",
    ]
    if known["data"]:
        lines.append(
            f"`/data` and directories that are kept lie on the claim `{known['app']}-data`. Its storage class must "
            f"let several nodes write (ReadWriteMany), and user {known['uid']} in it. SQLite on a network file system "
            "is not safe."
        )
    else:
        lines.append("`/data` is empty in each pod that starts, and goes with it.")
    if known["firewall"]:
        lines.append(_network(known))
    for name in (name for name, asked in known["jobs"].items() if asked.get("hosts") == "all"):
        lines.append(f"Job `{name}` ran on each host. Here it runs once.")
    return "\n\n".join(["## What is different from a server", _listed(lines)])


def _network(known: dict[str, Any]) -> str:
    line = (
        "The NetworkPolicy closes private networks, and so all other pods and services of the cluster, but for DNS. "
        "Open a database there by `host_egress`, with the addresses of its pods. A cluster whose network plugin "
        "knows no policies ignores it."
    )
    lost = [name for name, each in known["egress"].items() if stored.HOST in each["to"]]
    return f"{line} What `host_egress` opens on the host itself is not there: {_names(lost)}." if lost else line


def _not_there(known: dict[str, Any]) -> str:
    lines = [
        "The watch: no release is taken back by itself because its answers fail or got slow. A rollout only waits "
        f"until a new pod has been ready for {known['watch']} seconds.",
        "All or none: pods are replaced one by one, and both releases answer meanwhile. A page of the one may ask "
        "the other for a file that it does not have.",
        "Restore points before a release command, the guard against going back behind a migration, and backups of "
        "`/data` and databases.",
        "Rotation of the keys that sign tokens, the maintenance page, `flask-deploy` status, logs, doctor, report, "
        "alerts and metrics.",
        "Limits of processes and threads (`app_pids`): a cluster has them in the settings of its nodes.",
        "A name for the app's user in `/etc/passwd`, and directories that the image names as `VOLUME` and "
        "`app_writable` does not.",
    ]
    return "\n\n".join(["## What is not carried over", _listed(lines)])
