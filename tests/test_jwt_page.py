"""What docs/reference/jwt.md shows works as it stands there."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import jwt
from ansible.module_utils.flask_deploy.keys.pem import Pem

PAGE = (Path(__file__).parents[1] / "docs/reference/jwt.md").read_text()


def test_the_openssl_lines_verify_a_token_and_refuse_another(tmp_path):
    lines = re.search(r"```sh\n(printf %s.*?)```", PAGE, re.DOTALL)[1]
    private = tmp_path / "private.pem"
    subprocess.run(["openssl", "genrsa", "-out", private, "2048"], check=True, capture_output=True)
    (tmp_path / "public.pem").write_text(Pem(private.read_text()).public().text)
    for number in range(4):  # each length of base64's last group
        token = jwt.encode({"identity": "a" * number}, private.read_text(), "RS256")
        head, body, signature = token.split(".")
        for tried, said in ((token, "Verified OK"), (f"{head}.{body}x.{signature}", "Verification")):
            environment = {"TOKEN": tried, "PATH": "/usr/bin:/bin"}
            done = subprocess.run(
                ["bash", "-c", lines], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
            )
            assert said in done.stdout + done.stderr
            assert (done.returncode == 0) == (tried == token)
