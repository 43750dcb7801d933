"""What belongs to one app: its settings, keys and sessions. One extension may serve several."""

from __future__ import annotations

import logging
from copy import copy
from operator import itemgetter
from typing import Any

from flask import Config, Flask

from . import checks, misnamed, sources, tokens
from .config import DEFAULTS, RELAXED
from .errors import ConfigError
from .keys import KeySet
from .sessions import Sessions, sessions_of
from .sources import KeySource, key_source
from .store import Store

logger = logging.getLogger(__name__)

NAME = "flask_jwt_keys"
_settings = itemgetter(*sources.SETTINGS, *tokens.SETTINGS)
"""What decides about keys and rules; as long as these are equal, so are those."""


class Bound:
    """Settings, keys and sessions of an app.

    :param store: where sessions are kept; None for what the settings say
    :raises ConfigError: if keys or settings cannot work; it names each setting
    """

    def __init__(self, app: Flask, store: Store | None) -> None:
        self.config: Config = app.config
        algorithm_given = self.config.get("JWT_ALGORITHM")
        unset = [name for name in RELAXED if name not in self.config]
        for name, value in DEFAULTS.items():
            self.config.setdefault(name, copy(value))  # a list of its own for each app
        self._relaxable = {name: self.config[name] for name in unset}
        for line in misnamed.warnings(self.config):
            logger.warning(line)
        if wrong := checks.problems(self.config):
            raise ConfigError("\n  ".join(["these settings cannot work:", *wrong]))
        self.config.setdefault("JWT_SECRET_KEY", self.config["SECRET_KEY"])
        self._source = key_source(self.config, algorithm_given)
        signer = self._source.current().signer if self._source else None
        self.can_sign = signer is not None
        """Whether a key signed at the start; later there may be none for a while."""
        self.config.setdefault("JWT_ALGORITHM", signer.algorithm if signer else "HS256")
        self._key_settings: tuple[Any, ...] = sources.settings_of(self.config)
        self._rules = tokens.rules_of(self.config)
        self._settings: tuple[Any, ...] = _copied(_settings(self.config))
        self.sessions: Sessions | None = sessions_of(self.config, store)

    def current(self) -> tuple[KeySet, tokens.Rules]:
        """The keys that count now, and what is demanded of tokens now.

        Settings changed since the last look count.

        :raises ConfigError: if there are no keys
        """
        if _settings(self.config) != self._settings:
            self._reread()
        return self._known().current(), self._rules

    def relax(self) -> None:
        """Take what claims the app writes; limits that its settings name stay."""
        for name, default in self._relaxable.items():
            if self.config[name] is default:  # else the app has set it meanwhile
                self.config[name] = RELAXED[name]
        self._relaxable = {}

    @property
    def kept(self) -> Sessions:
        """The sessions.

        :raises ConfigError: if there are none
        """
        if self.sessions is None:
            raise ConfigError("there is no session store: set JWT_STORE_PATH or JWT_STORE_URL")
        return self.sessions

    @property
    def source(self) -> KeySource:
        """Where the keys come from now."""
        self.current()
        return self._known()

    @property
    def keys(self) -> KeySet:
        """The keys that count now."""
        return self.current()[0]

    def _known(self) -> KeySource:
        if self._source is None:
            raise ConfigError("no key: set JWT_KEY_DIR, JWT_SECRET_KEY or SECRET_KEY")
        return self._source

    def _reread(self) -> None:
        key_settings = sources.settings_of(self.config)
        if key_settings != self._key_settings:
            self._source = key_source(self.config, self.config["JWT_ALGORITHM"])
            self._key_settings = key_settings
        self._rules = tokens.rules_of(self.config)
        self._settings = _copied(_settings(self.config))


def _copied(settings: tuple[Any, ...]) -> tuple[Any, ...]:
    """The settings as they are now, whatever an app does to a list of its own later."""
    return tuple(copy(value) if isinstance(value, list | set) else value for value in settings)
