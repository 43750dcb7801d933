"""A shop that reads files and nothing else: beside its code, in Flask's instance folder, and in /etc."""

import configparser

import config
from flask import Flask

app = Flask(__name__, instance_relative_config=True)
app.config.from_pyfile("settings.cfg")
known = configparser.ConfigParser()
known.read("/etc/shop/shop.ini")


@app.get("/")
def index():
    return f"{config.TITLE} {len(app.config['SECRET_KEY'])} {known.get('shop', 'currency', fallback='none')}"
