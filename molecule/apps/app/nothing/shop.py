"""A shop that says nowhere what it needs."""

from flask import Flask

app = Flask(__name__)
