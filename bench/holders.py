"""People who hold tokens: some log in all the time, some use what they hold, some verify with the published keys.

    with Holders(address, "app.test", "demo", password) as holders:
        ...  # exchange a key
    assert holders.refused == [], holders

Nobody asks twice. A token counts as good until it expires; who answers 401 before refuses wrongly. The verifier takes
the keys again only when their max-age is over: it is as stale as a cache may be.
"""

from __future__ import annotations

import http.client
import json
import random
import socket
import ssl
import threading
import time

import jwt


class Client:
    """One connection to one address, under the name that the site has."""

    def __init__(self, address, domain, port=443):
        self.address, self.domain, self.port = address, domain, port
        self.context = ssl._create_unverified_context()  # noqa: S323 - the certificate is not what is judged
        self.connection = None

    def ask(self, method, path, body=None, token=None):
        """Return (status, headers, body) of one request, on a new connection after an answer that said so."""
        headers = {"Host": self.domain, "Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if self.connection is None:
            raw = socket.create_connection((self.address, self.port), timeout=30)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # a body is sent after its headers
            self.connection = http.client.HTTPConnection(self.domain)
            self.connection.auto_open = 0
            self.connection.sock = self.context.wrap_socket(raw, server_hostname=self.domain)
        self.connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.will_close:
            self.close()
        return answer.status, answer.headers, body

    def close(self):
        if self.connection:
            self.connection.close()
            self.connection = None


class Holders:
    """A load of logins, calls and verifications, as a context.

    :ivar minted: (time, kid, token) of each login.
    :ivar calls: number of calls with a token that was good.
    :ivar verified: number of tokens that the verifier accepted.
    :ivar refused: what was refused wrongly, and what was not answered.
    """

    def __init__(self, address, domain, name, password, port=443, callers=3):
        self.place, self.login = (address, domain, port), {"username": name, "password": password}
        self.minted, self.refused, self.calls, self.verified = [], [], 0, 0
        self.audience = {"audience": "flask-app", "issuer": "flask-app"}
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self._guard, args=(self._mint,))]
        self.threads += [threading.Thread(target=self._guard, args=(self._call,)) for _ in range(callers)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        end = time.monotonic() + 60
        while not (self.calls and self.verified) and time.monotonic() < end:
            time.sleep(0.1)
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join()

    def __repr__(self):
        kids = list(dict.fromkeys(kid for _, kid, _ in self.minted))
        return (
            f"{len(self.minted)} tokens by {len(kids)} keys, {self.verified} verified by cache, {self.calls} calls, "
            f"{len(self.refused)} refused: {self.refused[:3]}"
        )

    def _guard(self, work):
        client = Client(*self.place)
        try:
            while not self.ended.is_set():
                work(client)
        except (OSError, http.client.HTTPException) as error:
            self.refused.append((work.__name__, repr(error)))
        finally:
            client.close()

    def _mint(self, client):
        status, _, body = client.ask("POST", "/auth", self.login)
        if status != 200:
            self.refused.append(("login", status, body[:80]))
            return
        token = json.loads(body)["access_token"]
        self.minted.append((time.time(), jwt.get_unverified_header(token)["kid"], token))
        self._verify(client, token)
        time.sleep(0.2)

    def _verify(self, client, token):
        if time.monotonic() >= getattr(self, "_stale_at", 0):
            _, headers, body = client.ask("GET", "/.well-known/jwks.json")
            self._keys = jwt.PyJWKSet.from_dict(json.loads(body))
            self._stale_at = time.monotonic() + int(headers["Cache-Control"].partition("max-age=")[2])
        try:
            jwt.decode(token, self._keys[jwt.get_unverified_header(token)["kid"]], ["RS256", "ES256"], **self.audience)
            self.verified += 1
        except (KeyError, jwt.PyJWTError) as error:
            self.refused.append(("cache", repr(error)))

    def _call(self, client):
        if not self.minted:
            time.sleep(0.1)
            return
        _, kid, token = random.choice(self.minted[-100:])  # noqa: S311 - chance, not secrecy
        expires = jwt.decode(token, options={"verify_signature": False})["exp"]
        status, _, body = client.ask("GET", "/protected", token=token)
        if time.time() < expires:
            self.calls += 1
            if status != 200:
                self.refused.append(("call", kid, status, body[:80]))
        time.sleep(0.02)
