"""What an app's certificate should be, what it is, and what that needs: the decisions."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Sequence
from typing import Any

from ansible.module_utils.flask_deploy.certificates import acme, pair, store
from ansible.module_utils.flask_deploy.host import files
from cryptography import x509

STATUS = "/var/lib/flask-deploy/certificates"
RENEW_AT = 1 / 3  # share of life left; a CA's own advice for 90 days is 30
SKEW = datetime.timedelta(minutes=5)  # by which a CA's clock may be ahead
ALARM_AT = 1 / 4  # by then several renewals have failed
OWED = "nginx may still serve the one before it; type on the host: sudo systemctl start flask-deploy-certificates"


class Refused(Exception):
    """A provided pair that cannot serve, and why; what serves stays."""


class Keeper:
    """One app on its host; ``settings`` is what role nginx says of it, kept in settings.json for the timer."""

    def __init__(
        self,
        settings: dict[str, Any],
        etc: str = store.ETC,
        status: str = STATUS,
        moment: datetime.datetime | None = None,
    ) -> None:
        self.settings, self.names = settings, settings["names"]
        self.server = settings.get("server", "nginx")
        self.store = store.Store(settings["app"], etc, self.server)
        self.status_file = f"{status}/{settings['app']}.json"
        self.moment = moment or pair.now()
        self.ca_file = f"{self.store.place}/ca.pem" if settings["ca"] else None

    def keep(self, given: Sequence[bytes] | None = None, ask: bool = True, renew: bool = False) -> dict[str, Any]:
        """Bring the certificate to what it should be; return whether that changed something, and what failed.

        ``given``: (chain, key) in PEM, with kind ``provided``. ``ask``: talk to the CA where one is due.
        ``renew``: a new certificate and key, though the old one is good.

        :raises Refused, store.StoreError, LockError: what served before still does.
        """
        error, tried = None, False
        name = None if renew else self.usable(self.settings["kind"])
        if not name:
            try:
                tried = self.settings["kind"] == "acme" and ask
                name = self.get(given, ask)
            except acme.AcmeError as failure:
                error = str(failure)
            except Refused as failure:
                self.record(str(failure), tried=True)
                raise
        changed = self.store.use(name or self.fallback())
        self.record(error, tried)
        return {"changed": changed, "serving": self.store.current(), "error": error}

    def foretell(self, given: Sequence[bytes] | None) -> bool:
        """Tell whether ``keep`` would change something."""
        if self.store.owed():
            return True
        if given:
            return self.store.current() != self.store.name("provided", *given)
        return not self.usable(self.settings["kind"]) or self.store.current() != self.usable(self.settings["kind"])

    def get(self, given: Sequence[bytes] | None, ask: bool) -> str | None:
        """Return a new pair of the kind that is wanted; None where there is none to be had now."""
        kind = self.settings["kind"]
        if kind == "selfsigned":
            return self.selfsigned()
        if kind == "provided":
            return self.provided(*given) if given else None
        return self.asked() if ask else None

    def usable(self, kind: str) -> str | None:
        """Return the pair of a kind that is as it should be and need not be renewed, the one in use first."""
        if kind == "provided":
            return None
        current = self.store.current()
        for name in sorted(self.store.kind(kind), key=lambda each: each != current):
            if self.fits(name) and self.store.note(name) == self.wish() and self.left(name) > RENEW_AT:
                return name
        return None

    def wish(self) -> dict[str, Any]:
        """Return what makes a new certificate necessary when it changes."""
        if self.settings["kind"] != "acme":
            return self.wish_of_own()
        asked = {part: self.settings["acme"][part] for part in ("directory", "key_type", "profile")}
        return {"names": self.names, **asked}

    def wish_of_own(self) -> dict[str, Any]:
        """Return the same of a certificate that this host makes."""
        signer = self.settings.get("signer")
        return {"names": self.names, **({"signer": signer["certificate"]} if signer else {})}

    def fits(self, name: str | None) -> bool:
        """Tell whether a pair can serve these names now, whoever signed it."""
        found = self.store.pair(name or "")
        if not found or pair.judge_key(found[1], found[0]):
            return False
        leaf = pair.load_chain(found[0])[0]
        return all(pair.covers(leaf, each) for each in self.names) and self.left(name) > 0

    def left(self, name: str) -> float:
        return pair.life_left(pair.load_chain(self.store.pair(name)[0])[0], self.moment)

    def fallback(self) -> str:
        """Return what serves while there is nothing better: what does already, else a self-signed pair."""
        current = self.store.current()
        found = self.store.pair(current or "")
        if found and not pair.judge_key(found[1], found[0]):
            return current
        kept = [name for kind in ("acme", "provided", "selfsigned") for name in self.store.kind(kind)]
        return next(filter(self.fits, kept), None) or self.selfsigned()

    def selfsigned(self) -> str:
        chain, key = pair.make_selfsigned(self.names, self.moment, self.settings.get("signer"))
        return self.store.add("selfsigned", chain, key, self.wish_of_own())

    def provided(self, chain: bytes, key: bytes) -> str:
        said = [f"_file: {line}" for line in pair.judge_chain(chain, self.names, self.moment, self.trusted)]
        said += [f"_key_file: {line}" for line in [pair.judge_key(key, chain)] if line]
        if said:
            raise Refused("; ".join(f"nginx_certificate{line}" for line in said))
        name = self.store.name("provided", chain, key)
        return name if self.store.pair(name) else self.store.add("provided", chain, key)

    def asked(self) -> str:
        """Return a new pair from the CA.

        :raises acme.AcmeError: there is none, or none that is good.
        """
        place = self.store.place
        chain, key = acme.obtain(
            self.settings["app"], self.names, self.settings["acme"], place, self.ca_file, self.server
        )
        later = max(self.moment, pair.now()) + SKEW
        said = [*pair.judge_chain(chain, self.names, later), pair.judge_key(key, chain)]
        if any(said):
            raise acme.AcmeError(f"the CA's certificate is not good: {'; '.join(filter(None, said))}")
        return self.store.add("acme", chain, key, self.wish())

    def trusted(self, certificate: x509.Certificate) -> list[x509.Certificate]:
        return pair.roots(certificate, self.ca_file)

    def record(self, error: str | None = None, tried: bool = False) -> None:
        """Write the status file; what was tried last stays until something else is tried, or there is no need."""
        current = self.store.current()
        before = files.read_json(self.status_file, {})
        found = self.store.pair(current or "")
        needed = self.settings["kind"] == "acme" and not self.usable("acme")
        status = {
            "app": self.settings["app"],
            "wanted": self.settings["kind"],
            "serving": (current or "nothing").partition("-")[0],
            "names": self.names,
            **self.life(found and found[0]),
            "tried": self.moment.isoformat() if tried else before.get("tried"),
            "error": error if tried or not needed else before.get("error"),
        }
        place = os.path.dirname(self.status_file)
        store.directory(place, ours=os.path.dirname(place))
        store.write(self.status_file, json.dumps(status, indent=2).encode() + b"\n", 0o644)

    def life(self, chain: bytes | None) -> dict[str, str | None]:
        """Return from when to when a chain is good, and when it is renewed."""
        first, last = pair.span(pair.load_chain(chain)[0]) if chain else (None, None)
        renewed = last and last - (last - first) * RENEW_AT
        dates = {"not_before": first, "not_after": last, "renew_after": renewed}
        return {name: date and date.isoformat() for name, date in dates.items()}

    def status(self) -> dict[str, Any]:
        """Return what the status file says, with the life of what serves now and what is wrong with it."""
        known = files.read_json(self.status_file, {})
        current = self.store.current()
        found = self.store.pair(current or "")
        if not found:
            return {**known, "days_left": None, "problems": ["there is no certificate; run site.yml"]}
        left, (_, last) = self.left(current), pair.span(pair.load_chain(found[0])[0])
        problems = []
        if left <= 0:
            problems.append(f"expired at {last:%Y-%m-%d %H:%M} UTC")
        elif left < ALARM_AT:
            problems.append(f"expires at {last:%Y-%m-%d %H:%M} UTC, with less than a quarter of its life left")
        if self.settings["kind"] == "acme" and not current.startswith("acme-"):
            problems.append(f"a {current.partition('-')[0]} certificate serves in place of the CA's")
        if self.store.owed():
            problems.append(OWED)
        if known.get("error"):
            problems.append(f"the last try, at {known['tried']}: {known['error']}")
        return {**known, **self.life(found[0]), "days_left": (last - self.moment).days, "problems": problems}
