"""From settings to keys: a shared secret, a pair of PEM texts, or a key directory."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any, Protocol

from .errors import ConfigError
from .keydir import KeyDirectory
from .keys import SECRET_ALGORITHMS, Key, KeySet, pem_key, secret_key


class KeySource(Protocol):
    """Where keys come from."""

    @property
    def problems(self) -> list[str]:
        """What is wrong with them, one line each."""

    def current(self) -> KeySet:
        """The keys that count now."""


class FixedKeys:
    """Keys that stay as they are."""

    def __init__(self, keys: KeySet) -> None:
        self.problems: list[str] = []
        self._keys = keys

    def current(self) -> KeySet:
        """The keys."""
        return self._keys


SETTINGS = ("JWT_ALGORITHM", "JWT_SECRET_KEY", "JWT_PUBLIC_KEY", "JWT_KEY_DIR")
"""The settings that decide about keys."""
settings_of = itemgetter(*SETTINGS)


def key_source(config: Mapping[str, Any], algorithm: str | None) -> KeySource | None:
    """The keys that the settings speak of; None if they speak of none.

    :param algorithm: what the app asked for; None to let the key decide
    :raises ConfigError: naming the setting that is wrong
    """
    if config["JWT_KEY_DIR"]:
        return KeyDirectory(config["JWT_KEY_DIR"], algorithm)
    secret = _text("JWT_SECRET_KEY (or SECRET_KEY)", config["JWT_SECRET_KEY"])
    public = _text("JWT_PUBLIC_KEY", config["JWT_PUBLIC_KEY"])
    if not secret and not public:
        return None
    is_shared = algorithm in SECRET_ALGORITHMS
    if secret and (is_shared or not (algorithm or public or _is_pem(secret))):
        key = secret_key(secret, algorithm or "HS256")
    else:
        key = _pair(secret, public)
    if algorithm and algorithm != key.algorithm:
        raise ConfigError(f"JWT_ALGORITHM is {algorithm}, but the key is for {key.algorithm}")
    return FixedKeys(KeySet([key], key if key.private else None))


def _text(setting: str, value: Any) -> str | bytes | None:
    """The setting's value, which no message shows."""
    if isinstance(value, str):
        return _whole(setting, value)
    if value is None or isinstance(value, bytes):
        return value
    raise ConfigError(
        f"{setting} is a value of type {type(value).__name__}; expected a text. In the "
        "environment, app.config.from_prefixed_env() reads a text of digits as a number, unless "
        "it is in double quotes, which your shell must keep"
    )


def _whole(setting: str, value: str) -> str:
    """The text, if it has bytes: what an environment has that is no UTF-8 has none (PEP 383)."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ConfigError(
            f"{setting} is no text in UTF-8; expected printable characters, such as those of "
            "`python3 -c 'import secrets; print(secrets.token_urlsafe(48))'`"
        ) from None
    return value


def _is_pem(secret: str | bytes) -> bool:
    return b"-----BEGIN" in secret if isinstance(secret, bytes) else "-----BEGIN" in secret


def _pair(secret: str | bytes | None, public: str | bytes | None) -> Key:
    """The key of JWT_SECRET_KEY and JWT_PUBLIC_KEY, of which one may be missing, not both."""
    verifying = _named("JWT_PUBLIC_KEY", public) if public else None
    signing = (
        _named("JWT_SECRET_KEY", secret) if secret and (_is_pem(secret) or not public) else None
    )
    if verifying and signing and verifying.kid != signing.kid:
        raise ConfigError("JWT_PUBLIC_KEY is not the public key of JWT_SECRET_KEY")
    key = signing or verifying
    if key is None:
        raise ConfigError("neither JWT_SECRET_KEY nor JWT_PUBLIC_KEY is set")
    return key


def _named(setting: str, pem: str | bytes) -> Key:
    try:
        return pem_key(pem)
    except ConfigError as error:
        raise ConfigError(f"{setting}: {error}") from None
