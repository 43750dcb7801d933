"""What errors mean of an image that lacks a library or a program, or has one for another system; what to do."""

from __future__ import annotations

from ansible.module_utils.flask_deploy.host import debian

PACKAGE = "the image lacks {0}: build_image_packages: [{library}]"
NAMED = rf"(?:lib)?(?:{debian.STEM})(?:-\d+)?(?:\.so)?|{debian.FILE}"  # a library, as code names it

# Libraries and programs that packages of Python look for themselves: how they say that there is none, and the package.
LOOKED_FOR = {
    r"failed to find libmagic": "libmagic1t64",
    r"Unable to find zbar shared library": "libzbar0t64",
    r"Unable to find dmtx shared library": "libdmtx0t64",
    r"MagickWand shared library not found": "libmagickwand-7.q16-10",
    r"sndfile library not found": "libsndfile1",
    r"PortAudio library not found": "libportaudio2",
    r"The 'enchant' C library was not found": "libenchant-2-2",
    r"Could not find (?:lib|library) geos_c|Could not find the GEOS library": "libgeos-c1t64",
    r"Could not find the GDAL library": "libgdal36",
    r"could not find or load \S*spatialindex_c": "libspatialindex-c8",
    r"ODBC Driver Manager|Can't open lib 'PostgreSQL": "odbc-postgresql",
    r"No JVM shared library file|Java gateway process exited|JAVA_HOME is not set": "default-jre-headless",
    r"tesseract is not installed or it's not in your PATH": "tesseract-ocr",
    r"Is poppler installed and in PATH": "poppler-utils",
    r"No pandoc was found": "pandoc",
    r"failed to execute (?:PosixPath\()?'?dot\b|GraphViz's executables not found": "graphviz",
    r"Could not find an available JavaScript runtime": "nodejs",
    r"'?chromedriver'? executable needs to be in PATH|Unable to obtain driver for chrome": "chromium, chromium-driver",
    r"(?:Couldn't|Could not) find ffmpeg|No ffmpeg exe could be found": "ffmpeg",
    r"(?:Cannot|Could not) find \[?'?xmlsec1": "xmlsec1",
    r"Unable to run gpg ": "gnupg",
    r"Ghostscript is not installed": "ghostscript",
    r"unsupported locale setting": "locales-all",
}

COMPILED = [
    (
        r"version [`']([^'`]+)' not found \(required by ([^)\n]+)\)",
        "{1} was compiled for a newer system than the image, one with {0}. Where git lists that file, take it out: the "
        "build installs it anew. Otherwise take a newer build_base_image, example: python:{{python}}-slim-trixie",
    ),
    (
        r"(libc\.musl-[\w.-]+)|Error loading shared library (ld-linux\S+|libc\.so\.6)|Error relocating (\S+):",
        "a compiled package is for another Linux than the image ({0}): one of both is Alpine. Take what was installed "
        "out of git, and build on Debian: build_base_image: python:{{python}}-slim-trixie",
    ),
    (
        r"(\S+\.so\S*): undefined symbol: (\w+)",
        "{0} was compiled for another Python, or for another version of a library. Where git lists that file, take it "
        "out; otherwise another version of its package, build_requirements, or another Python, build_python",
    ),
    (
        r"(\S+): (?:invalid ELF header|wrong ELF class|file too short)",
        "{0} was compiled for another kind of machine: take it out of git, so that the build installs it anew",
    ),
    (
        r"Exec format error: '([^']+)'|exec ([^\s:]+): exec format error|"
        r"([^\s:]+): (?:cannot execute binary file: )?Exec format error",
        "{0} is for another kind of processor than this host has, or a script without a first line such as #!/bin/sh: "
        "build it on the host, or write that line",
    ),
    (
        r"(?i)exec format error",
        "the program is for another kind of processor than this host has, or a script without a first line such as "
        "#!/bin/sh: build it on the host, or write that line",
    ),
    (
        r"(\S+): (?:/\S+: )?bad interpreter|env: ['\"\u2018]?([\w.]+)(?:\\r|\r)",
        "{0} does not start: its first line names a program that the image does not have, or it was saved with the "
        "line ends of Windows. Save it with LF, or write in .gitattributes: *.sh text eol=lf",
    ),
    (
        r"\b\d+: (?:exec: )?(\.?/\S+): not found|exec (\S+): no such file",
        "the image has no {0}, or its first line names a program that the image does not have: leave a virtual "
        "environment out of git, and save scripts with LF",
    ),
    (
        r"libpython(\d\.\d+)\w*\.so\S*: cannot open shared object file",
        "something was compiled for Python {0}: build_python: '{0}', or take it out of git so that it is "
        "installed anew",
    ),
]
LIBRARIES = [
    (
        r"libpq library not found|no pq wrapper available|libpq\.so",
        "the image has no libpq: build_image_packages: [libpq5], or psycopg[binary] where the app lists psycopg",
    ),
    (
        r"(?s)weasyprint.*(?:cannot load library|no library called)",
        "WeasyPrint needs Pango: build_image_packages: [libglib2.0-0t64, libpango-1.0-0, libpangoft2-1.0-0, "
        "libharfbuzz-subset0]",
    ),
    *((pattern, f"the image lacks it: build_image_packages: [{name}]") for pattern, name in LOOKED_FOR.items()),
    (
        rf"(?:^|[\s:'/])({debian.FILE}): cannot open shared object file|cannot load library '({NAMED})'"
        rf"|no library called \"({NAMED})\" was found",
        PACKAGE,
    ),
    (r"(libmysqlclient\.so\S*): cannot open", "Debian has libmariadb3 for {0}: build_image_packages: [libmariadb3]"),
    (
        r"libclntsh|DPI-1047",
        "Debian has no client of Oracle: python-oracledb needs none, in its thin mode: build_requirements: [oracledb]",
    ),
    (
        rf"(?:^|[\s:'/])(lib(?:{debian.STEM})\.so\.[\d.]+): cannot open shared object file",
        "{0} is of another Debian than the image: take a newer version of the package that was compiled for it, or a "
        "build_base_image that has it",
    ),
    (
        r"(\S+\.so[.\d]*): cannot open shared object file|cannot load library '([^']+)'",
        "the image lacks the library {0}: build_image_packages names Debian's package that has it, as "
        "packages.debian.org tells",
    ),
]
PROGRAMS = [
    (
        r"wkhtmlto(?:pdf|image)['\"]?(?: executable found|: (?:command )?not found)|No such file or directory: "
        r"'\S*wkhtml",
        "Debian 13 has no wkhtmltopdf, Debian 12 has: build_base_image: python:{{python}}-slim-bookworm and "
        "build_image_packages: [wkhtmltopdf]; or make PDFs with WeasyPrint",
    ),
    (
        r"(?s)subprocess\.py.*No such file or directory: '(?:/usr)?(?:/local)?(?:/bin/)?([^'/]+)'|Cmd\('(\w+)'\) "
        r"not found"
        r"|Bad (git) executable|\b\d+: (?:exec: )?([\w.-]+): not found"
        r"|'?\"?([\w.-]+)\"?'?: (?:executable file|command) not found",
        "the image has no program {0}: name Debian's package of it, build_image_packages: [{package}]",
    ),
]
DATA = [
    (
        r"No time zone found with key ([\w/+-]+)",
        "the image does not know the time zone {0}: build_requirements: [tzdata], or correct its name",
    ),
    (r"UnknownTimeZoneError: '([^']+)'", "no time zone has the name {0}: correct it, example: Europe/Berlin"),
    (
        r"(?s)ImageFont\.py\".*cannot open resource",
        "the font is not in the image: add its file to git, or take one of build_image_packages: [fonts-dejavu-core]",
    ),
    (
        r"LookupError:\s*\*+\s*Resource (?:\x1b\[\d+m)?'?([\w-]+)",
        "the image lacks data of NLTK: build_command: python -m nltk.downloader -d /venv/nltk_data {0}",
    ),
    (
        r"\[E050\] Can't find model '([\w.-]+)'",
        "the image lacks spaCy's model {0}: add the address of its wheel where the app lists its dependencies",
    ),
]
CACHES = [
    (
        r"(?s)(?:huggingface|transformers|torch[/.]hub).*No space left on device",
        "models are larger than /tmp, where they are loaded to: app_env: {{HF_HOME: /data/huggingface, TORCH_HOME: "
        "/data/torch}}, which is kept",
    ),
    (
        r"problem when trying to write in your cache folder|PermissionError at \S*huggingface|"
        r"(?:Permission denied|Read-only file system): '[^']*(?:huggingface|transformers)",
        "models are loaded to where the app may not write: app_env: {{HF_HOME: /data/huggingface}}",
    ),
    (
        r"cannot cache function [^\n]*: no locator available",
        "Numba may not write beside the code: app_env: {{NUMBA_CACHE_DIR: /tmp/numba}}",
    ),
    (
        r"(?i)(?:Permission denied|Read-only file system|not a writable directory)[^\n]*matplotlib|"
        r"matplotlib[^\n]*not a writable directory",
        "Matplotlib may not write its cache: app_env: {{MPLCONFIGDIR: /tmp/matplotlib}}",
    ),
    (
        r"(?:Permission denied|Read-only file system): '[^']*nltk_data",
        "NLTK may not write there: build_command: python -m nltk.downloader -d /venv/nltk_data, with what it "
        "downloads, in place of nltk.download() in the code",
    ),
]
IMAGE = [*COMPILED, *LIBRARIES, *PROGRAMS, *DATA, *CACHES]
