"""What steps of a build say of the app itself, of Node's packages, names and images, and what to do about it."""

from __future__ import annotations

from ansible.module_utils.flask_deploy.host.brought import BRINGS

# Names of packages that Debian 13 has no more, and what is in their place.
RENAMED = {
    "libgl1-mesa-glx": "libgl1",
    "libatlas-base-dev": "libopenblas-dev",
    "libmysqlclient-dev": "default-libmysqlclient-dev",
    "mysql-client": "default-mysql-client",
    "libpcre3-dev": "libpcre2-dev",
    "libtiff5": "libtiff6",
    "libffi7": "libffi8",
    "libssl1.1": "libssl3t64",
    "netcat": "netcat-openbsd",
    "python-dev": "python3-dev",
    "python-pip": "python3-pip",
}
LISTS = "correct build_packages or build_image_packages"
PROJECT = [
    (
        r"Multiple top-level packages discovered in a flat-layout: \[([^\]]+)\]",
        "the app's own project does not build, as setuptools does not know which of {0} are its packages: in "
        'pyproject.toml [tool.setuptools] packages = ["shop"]; where uv sync builds it, [tool.uv] package = false '
        "leaves it out",
    ),
    (
        r"Unable to determine which files to ship inside the wheel",
        "the app's own project does not build, as hatchling finds no directory of its name: in pyproject.toml "
        '[tool.hatch.build.targets.wheel] packages = ["app"]; where uv sync builds it, [tool.uv] package = false '
        "leaves it out",
    ),
    (
        r"Readme file does not exist: (\S+)",
        "pyproject.toml names {0} as its readme, and the build does not have it: git has to list it, and .dockerignore "
        "must not leave it out; or take that line out",
    ),
    (
        r"(?s)(?:Failed to download and build|Git operation failed|Running command git clone|git clone --).*"
        r"(?:could not read Username|Authentication failed|Permission denied \(publickey|Repository not found)",
        "a repository that the app lists is private, or its name is another: list it as git+ssh://git@…, and give a "
        "key that may read it, build_git_key; in a Dockerfile of the app's own that step needs RUN --mount=type=ssh "
        "too",
    ),
    (
        r"(?s)os(?:\.py|>)\".*KeyError: '(\w+)'|environ\[['\"](\w+)['\"]\][^\n]*\n(?:[ ~^]*\n)?KeyError: ",
        "a build has nothing of app_env and app_secrets: where {0} may be of no worth there, build_args: "
        "{{{0}: of-the-build}}, and ARG {0} in a Dockerfile of the app's own; what needs more runs at the deploy, "
        "app_release_command",
    ),
    (
        r"(?i)(?:psycopg\w*\.|pymysql\.err\.|MySQLdb\.|sqlalchemy\.exc\.)OperationalError(?!: \(sqlite3)",
        "a build reaches no database of the app: run that at the deploy, app_release_command",
    ),
]
NAMES = [
    *(
        (
            rf"(?i)(?<![\w.-]){module}(?:==\S+)? was not found in|No matching distribution found for {module}(?![\w.-])"
            rf"|The '{module}' PyPI package is deprecated",
            f"the package that brings {module} is {name}: list {name} in place of {module}",
        )
        for module, name in BRINGS.items()
        if module != "psycopg2"
    ),
    (
        r"(?s)\A(?!.*Requires-Python).*satisfies the requirement (\S+) \(from versions: (?!none)(?:[^)]*, )?([^,)]+)\)",
        "no index has {0} for the Python of the image; {1} is the newest that it has: take that, or a Python "
        "that it was made for: build_python",
    ),
    (
        r"Unable to find installation candidates for ([\w.-]+ \([^)]+\))",
        "no file of {0} fits to this Python and processor, or the index has it no more: another version where it is "
        "listed, and poetry lock",
    ),
    *(
        (
            rf"(?:Unable to locate package |Package '){name.replace('.', '[.]')}(?![\w.-])",
            f"Debian has no package {name}, {new} is in its place: {LISTS}",
        )
        for name, new in RENAMED.items()
    ),
    (
        r"\b(?:pip|python)(3\.\d+): (?:command )?not found",
        "the image has no Python {0}: write pip or python alone, or take an image that has it",
    ),
    (
        r"Could not open requirements file: [^\n]*'([^']+)'",
        "the image has no {0} yet: COPY {0} stands before that step, and git has to list it",
    ),
    (
        r"you need a C compiler to build uWSGI",
        "it needs a C compiler: build_packages: [build-essential]; where gunicorn serves the app, uWSGI need not be "
        "listed",
    ),
]
NODE = [
    (
        r"ERESOLVE",
        "npm finds no versions that go together: the lines above name them; npm ci --legacy-peer-deps installs them "
        "nevertheless",
    ),
    (
        r"ERR_OSSL_EVP_UNSUPPORTED|digital envelope routines::unsupported",
        "webpack is older than this Node.js: a newer webpack, or in the command "
        "NODE_OPTIONS=--openssl-legacy-provider npm run build",
    ),
    (
        r"code EBADENGINE|requires Node\.js version ([\d.]+)",
        "a package wants another Node.js than the build has: another version of that package, or a Dockerfile of the "
        "app's own, of which a stage builds the front end on an image of Node",
    ),
    (r"Missing script: \"?([\w:.-]+)", "package.json has no script {0}: correct the command, or add it there"),
    (
        r"ENOENT[^\n]*'([^']*package\.json)'",
        "npm finds no {0}: git has to list it; where it lies in a directory, npm --prefix DIRECTORY ci",
    ),
]
IMAGES = [
    (
        r"failed to resolve source metadata for (\S+): \1: not found",
        "the base image {0} does not exist: correct its name or its tag, in FROM or in build_base_image",
    ),
    (
        r"repository '\S+ (\w+)\S* Release' (?:does not have|no longer has) a Release file",
        "Debian's servers have {0} no more: take a base image of a newer Debian, example: python:3.13-slim-trixie",
    ),
]
BUILDING = [*PROJECT, *NAMES, *NODE, *IMAGES]
