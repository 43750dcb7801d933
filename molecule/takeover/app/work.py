"""What only one host may do; each turn of it is written down, by the database's clock."""

import os
import sys
import time
from pathlib import Path

import psycopg

NAME = Path("/data/name")  # of the host, once the tests have begun
# What the job was claimed for is in the database too.
TICK = """
INSERT INTO tick (host, due) SELECT %s, due FROM flask_deploy.claims WHERE name = 'job tick' RETURNING id
"""
TICKED = "UPDATE tick SET ended = clock_timestamp() WHERE id = %s"
BEAT = "INSERT INTO beat (host, began) VALUES (%s, clock_timestamp()) RETURNING id"
BEATEN = "UPDATE beat SET ended = clock_timestamp() WHERE id = %s"


def turn(begin, end, seconds):
    with psycopg.connect(os.environ["DATABASE_URL"], autocommit=True, connect_timeout=5) as connection:
        host = NAME.read_text().strip() if NAME.exists() else "nobody yet"
        (number,) = connection.execute(begin, (host,)).fetchone()
        time.sleep(seconds)
        connection.execute(end, (number,))


if sys.argv[1] == "tick":
    turn(TICK, TICKED, 1)
while sys.argv[1] == "beat":
    try:
        turn(BEAT, BEATEN, 0.2)
    except psycopg.OperationalError:
        time.sleep(0.5)  # the database is away for a moment
