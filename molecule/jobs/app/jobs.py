"""What the shop's jobs do; made for these tests."""

import os
import sys
import time

if sys.argv[1] == "fail":
    sys.exit("the archive is full")
with open("/data/ticks", "a") as file:
    file.write(f"{time.time()} {os.environ['APP_RELEASE']}\n")
