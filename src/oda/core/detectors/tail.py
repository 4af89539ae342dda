"""How improbable a distance is, as a score; and how far away is improbable enough.

Both are rounded far within what matters, so that the last bits of a logarithm or of a quantile, which depend on the
machine and on the library, change no result.
"""

from __future__ import annotations

from functools import lru_cache
from math import erfc, inf, log10, sqrt
from typing import Any


def tail(sigmas: float) -> float:
    """How much of the normal distribution is further away than so many standard deviations, on either side.

    >>> round(tail(4.0), 7)
    6.33e-05
    """
    return erfc(sigmas / sqrt(2))


def score_of(deviations: float, freedom: float = inf) -> float:
    """`min(100, -10 log10 p)`, p the probability of noise at least so far away, on either side; two decimals.

    Args:
        deviations: the distance, in scales of its band.
        freedom: degrees of freedom of Student's t that it follows; infinite for the normal distribution.

    >>> score_of(4.0), score_of(4.0, 9), score_of(-7.0)
    (41.98, 25.07, 100.0)
    """
    away = abs(deviations)
    return as_score(tail(away) if freedom == inf else 2 * float(_special().stdtr(freedom, -away)))


def as_score(p: float) -> float:
    """The score of a probability."""
    return min(100.0, round(-10 * log10(p), 2)) if p > 0 else 100.0


@lru_cache(100_000)
def limit(sigmas: float, freedom: float) -> float:
    """The deviations beyond which Student's t is as rare as the normal distribution is beyond `sigmas`.

    >>> limit(4.0, 1), limit(4.0, 9), limit(4.0, inf)
    (10050.439, 6.99863911, 4.0)
    """
    return sigmas if freedom == inf else _rounded(-_special().stdtrit(freedom, tail(sigmas) / 2))


@lru_cache(100_000)
def of_variance(count: int, part: float) -> float:
    """Below which multiple of the true variance that part of the population variances of normal samples is.

    >>> of_variance(2, 0.5), of_variance(10, 0.5)
    (0.227468212, 0.834283269)
    """
    return _rounded(_special().chdtri(count - 1, 1 - part) / count)


def _rounded(quantile: float) -> float:
    return float(f"{quantile:.9g}")


def _special() -> Any:
    """Only when it is needed: it takes a fifth of a second, and most components need none."""
    import scipy.special

    return scipy.special
