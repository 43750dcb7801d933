"""The steps of the files for CI that `flask-deploy new` writes, as a runner has them: its shell, its directory."""

from __future__ import annotations

import re

import yaml


class GitHub:
    """Steps of a job of GitHub Actions, each in a shell of its own; `uses` is what a runner brings by itself."""

    file, shell = ".github/workflows/flask-deploy.yml", ("bash", "--noprofile", "--norc", "-eo", "pipefail")

    def __init__(self, text):
        self.said = yaml.load(text, yaml.BaseLoader)  # as GitHub reads it: `on` is a word

    def environments(self, job):
        """Return the environments that a job is run for."""
        return self.said["jobs"][job]["strategy"]["matrix"]["environment"]

    def steps(self, job, environment):
        """Return (directory below the clone, lines of shell) of each step."""
        place = self.said["defaults"]["run"]["working-directory"]
        lines = [step["run"] for step in self.said["jobs"][job]["steps"] if "run" in step]
        return [(place, re.sub(r"\$\{\{ *matrix\.environment *\}\}", environment, line)) for line in lines]


class GitLab:
    """The script of a job of GitLab: one shell for all lines, in the clone's top directory."""

    file, shell = ".gitlab-ci.yml", ("bash", "-eo", "pipefail")

    def __init__(self, text):
        self.said = yaml.safe_load(text)

    def environments(self, job):
        (matrix,) = self.said[job]["parallel"]["matrix"]
        return matrix["ENVIRONMENT"]

    def steps(self, job, environment):
        lines = [f"export ENVIRONMENT={environment}", *self.said["default"]["before_script"], *self.said[job]["script"]]
        return [(".", "\n".join(lines))]


RUNNERS = (GitHub, GitLab)
