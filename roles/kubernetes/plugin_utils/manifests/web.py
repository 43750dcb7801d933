"""The web of an app: gunicorn and nginx in one pod, with the socket of a release between them, and the way there."""

from __future__ import annotations

import re
from typing import Any

from . import names, pods

SOCKET = f"{pods.RELEASE}/run/gunicorn.sock"
CONNECT = f"import socket; s = socket.socket(socket.AF_UNIX); s.settimeout(4); s.connect('{SOCKET}')"
GUNICORN = [*pods.EXEC, "gunicorn", "-c", f"{pods.RELEASE}/gunicorn.conf.py"]
NGINX_UID = 101  # of nginx's own image
PLACE = "/etc/flask-deploy"  # of nginx's configuration
NGINX = {"memory": "128m", "cpus": 0.0}
LEAVE = 5  # seconds in which all that sends requests learns that a pod goes
LONGER = 5  # seconds that the app takes requests after nginx stops to: none comes too late
MARGIN = 5  # seconds between the end of a stop, and the time at which a pod is killed
STEP = 2  # seconds between two looks at a pod that starts
# Of the site file: TLS ends before it, nginx's own image has no Brotli, and a port below 1024 needs rights.
DROPPED = re.compile(r"^ *(listen (\[::\]:)?443\b.*|http2 on;|ssl_certificate(_key)? .*|brotli\w* .*)\n", re.MULTILINE)
USUAL = ("8080", "8081")  # ports of requests and of probes in the template
PORT = re.compile(rf"(listen (?:\[::\]:)?)({'|'.join(USUAL)})\b")
LISTENS = re.compile(r"^( *listen )(\[::\]:)?80;", re.MULTILINE)


def ports(known: dict[str, Any]) -> tuple[int, int]:
    """Return nginx's ports, for requests and for probes: not that of a server of the app's own."""
    one, other = [port for port in (8080, 8081, 8082) if str(port) != own_port(known)][:2]
    return one, other


def own_port(known: dict[str, Any]) -> str:
    """Return the port of the image's own command; "" where gunicorn serves."""
    return known["server"].partition(":")[2]


def site(known: dict[str, Any]) -> str:
    """Return the site file as nginx's own image takes it: by plain HTTP, behind an Ingress."""
    text = LISTENS.sub(rf"\g<1>\g<2>{ports(known)[0]};", DROPPED.sub("", known["site"]))
    if port := own_port(known):
        text = re.sub(r"server unix:\S+ ", f"server 127.0.0.1:{port} ", text, count=1)
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE)


def main_file(known: dict[str, Any]) -> str:
    """Return nginx's own file, with its ports in it."""
    wanted = dict(zip(USUAL, map(str, ports(known)), strict=True))
    return PORT.sub(lambda found: found[1] + wanted[found[2]], known["nginx"])


def deployment(known: dict[str, Any]) -> dict[str, Any]:
    """Return the web: a pod goes when another one has been ready for as long as a release is watched on a host."""
    app, stop = known["app"], known["stop_timeout"]
    spread = {"topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway", "maxSkew": 1}
    chosen = {"labelSelector": {"matchLabels": selector(app)}}
    more = {"topologySpreadConstraints": [{**spread, **chosen}]} if known["hosts"] > 1 else {}
    pod = pods.template(
        known,
        "web",
        [serves(known), nginx(known)],
        terminationGracePeriodSeconds=LEAVE + LONGER + stop + MARGIN,
        **more,
    )
    pod["spec"]["volumes"] += [{"name": "nginx", "configMap": _files(known)}, {"name": "nginx-tmp", "emptyDir": {}}]
    spec = {
        "replicas": known["hosts"],
        "revisionHistoryLimit": known["keep"] - 1,
        "minReadySeconds": known["watch"],
        "progressDeadlineSeconds": known["start_timeout"] + known["watch"] + 300,  # an image has to come first
        "selector": {"matchLabels": selector(app)},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
        "template": pod,
    }
    return names.thing("apps/v1", "Deployment", known, app, "web", spec=spec)


def selector(app: str, part: str = "web") -> dict[str, str]:
    return {name: value for name, value in names.labels(app, part).items() if not name.endswith("managed-by")}


def serves(known: dict[str, Any]) -> dict[str, Any]:
    """Return the app's container: it is ready when its health path answers below 400, asked by way of nginx."""
    port = own_port(known)
    asks = {"httpGet": {"path": known["health_path"], "port": ports(known)[1]}, "timeoutSeconds": 5}
    # Not the health path: a database that is away would have all pods start anew.
    alive = {"tcpSocket": {"port": int(port)}} if port else {"exec": {"command": ["python3", "-c", CONNECT]}}
    return pods.runs(
        known,
        "app",
        [] if port else [*GUNICORN, known["wsgi"]],
        known,
        startupProbe={**asks, "periodSeconds": STEP, "failureThreshold": -(-known["start_timeout"] // STEP)},
        readinessProbe={**asks, "periodSeconds": 5, "failureThreshold": 3},
        livenessProbe={**alive, "timeoutSeconds": 5, "periodSeconds": 30, "failureThreshold": 3},
        lifecycle={"preStop": {"sleep": {"seconds": LEAVE + LONGER}}},
    )


def nginx(known: dict[str, Any]) -> dict[str, Any]:
    """Return nginx beside it: the same names, redirects, limits, headers and files as on a host."""
    place = f"/srv/{known['app']}"
    files = [{"name": "static", "mountPath": f"{place}/current/static", "readOnly": True}]
    uploads = [
        {
            "name": "data",
            "mountPath": f"{place}/data/{folder}",
            "subPath": f"data/{folder}",
            "readOnly": True,
        }
        for folder in sorted(set(known["uploads"].values()))
    ]
    return {
        "name": "nginx",
        "image": known["nginx_image"],
        "command": ["nginx", "-c", f"{PLACE}/nginx.conf", "-g", "daemon off;"],
        "ports": [{"name": "http", "containerPort": ports(known)[0]}],
        "resources": pods.resources(NGINX),
        "securityContext": {**pods.LOCKED, "runAsUser": NGINX_UID},
        "lifecycle": {"preStop": {"sleep": {"seconds": LEAVE}}},
        "volumeMounts": [
            {"name": "nginx", "mountPath": PLACE, "readOnly": True},
            {"name": "nginx-tmp", "mountPath": "/tmp"},  # noqa: S108 - the container's own
            {"name": "run", "mountPath": f"{place}/current/run", "readOnly": True},
            *(files if known["static"] else []),
            *uploads,
        ],
    }


def _files(known: dict[str, Any]) -> dict[str, Any]:
    items = [{"key": name, "path": name} for name in ("nginx.conf", "site.conf")]
    return {"name": f"{known['app']}-{known['release']}", "items": items}


def service(known: dict[str, Any]) -> dict[str, Any]:
    """Return the address of the web within the cluster."""
    port = {"name": "http", "port": 80, "targetPort": "http", "appProtocol": "http"}
    spec = {"type": "ClusterIP", "selector": selector(known["app"]), "ports": [port]}
    return names.thing("v1", "Service", known, known["app"], "web", spec=spec)


def ingress(known: dict[str, Any]) -> dict[str, Any]:
    """Return the way in from outside: TLS ends there, and nginx in the pod redirects from name to name."""
    app, hosts = known["app"], known["names"]
    backend = {"service": {"name": app, "port": {"name": "http"}}}
    paths = {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend}]}
    spec = {
        "tls": [{"hosts": hosts, "secretName": f"{app}-tls"}],
        "rules": [{"host": host, "http": paths} for host in hosts],
    }
    return names.thing("networking.k8s.io/v1", "Ingress", known, app, "web", spec=spec)
