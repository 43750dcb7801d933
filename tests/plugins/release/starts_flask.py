"""What apps say that use Flask, their configuration and its packages in a way that fails, and what to do about each."""

from __future__ import annotations

from tests.plugins.release.starts import SITE, mysql, worker

CONFIG = "/app/config.py"
READ_ONLY = "OSError: [Errno 30] Read-only file system: '{}'"
NO_FILE = "FileNotFoundError: [Errno 2] No such file or directory: '{}'"


def line(code: str, last: str, *frames: tuple[str, str, str]) -> str:
    """Return a log whose last place in the app's code is that line.

    :param frames: what it calls: (file, function, its line).
    """
    called = [f'  File "{path}", line 9, in {function}\n    {text}\n    ~~~~^^^' for path, function, text in frames]
    return worker("\n".join([f'  File "{CONFIG}", line 8, in Config', f"    {code}", "    ~~~~^^^^", *called, last]))


NONE = "TypeError: int() argument must be a string, a bytes-like object or a real number, not 'NoneType'"
NO_TEXT = "AttributeError: 'NoneType' object has no attribute '{}'"
OPENED = ("/usr/local/lib/python3.13/logging/__init__.py", "_open", "return open_func(self.baseFilename, self.mode,")
OF_FLASK = {
    line("MAIL_PORT = int(os.environ.get('MAIL_PORT'))", NONE): "the app misses the variable MAIL_PORT: set it",
    line(
        "ADMINS = os.environ.get('ADMINS').split(',')", NO_TEXT.format("split")
    ): "the app misses the variable ADMINS:",
    line(
        "r = redis.from_url(os.getenv('REDIS_URL'))",
        NO_TEXT.format("startswith"),
        (f"{SITE}/redis/connection.py", "parse_url", "if not (url.startswith(...)"),
    ): "the app misses the variable REDIS_URL:",
    line(
        "MAIL_PORT = int(os.environ.get('MAIL_PORT', 25))", "ValueError: invalid literal for int() with base 10: ''"
    ): "the variable MAIL_PORT is empty, or no number: set it",
    line("app.config.from_object(config[os.getenv('FLASK_ENV')])", "KeyError: None"): (
        "the variable FLASK_ENV chooses one of the app's configurations, and none has the name None"
    ),
    line("app.config.from_object(config[config_name])", "KeyError: 'prod'"): "has no configuration of the name prod",
    line("app.config.from_object(config_by_name[name])", "KeyError: None"): "has no configuration of the name None",
    line("rate = rates['USD']", "KeyError: 'USD'"): "nothing",
    line("key = settings['API_KEY']", "KeyError: 'API_KEY'"): "the app misses the variable API_KEY",
    worker("environs.EnvValidationError: Environment variable \"PORT\" invalid: ['Not a valid integer.']"): (
        "the app does not take the variable PORT: Not a valid integer."
    ),
    worker(
        'pydantic_settings.exceptions.SettingsError: error parsing value for field "allowed_hosts" from source '
        '"EnvSettingsSource"'
    ): "its field allowed_hosts: pydantic reads it as JSON",
    line(
        "app.config.from_object(os.environ['APP_SETTINGS'])",
        "werkzeug.utils.ImportStringError: import_string() failed for 'config.Production'. Possible reasons are:",
    ): "the app finds no config.Production",
    worker("AttributeError: module 'jwt' has no attribute 'encode'"): "list pyjwt in place of jwt",
    line("return render_template('index.html')", "jinja2.exceptions.TemplateNotFound: index.html"): (
        "Flask finds no template index.html"
    ),
    worker(
        "RuntimeError: Working outside of application context.\n\nThis typically means that you attempted to use"
    ): "with app.app_context(): around it",
    worker("RuntimeError: Install Flask with the 'async' extra in order to use async views."): "['flask[async]']",
    line(
        "app.config.from_pyfile('config.py')",
        "FileNotFoundError: [Errno 2] Unable to load configuration file (No such file or directory): "
        "'/app/instance/config.py'",
        (f"{SITE}/flask/config.py", "from_pyfile", "with open(filename, mode='rb') as config_file:"),
    ): "reads its configuration from /app/instance/config.py",
    worker("TypeError: Client.__init__() got an unexpected keyword argument 'proxies'", "api/_base_client.py"): (
        "[httpx<0.28]"
    ),
    worker(
        "ValueError: password cannot be longer than 72 bytes, truncate manually if necessary (e.g. my_password[:72])",
        "passlib/handlers/bcrypt.py",
    ): "[bcrypt<5]",
    worker("ValueError: password cannot be longer than 72 bytes, truncate manually if necessary"): "nothing",
    worker(
        "AssertionError: Class <class 'sqlalchemy.sql.elements.SQLCoreOperations'> directly inherits TypingOnly but "
        "has additional attributes {'__static_attributes__', '__firstlineno__'}.",
        "sqlalchemy/sql/elements.py",
    ): "[sqlalchemy>=2.0.31], or build_python: '3.12'",
    line("h = RotatingFileHandler('logs/app.log')", NO_FILE.format("/app/logs/app.log"), OPENED): (
        "app writes to /app/logs/app.log, and its directory is not there: app_writable: [logs]"
    ),
    line("f = open('out/result.csv', 'w')", NO_FILE.format("out/result.csv")): "app_writable: [out]",
    line("f = open('out/result.csv')", NO_FILE.format("out/result.csv")): "the app reads out/result.csv",
    line("h = FileHandler('app.log')", READ_ONLY.format("/app/app.log"), OPENED): "let it log to stderr",
    line("os.makedirs('.cache')", READ_ONLY.format("/app/.cache")): "app_writable: [.cache]",
    mysql("(2002, \"Can't connect to local server through socket '/run/mysqld/mysqld.sock' (2)\")"): (
        "mysql+pymysql://user:password@10.0.0.5/shop"
    ),
    worker("sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) database is locked"): "app_workers: 1",
    worker("ValueError: Redis URL must specify one of the following schemes (redis://, rediss://, unix://)"): (
        "the address of Redis is empty"
    ),
    worker("ValueError: invalid interpolation syntax in 'postgresql://u:p%40ss@h/db' at position 17"): (
        ".replace('%', '%%')"
    ),
    worker("sqlite3.OperationalError: no such table: posts"): "otherwise by its own script, once",
}
