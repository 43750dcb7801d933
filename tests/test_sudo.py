"""What a reader is told to type on a host works for a user who is not root."""

from __future__ import annotations

import re
import subprocess

from tests.conftest import ROOT

ROOM = ("roles", "plugins", "docs", "README.md", "inventories")
DOCKER = "inspect|ps|logs|rm|run|images?|exec|volume|network|restart|stop|start|kill|load|builder|system"
SYSTEMCTL = "(?:re)?(?:start|stop|load)|enable|disable|edit|kill|reset-failed"
NEEDS_ROOT = rf"journalctl (?:-|\w+=)|docker (?:{DOCKER}) (?:-|[\w{{<])|nginx -[tT]|systemctl (?:{SYSTEMCTL}) [\w-]"
TYPED = re.compile(
    rf"(?:(?:look at|log|why|kept it|keeps it|type there|type|then|see|look|what to do|on the host|end it): "
    rf"|again: |`|\"|; |^)(?:{NEEDS_ROOT})",
    re.MULTILINE | re.IGNORECASE,
)
NOT_TYPED = {  # what a program does, a recipe, or typed where no server is
    "README.md": {"`docker run -"},
    "docs/reference/guarantees.md": {"`nginx -t"},
    "plugins/module_utils/flask_deploy/certificates/store.py": {'"nginx -t'},
    "roles/kubernetes/plugin_utils/manifests/readme.py": {"`docker load -"},
    "roles/nginx/vars/main.yml": {"; nginx -t"},
}


def test_what_needs_root_is_typed_with_sudo():
    listed = subprocess.run(["git", "ls-files", "-z", *ROOM], cwd=ROOT, capture_output=True, text=True, check=True)
    paths = [path for path in listed.stdout.split("\0") if path.endswith((".py", ".yml", ".md", ".j2"))]
    found = {path: set(TYPED.findall((ROOT / path).read_text())) - NOT_TYPED.get(path, set()) for path in paths}
    assert {path: lines for path, lines in found.items() if lines and not path.endswith("CHANGELOG.md")} == {}
