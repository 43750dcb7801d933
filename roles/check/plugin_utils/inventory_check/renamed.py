"""What variables were called before they moved to a role of their own: {name of then: name of now}."""

from __future__ import annotations

SAME = {
    "build": "source ref git_key subdir dockerfile base_image base_image_archive",
}
RENAMED = {f"app_{word}": f"{role}_{word}" for role, words in SAME.items() for word in words.split()} | {
    "app_build_args": "build_args",
    "app_build_ca_file": "build_ca_file",
    "app_rebuild": "build_fresh",
    "app_jwt_algorithm": "tokens_algorithm",
    "app_jwt_import": "tokens_import",
    "app_jwt_keys": "tokens_keys",
    "app_jwt_revoke": "tokens_revoke",
    "app_jwt_rotate_after": "tokens_rotate_after",
    "app_jwt_wait": "tokens_wait",
}
