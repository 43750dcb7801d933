"""Recognise RSA keys of the ROCA kind (CVE-2017-15361), whose factors can be found.

Their primes are powers of 65537 modulo many small primes, so the modulus is, too; of other keys
about one in 2**27 looks so by chance (Nemec et al., "The Return of Coppersmith's Attack", 2017).
"""

from __future__ import annotations

_GENERATOR = 65537
_PRIMES = (11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157)
_POWERS = {p: frozenset(pow(_GENERATOR, k, p) for k in range(p)) for p in _PRIMES}


def is_roca(modulus: int) -> bool:
    """Whether an RSA modulus bears the mark of the faulty generator."""
    return all(modulus % p in powers for p, powers in _POWERS.items())
