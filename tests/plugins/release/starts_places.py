"""What apps say of addresses, Alembic's files and caches that lie where they do not work, and what to do about each."""

from __future__ import annotations

OF_PLACES = {
    'psycopg.OperationalError: could not translate host name "word@10.0.0.5" to address: Name or service not known': (
        "write @ as %40"
    ),
    "psycopg.OperationalError: failed to resolve host 'word@db.example.com': [Errno -2] Name or service not known": (
        "write @ as %40"
    ),
    "pymysql.err.OperationalError: (2003, \"Can't connect to MySQL server on 'word@db.example.com' ([Errno -2])\")": (
        "write @ as %40"
    ),
    "ValueError: invalid literal for int() with base 10: 'wo#rd@db'": "write @ as %40",
    "FAILED: No 'script_location' key found in configuration.": "script_location = migrations in alembic.ini",
    "RuntimeError: cannot cache function 'f': no locator available for file '/venv/x.py'": "NUMBA_CACHE_DIR: /tmp/",
    "PermissionError: [Errno 13] Permission denied: '/home/a/.config/matplotlib'": "{MPLCONFIGDIR: /tmp/matplotlib}",
    """\
Traceback (most recent call last):
  File "/app/shop.py", line 3, in <module>
    model = pipeline("summarization")
  File "/venv/lib/python3.13/site-packages/huggingface_hub/file_download.py", line 1023, in hf_hub_download
    return _download(path)
OSError: [Errno 28] No space left on device
""": "{HF_HOME: /data/huggingface, TORCH_HOME: /data/torch}",
    "OSError: PermissionError at /.cache/huggingface/hub when downloading x": "{HF_HOME: /data/huggingface}",
    "OSError: [Errno 30] Read-only file system: '/venv/nltk_data'": "NLTK may not write there",
    "ValueError: The name 'shop' is already registered for a different blueprint. Use 'name='.": (
        "a blueprint shop is registered twice"
    ),
}
