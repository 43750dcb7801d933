"""What belongs to one app: its settings, keys and sessions. One extension may serve several."""

from __future__ import annotations

from collections.abc import Mapping
from operator import itemgetter
from typing import Any

from flask import Config, Flask

from . import sources, tokens
from .config import DEFAULTS
from .errors import ConfigError
from .keys import KeySet
from .sessions import Sessions, Store, sessions_of
from .sources import KeySource, key_source

NAME = "flask_jwt_keys"
_settings = itemgetter(*sources.SETTINGS, *tokens.SETTINGS)


class Bound:
    """Settings, keys and sessions of an app.

    :param store: where sessions are kept; None for what the settings say
    :raises ConfigError: if keys or settings cannot work
    """

    def __init__(self, app: Flask, store: Store | None) -> None:
        self.config: Config = app.config
        algorithm_given = self.config.get("JWT_ALGORITHM")
        for name, value in DEFAULTS.items():
            self.config.setdefault(name, value)
        self.config.setdefault("JWT_SECRET_KEY", self.config["SECRET_KEY"])
        self._source = key_source(self.config, algorithm_given)
        signer = self._source.current().signer if self._source else None
        self.can_sign = signer is not None
        self.config.setdefault("JWT_ALGORITHM", signer.algorithm if signer else "HS256")
        self._key_settings: tuple[Any, ...] = sources.settings_of(self.config)
        self._rules = tokens.rules_of(self.config)
        self._settings: tuple[Any, ...] = settings_of(self.config)
        self.sessions: Sessions | None = sessions_of(self.config, store)

    @property
    def source(self) -> KeySource:
        """Where the keys come from; settings changed since the last look count.

        :raises ConfigError: if there are no keys
        """
        settings = settings_of(self.config)
        if settings != self._settings:
            self._reread()
            self._settings = settings
        if self._source is None:
            raise ConfigError("no key: set JWT_KEY_DIR, JWT_SECRET_KEY or SECRET_KEY")
        return self._source

    @property
    def keys(self) -> KeySet:
        """The keys that count now."""
        return self.source.current()

    def current(self) -> tuple[KeySet, tokens.Rules]:
        """The keys that count now, and what is demanded of tokens now.

        :raises ConfigError: if there are no keys
        """
        return self.keys, self._rules

    def _reread(self) -> None:
        key_settings = sources.settings_of(self.config)
        if key_settings != self._key_settings:
            self._source = key_source(self.config, self.config["JWT_ALGORITHM"])
            self._key_settings = key_settings
        self._rules = tokens.rules_of(self.config)


def settings_of(config: Mapping[str, Any]) -> tuple[Any, ...]:
    """The settings that decide about keys and rules; as long as they are equal, so are those."""
    return (*_settings(config), *config["JWT_REQUIRED_CLAIMS"])
