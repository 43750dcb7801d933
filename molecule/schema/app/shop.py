"""A shop whose items lie in a database; made for these tests."""

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
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{os.environ['APP_DATA_DIR']}/shop.db"
    database.init_app(app)
    Migrate(app, database)

    @app.get("/")
    def items():
        return {"items": database.session.execute(text("SELECT count(*) FROM item")).scalar()}

    @app.get("/health")
    def health():
        return {"status": "pass"}

    return app
