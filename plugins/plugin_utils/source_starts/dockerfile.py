"""What a Dockerfile says of its image, and why a deploy would refuse to serve that; docs/how-to/dockerfile.md."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from fnmatch import fnmatch

from ansible.module_utils import build_dockerfiles

from source_starts import scripts
from source_starts.files import Files
from source_starts.shells import unwrapped

RUNNER = re.compile(r"(?<!\S)(?:\S*/)?(?:uv|poetry|pipenv|pdm|rye|hatch|conda|mamba|micromamba) run\b")
PLACE = re.compile(r"(?<!\S)(\S+)/gunicorn(?!\S)")
USUAL = {"/usr/local/bin", "/usr/bin", "/bin", "/opt/conda/bin"}
ACTIVATES = re.compile(r"(?:^|&&|;)\s*(?:source|\.|conda)\s+(?:\S*/)?activate\b", re.MULTILINE)
# Settings by which a runner installs into the image's own Python.
INTO_ITSELF = re.compile(
    r"virtualenvs\.create false|VIRTUALENVS_CREATE[= ]\"?(?:false|0)|--system\b|UV_SYSTEM_PYTHON|"
    r"UV_PROJECT_ENVIRONMENT[= ]\"?/usr|-n base\b|\bconda install\b",
    re.IGNORECASE,
)
INSTALLS = re.compile(r"(?<![/\w])(?<!uv )pip3? install\b[^&|;]*(?:\s-r|\sgunicorn)")
OLD = re.compile(r"(?:\S*/)?python:(?:2|3\.[0-6])(?!\d)\S*")
ADDS = re.compile(r"\b(?:apt(?:-get)?(?:\s+-\S+)*\s+install|apk(?:\s+-\S+)*\s+add)\s+([^&|;]*)")
PACKAGE = re.compile(r"[a-z0-9][a-z0-9.+-]+")


def refused(tree: Files, command: str, entry: str, gunicorn: bool) -> tuple[str, bool]:
    """Return (why a deploy would refuse the image, or "", whether its own command serves all the same).

    :param command: what the image runs; ENTRYPOINT is a part of it.
    :param gunicorn: whether the app's dependencies list it.
    """
    text = tree.text("Dockerfile")
    if image := _old(text):
        return f"the Dockerfile builds on {image}, and a Python before 3.7 cannot serve", False
    name = scripts.script(tree, command)
    serves = scripts.through_script(tree, command)
    if by := _hides(text, serves, tree.text(name)):
        return f"the Dockerfile starts gunicorn by {by}, and no ENV PATH names its directory, as /app/venv/bin", True
    idle = name and serves == command == unwrapped(entry) and scripts.PASSES.search(tree.text(name))
    if idle and not (gunicorn or "gunicorn" in text):
        return f"the Dockerfile has no CMD, its ENTRYPOINT {name} only runs what it is given, and gunicorn lacks", False
    return "", False


def without_code(text: str, names: Iterable[str]) -> bool:
    """Tell whether a Dockerfile copies files, and none of them is Python.

    :param names: all files of the source.
    """
    names = list(names)
    code = {name for name in names if name.endswith(".py")}
    rows = list(build_dockerfiles.instructions(text))
    copies = [rest for word, rest in rows if word in ("COPY", "ADD")]
    fetches = any(word == "RUN" and re.search(r"\b(git|curl|wget)\b|install .*\.(\s|$)", rest) for word, rest in rows)
    if not code or not copies or fetches or "onbuild" in text.lower():
        return False
    for rest in copies:
        words = re.sub(r"[\[\]\",]", " ", rest).split()
        origin = next((word.partition("=")[2] for word in words if word.startswith("--from=")), "")
        sources = [posixpath.normpath(word.lstrip("/") or ".") for word in words[:-1] if not word.startswith("--")]
        whole = [each for each in sources if each == "." or "$" in each or "://" in each or ".tar" in each]
        if (whole and not origin) or (origin and not re.search(r"[/:]", origin)):
            return False  # all of it, or what an earlier stage has
        taken = [[name for name in names if fnmatch(name, each) or fnmatch(name, f"{each}/*")] for each in sources]
        elsewhere = not origin and not all(taken)
        if elsewhere or any(name in code for row in taken for name in row):
            return False
    return True


def _old(text: str) -> str:
    """Return the image of a Python that is too old to serve."""
    return next((image for image, _platform in build_dockerfiles.images(text, {}) if OLD.fullmatch(image)), "")


def _hides(text: str, command: str, script: str) -> str:
    """Return by what an image starts a gunicorn that its PATH does not name; "" where it does, or has none.

    :param command: what serves in it.
    :param script: the text of a script that holds that, if one does.
    """
    rows = list(build_dockerfiles.instructions(text))
    paths = [match[1] for word, rest in rows if word == "ENV" and (match := re.search(r"\bPATH[= ]\"?(\S+)", rest))]
    runs = [rest for word, rest in rows if word == "RUN" and not ACTIVATES.search(rest)]
    named = INTO_ITSELF.search(text) or any(re.search("env", path, re.IGNORECASE) for path in paths)
    if named or "gunicorn" not in command or any(map(INSTALLS.search, runs)):
        return ""
    if match := RUNNER.search(command):
        return match[0]
    match = PLACE.search(command)
    if match and match[1] not in USUAL and f"{match[1]}:" not in " ".join(f"{path}:" for path in paths):
        return match[0]
    match = ACTIVATES.search(script) or ACTIVATES.search(command)
    return match[0].strip("&; \n") if match else ""


def adds(text: str) -> list[str]:
    """Return the packages of a distribution that it installs."""
    runs = [rest for word, rest in build_dockerfiles.instructions(text) if word == "RUN"]
    words = [word for rest in runs for match in ADDS.finditer(rest) for word in match[1].split()]
    return list(dict.fromkeys(word for word in words if PACKAGE.fullmatch(word)))


def port(command: str, exposed: list[str]) -> str:
    """Return the port on which an image's own command answers."""
    named = re.findall(r"(?:^|[\s:=])([1-9][0-9]{3,4})(?=\s|$)", command)
    return [*exposed, *named, "8000" if "gunicorn" in command else "5000"][0]
