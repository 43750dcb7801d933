"""What a Dockerfile says of its image, and why a deploy would refuse to serve that; docs/how-to/dockerfile.md."""

from __future__ import annotations

import re

from ansible.module_utils import build_dockerfiles

from source_starts import scripts
from source_starts.files import Files

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


def refused(tree: Files, command: str) -> str:
    """Return why a deploy would refuse the image; "" where it would not.

    :param command: what the image runs.
    """
    text = tree.text("Dockerfile")
    if image := _old(text):
        return f"the Dockerfile builds on {image}, and a Python before 3.7 cannot serve"
    script = tree.text(scripts.script(tree, command))
    by = _hides(text, scripts.through_script(tree, command), script)
    return (
        f"the Dockerfile starts gunicorn by {by}, and no ENV PATH names its directory, as /app/venv/bin" if by else ""
    )


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
