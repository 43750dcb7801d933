"""What variables were called before they moved to a role of their own: {name of then: name of now}."""

from __future__ import annotations

# Each role's words, as they were after app_.
MOVED = {
    "tokens": {f"jwt_{word}": word for word in ("algorithm", "keys", "rotate_after", "wait", "revoke", "import")},
}
RENAMED = {f"app_{old}": f"{role}_{new}" for role, words in MOVED.items() for old, new in words.items()}
