"""What variables were called before they moved to a role of their own: {name of then: name of now}."""

from __future__ import annotations

RENAMED = {}
