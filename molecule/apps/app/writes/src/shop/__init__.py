"""A shop below src that writes beside its code, as Flask's own tutorial does, and has a command."""

import getpass
import os
import pwd
from pathlib import Path

from flask import Flask, request


def create_app():
    app = Flask(__name__, instance_relative_config=True)
    os.makedirs(app.instance_path, exist_ok=True)
    sales = Path(app.instance_path, "sales.txt")

    @app.get("/")
    def index():
        Path("cache", "page").write_text("kept for a moment")
        return f"{sales.read_text() if sales.exists() else 'nothing'} {sorted(os.listdir('uploads'))}"

    @app.post("/upload")
    def upload():
        file = request.files["file"]
        file.save(Path("uploads", "sent.bin"))
        return str(Path("uploads", "sent.bin").stat().st_size)

    @app.get("/who")
    def who():
        return f"{getpass.getuser()} {pwd.getpwuid(os.getuid()).pw_name} {os.access(Path.home(), os.W_OK)}"

    @app.cli.command("sell")
    def sell():
        with sales.open("a") as file:
            file.write("sold;")

    return app
