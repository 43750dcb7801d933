"""A shop whose items lie in PostgreSQL; made for these tests."""

import os

from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import text

database = SQLAlchemy()


class Item(database.Model):
    id = database.Column(database.Integer, primary_key=True)
    name = database.Column(database.String(80), nullable=False)


def create_app():
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
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
