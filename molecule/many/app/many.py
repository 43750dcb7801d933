"""What the stand-in for gunicorn runs is the stand-in itself: this is the source that a build needs."""

app = None
