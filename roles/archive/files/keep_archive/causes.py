"""What pgbackrest and PostgreSQL say where they fail, in words of the person who set it up."""

from __future__ import annotations

import re

from keep_backups import causes

CAUSES = (
    (
        "must contain pgbackrest|archive_mode must be",
        "PostgreSQL does not write to the archive: somebody changed archive_command or archive_mode",
        "see who, on the host: sudo -u postgres psql -c 'SELECT * FROM pg_file_settings' | grep archive",
    ),
    (
        "was not archived before the",
        "what PostgreSQL writes does not get to {to}",
        "read why on the host: sudo tail /var/log/postgresql/*-main.log",
    ),
    (
        "already exists in the repo1? archive with a different checksum|do not match stanza",
        "another server of this name writes to {to}",
        "turn it off, or let archive_to name another place",
    ),
    (
        "recovery ended before configured recovery target was reached",
        "the archive at {to} ends before what was asked for, or a part of it is missing",
        "back up anew, so that what is written from now on is whole: flask-deploy backup",
    ),
    (
        # of a file that is open, a write that was cut short: it has no error number, and an older one is shown
        r"unable to write '[^']*': \[[02]\]"
        "|no space left|disk quota exceeded|quotaexceeded|insufficient storage|storage ?full|sftp_write.*failed",
        "the target {to} is full",
        "make room there, or lower archive_keep_days and back up again; earlier backups are whole",
    ),
    (
        "known ?host|host key|hostkey",
        "the SSH server of {to} has another host key than backup_host_key",
        "for PostgreSQL it holds the keys of all types, a line each: compare it with: ssh-keyscan <its name>",
    ),
    (
        "public ?key authentication|authentication failed|permission denied \\(publickey",
        "the SSH server of {to} does not take backup_ssh_key",
        "add its public key to ~/.ssh/authorized_keys there",
    ),
    (
        "requesttimetooskewed|certificate .*(expired|not yet valid)",
        "the clock of this host is wrong, so {to} refuses it",
        "type on the host: sudo timedatectl set-ntp true",
    ),
    (
        "invalidaccesskeyid|signaturedoesnotmatch|access ?denied",
        "the credentials in backup_env are not taken by {to}",
        "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in backup_env",
    ),
    ("nosuchbucket", "the bucket of {to} does not exist", "make it, then back up again"),
    (
        "certificate verification|self.signed|unable to set user-defined ca",
        "the certificate of {to} is of no CA that this host knows",
        "add its CA to the host, or name its file: backup_env: {{RESTIC_CACERT: /etc/ssl/own-ca.pem}}",
    ),
    (
        "connection refused|unable to get address|no route to host|timed? ?out|timeout connecting|unreachable"
        "|connection reset|unable to connect|hostconnecterror|unable to init libssh2",
        "the target {to} does not answer",
        "see that it is up and can be reached from this host; the next run tries again",
    ),
    (
        "(archive|backup)\\.info.*(cryptoerror|cipher|formaterror)"
        "|formaterror.*(archive|backup)\\.info|unable to flush",
        "backup_password does not open the archive at {to}",
        "give it the password that the archive was made with, or let archive_to name an empty place",
    ),
    (
        "invalid checksum|checksumerror|checksum.*(mismatch|error)|cryptoerror|formaterror|invalid page|zstd|corrupt"
        "|does not match expected|asserterror",
        "the backup at {to} is damaged",
        "make a new full one, on the host: cd /usr/local/lib/flask-deploy && sudo python3 -B -m keep_archive full",
    ),
    (
        "unable to acquire lock",
        "another run has the archive at {to} locked",
        "wait for its end, and type the same command again",
    ),
    ("permission denied|read-only file system", "{to} may not be written to by user postgres", "mend its mode"),
    (
        "unable to open missing file|filemissingerror|pathmissingerror|missing stanza|unable to find primary",
        "the archive at {to} is not whole, or went while it was used",
        "see that its disk is mounted, and back up again",
    ),
)


def explain(said: str, to: str, did: str, program: str = "pgbackrest") -> str:
    """Return in one line why it failed, what to do, and what was said."""
    said = re.sub(r"[^\x20-\x7e]+", " ", said)  # with a wrong key it shows what it read
    return causes.explain(said, to, did, CAUSES, program)
