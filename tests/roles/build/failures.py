"""What steps of builds say as they fail, in the words of uv, pip, compilers and docker, and what to do about each."""

from __future__ import annotations

from ansible.module_utils.flask_deploy.host import building, debian
from ansible.module_utils.flask_deploy.host.brought import BRINGS

UV = "error: No solution found when resolving dependencies"
FAILED = "error: Failed to build `shopping==1.0`\n  cause: The build backend returned an error"
NO_FILE = "FileNotFoundError: [Errno 2] No such file or directory: '{0}'"
POPEN = '  File "/usr/local/lib/python3.13/subprocess.py", line 1974, in _execute_child\n    raise '
"child_exception_type("


def compiled(*lines: str) -> str:
    return "\n".join([FAILED, "         [stderr]", *(f"         {line}" for line in lines)])


def no_header(name: str) -> str:
    return compiled(f"src/x.c:15:10: fatal error: {name}: No such file or directory", "compilation terminated.")


OF_PYTHON = {
    f"{UV}\n  cause: Because the current Python version (3.13.1) does not satisfy Python>=3.8,<3.12 and numba==0.56.0 "
    "depends on Python>=3.8,<3.12, we can conclude that numba==0.56.0 cannot be used.": "build_python: '3.11'",
    f"{UV}\n  cause: Because the current Python version (3.13.1) does not satisfy Python<3.9 and oldy==1.0 "
    f"depends on": ("none of Python 3.10 to 3.14 is one: a newer version"),
    f"{UV}\n  cause: Because the current Python version (3.12.4) does not satisfy Python>=3.13": "build_python: '3.13'",
    f"{UV}\n  cause: Because the current Python version (3.13.1) does not satisfy Python==3.10": "build_python: '3.10'",
    f"{UV}\n  cause: Because the requested Python version (>=3.8) does not satisfy Python>=3.10 and flask==3.1 "
    f"depends": ('requires-python = ">=3.10"'),
    "ERROR: Package 'shop' requires a different Python: 3.13.0 not in '<3.12,>=3.8'": "build_python: '3.11'",
    "error: The requested interpreter resolved to Python 3.13.0, which is incompatible with the project's Python "
    "requirement: `>=3.8, <3.12` (from `project.requires-python`)": "build_python: '3.11'",
    "The currently activated Python version 3.13.1 is not supported by the project (^3.8,<3.11).\nTrying to find "
    "and use "
    "a compatible version.": "build_python: '3.10'",
    "Current Python version (3.13.1) is not allowed by the project (>=3.8,<3.12).": "build_python: '3.11'",
    f"{UV}\n  cause: Because compiled==1.0 has no wheels with a matching Python ABI tag (e.g., `cp313`) and you "
    f"require\n"
    "hint: You require CPython 3.13 (`cp313`), but we only found wheels for `compiled` (v1.0) with the following "
    "Python "
    "ABI tag: `cp310`": "build_python: '3.10'",
    "error: Distribution `torch==1.11 @ registry+x` can't be installed because it doesn't have a source "
    "distribution or "
    "wheel for the current platform\n\nhint: You're using CPython 3.13 (`cp313`), but `torch` (v1.11) only has wheels "
    "with the following Python ABI tags: `cp37m`, `cp38`": "none of Python 3.10 to 3.14",
    "ERROR: Ignored the following versions that require a different python version: 1.21.0 Requires-Python "
    ">=3.7,<3.11; "
    "1.26.0 Requires-Python >=3.9,<3.13\nERROR: Could not find a version that satisfies the requirement numpy==1.21.0 "
    "(from versions: 1.26.4)\nERROR: No matching distribution found for numpy==1.21.0": "build_python: '3.10'",
    "ERROR: Ignored the following versions that require a different python version: 1.21.0 Requires-Python "
    ">=3.7,<3.11\n"
    "ERROR: Could not find a version that satisfies the requirement numpy==99 (from versions: 1.26.4)\n"
    "ERROR: No matching distribution found for numpy==99": "no index has numpy==99",
}
NO_WHEEL = f"{UV}\n  cause: Because {{0}}==306 has no wheels with a matching {{1}} and you require {{0}}==306"
ABSENT = f"{UV}\n  cause: Because {{0}} was not found in the package registry and you require {{0}}=={{1}}"
EXPECTED = "expected '-c', '-e', '-r' or the start of a requirement: requirements.txt:4:1"
OF_FROZEN = {
    "error: Distribution not found at: file:///home/conda/feedstock_root/build_artifacts/click_1/work": "pip list --fo",
    "error: Distribution not found at: file:///C:/ci/click_1/work": "pip freeze wrote where conda had that package",
    "error: Distribution not found at: file:///app/lib/shop": "Take it from an index or a git address",
    ABSENT.format("pkg-resources", "0.0.0"): "Take the line pkg-resources==0.0.0 out of the app's list",
    "ERROR: No matching distribution found for pkg_resources==0.0.0": "pip freeze of Ubuntu lists it",
    ABSENT.format("ubuntu-drivers-common", "0.0.0"): "ubuntu-drivers-common is a part of Ubuntu",
    ABSENT.format("flask-ufw-x", "1"): "no index has flask-ufw-x",
    f"{NO_WHEEL.format('pywin32', 'Python ABI tag (e.g., `cp313`)')}\nhint: You require CPython 3.13 (`cp313`), but we "
    "only found wheels for `pywin32` (v306) with the following Python ABI tags: `cp311`": "it: pywin32; sys_platform",
    NO_WHEEL.format(
        "windows-curses", "platform tag (e.g., `manylinux_2_41_x86_64`)"
    ): "windows-curses is for Windows alone",
    "error: Failed to build `pywinpty==2.0.10`\n  cause: The build backend returned an error": "for Windows alone",
    "error: Failed to build `pyobjc-core==10.0`\n  cause: x": "pyobjc-core is for macOS alone",
    f"error: Unexpected '<', {EXPECTED}": "correct requirements.txt:4 (file:line): < begins no requirement",
    "error: Error parsing included file in `requirements.txt` at position 6\n  cause: failed to read from file "
    "`/app/base.txt`: No such file or directory (os error 2)": "requirements.txt includes /app/base.txt",
    "fatal: remote error:\n  The unauthenticated git protocol on port 9418 is no longer supported.": "write git+https://",
}
OF_CAUSES = {
    compiled(
        "error: can't find Rust compiler", "", "If you are using an outdated pip version, it is possible"
    ): "[cargo]",
    compiled("Cargo, the Rust package manager, is not installed or is not on PATH."): "build_packages: [cargo]",
    compiled("  Caused by: rustc, the rust compiler, is not installed or not in PATH."): "build_packages: [cargo]",
    "/bin/sh: 1: cargo: not found": "build_packages: [cargo]",
    compiled("error: package `time-core v0.1.6` cannot be built because it requires rustc 1.88 or newer, while the"): (
        "Debian's Rust is too old"
    ),
    compiled(
        "error: the configured Python interpreter version (3.14) is newer than PyO3's maximum supported version (3.13)"
    ): "build_python: '3.13'",
    compiled("ModuleNotFoundError: No module named 'distutils'"): "build_python: '3.11'",
    compiled("AttributeError: module 'pkgutil' has no attribute 'ImpImporter'. Did you mean: 'zipimporter'?"): (
        "Python 3.12 and newer have no ImpImporter: build_python: '3.11'"
    ),
    compiled("AttributeError: module 'configparser' has no attribute 'SafeConfigParser'"): "build_python: '3.11'",
    no_header("longintrepr.h"): "build_python: '3.10'",
    compiled(
        "x.c:9:3: error: \u2018PyLongObject\u2019 {aka} has no member named \u2018ob_digit\u2019"
    ): "build_python: '3.11'",
    compiled("x.c:9:3: error: too few arguments to function \u2018_PyLong_AsByteArray\u2019"): "build_python: '3.12'",
    no_header("Python.h"): "build_packages: [python3-dev]",
    compiled("CMake Error at CMakeLists.txt:1:", "  Compatibility with CMake < 3.5 has been removed from CMake."): (
        "build_args: {CMAKE_POLICY_VERSION_MINIMUM: '3.5'}"
    ),
    compiled("error in shopping setup command: use_2to3 is invalid."): "written for Python 2",
    compiled("AttributeError: cython_sources"): "[pyyaml>=6.0.1]",
    compiled("ModuleNotFoundError: No module named 'numpy'")
    + "\n\nhint: This error likely indicates that `shopping@1.0` depends on `numpy`, but doesn't declare it": (
        "shopping@1.0 needs numpy"
    ),
}
OF_DEBIAN = {
    no_header("numpy/arrayobject.h"): "it needs numpy to be built",
    compiled("meson.build:1:0: ERROR: Did not find pkg-config by name 'pkg-config'"): "[pkg-config]",
    compiled(
        "The headers or library files could not be found for jpeg,", "a required dependency when compil"
    ): "[libjpeg-dev",
    compiled("pkgconfig.pkgconfig.PackageNotFoundError: xmlsec1 not found"): "[libxmlsec1-dev]",
    compiled("Could not run curl-config: [Errno 2] No such file or directory: 'curl-config'"): "[libcurl4-openssl-dev]",
    compiled("ModuleNotFoundError: No module named 'pkg_resources'"): "the package needs pkg_resources to be built",
    "E: Package 'python3-distutils' has no installation candidate": "Debian has no package python3-distutils",
    "error: The lockfile at `uv.lock` needs to be updated, but `--locked` was provided.": "uv lock; commit it",
    "ERROR: Pipfile.lock (a1b2c3) out of date: run `pipfile lock` to generate": "pipenv lock; commit it",
    "npm error The `npm ci` command can only install with an existing package-lock.json": "commit package-lock.json",
    no_header("libxml/xmlversion.h"): "[libxml2-dev, libxslt1-dev]",
    compiled(
        "Error: Please make sure the libxml2 and libxslt development packages are installed."
    ): "[libxml2-dev, libxs",
    no_header("sasl.h"): "[libldap-dev, libsasl2-dev]",
    compiled("x.c:1:10: fatal error: 'portaudio.h' file not found"): "[portaudio19-dev]",
    no_header("gssapi/gssapi_ext.h"): "[libkrb5-dev]",
    no_header("odd/nothing.h"): "a header is missing, odd/nothing.h: build_packages names",
    compiled("/usr/bin/ld: cannot find -lsnappy: No such file or directory"): "[libsnappy-dev]",
    compiled("Package cairo was not found in the pkg-config search path."): "[libcairo2-dev]",
    compiled("Package 'libvirt', required by 'virtual:world', not found"): "[libvirt-dev]",
    compiled(
        '../meson.build:9:0: ERROR: Dependency "openblas" not found, tried pkgconfig and cmake'
    ): "[libopenblas-dev]",
    compiled("CRITICAL:root:A GDAL API version must be specified. Provide a path to gdal-config using a GDAL_CONFIG"): (
        "[libgdal-dev]"
    ),
    compiled("gdal_config_error: [Errno 2] No such file or directory: 'gdal-config'"): "[libgdal-dev]",
    compiled("/bin/sh: 1: krb5-config: not found"): "[libkrb5-dev]",
    compiled("pkg_config: xmlsec1 is not installed or not in path"): "[libxml2-dev, libxmlsec1-dev]",
    compiled("RuntimeError: CMake must be installed to build the following extensions: dlib"): "[cmake]",
    compiled(POPEN, NO_FILE.format("cmake")): "[cmake]",
    compiled("../meson.build:1:0: ERROR: Could not detect Ninja v1.8.2 or newer"): "[ninja-build]",
    compiled("../meson.build:9:0: ERROR: Unknown compiler(s): [['gfortran'], ['flang'], ['ifort']]"): "[gfortran]",
    compiled("../meson.build:1:0: ERROR: Unknown compiler(s): [['cc'], ['gcc'], ['clang']]"): "[build-essential]",
    compiled("numpy.distutils.fcompiler.CompilerNotFound", "error: no Fortran compiler found"): "[gfortran]",
    compiled("error: command 'gcc' failed: No such file or directory"): "[build-essential]",
    compiled("error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory"): "[build-essential]",
    compiled(
        "unable to execute 'swig': No such file or directory", "error: command 'swig' failed: No such file"
    ): "[swig]",
    compiled("error: command '/usr/bin/gcc' failed with exit code 1"): "its C code does not compile here",
    "error: Failed to download and build `x @ git+https://git.example.com/x`\n  cause: Git operation failed\n"
    "  cause: Git executable not found. Ensure that Git is installed and available.": "build_packages: [git]",
    "ERROR: Error [Errno 2] No such file or directory: 'git' while executing command git version\n"
    "ERROR: Cannot find command 'git' - do you have 'git' installed and in your PATH?": "build_packages: [git]",
    "/bin/sh: 1: node: not found": "build_packages: [nodejs]",
    "/bin/bash: line 1: npm: command not found": "build_packages: [npm]",
    "/bin/sh: 1: yarn: not found": "npx yarn",
    **{
        no_header(f"{name}x.h" if name.endswith("/") else name): f"[{package}"
        for name, package in debian.DEVELOPMENT.items()
        if not name.startswith("-")
        and not name.endswith(".pc")
        and package not in ("libldap-dev", "libsasl2-dev", "libxslt1-dev")
    },
}
PRIVATE = "fatal: could not read Username for 'https://git.example.com': terminal prompts disabled"
PIP = "ERROR: Could not find a version that satisfies the requirement {0} (from versions: {1})\n"
PIP += "ERROR: No matching distribution found for {0}"
PACKAGE_JSON = "npm error enoent Could not read package.json: Error: ENOENT: no such file or directory, open '{}'"
BASE = "docker.io/library/python:3.8-slim-trixie"
OF_BUILDING = {
    compiled("error: Multiple top-level packages discovered in a flat-layout: ['app', 'migrations']."): (
        "which of 'app', 'migrations' are its packages"
    ),
    compiled("ValueError: Unable to determine which files to ship inside the wheel using the following heuristics"): (
        "[tool.hatch.build.targets.wheel]"
    ),
    compiled("OSError: Readme file does not exist: README.md"): "pyproject.toml names README.md as its readme",
    f"error: Failed to download and build `x @ git+https://git.example.com/x`\n  cause: Git operation failed\n"
    f"{PRIVATE}": ("list it as git+ssh://git@"),
    f"  Running command git clone --filter=blob:none --quiet https://git.example.com/x /tmp/x\n  {PRIVATE}": (
        "build_git_key; in a Dockerfile of the app's own"
    ),
    "  File \"/app/config.py\", line 5, in Config\n    KEY = os.environ['SECRET_KEY']\n          ~~~~~~~~~~^^^^^^\n"
    "KeyError: 'SECRET_KEY'\nbuild_command ended with code 1": "build_args: {SECRET_KEY: of-the-build}",
    "  File \"<frozen os>\", line 717, in __getitem__\nKeyError: 'TOKEN'": "build_args: {TOKEN: of-the-build}",
    'sqlalchemy.exc.OperationalError: (psycopg2.OperationalError) could not translate host name "db" to address: '
    "Name or service not known": "run that at the deploy, app_release_command",
    PIP.format("tensorflow==2.12.0", "2.20.0rc0, 2.20.0"): "2.20.0 is the newest that it has",
    PIP.format("tensorflow==2.12.0", "2.20.0"): "no index has tensorflow==2.12.0 for the Python of the image",
    PIP.format("pywin32==306", "none"): "pywin32 is for Windows alone",
    "The 'sklearn' PyPI package is deprecated, use 'scikit-learn' rather than 'sklearn' for pip commands.": (
        "list scikit-learn in place of sklearn"
    ),
    "  RuntimeError: Unable to find installation candidates for flask (3.0.0)": "no file of flask (3.0.0) fits",
    "/bin/sh: 1: pip3.8: not found": "the image has no Python 3.8",
    "ERROR: Could not open requirements file: [Errno 2] No such file or directory: 'requirements.txt'": (
        "COPY requirements.txt stands before"
    ),
    compiled("Exception: you need a C compiler to build uWSGI"): "[build-essential]; where gunicorn serves",
    "npm error code ERESOLVE\nnpm error ERESOLVE unable to resolve dependency tree": "npm ci --legacy-peer-deps",
    "Error: error:0308010C:digital envelope routines::unsupported\n  code: 'ERR_OSSL_EVP_UNSUPPORTED'": (
        "NODE_OPTIONS=--openssl-legacy-provider"
    ),
    "npm error code EBADENGINE\nnpm error engine Unsupported engine": "a package wants another Node.js",
    "You are using Node.js 18.19.0. Vite requires Node.js version 20.19+ or 22.12+.": "wants another Node.js",
    'npm error Missing script: "build"': "package.json has no script build",
    PACKAGE_JSON.format("/app/package.json"): "npm finds no /app/package.json",
    "ERROR: failed to solve: python:3.8-slim-trixie: failed to resolve source metadata for "
    f"{BASE}: {BASE}: not found": (f"the base image {BASE} does not exist"),
    "E: The repository 'http://deb.example.com/debian buster Release' does not have a Release file.": (
        "Debian's servers have buster no more"
    ),
    **{
        f"E: Unable to locate package {name}": f"Debian has no package {name}, {new} is in its place: "
        for name, new in building.RENAMED.items()
    },
    **{
        ABSENT.format(module, "1"): f"list {name} in place of {module}"
        for module, name in BRINGS.items()
        if module != "psycopg2"
    },
}
UTF_8 = "Out-File -Encoding utf8"
OF_HOST = {
    "Host key verification failed.\nfatal: Could not read from remote repository.": "another key than before",
    "ERROR: failed to solve: unknown instruction: FORM": "correct it: FORM",
    "ERROR: failed to solve: pull access denied, repository does not exist": "cannot be had: correct its name",
    "error: Failed to fetch: `https://index.example.com/x`\n  cause: dns error\n  cause: failed to lookup address": (
        "does not reach what the build asks for"
    ),
    '  File "/app/setup.py", line 3\n    print x\nSyntaxError: Missing': "correct line 3 of /app/setup.py",
    "E: You don't have enough free space in /var/cache/apt/archives/.": "sudo docker builder prune",
    "error: Failed to write `/venv/x`\n  cause: No space left on device (os error 28)": "sudo docker builder prune",
    "ERROR: failed to solve: python:3.13: failed to resolve source metadata for docker.io/library/python:3.13: "
    "failed to "
    "copy: httpReadSeeker: failed open: unexpected status code https://registry-1.docker.io/v2/: 429 Too Many "
    "Requests - "
    "Server message: toomanyrequests: You have reached your unauthenticated pull rate limit.": "build_registry: "
    "docker.io",
    "error: Failed to fetch: `https://index.example.com/simple/flask/`\n  cause: HTTP status client error (429 "
    "Too Many "
    "Requests) for url (https://index.example.com/simple/flask/)\n429 Too Many Requests": "asked too often",
    "error: error sending request for url\n  cause: invalid peer certificate: certificate expired: verification time "
    "1796000000 (UNIX), but certificate is not valid after 1790000000 (6000000 seconds ago)": "has expired",
    "error: invalid peer certificate: Expired": "has expired",
    "fatal: unable to access 'https://git.test/': SSL certificate problem: certificate has expired": "has expired",
    "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time "
    "2026-11-28T10:00:00Z"
    " is after 2026-10-01T00:00:00Z": "has expired",
    "error: invalid peer certificate: NotValidYet": "the host's clock is wrong",
    "tls: failed to verify certificate: x509: certificate is valid for a.example.com, not b": "another name",
    "error: invalid peer certificate: UnknownIssuer": "build_ca_file",
    "error: Couldn't parse requirement in `requirements.txt` at position 0\n  cause: Expected one of `@`, `(`, "
    "`<`, `=`, "
    "`>`, `~`, `!`, `;`, found ``\n         flask==3.0": f"{UTF_8} requirements.txt",
    "error: Unexpected '', expected '-c', '-e', '-r' or the start of a requirement: requirements.txt:1:1": UTF_8,
    "error: failed to decode file `requirements.txt`: stream did not contain valid UTF-8": f"{UTF_8} requirements.txt",
    "ERROR: Invalid requirement: 'f\\x00l\\x00a\\x00s\\x00k\\x00': Expected end or semicolon\n    f l\n     ^ "
    "(from line 1 "
    "of requirements.txt)": f"{UTF_8} requirements.txt",
    "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte": UTF_8,
}
FAILURES = {**OF_FROZEN, **OF_PYTHON, **OF_CAUSES, **OF_DEBIAN, **OF_BUILDING, **OF_HOST}
