"""What hosts told of an app, made up: two hosts, five releases, and all that can be wrong."""

from __future__ import annotations

NOW = 1_699_999_200.0  # 2023-11-14 22:00 UTC, a whole hour
HOUR, GB = 3600, 1 << 30
OLD, SICK, NEW = "9c81d03be7aa", "3f9a0c41d2b7", "e07b52c6f419"


def traffic(releases, **more):
    return {
        "begin": NOW - 24 * HOUR,
        "end": NOW,
        "unread": [],
        "releases": releases,
        "errors": [],
        "uncounted": 0,
        **more,
    }


def asked(times, hours, **more):
    """Return what report_read tells of a release's requests."""
    told = {"requests": sum(h[1] for h in hours), "failed": sum(h[2] for h in hours), "given_up": 0, "websockets": 0}
    ends = {"first": hours[0][0] * HOUR + 1.0, "last": hours[-1][0] * HOUR + 3000.0}
    return {**told, **ends, "times": times, "hours": hours, **more}


def release(name, days, **more):
    told = {
        "serves": False,
        "state": "retired",
        "created": NOW - days * 24 * HOUR - 90,
        "by": "ada",
        "source": "v1.3 4e5f6a7",
    }
    return {"id": name, "switched": NOW - days * 24 * HOUR, **told, **more}


RELEASES = [
    release("51d09a7b3c1e", 12, source="v1.1 0a1b2c3"),
    release("77aa01be92c4", 7, source="v1.2 9d8e7f6", by="ci"),
    release(OLD, 3),
    release(SICK, 0.4, by="ci", source="v1.4 aa77bb1"),
    release(NEW, 0.1, serves=True, state="serving", source="v1.4.1 c0ffee1"),
]
FAILURES = [
    {
        "id": "aa00bb11cc22",
        "at": NOW - 30 * HOUR,
        "by": "ci",
        "reason": "it did not get ready: ModuleNotFoundError: boto3",
    }
]
LAST = int(NOW // HOUR)
DAYTIME = [LAST - 24 + n for n in range(25)]
OF_OLD = asked(
    [[ms, 40] for ms in range(8, 90)] + [[900, 12]],
    [[h, 150 + 37 * (n % 7), n == 5] for n, h in enumerate(DAYTIME[:15])],
)
OF_SICK = asked([[ms, 30] for ms in range(12, 60)] + [[4200, 30]], [[h, 210, 34] for h in DAYTIME[14:22]], given_up=3)
OF_NEW = asked([[ms, 25] for ms in range(6, 40)], [[h, 260, 0] for h in DAYTIME[21:24]], websockets=4)
ERRORS = [[SICK, "/basket/checkout", 500, 251, NOW - 3 * HOUR], [SICK, "/api/items", 502, 21, NOW - 4 * HOUR]]
MEMORY = {"total": 4 * GB, "free": 2 * GB}
DISKS = [
    {"path": "/", "used": 34 * GB, "free": 5 * GB, "inodes_used": 120_000, "inodes_free": 900_000, "read_only": False},
    {"path": "/srv", "used": 12 * GB, "free": 88 * GB, "inodes_used": 0, "inodes_free": 0, "read_only": False},
]
CERTIFICATE = {
    "days_left": 61,
    "problems": [],
    "serving": "acme",
    "names": ["shop.example.com", "www.shop.example.com"],
}
CERTIFICATE["not_after"] = "2024-01-14T22:00:00+00:00"
BACKUP = {
    "lines": ["backup: 2023-11-14 03:00 UTC, 412 MB, checked", "drill: 2023-11-12 05:00 UTC, good"],
    "problems": [],
}
JOBS = [
    {"name": "purge", "last": "11-14 03:00:00", "result": "ok", "took": "4 s", "next": "11-15 03:00:00"},
    {"name": "mail", "last": "11-14 21:00:00", "result": "code 1", "took": "31 s", "next": "11-14 23:00:00"},
]
PROCESSES = [{"process": "worker", "release": NEW, "up": 2, "wanted": 2, "restarts": 0}]
STATUS = {
    **{"release": NEW, "healthy": True, "health": "200", "since": NOW - 2.4 * HOUR, "certificate_days": 61},
    **{"disk_free_mb": 88 << 10, "jobs": JOBS, "processes": PROCESSES, "remarks": []},
}
FINDINGS = [
    {
        **{"severity": "broken", "host": "web1", "what": "job mail failed (code 1)", "where": "shop", "since": None},
        **{"type": "sudo journalctl -n 50 -u flask-deploy-job-shop-mail", "place": "host"},
    },
    {
        **{"severity": "soon", "host": "web1", "what": "/ is 87% full, 5 120 MB left", "where": "/", "since": None},
        **{"type": "sudo du -x -d 2 / | sort -n | tail -n 20", "place": "host"},
    },
    {
        **{"severity": "soon", "host": "web2", "what": "/etc/nginx/nginx.conf is not as the inventory says"},
        **{"where": "/etc/nginx/nginx.conf", "since": NOW - 2 * HOUR, "place": "controller"},
        "type": "ansible-playbook site.yml --tags nginx -i inventories/production",
    },
    {
        **{
            "severity": "note",
            "host": "web2",
            "what": "the container redis (redis:7) is no app's, and runs",
            "where": "",
        },
        **{"since": NOW - 90 * HOUR, "type": "sudo docker inspect redis", "place": "host"},
    },
]


def host(**more):
    return {"releases": RELEASES, "failures": [], "traffic": traffic({OLD: OF_OLD, SICK: OF_SICK, NEW: OF_NEW}), **more}


def seen(**more):
    return {"facts": {"disks": DISKS, "memory": MEMORY, "certificate": CERTIFICATE, "backup": BACKUP, **more}}


def known():
    """Return all that the page is made of."""
    first = host(failures=FAILURES, traffic=traffic({OLD: OF_OLD, SICK: OF_SICK, NEW: OF_NEW}, errors=ERRORS))
    return {
        **{"app": "shop", "environment": "production", "at": NOW, "hosts": ["web1", "web2"], "findings": FINDINGS},
        "told": {"web1": first, "web2": host()},
        "seen": {"web1": seen(), "web2": seen(disks=DISKS[:1])},
        "statuses": {"web1": STATUS, "web2": {**STATUS, "jobs": []}},
    }
