"""What errors mean of packages that a build compiles: what they lack of Debian, or which Python they want."""

from __future__ import annotations

import re

from ansible.module_utils.flask_deploy.host import debian

# Names that debian.DEVELOPMENT knows: headers, and modules of pkg-config.
HEADER = "|".join(f"{re.escape(name)}{'[^:]*' * name.endswith('/')}" for name in debian.DEVELOPMENT if name[0] != "-")
MODULE = "|".join(re.escape(name[:-3]) for name in debian.DEVELOPMENT if name.endswith(".pc"))
NO_PROGRAM = "the build has no program {0}: build_packages: [{package}]"
NO_HEADER = "a header is missing, {0}: build_packages: [{package}]"
# More exact than what a build's step says by itself, which looks at wheels alone.
LACKING = [
    (r"pg_config executable not found", "it needs PostgreSQL's headers: build_packages: [libpq-dev]"),
    (
        r"does not appear to be a Python project|Distribution not found at: file:",
        "the app takes that package from another directory, by a path, and build_subdir is all that a build has. Take "
        "it from an index or a git address where the app lists it, or leave build_subdir empty",
    ),
    (r"mysql_config|MySQLclient|Can not find valid pkg-config name", "build_packages: [default-libmysqlclient-dev]"),
    (
        r"fatal error: '?libx(?:ml|slt)/|libxml2 and libxslt development packages",
        "it needs the headers of libxml2: build_packages: [libxml2-dev, libxslt1-dev]",
    ),
    (
        r"fatal error: '?(?:ldap|lber|sasl)\b",
        "it needs OpenLDAP's headers: build_packages: [libldap-dev, libsasl2-dev]",
    ),
    (
        r"fatal error: '?numpy/",
        "it needs numpy to be built: another version of it, one that has wheels, build_requirements",
    ),
    (rf"fatal error: '?(?!Python\.h)({HEADER})'?(?:: No such| file not)", NO_HEADER),
    (
        r"fatal error: '?(?!Python\.h|longintrepr\.h)([\w./+-]+)'?(?:: No such file| file not found)",
        "a header is missing, {0}: build_packages names Debian's package that has it, as packages.debian.org tells",
    ),
    (r"cannot find (-l[\w.+-]+)", "the linker finds no {0}: build_packages: [{package}]"),
    (
        rf"PackageNotFoundError: ({MODULE}) not found|[Pp]ackage '?({MODULE})'?(?:,? required by '[^']*', not "
        rf"found| was not found in the pkg-config| found\b)"
        rf"|(?:Dependency|Dependency lookup for) \"?({MODULE})\"? (?:not found|with method '?pkg-?config'? failed)",
        "it needs {0}: build_packages: [{package}]",
    ),
    (r"GDAL API version must be specified|gdal-config", "it needs GDAL's headers: build_packages: [libgdal-dev]"),
    (r"xmlsec1 (?:is not installed|development)|find xmlsec1", "build_packages: [libxml2-dev, libxmlsec1-dev]"),
    (
        r"CMake must be installed|CMake (?:is not installed|not found)|Problem with the CMake installation",
        "it needs CMake: build_packages: [cmake]",
    ),
    (r"Did not find pkg-config by name", "build_packages: [pkg-config]"),
    (r"library files could not be found for \w+", "build_packages: [libjpeg-dev, zlib1g-dev]"),
    (r"Could not detect Ninja", "it needs Ninja: build_packages: [ninja-build]"),
    (r"Unknown compiler\(s\): \[\['(gfortran|cc|c\+\+)'", NO_PROGRAM),
    (r"(?i)no Fortran compiler found|Fortran compiler (?:not found|is required)", "build_packages: [gfortran]"),
    (r"(?i:git) executable not found|Cannot find command 'git'", "an address of git is listed: build_packages: [git]"),
    (
        r"(?:command|execute) '(?!cargo|rustc)(?:\S*/)?([\w.+-]+)'(?: failed)?: No such file"
        r"|(?s:subprocess.*)No such file or directory: '(?!cargo|rustc)([\w.+-]+)'"
        r"|No such file or directory: '([a-z0-9]+-config)'|\b([a-z0-9]+-config)(?:: (?:command )?not found|['\"]? "
        r"(?:is )?not found)",
        NO_PROGRAM,
    ),
]
# Less exact than a Python for which there is a wheel.
CAUSES = [
    (
        r"requires rustc [\d.]+|edition2024|-Znext-lockfile-bump",
        "Debian's Rust is too old for it: another version of the package, one that has wheels, build_requirements",
    ),
    (
        r"can't find Rust compiler|the rust compiler, is not|the Rust package manager, is not|cargo: (?:command "
        r")?not found"
        r"|'(?:cargo|rustc)'(?: failed)?: No such|No such file or directory: '(?:cargo|rustc)'|rustc: not found",
        "it needs Rust: build_packages: [cargo]. Where Debian's is too old: another version of the package, one "
        "that has wheels, build_requirements",
    ),
    (
        r"newer than PyO3's maximum supported (?:Python )?version \((3\.\d+)\)",
        "build_python: '{0}', or a newer version",
    ),
    (
        r"No module named '?(distutils|imp)\b|has no attribute '(ImpImporter|SafeConfigParser)'",
        "Python 3.12 and newer have no {0}: build_python: '3.11', or a newer version of the package, "
        "build_requirements",
    ),
    (
        r"(longintrepr\.h): No such file|has no member named .(use_tracing|co_code)\b",
        "its C code was written for Python 3.10 and older ({0}): a newer version of the package, "
        "build_requirements, or build_python: '3.10'",
    ),
    (
        r"has no member named .(ob_digit|curexc_\w+)",
        "its C code was written for Python 3.11 and older ({0}): a newer version of the package, "
        "build_requirements, or build_python: '3.11'",
    ),
    (
        r"to function .(_PyLong_AsByteArray)|(_PyInterpreterState_GetConfig|_Py_UnhandledKeyboardInterrupt)",
        "its C code was written for Python 3.12 and older ({0}): a newer version of the package, "
        "build_requirements, or build_python: '3.12'",
    ),
    (r"fatal error: '?Python\.h", "Python's headers are missing: build_packages: [python3-dev]"),
    (
        r"Compatibility with CMake < 3\.5 has been removed",
        "its CMakeLists.txt is old: build_args: {{CMAKE_POLICY_VERSION_MINIMUM: '3.5'}}, or a newer version of it",
    ),
    (r"use_2to3 is invalid", "it was written for Python 2: a newer version of the package, build_requirements"),
    (r"AttributeError: cython_sources", "PyYAML is too old to be built: build_requirements: [pyyaml>=6.0.1]"),
    (
        r"indicates that `([^`]+)` depends on `([^`]+)`, but doesn't declare it",
        "{0} needs {1} to be built, and does not say so: another version of it, one that has wheels, "
        "build_requirements",
    ),
    (
        r"No module named '?(pkg_resources|[Cc]ython|numpy|pybind11|setuptools_scm)\b",
        "the package needs {0} to be built, and does not say so: another version of it, one that has wheels, "
        "build_requirements",
    ),
]


def package(name: str) -> str:
    """Return Debian's package that has a header, a program, a library or a module of pkg-config."""
    return next((each for each in map(debian.package, (name, f"{name}.pc")) if each.removesuffix(".pc") != name), name)
