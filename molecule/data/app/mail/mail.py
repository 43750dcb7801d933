"""An app that sends letters by Celery, and counts them in PostgreSQL; made for these tests."""

import os

import psycopg
import redis
from celery import Celery
from flask import Flask

app = Flask(__name__)
celery = Celery("mail")  # it reads CELERY_BROKER_URL by itself


def sql(statement):
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        return connection.execute(statement)


@celery.task
def send():
    sql("INSERT INTO sent DEFAULT VALUES")


@app.cli.command("prepare")
def prepare():
    if "DATABASE_URL" in os.environ:
        sql("CREATE TABLE IF NOT EXISTS sent (id serial)")


@app.get("/")
def index():
    return {"services": sorted(name for name in os.environ if name.endswith("_URL"))}


@app.get("/sent")
def sent():
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        return str(connection.execute("SELECT count(*) FROM sent").fetchone()[0])


@app.get("/waiting")
def waiting():
    return str(redis.from_url(os.environ["REDIS_URL"]).llen("celery"))


@app.post("/letters/<int:count>")
def letters(count):
    for _ in range(count):
        send.delay()
    return {"ordered": count}
