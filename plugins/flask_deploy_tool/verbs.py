"""The verbs, as data: which playbook each one runs, and which variables its words set."""

from __future__ import annotations

from dataclasses import dataclass

# Set for a run that the tool begins, so that messages name its commands: plugins/callback/tool_words.py.
ENVIRONMENT = "FLASK_DEPLOY_ENVIRONMENT"


@dataclass(frozen=True)
class Word:
    """What a user may type behind a verb: an option if it begins with dashes, an argument otherwise."""

    name: str
    variable: str = ""  # that it sets; without one it is a part of the playbook's name
    help: str = ""
    choices: tuple[str, ...] = ()
    flag: bool = False
    needed: bool = False
    default: str | None = None
    rest: bool = False  # all words that follow are one value
    most: int = 0  # of a number, which is 1 at least
    playbook: str = ""  # that is run in place of the verb's own where this is typed


@dataclass(frozen=True)
class Verb:
    """One call of ansible-playbook."""

    name: str
    playbook: str
    help: str
    example: str
    words: tuple[Word, ...] = ()
    arguments: tuple[str, ...] = ()  # of ansible-playbook
    inventory: bool = True


REF = Word("--ref", "build_ref", "Branch, tag or commit, for this run alone.")
VERBS = (
    Verb("check", "playbooks/check.yml", "Check the inventory and the hosts; change nothing.", "check -e staging"),
    Verb(
        "plan",
        "playbooks/app.yml",
        "Show what a deploy would change; change nothing.",
        "plan --ref v1.4",
        (REF,),
        ("--check", "--diff"),
    ),
    Verb("setup", "site.yml", "Set up the whole server, and deploy the app.", "setup -e production"),
    Verb(
        "deploy",
        "playbooks/app.yml",
        "Deploy the app.",
        "deploy --ref v1.4 -- --limit web1",
        (REF,),
    ),
    Verb(
        "rollback",
        "playbooks/rollback.yml",
        "Go back to an earlier release, without a build.",
        "rollback 3f9a0c41d2b7",
        (Word("RELEASE", "app_rollback_to", "Id of the release; the one before by default."),),
    ),
    Verb(
        "status",
        "playbooks/status.yml",
        "Show release, health, certificate, processes and jobs.",
        "status --html report.html",
        (
            Word(
                "--html",
                "report_file",
                "Write a page instead, with requests and errors of the last day, too.",
                playbook="playbooks/report.yml",
            ),
        ),
    ),
    Verb(
        "doctor",
        "playbooks/doctor.yml",
        "Look at the servers: what is broken, late or not as the inventory says; change nothing.",
        "doctor -e production --format json",
        (Word("--format", "doctor_format", "How findings are printed.", choices=("text", "json")),),
    ),
    Verb("releases", "playbooks/releases.yml", "List the releases on each host.", "releases"),
    Verb(
        "logs",
        "playbooks/logs.yml",
        "Show what the app printed.",
        "logs --since '2 hours ago' --grep traceback",
        (
            Word("--since", "logs_since", "How far to look back, such as '15 min ago'."),
            Word("--grep", "logs_grep", "Regular expression that a line must match."),
            Word("--process", "logs_process", "Process that printed it: web, a worker, or job-NAME."),
            Word("--release", "logs_release", "Id of the release that printed it."),
            Word("--lines", "logs_lines", "How many lines to show, the newest ones.", most=10_000),
        ),
    ),
    Verb(
        "run",
        "playbooks/run.yml",
        "Run a command in the release that serves.",
        "run flask create-admin --name Ada",
        (
            Word(
                "COMMAND",
                "run_command",
                "The command and its words. Options of flask-deploy go before it.",
                needed=True,
                rest=True,
            ),
        ),
    ),
    Verb("shell", "playbooks/shell.yml", "Print the line that opens a shell in the release that serves.", "shell"),
    Verb("restart", "playbooks/restart.yml", "Restart the app, to read its secrets again.", "restart"),
    Verb(
        "maintenance",
        "playbooks/maintenance.yml",
        "Show visitors a maintenance page, or the app again.",
        "maintenance on --message 'Back at noon.'",
        (
            Word("STATE", "site_maintenance", choices=("on", "off"), needed=True),
            Word("--message", "site_maintenance_message", "What the page says."),
        ),
    ),
    Verb(
        "keys",
        "playbooks/{action}_keys.yml",
        "Rotate the keys that sign tokens, or put them into the vault.",
        "keys rotate",
        (Word("ACTION", choices=("rotate", "vault"), needed=True),),
    ),
    Verb("backup", "playbooks/backup.yml", "Back up what the app wrote, now.", "backup -e production"),
    Verb(
        "restore",
        "playbooks/restore.yml",
        "Restore an app's data and secrets from a backup.",
        "restore shop --snapshot 3f9a0c41",
        (
            Word("APP", "restore_app", "The app_name: you type it to say that you mean it.", needed=True),
            Word("--snapshot", "restore_snapshot", "Id of the backup; the newest one by default."),
            Word("--time", "restore_time", "Restore only the database, to this time in UTC, or to latest."),
            Word("--point", "restore_point", "Restore only the database, to this restore point, or from this backup."),
            Word(
                "--server",
                help="Set the whole server up, with files and database: it is new, or lost what it had.",
                flag=True,
                playbook="playbooks/restore_server.yml",
            ),
            Word("--over", "restore_over", "The word that the run prints, to say that you mean it."),
        ),
    ),
    Verb(
        "postgres",
        "playbooks/upgrade_postgres.yml",
        "Move the server's PostgreSQL to the newer version of its Debian, or back.",
        "postgres upgrade -e production",
        (
            Word("ACTION", "postgres_upgrade", choices=("upgrade", "back", "drop"), needed=True),
            Word("--over", "postgres_upgrade_over", "The word that the run prints, to say that you mean it."),
        ),
    ),
    Verb(
        "inspect",
        "playbooks/inspect.yml",
        "Read a repository and print the variables that its app needs.",
        "inspect https://git.example.com/shop.git",
        (
            Word("SOURCE", "build_source", "A directory, or a repository's address.", default="."),
            Word("--ref", "build_ref", "Branch, tag or commit of a repository."),
            Word("--dockerfile", "build_dockerfile", "File that it is built by; none takes the role's own."),
        ),
        inventory=False,
    ),
    Verb(
        "kubernetes",
        "playbooks/kubernetes.yml",
        "Write the app's manifests for Kubernetes here; no server is asked.",
        "kubernetes --image registry.example.com/shop:1.4.0",
        (
            Word("--image", "kubernetes_image", "Where the cluster pulls the image from."),
            Word("--directory", "kubernetes_directory", "Where the manifests are written to."),
        ),
    ),
    Verb(
        "remove",
        "playbooks/remove.yml",
        "Take an app off its hosts; its data and secrets stay.",
        "remove shop",
        (
            Word("APP", "remove_app", "The app_name: you type it to say that you mean it.", needed=True),
            Word("--data", "remove_data", "Remove data, secrets, keys and certificates too.", flag=True),
        ),
    ),
)
