"""What errors mean of databases, queues and other services that an app asks for, and what to do about them."""

from __future__ import annotations

UNREACHABLE = (
    "no answer comes from the address of a service that the app needs: correct its host and port in app_env or "
    "app_secrets, and let that service's firewall accept this server"
)
REFUSED = "the database refuses the password: app_secrets"
FULL = (
    "the database has no connection left: fewer of them in the app, example: app_workers: 2 or a smaller pool, or more "
    "in the database: max_connections"
)
MIGRATIONS = [
    (
        r"(?i)(?:table|relation|index|type) [\"'`]?([\w.]+)[\"'`]? already exists|duplicate column name: (\w+)"
        r"|UNIQUE constraint failed: (alembic_version)|constraint \"(alembic_version)_pkc\"",
        "{0} is made a second time. Where each worker makes it as it starts: app_preload: true, or make it once by "
        "app_release_command. Where a migration does: flask db stamp says which one the database has",
    ),
    (
        r"no such table: ([\w.]+)|relation \"([\w.]+)\" does not exist|Table '([\w.]+)' doesn't exist",
        "the database has no table {0}: make the tables before the app starts, example: "
        "app_release_command: flask db upgrade, where the app has migrations; otherwise by its own script, once",
    ),
    (
        r"no such column: ([\w.]+)|column \"?([\w.]+)\"? (?:of relation \S+ )?does not exist|Unknown column '([\w.]+)'",
        "the database has no column {0}: a migration that adds it was not run, example: app_release_command: "
        "flask db upgrade",
    ),
    (
        r"Can't locate revision identified by '(\w+)'|No such revision or branch '(\w+)'",
        "the database has the migration {0}, which this code lacks: deploy code that has it",
    ),
    (
        r"(?s)script/revision\.py\".*KeyError: '(\w+)'",
        "a migration comes after {0}, which the source does not have: git has to list it",
    ),
    (
        r"(?i)multiple head(?:s are present| revisions)|has multiple heads",
        "two migrations are the last one: join them, flask db merge heads",
    ),
    (
        r"Path doesn't exist: '?\"?([^\s'\"]+?)'?\"?\.\s+Please use the 'init'",
        "the image has no migrations at {0}: git has to list their directory, or the command names another, example: "
        "flask db upgrade -d web/migrations",
    ),
    (
        r"invalid interpolation syntax in",
        "the address of the database has a %, which Alembic's configuration takes for its own: in migrations/env.py "
        "hand it over with .replace('%', '%%')",
    ),
    (
        r"Target database is not up to date",
        "migrations are not all in the database: app_release_command: flask db upgrade",
    ),
]
DATABASES = [
    (
        r"unable to open database file|attempt to write a readonly database",
        "the database is where the app may not write: put it into /data by the app's own setting, example: "
        "app_env: {{DATABASE_URL: sqlite:////data/app.db}}, or name its directory: app_writable: [db]",
    ),
    (
        r"sqlalchemy\.dialects:postgres\b",
        "SQLAlchemy no longer takes postgres:// for PostgreSQL: write postgresql:// in the address of the database",
    ),
    (
        r"Can't load plugin: sqlalchemy\.dialects:([\w.]+)",
        "SQLAlchemy has no {0}: correct the address of the database before its ://, or add the package that brings it, "
        "build_requirements",
    ),
    (
        r"Expected string or URL object, got None|invalid dsn: |Could not parse (?:rfc1738|SQLAlchemy) URL",
        "the address of the app's database is missing, or is none: set the variable that the app reads it from",
    ),
    (
        r"database \"([^\"]+)\" does not exist|Unknown database '([^']+)'",
        "the server has no database {0}: correct its name at the end of the address, or make it there: "
        "CREATE DATABASE {0}",
    ),
    (
        r"role \"([^\"]+)\" does not exist",
        "the database has no user {0}: correct the name in its address, or make it there: CREATE ROLE {0} LOGIN",
    ),
    (
        r"no pg_hba\.conf entry for host \"([^\"]+)\", user \"([^\"]+)\", database \"([^\"]+)\"[^\n]*",
        "PostgreSQL does not let {1} in from {0}: there, a line in pg_hba.conf: hostssl {2} {1} {0}/32 scram-sha-256. "
        "Where it says no encryption, ?sslmode=require at the end of the address may do",
    ),
    (r"no pg_hba\.conf entry", "PostgreSQL does not let the app in from this server: there, a line in pg_hba.conf"),
    (
        r"Host '([^']+)' is (?:not allowed to connect|blocked)",
        "MySQL does not let {0} in: there, CREATE USER and GRANT for that host, or for '%'",
    ),
    (
        r"(?i)too many (?:clients already|connections)|remaining connection slots are reserved|max_user_connections",
        FULL,
    ),
    (
        r"server does not support SSL|SSL is not enabled on the server|SSL connection error",
        "the database speaks no TLS, and the app asks for it: ?sslmode=prefer at the end of its address",
    ),
    (
        r"(?i)password authentication failed|Access denied for user '[^']*'@'[^']*' \(using|no password supplied|"
        r"OperationFailure: (?:bad auth|Authentication failed)|password was missing|(?:Peer|Ident) authentication "
        r"failed",
        REFUSED,
    ),
    (
        r"(?i)Access denied for user '([^']*)'@'[^']*' to database '([^']+)'",
        "MySQL lets {0} in, and not to {1}: there, GRANT ALL ON {1}.* TO {0}; or correct the name in the address",
    ),
    (r"(?i)Access denied for user", REFUSED),
    (
        r"permission denied (?:for|to create) (\w+ \"?[\w.]+)\"?",
        "the database's user has no right ({0}): there, GRANT it, or make that user the owner: "
        "ALTER DATABASE shop OWNER TO shop",
    ),
    (
        r"could not open extension control file \"[^\"]*/(\w+)\.control|extension \"(\w+)\" is not (?:available|allow)"
        r"|type \"(vector|citext|hstore|geometry|ltree)\" does not exist|function (gen_random_uuid|uuid_generate_v4)\(",
        "the database has no extension for {0}: install its package there, and CREATE EXTENSION as the superuser",
    ),
    (
        r"socket \"([^\"]*PGSQL[^\"]*)\" failed",
        "the address of the database names no host, and a container does not have the socket {0}: write the host, "
        "example: postgresql://user:password@10.0.0.5/shop; or app_needs: [postgres]",
    ),
    (
        r"through socket '([^']+)'",
        "the address of the database names no host, or localhost, and a container does not have the socket {0}: write "
        "its host, example: mysql+pymysql://user:password@10.0.0.5/shop",
    ),
    (
        r"database is locked",
        "several processes write to one file of SQLite: a longer timeout for its connections, app_workers: 1, or "
        "PostgreSQL, app_needs: [postgres]",
    ),
    (r"'cryptography' package is required", "PyMySQL needs it for the password: build_requirements: [cryptography]"),
    (
        r"Authentication plugin '(\w+)' cannot be loaded",
        "the driver does not know {0}, by which MySQL asks for the password: a newer driver, build_requirements: "
        "[pymysql,"
        " cryptography] and mysql+pymysql:// in the address",
    ),
    (r"dnspython\W+ module must be installed", "mongodb+srv:// needs dnspython: build_requirements: [dnspython]"),
    (
        r"the database system is (?:starting up|shutting down|in recovery)",
        "wait until the database serves; deploy again",
    ),
    (
        r"server closed the connection unexpectedly|Lost connection to (?:MySQL )?server|MySQL server has gone away",
        "the database ended the connection: its own log says why; its port may be one of another service",
    ),
]
QUEUES = [
    (
        r"NOAUTH|AuthenticationError: Authentication required|called without any password configured|DENIED Redis "
        r"is running in protected",
        "the address of Redis and its setting differ about a password: write it as redis://:PASSWORD@host:6379/0, in "
        "app_secrets, or leave it out where Redis has none",
    ),
    (
        r"WRONGPASS|invalid username-password pair|AuthenticationError: invalid password",
        "Redis refuses the password: correct it in app_secrets, redis://:PASSWORD@host:6379/0",
    ),
    (
        r"Redis URL must specify one of",
        "the address of Redis is empty, or does not begin with redis://, rediss:// or unix://: correct it in app_env "
        "or app_secrets, example: redis://10.0.0.5:6379/0",
    ),
    (r"READONLY You can't write", "that Redis is a replica: name its primary in the app's address"),
    (r"MISCONF Redis|LOADING Redis", "Redis does not take writes now: its own log says why"),
    (r"DB index is out of range", "Redis has no database of that number: correct the end of its address, example: /0"),
    (
        r"ACCESS_REFUSED",
        "RabbitMQ refuses the user or the password: amqp://user:password@host:5672/vhost, in app_secrets; guest may "
        "connect on its own machine alone",
    ),
    (
        r"NOT_ALLOWED - (?:access to )?vhost '?([^\s']+)'?",
        "RabbitMQ has no vhost {0} for this user: correct the end of the address, or there: rabbitmqctl "
        "set_permissions",
    ),
    (r"SMTPAuthenticationError", "the mail server refuses the user or the password: app_secrets"),
    (r"No such transport: (\S*)", "Celery knows no queue {0}: correct the broker's address before its ://"),
    (
        r"NoCredentialsError|Unable to locate credentials",
        "the app asks AWS without a key: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in app_secrets",
    ),
    (r"You must specify a region", "the app asks AWS without a region: app_env: {{AWS_DEFAULT_REGION: eu-central-1}}"),
    (
        r"default credentials were not found",
        "the app asks Google without a key: its file by app_secret_files, and app_env: "
        "{{GOOGLE_APPLICATION_CREDENTIALS: /run/secrets/google.json}}",
    ),
]
NETWORK = [
    (
        r"(?i)certificate has expired|certificate is not yet valid|certificate expired",
        "the certificate of a service that the app asks has expired, or this server's clock is wrong: renew it "
        "there, or "
        "see: timedatectl",
    ),
    (
        r"(?i)(?:hostname|IP address) mismatch|doesn't match '|does not match host name",
        "the certificate of a service is for another name than the one that the app asks: correct the address in "
        "app_env",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|self[- ]signed certificate|root certificate file "
        r"\S+ does",
        "the app does not trust who signed the certificate of a service: give it the CA's file by "
        "app_secret_files, and "
        "its path by app_env: {{SSL_CERT_FILE: /run/secrets/ca.pem, REQUESTS_CA_BUNDLE: /run/secrets/ca.pem}}",
    ),
    (
        r"WRONG_VERSION_NUMBER|UNKNOWN_PROTOCOL",
        "the app speaks TLS to a port that does not: http:// in place of https://, redis:// in place of rediss://, or "
        "another port",
    ),
    (
        r"(?i)could not translate host name|Name or service not known|name resolution|nodename nor servname|"
        r"Unknown (?:MySQL )?server host|query name does not exist|getaddrinfo failed|No address associated",
        "the app looks for a service under a name that its container does not know: correct its address in app_env",
    ),
    (
        r"(?i)connection refused|Can't connect to (?:local )?(?:MySQL )?server on '[^']*' \((?:111|115)\)|"
        r"could not connect to server: Connection refused",
        "nothing listens at the address of a service that the app needs. In a container localhost is the container "
        "itself: name the service's own address in app_env",
    ),
    (
        r"(?i)timeout expired|Timeout connecting to server|connection timed out|"
        r"Can't connect to (?:MySQL )?server on|ServerSelectionTimeoutError|No route to host|Network is unreachable|"
        r"ConnectTimeout|AMQPConnectionError|TimeoutError: timed out|Read timed out|\(.?timed out.?\)$|Error "
        r"(?:110|113|101) "
        r"connecting",
        UNREACHABLE,
    ),
]
SERVICES = [*MIGRATIONS, *DATABASES, *QUEUES, *NETWORK]
