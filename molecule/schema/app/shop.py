"""A shop whose items lie in the database of its environment, or else in a file; made for these tests."""

import os

from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import text

database = SQLAlchemy()
print("the shop opens")  # noqa: T201 - what an app prints is no part of its schema


class Item(database.Model):
    id = database.Column(database.Integer, primary_key=True)
    name = database.Column(database.String(80), nullable=False)


def create_app():
    app = Flask(__name__)
    app.config.from_prefixed_env("DATABASE")  # DATABASE_URL is URL
    in_file = f"sqlite:///{os.environ['APP_DATA_DIR']}/shop.db"
    app.config["SQLALCHEMY_DATABASE_URI"] = app.config.get("URL", in_file)
    app.config["SQLALCHEMY_ENGINE_OPTIONS"] = {"pool_pre_ping": True}
    database.init_app(app)
    Migrate(app, database)

    @app.get("/")
    def items():
        return {"items": database.session.execute(text("SELECT count(*) FROM item")).scalar()}

    @app.post("/items")
    def add():
        database.session.add(Item(name="pen"))
        database.session.commit()
        return items()

    @app.get("/health")
    def health():
        return {"status": "pass"}

    return app
