"""What programs say as they do not start, in their own words, and what to do about each."""

from __future__ import annotations

from ansible.module_utils.flask_deploy.host import debian
from ansible.module_utils.flask_deploy.release import advice_code

SITE = "/venv/lib/python3.13/site-packages"


def worker(last: str, *frames: str) -> str:
    """Return what gunicorn logs of a worker that an exception ends.

    :param last: the exception and its message.
    :param frames: of a library, files below site-packages.
    """
    lines = [f'  File "{SITE}/{each}", line 7, in connect\n    return call()' for each in frames]
    return "\n".join(
        [
            "[2026-11-28 17:55:52 +0000] [1] [INFO] Starting gunicorn 27.0.1",
            "[2026-11-28 17:55:52 +0000] [7] [INFO] Booting worker with pid: 7",
            "[2026-11-28 17:55:53 +0000] [7] [ERROR] Exception in worker process",
            "Traceback (most recent call last):",
            f'  File "{SITE}/gunicorn/arbiter.py", line 608, in spawn_worker',
            "    worker.init_process()",
            '  File "/app/shop.py", line 3, in <module>',
            "    app = create_app()",
            *lines,
            last,
            "[2026-11-28 17:55:53 +0000] [7] [INFO] Worker exiting (pid: 7)",
            "[2026-11-28 17:55:54 +0000] [1] [ERROR] Worker (pid:7) exited with code 3.",
            "[2026-11-28 17:55:54 +0000] [1] [ERROR] Shutting down: Master",
            "[2026-11-28 17:55:54 +0000] [1] [ERROR] Reason: Worker failed to boot.",
        ]
    )


def psycopg(message: str) -> str:
    where = 'connection to server at "10.0.0.5", port 5432 failed: '
    link = "(Background on this error at: https://sqlalche.me/e/20/e3q8)"
    return worker(f"sqlalchemy.exc.OperationalError: (psycopg2.OperationalError) {where}{message}\n\n{link}")


def mysql(message: str) -> str:
    return worker(f"sqlalchemy.exc.OperationalError: (pymysql.err.OperationalError) {message}")


def click(program: str, message: str) -> str:
    return f"Usage: {program} [OPTIONS] COMMAND [ARGS]...\nTry '{program} --help' for help.\n\nError: {message}"


def pydantic(field: str, message: str, frame: str = "pydantic_settings/main.py") -> str:
    link = "    For further information visit https://errors.pydantic.dev/2.12/v/missing"
    first = "pydantic_core._pydantic_core.ValidationError: 1 validation error for Settings"
    return worker(f"{first}\n{field}\n  {message}\n{link}", frame)


LIBC, LIBSTDC = "/lib/x86_64-linux-gnu/libc.so.6", "/lib/x86_64-linux-gnu/libstdc++.so.6"
OF_SETTINGS = {
    worker("RuntimeError: Either 'SQLALCHEMY_DATABASE_URI' or 'SQLALCHEMY_BINDS' must be set."): (
        "has no SQLALCHEMY_DATABASE_URI: set the variable that the app reads it from"
    ),
    worker('RuntimeError: JWT_SECRET_KEY or flask SECRET_KEY must be set when using symmetric algorithm "HS256"'): (
        "the variable JWT_SECRET_KEY or flask SECRET_KEY:"
    ),
    worker("RuntimeError: FLASK_SECRET_KEY is not set"): "the variable FLASK_SECRET_KEY:",
    worker("ValueError: SECRET_KEY is not set"): "the app has no SECRET_KEY:",
    worker("ValueError: Either DB_HOST or DB_SOCKET is required"): "the variable DB_HOST or DB_SOCKET:",
    worker("ValueError: MAIL_USER and MAIL_PASSWORD are required"): "the variable MAIL_USER and MAIL_PASSWORD:",
    worker("EnvironmentError: Missing environment variables: DB_HOST, DB_USER, DB_PASSWORD"): (
        "the variable DB_HOST, DB_USER, DB_PASSWORD:"
    ),
    worker("Exception: missing settings ['DB_HOST', 'DB_USER']"): "the variable DB_HOST, DB_USER:",
    worker("RuntimeError: PORT environment variable is not set"): "the variable PORT:",
    "start.sh: line 2: DATABASE_URL: unbound variable": "the variable DATABASE_URL:",
    "start.sh: 2: TOKEN: parameter not set": "the variable TOKEN:",
    worker("KeyError: 'MAIL_SERVER'").replace("create_app()", "app.config['MAIL_SERVER']"): (
        "the app's configuration has no MAIL_SERVER:"
    ),
    pydantic("database_url", "Field required [type=missing, input_value={}, input_type=dict]"): (
        "env_prefix, that stands before it"
    ),
    pydantic("mail.port", "Field required [type=missing, input_value={}, input_type=dict]"): "the variable MAIL__PORT:",
    pydantic("workers", "Input should be a valid integer, unable to parse string as an integer [type=int_parsing,"): (
        "does not take the variable WORKERS: Input should be a valid integer"
    ),
    worker(
        "pydantic.error_wrappers.ValidationError: 1 validation error for AppConfig\napi_key\n"
        "  field required (type=value_error.missing)"
    ): "the variable API_KEY:",
}
OF_COMMANDS = {
    "sh: 1: exec: celery: not found": "the image has no program celery",
    "/bin/sh: 1: /app/venv/bin/gunicorn: not found": "the image has no /app/venv/bin/gunicorn, or its first line",
    "exec /app/start.sh: no such file or directory": "the image has no /app/start.sh, or its first line",
    click("flask run", "Got unexpected extra argument (foo)"): "the command has a word that its program does not know",
    click("rq worker", "Invalid value for '--burst': bad"): "the command has a word that its program does not know",
    worker("FileNotFoundError: [Errno 2] No such file or directory: 'settings.ini'"): "the app reads settings.ini",
    "ERROR [flask_migrate] Error: Multiple head revisions are present for given argument 'head'; please specify a "
    "specific target revision, '<branchname>@head' to narrow to a specific head, or 'heads' for all heads": (
        "flask db merge heads"
    ),
    "Error: Multiple head revisions are present for given argument 'head'": "flask db merge heads",
    "INFO  [alembic.runtime.migration] Will assume transactional DDL.\n"
    "ERROR [flask_migrate] Error: Can't locate revision identified by '4f2a9c01d3b7'": "has the migration 4f2a9c01d3b7",
    "ERROR [alembic.util.messaging] Can't locate revision identified by '4f2a'\n"
    "  FAILED: Can't locate revision identified by '4f2a'": "the database has the migration 4f2a",
    "  FAILED: Multiple head revisions are present for given argument 'head'": "flask db merge heads",
    "ERROR [flask_migrate] Error: Path doesn't exist: 'migrations'.  Please use the 'init' command to create a new "
    "scripts folder.": "the image has no migrations at migrations: git has to list",
    "FAILED: No config file 'alembic.ini' found, or file has no '[alembic]' section": "finds no alembic.ini where",
    "ERROR [flask_migrate] Error: Target database is not up to date.": "app_release_command: flask db upgrade",
    worker("KeyError: '8a1b2c3d4e5f'", "alembic/script/revision.py"): "a migration comes after 8a1b2c3d4e5f",
    worker("sqlite3.OperationalError: table users already exists"): "users is made a second time",
    worker("sqlite3.OperationalError: no such column: users.mail"): "the database has no column users.mail",
    click("flask", "No such command 'create-admin'."): "flask knows no command create-admin",
    click("flask", "Could not import 'shop.web'."): "flask does not find the app",
    click("flask", "No such option: --prt"): "the command has a word that its program does not know",
    click(
        "flask",
        "Detected factory 'create_app' in module 'shop', but could not call it without arguments. Use "
        "'shop:create_app(args)' to specify arguments.",
    ): "app_wsgi: shop:create_app('production')",
    click(
        "celery",
        "Invalid value for '-A' / '--app': \nUnable to load celery application.\nThe module wrk was not found.",
    ): "Celery finds no module wrk",
    click(
        "celery",
        "Invalid value for '-A' / '--app': \nUnable to load celery application.\n"
        "Module 'shop' has no attribute 'celery'",
    ): "celery -A shop:NAME worker",
    click("celery", "Invalid value for '-A' / '--app': \nUnable to load celery application.\n'NoneType' object"): (
        "the name behind -A"
    ),
    click(
        "celery",
        "Invalid value for '-A' / '--app': \nUnable to load celery application.\nWhile trying to load the module wrk "
        "the following error occurred:\nTraceback (most recent call last):\n"
        '  File "/app/wrk.py", line 1, in <module>\n    import kombucha\n'
        "ModuleNotFoundError: No module named 'kombucha'",
    ): "nothing that was installed has kombucha",
    'ERROR:    Error loading ASGI app. Could not import module "shopp".': "the server finds no app in shopp",
    'ERROR:    Error loading ASGI app. Attribute "ap" not found in module "shop".': "the server finds no app in shop",
    'ERROR:    Error loading ASGI app. Import string "shop" must be in format "<module>:<attribute>".': (
        "uvicorn shop:app"
    ),
    "ERROR:    [Errno 98] error while attempting to bind on address ('0.0.0.0', 8000): address already in use": (
        "two processes want one port"
    ),
    "INFO:     Waiting for application startup.\nERROR:    Traceback (most recent call last):\n"
    f'  File "{SITE}/starlette/routing.py", line 693, in lifespan\n    async with self.lifespan_context(app):\n'
    '  File "/app/shop.py", line 9, in start\n    raise RuntimeError("API_TOKEN is not set")\n'
    "RuntimeError: API_TOKEN is not set\n\nERROR:    Application startup failed. Exiting.": "the variable API_TOKEN:",
    "There was an exception (ImportError) importing your module.\n\nIt had these arguments: \n"
    "1. No module named 'shopp'\n\n": "nothing that was installed has shopp",
    "There was an exception (AttributeError) importing your module.\n\nIt had these arguments: \n"
    "1. module 'shop' has no attribute 'ap'\n\n": "shop has no ap: correct the name in the command",
    "Bad module 'shop.web'": "the server finds no app in shop.web",
    "usage: gunicorn [OPTIONS] [APP_MODULE]\ngunicorn: error: unrecognized arguments: --wrkers 3": "a word that "
    "its program",
    "python: can't open file '/app/worker.py': [Errno 2] No such file or directory": "the image has no /app/worker.py",
    "start.sh: 3: ./wait.sh: Permission denied": "git update-index --chmod=+x ./wait.sh",
    "start.sh: 3: celery: not found": "the image has no program celery",
    "start.sh: line 3: pdftotext: command not found": "build_image_packages: [poppler-utils]",
    "/bin/sh: ./start.sh: /bin/bash^M: bad interpreter: No such file or directory": "Save it with LF",
    "/usr/bin/env: \u2018python3\\r\u2019: No such file or directory": "Save it with LF",
}
OF_SERVICES = {
    worker('psycopg2.ProgrammingError: invalid dsn: missing "=" after "None" in connection info string'): (
        "the address of the app's database is missing"
    ),
    mysql("(2026, 'SSL connection error: error:0A00010B')"): "speaks no TLS",
    worker(
        "requests.exceptions.ReadTimeout: HTTPConnectionPool(host='x', port=80): Read timed out."
    ): "no answer comes",
    worker(
        "smtplib.SMTPAuthenticationError: (535, b'5.7.8 Authentication credentials invalid')"
    ): "mail server refuses",
    psycopg("timeout expired"): "no answer comes from the address of a service",
    psycopg(
        "Connection timed out\n\tIs the server running on that host and accepting TCP/IP connections?"
    ): "no answer",
    psycopg("No route to host\n\tIs the server running on that host"): "no answer comes",
    worker("psycopg.errors.ConnectionTimeout: connection timeout expired"): "no answer comes",
    psycopg('FATAL:  database "shop" does not exist'): "CREATE DATABASE shop",
    psycopg('FATAL:  role "ada" does not exist'): "CREATE ROLE ada LOGIN",
    psycopg('FATAL:  password authentication failed for user "shop"'): "refuses the password: app_secrets",
    psycopg("fe_sendauth: no password supplied"): "refuses the password: app_secrets",
    psycopg('FATAL:  Peer authentication failed for user "shop"'): "refuses the password",
    psycopg(
        'FATAL:  no pg_hba.conf entry for host "172.17.0.2", user "ada", database "shop", no encryption'
    ): "a line in pg_hba.conf: hostssl shop ada 172.17.0.2/32 scram-sha-256",
    psycopg("FATAL:  no pg_hba.conf entry for replication connection"): "a line in pg_hba.conf",
    psycopg("server does not support SSL, but SSL was required"): "?sslmode=prefer",
    psycopg("FATAL:  sorry, too many clients already"): "no connection left",
    psycopg(
        "FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute"
    ): "no connection left",
    psycopg("FATAL:  the database system is starting up"): "wait until the database serves",
    psycopg("server closed the connection unexpectedly\n\tThis probably means"): "ended the connection",
    psycopg('could not translate host name "db" to address: Name or service not known'): "does not know: correct",
    psycopg("SSL error: certificate verify failed"): "SSL_CERT_FILE: /run/secrets/ca.pem",
    worker(
        'psycopg2.OperationalError: connection to server on socket "/var/run/postgresql/.s.PGSQL.5432" failed: No such '
        "file or directory\n\tIs the server running locally and accepting connections on that socket?"
    ): "names no host",
    worker("psycopg2.errors.InsufficientPrivilege: permission denied for schema public"): "(schema public)",
    worker('psycopg2.errors.UndefinedObject: type "vector" does not exist'): "no extension for vector",
    worker("psycopg2.errors.UndefinedColumn: column users.mail does not exist"): "no column users.mail",
    worker("sqlalchemy.exc.NoSuchModuleError: Can't load plugin: sqlalchemy.dialects:postgres"): "write postgresql://",
    worker("sqlalchemy.exc.NoSuchModuleError: Can't load plugin: sqlalchemy.dialects:cockroachdb"): (
        "SQLAlchemy has no cockroachdb"
    ),
    mysql("(1049, \"Unknown database 'shop'\")"): "CREATE DATABASE shop",
    mysql("(1045, \"Access denied for user 'shop'@'172.17.0.2' (using password: YES)\")"): "refuses the password",
    mysql("(1044, \"Access denied for user 'ada'@'%' to database 'shop'\")"): "GRANT ALL ON shop.* TO ada",
    mysql("(1698, \"Access denied for user 'root'@'localhost'\")"): "refuses the password",
    mysql("(1040, 'Too many connections')"): "no connection left",
    mysql("(1130, \"Host '172.17.0.2' is not allowed to connect to this MySQL server\")"): "does not let 172.17.0.2 in",
    mysql("(2003, \"Can't connect to MySQL server on '10.0.0.5' (timed out)\")"): "no answer comes",
    mysql("(2003, \"Can't connect to MySQL server on 'db' ([Errno 111] Connection refused)\")"): "nothing listens",
    mysql("(2003, \"Can't connect to MySQL server on 'db' ([Errno -2] Name or service not known)\")"): "does not know",
    worker(
        "MySQLdb.OperationalError: (2002, \"Can't connect to local server through socket "
        "'/run/mysqld/mysqld.sock' (2)\")"
    ): "names no host",
    worker("MySQLdb.OperationalError: (2005, \"Unknown server host 'db' (-2)\")"): "does not know: correct",
    worker("MySQLdb.OperationalError: (2059, \"Authentication plugin 'caching_sha2_password' cannot be loaded: x\")"): (
        "does not know caching_sha2_password"
    ),
    worker("RuntimeError: 'cryptography' package is required for sha256_password or caching_sha2_password auth"): (
        "build_requirements: [cryptography]"
    ),
    worker("redis.exceptions.AuthenticationError: Authentication required."): "redis://:PASSWORD@host",
    worker("redis.exceptions.ResponseError: NOAUTH Authentication required."): "redis://:PASSWORD@host",
    worker("redis.exceptions.AuthenticationError: AUTH <password> called without any password configured for the"): (
        "leave it out where Redis has none"
    ),
    worker("redis.exceptions.ResponseError: WRONGPASS invalid username-password pair or user is disabled."): (
        "Redis refuses the password"
    ),
    worker("redis.exceptions.ReadOnlyError: READONLY You can't write against a read only replica."): "its primary",
    worker("redis.exceptions.BusyLoadingError: LOADING Redis is loading the dataset in memory"): "its own log says why",
    worker("redis.exceptions.ResponseError: DB index is out of range"): "no database of that number",
    worker("redis.exceptions.TimeoutError: Timeout connecting to server"): "no answer comes",
    "10:00:00 Error 111 connecting to localhost:6379. Connection refused.": "nothing listens",
    "[2026-11-28 10:00:00,000: ERROR/MainProcess] consumer: Cannot connect to redis://localhost:6379/0: Error 111 "
    "connecting to localhost:6379. Connection refused..\nTrying again in 2.00 seconds... (1/100)\n": "nothing listens",
    "[2026-11-28 10:00:00,000: ERROR/MainProcess] consumer: Cannot connect to amqp://guest:**@10.0.0.5:5672//: "
    "[Errno 110] Connection timed out.": "no answer comes",
    worker(
        "amqp.exceptions.AccessRefused: (0, 0): (403) ACCESS_REFUSED - Login was refused using authentication "
        "mechanism "
        "PLAIN. For details see the broker logfile."
    ): "RabbitMQ refuses the user or the password",
    worker("amqp.exceptions.NotAllowed: Connection.open: (530) NOT_ALLOWED - vhost shop not found"): "no vhost shop",
    worker("pika.exceptions.AMQPConnectionError"): "no answer comes",
    worker("KeyError: 'No such transport: redi'"): "Celery knows no queue redi",
    worker(
        "pymongo.errors.ServerSelectionTimeoutError: 10.0.0.5:27017: timed out (configured timeouts: "
        "socketTimeoutMS: 20000.0ms, connectTimeoutMS: 20000.0ms), Timeout: 30s, Topology Description: <Topo"
    ): "no answer comes",
    worker("pymongo.errors.ServerSelectionTimeoutError: localhost:27017: [Errno 111] Connection refused (config"): (
        "nothing listens"
    ),
    worker("pymongo.errors.OperationFailure: Authentication failed., full error: {'ok': 0.0}"): "refuses the password",
    worker('pymongo.errors.ConfigurationError: The "dnspython" module must be installed to use mongodb+srv:// URIs'): (
        "build_requirements: [dnspython]"
    ),
    worker("sqlite3.OperationalError: attempt to write a readonly database"): "put it into /data",
    worker("botocore.exceptions.NoCredentialsError: Unable to locate credentials"): "AWS_ACCESS_KEY_ID",
    worker("botocore.exceptions.NoRegionError: You must specify a region."): "AWS_DEFAULT_REGION",
    worker("google.auth.exceptions.DefaultCredentialsError: Your default credentials were not found. To set up"): (
        "GOOGLE_APPLICATION_CREDENTIALS"
    ),
    worker(
        "ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: unable to get local "
        "issuer certificate (_ssl.c:1028)"
    ): "SSL_CERT_FILE: /run/secrets/ca.pem",
    worker(
        "ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has "
        "expired (_ssl.c:1028)"
    ): "has expired",
    worker(
        "ssl.SSLCertVerificationError: [SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: Hostname mismatch, "
        "certificate is not valid for 'db'. (_ssl.c:1028)"
    ): "is for another name",
    worker("ssl.SSLError: [SSL: WRONG_VERSION_NUMBER] wrong version number (_ssl.c:1028)"): "speaks TLS to a port",
    worker("TimeoutError: [Errno 110] Connection timed out"): "no answer comes",
}
OF_IMAGE = {
    worker(f"ImportError: {LIBC}: version `GLIBC_2.38' not found (required by {SITE}/shop/_fast.so)"): (
        f"{SITE}/shop/_fast.so was compiled for a newer system than the image, one with GLIBC_2.38"
    ),
    worker(f"ImportError: {LIBSTDC}: version `GLIBCXX_3.4.32' not found (required by {SITE}/x.so)"): "GLIBCXX_3.4.32",
    worker(
        f"ImportError: {LIBSTDC}: version `CXXABI_1.3.15' not found (required by {SITE}/x.so)"
    ): "newer build_base_image",
    f"/app/bin/tool: {LIBC}: version `GLIBC_ABI_DT_RELR' not found (required by /app/bin/tool)": "GLIBC_ABI_DT_RELR",
    worker("ImportError: libc.musl-x86_64.so.1: cannot open shared object file: No such file or directory"): "Alpine",
    worker(f"ImportError: {SITE}/x.cpython-313-x86_64-linux-gnu.so: undefined symbol: PyUnicode_AS_UNICODE"): (
        "was compiled for another Python"
    ),
    worker(f"ImportError: {SITE}/x.so: invalid ELF header"): "another kind of machine",
    worker("OSError: [Errno 8] Exec format error: '/app/bin/tool'"): "/app/bin/tool is for another kind of processor",
    worker("OSError: [Errno 8] Exec format error"): "the program is for another kind of processor",
    "exec /venv/bin/gunicorn: exec format error": "/venv/bin/gunicorn is for another kind of processor",
    worker("ImportError: libpython3.9.so.1.0: cannot open shared object file: No such file"): "build_python: '3.9'",
    worker("ImportError: libGL.so.1: cannot open shared object file: No such file or directory"): "[libgl1]",
    worker(
        "OSError: cannot load library 'libgobject-2.0-0': libgobject-2.0-0: cannot open shared object file: No "
        "such file "
        "or directory.  Additionally, ctypes.util.find_library() did not manage to locate a library called 'libgobject'"
    ): "[libglib2.0-0t64]",
    worker("OSError: cannot load library 'libpango-1.0-0': error: libpango", "weasyprint/text/ffi.py"): (
        "WeasyPrint needs Pango: build_image_packages: [libglib2.0-0t64, libpango-1.0-0"
    ),
    worker(
        'OSError: no library called "cairo-2" was found\nno library called "cairo" was found\n'
        'no library called "libcairo-2" was found'
    ): "[libcairo2]",
    worker(
        "ImportError: libssl.so.1.1: cannot open shared object file: No such file"
    ): "libssl.so.1.1 is of another Debian",
    worker("ImportError: libmysqlclient.so.21: cannot open shared object file: No such"): "[libmariadb3]",
    worker(
        'cx_Oracle.DatabaseError: DPI-1047: Cannot locate a 64-bit Oracle Client library: "libclntsh.so: can'
    ): "oracledb",
    worker("OSError: libodd.so.1: cannot open shared object file: No such file"): "lacks the library libodd.so.1",
    worker("FileNotFoundError: [Errno 2] No such file or directory: 'soffice'").replace("/app/shop", "/subprocess"): (
        "[libreoffice-nogui]"
    ),
    worker("FileNotFoundError: [Errno 2] No such file or directory: '/usr/bin/ffmpeg'").replace(
        "/app/shop", "/subprocess"
    ): "[ffmpeg]",
    worker("OSError: No wkhtmltopdf executable found: \"b''\""): "python:{python}-slim-bookworm",
    worker("zoneinfo._common.ZoneInfoNotFoundError: 'No time zone found with key Europe/Berlin'"): "[tzdata]",
    worker("OSError: cannot open resource", "PIL/ImageFont.py"): "fonts-dejavu-core",
    worker(
        "LookupError: \n**********************************************************************\n"
        "  Resource \x1b[93mpunkt\x1b[0m not found."
    ): "nltk.downloader -d /venv/nltk_data punkt",
    worker("OSError: [E050] Can't find model 'en_core_web_sm'. It doesn't seem to be"): "spaCy's model en_core_web_sm",
    **{
        worker(f"ImportError: {name}: cannot open shared object file: No such file or directory"): f"[{package}]"
        for name, package in debian.LIBRARIES.items()
        if package != "libpq5"
    },
}
SAID_BY_LOOKERS = {
    "failed to find libmagic.  Check your installation": "libmagic1t64",
    "Unable to find zbar shared library": "libzbar0t64",
    "Unable to find dmtx shared library": "libdmtx0t64",
    "MagickWand shared library not found.": "libmagickwand-7.q16-10",
    "sndfile library not found using ctypes.util.find_library": "libsndfile1",
    "PortAudio library not found": "libportaudio2",
    "The 'enchant' C library was not found and maybe needs to be installed.": "libenchant-2-2",
    "Could not find lib geos_c.so or load any of its variants []": "libgeos-c1t64",
    'Could not find the GDAL library (tried "gdal"). Is GDAL installed?': "libgdal36",
    "could not find or load spatialindex_c-64": "libspatialindex-c8",
    "[01000] [unixODBC][Driver Manager]Can't open lib 'PostgreSQL Unicode' : file not found": "odbc-postgresql",
    "No JVM shared library file (libjvm.so) found. Try setting up the JAVA_HOME environment": "default-jre-headless",
    "tesseract is not installed or it's not in your PATH. See README file": "tesseract-ocr",
    "Unable to get page count. Is poppler installed and in PATH?": "poppler-utils",
    "No pandoc was found: either install pandoc and add it": "pandoc",
    "failed to execute PosixPath('dot'), make sure the Graphviz executables are on your": "graphviz",
    "Could not find an available JavaScript runtime.": "nodejs",
    "Message: 'chromedriver' executable needs to be in PATH.": "chromium-driver",
    "No ffmpeg exe could be found. Install ffmpeg on your system": "ffmpeg",
    "Cannot find ['xmlsec1', 'xmlsec1.exe']": "xmlsec1",
    "Unable to run gpg (gpg) - it may not be available.": "gnupg",
    "Ghostscript is not installed. You can install it": "ghostscript",
    "unsupported locale setting": "locales-all",
}
OF_IMAGE |= {worker(f"OSError: {said}"): f"{package}]" for said, package in SAID_BY_LOOKERS.items()}


def lacks(name: str, module: str) -> str:
    return worker(f"ImportError: cannot import name '{name}' from '{module}' ({SITE}/x.py)")


def sample(names: str) -> str:
    return names.partition("|")[0].replace(r"\w*", "Safe")


OF_CODE = {
    worker(
        "AttributeError: module 'shop' has no attribute 'app' (consider renaming '/app/shop.py' if it has the "
        "same name "
        "as a third-party module you intended to import)"
    ): "/app/shop.py is imported while it is being imported itself",
    worker("AttributeError: module 'flask' has no attribute '__version__'"): "[flask<3.2]",
    worker("pytz.exceptions.UnknownTimeZoneError: 'Europe/Berln'"): "no time zone has the name Europe/Berln",
    worker(
        "ImportError: cannot import name 'Celery' from partially initialized module 'celery' (most likely due to a "
        "circular import) (/app/celery.py)"
    ): "Where a library of that name is meant, give the app's own file another",
    worker(
        "AttributeError: module 'random' has no attribute 'randint' (consider renaming '/app/random.py' since it "
        "has the "
        "same name as the standard library module named 'random' and prevents importing that standard library module)"
    ): "/app/random.py has the name of a library",
    worker(
        "AttributeError: partially initialized module 'shop.db' has no attribute 'session' (most likely due to a "
        "circular import)"
    ): "shop.db is imported while it is being imported itself: use session later",
    worker(
        "AttributeError: 'Flask' object has no attribute 'before_first_request'. Did you mean: '_got_first_request'?"
    ): ("[flask<2.3, werkzeug<2.3]"),
    worker("AttributeError: 'Shop' object has no attribute 'json_encoder'"): "[flask<2.3, werkzeug<2.3]",
    worker(
        "AttributeError: 'Blueprint' object has no attribute 'before_app_first_request'"
    ): "[flask<2.3, werkzeug<2.3]",
    worker(
        "AssertionError: The setup method 'before_request' can no longer be called on the application. It has already "
        "handled its first request"
    ): "before_request is called after the first request",
    lacks("url_quote", "werkzeug.urls"): "[werkzeug<3]",
    lacks("MutableMapping", "collections"): "from collections.abc import MutableMapping",
    worker("AttributeError: module 'collections' has no attribute 'Callable'"): "collections.abc import Callable",
    worker("RuntimeError: There is no current event loop in thread 'MainThread'."): "build_python: '3.13'",
    worker("ModuleNotFoundError: No module named 'tomllib'"): "build_python: '3.13'",
    worker("ModuleNotFoundError: No module named 'imp'"): "build_python: '3.11'",
    worker("ModuleNotFoundError: No module named 'cgi'"): "build_python: '3.12'",
    worker("NameError: name 'DB_HOST' is not defined"): "uses DB_HOST and does not define it",
    worker("jinja2.exceptions.UndefinedError: 'CSRF_TOKEN' is undefined"): "a template uses what",
    worker(
        "SyntaxError: Missing parentheses in call to 'print'. Did you mean print(...)?"
    ): "/app/shop.py: correct its",
    worker("ModuleNotFoundError: No module named 'wtforms.fields.html5'"): "[wtforms<3]",
    worker("AttributeError: 'Engine' object has no attribute 'execute'"): "[sqlalchemy<2]",
    worker("sqlalchemy.exc.ObjectNotExecutableError: Not an executable object: 'SELECT 1'"): "[sqlalchemy<2]",
    worker(
        "pydantic.errors.PydanticImportError: `BaseSettings` has been moved to the `pydantic-settings` package. See x"
    ): "[pydantic<2]",
    worker("TypeError: Field.__init__() got an unexpected keyword argument 'missing'"): "[marshmallow<4]",
    worker(
        "ValueError: numpy.dtype size changed, may indicate binary incompatibility. Expected 96 from C header, got 88 "
        "from PyObject"
    ): "[numpy<2]",
    worker("AttributeError: `np.float_` was removed in the NumPy 2.0 release. Use `np.float64` instead."): "[numpy<2]",
    worker("ValueError: greenlet.greenlet size changed, may indicate binary incompatibility. Expected 152 from"): (
        "another version of greenlet.greenlet"
    ),
    worker("Exception: Install 'email_validator' for email validation support."): "[email-validator]",
    lacks("nothing", "redis.client"): "the redis.client that was installed has no nothing",
    worker("ImportError: cannot import name 'nothing' from 'shop.web' (/app/shop/web.py)"): "shop.web has no nothing",
    "/venv/bin/python: No module named celery": "nothing that was installed has celery",
    **{
        lacks(sample(names), module.replace("\\", "")): f"build_python: '{version}'"
        for version, table in (*advice_code.LOST.items(), *advice_code.NEW.items())
        for module, names in table
    },
    lacks("JSONEncoder", "flask.json"): "[flask<2.3, werkzeug<2.3]",
    lacks("safe_join", "flask"): "[flask<2.1, werkzeug<2.1]",
    lacks("escape", "flask"): "[flask<3, werkzeug<3]",
    lacks("escape", "jinja2"): "[jinja2<3.1]",
    lacks("contextfilter", "jinja2.filters"): "[jinja2<3.1]",
    lacks("soft_unicode", "markupsafe"): "[markupsafe<2.1]",
    lacks("BaseResponse", "werkzeug.wrappers"): "[werkzeug<2.1]",
    lacks("safe_str_cmp", "werkzeug.security"): "[werkzeug<2.1]",
    lacks("parse_rule", "werkzeug.routing"): "[werkzeug<2.2]",
    worker("AttributeError: module 'werkzeug' has no attribute '__version__'"): "[werkzeug<3.1]",
    lacks("TimedJSONWebSignatureSerializer", "itsdangerous"): "[itsdangerous<2.1]",
    worker("AttributeError: module 'sqlalchemy' has no attribute '__all__'"): "[sqlalchemy<2]",
    lacks("TextField", "wtforms"): "[wtforms<3]",
    worker("AttributeError: module 'marshmallow' has no attribute '__version_info__'"): "[marshmallow<4]",
    worker("AttributeError: module 'numpy' has no attribute 'bool'.\n`np.bool` was a deprecated alias"): "[numpy<1.24]",
    lacks("_unicodefun", "click"): "[click<8.1]",
}
STARTS = {**OF_SETTINGS, **OF_COMMANDS, **OF_SERVICES, **OF_IMAGE, **OF_CODE}
HARMLESS = (
    "INFO  [alembic.runtime.migration] Context impl PostgresqlImpl.",
    "INFO:     Uvicorn running on http://0.0.0.0:8000 (Press CTRL+C to quit)",
    "ERROR:    Application startup failed. Exiting.",
    "env: production",
    "step 3: assets: not found yet, will be made",
    "[2026-11-28 10:00:00,000: INFO/MainProcess] Connected to redis://localhost:6379/0",
    "connected to 10.0.0.5: error count 0",
    "UserWarning: Neither SQLALCHEMY_DATABASE_URI nor SQLALCHEMY_BINDS is set.",
)
