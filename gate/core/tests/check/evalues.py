"""E-values of one cell from their definitions: every choice of pods and every outcome of a thinning one by one,
likelihood ratios as ratios of scipy's distributions."""

import math
from functools import lru_cache
from itertools import combinations

import numpy as np
from scipy.stats import binom

CAP = math.log(5)  # The most that a likelihood ratio says of one cell.
DRAWS = 4
UNTHINNED_MAX, RAISED_MAX = 1.03, 4.0
DECAY = 0.944
WORD = (1 << 64) - 1
log_sum = np.logaddexp.reduce


@lru_cache(maxsize=None)
def ways(pods, chosen):
    """Every way to choose pods, a row each, 1 where a pod is chosen."""
    rows = np.zeros((math.comb(pods, chosen), pods))
    for row, choice in zip(rows, combinations(range(pods), chosen)):
        row[list(choice)] = 1
    return rows


def label(scores, canary):
    """ln E: the canary's product of e^score, the last `canary` of (…, pods), over its mean over all choices."""
    scores = np.asarray(scores, float)
    every = scores @ ways(scores.shape[-1], canary).T
    return scores[..., -canary:].sum(-1) - log_sum(every, axis=-1) + math.log(every.shape[-1])


def ratio(canary, baseline, limits, factors):
    """ln E of two (events, requests), by limit and factor: the binomial likelihood of limit·factor over the limit's."""
    (kc, nc), (kb, nb) = canary, baseline
    of = lambda r: binom.logpmf(kc, kc + kb, r * nc / (r * nc + nb))
    limits = np.atleast_1d(limits)[:, np.newaxis]
    return np.minimum(CAP, of(limits * factors) - of(limits))


def alone(events, requests, limit, factor):
    """ln E of the canary alone: the binomial likelihood of the rate limit·factor over that of the limit."""
    limit = min(max(limit, 1e-9), 0.999)
    of = lambda p: binom.logpmf(events, requests, p)
    return max(-1e300, min(CAP, float(of(min(limit * factor, 0.9995)) - of(limit))))


def mix(z):
    """One step of splitmix64."""
    z = z + 0x9E3779B97F4A7C15 & WORD
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & WORD
    z = (z ^ z >> 27) * 0x94D049BB133111EB & WORD
    return z ^ z >> 31


def thin(events, keep, key):
    """Of so many events those kept, each by chance `keep`, as drawn for the key's five numbers."""
    state = mix(key[0])
    for part in key[1:]:
        state = mix(state ^ part)
    kept = 0
    for _ in range(events):
        state = mix(state)
        kept += (state >> 11) / 2.0**53 < keep
    return kept


@lru_cache(maxsize=None)
def _log_chances(events, keep):
    return binom.logpmf(np.arange(events + 1), events, keep)


def expected(events, keep, tilts):
    """ln of the mean of e^(tilt·K), by tilt, over K of the events, each kept by chance `keep`; beyond 1 each event
    counts `keep` times, at most four."""
    tilts = np.asarray(tilts)
    if keep > 1 or events == 0:
        return min(keep, RAISED_MAX) * events * tilts
    return log_sum(_log_chances(events, keep) + np.outer(tilts, np.arange(events + 1)), axis=1)


def active(exposure):
    """Pods of an arm that take part: at least 40 % of the mean of those that had any request."""
    some = exposure[exposure > 0]
    return np.flatnonzero((exposure > 0) & (exposure >= 0.4 * some.mean())) if len(some) else np.array([], int)


class Exposure:
    """Mean requests of a pod in each arm, by route, fading; read before the cell that it is used in."""

    def __init__(self, routes):
        self.past = np.zeros((2, routes))

    def step(self, n, pods):
        """Takes the requests (slots, routes) of a cell with so many slots of the baseline; None with an empty arm."""
        total = n.sum(1)
        arms = active(total[:pods]), active(total[pods:]) + pods
        if not len(arms[0]) or not len(arms[1]):
            return None
        now = np.array([n[arms[1]].mean(0), n[arms[0]].mean(0)])
        new = (self.past == 0).all(0)
        self.past[:, new] = now[:, new]
        before = [c / b if c > 0 and b > 0 else 1.0 for c, b in self.past.T]
        self.past = DECAY * self.past + now
        return {"baseline": arms[0], "canary": arms[1], "slots": pods, "before": before, "now": now[0]}


def bounded(family, score, events, tilt):
    """A tilted score as its family has it: all events, at most so many, or whether there are so many."""
    kind, number = family
    if kind == "indicator":
        return tilt if events >= number else 0.0
    if kind == "capped":
        return min(score, number * tilt) if tilt > 0 else max(score, number * tilt)
    return score


def counts(who, k, n, rate, tilts, family, key, first_canary):
    """ln E by tilt of one cell: k events of n requests by slot and route, at a null ratio of rates.

    `key` is seed, component and cell; `first_canary` the number of the canary's first slot in it."""
    pods = list(who["baseline"]) + list(who["canary"])
    if family == ("indicator", None) or k[pods].sum() == 0:
        return np.zeros(len(tilts))
    intensity = [rate * before for before in who["before"]]
    keep = [1.0 if h <= UNTHINNED_MAX else 1 / h for h in intensity]
    routes = range(k.shape[1])
    null = [rate * keep[r] * who["now"][r] for r in routes]
    own = [sum(expected(int(k[p, r]), null[r] / n[p, r], tilts) for r in routes if k[p, r]) + np.zeros(len(tilts))
           for p in who["baseline"]]
    own = [[bounded(family, s, k[p].sum(), t) for s, t in zip(row, tilts)] for row, p in zip(own, who["baseline"])]
    every = []
    for draw in range(DRAWS if min(keep) < 1 else 1):
        name = lambda p, r: (*key, (first_canary + int(p) - who["slots"]) * 4096 + r, draw)
        kept = [sum(int(k[p, r]) if keep[r] >= 1 else thin(int(k[p, r]), keep[r], name(p, r)) for r in routes)
                for p in who["canary"]]
        canary = [[bounded(family, x * t, x, t) for t in tilts] for x in kept]
        every.append(label(np.array(own + canary).T, len(kept)))
    return log_sum(every, axis=0) - math.log(len(every))
