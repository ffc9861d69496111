"""Absolute limits: the canary alone, from the pods of a cell as they were reported."""

import math

import numpy as np

import evalues
from memory import Memory, prior

WEIGHT = 0.2  # of the harm mixture, where there are comparisons too
FACTORS = [1.2, 1.5, 2, 3, 5, 10]  # of the odds
SHARES = [0.1, 0.3, 0.6, 0.9]
UTILIZATION = (1.25, 48, 10)


def by_odds(events, requests, limit):
    """ln E by factor: the binomial likelihood of so many times the odds over that of the limit, at most ln 5."""
    odds = limit / (1 - limit) * np.array(FACTORS)
    of = lambda p: evalues.binom.logpmf(events, requests, p)
    return np.minimum(evalues.CAP, of(odds / (1 + odds)) - of(limit))


def bets(x, limit):
    """ln of the factor by which each share of the wealth grows that is staked on x over its limit."""
    return np.log(1 - np.array(SHARES) + np.array(SHARES) * min(1.0, x) / limit)


def utilization(pod):
    """CPU seconds over what the limit allows in the part of 5 s that was reported, or None."""
    if pod["cpu"] is None or pod["cores"] is None or pod["coverage"] < 0.4:
        return None
    return pod["cpu"] / (pod["cores"] * 5 * min(1.0, pod["coverage"]))


class Limit:
    """`config`: what is bounded and by how much, a quantile, and the numbers of its routes."""

    def __init__(self, config, scale, first):
        self.what, self.bound, self.routes = config["what"], config["bound"], config["routes"]
        self.permitted = {"success": 1 - self.bound, "latency": 1 - config["quantile"]}.get(self.what, self.bound)
        self.scale, self.first = scale, first
        self.memory = Memory("cpu" if self.what == "utilization" else "phi")
        self.log_e = np.zeros(len(SHARES if self.what == "utilization" else FACTORS))
        self.one_pod, self.cells, self.proved = True, 0, False

    def begin(self, one_pod):
        self.memory.begin(one_pod)
        self.one_pod = one_pod

    def count(self, pod):
        """Events and requests of a pod: those that certainly lie above the limit, or failed."""
        events, requests = 0, 0
        for number, route in enumerate(pod["routes"]):
            if self.routes and number not in self.routes:
                continue
            if self.what == "success":
                events, requests = events + route["err"], requests + route["n"]
                continue
            for bucket, count in route["hist"]:
                lower = 2.0 ** ((self.first + bucket) / 2.0**self.scale)
                events += count if lower >= self.bound * (1 - 1e-9) else 0
                requests += count
        return events, requests

    def takes(self, pod):
        return pod["warm"] or self.what == "success"

    def learn(self, baseline, active, canary):
        """Pods of the baseline by slot, None of those that are absent; the canary's, None in history."""
        if self.what == "utilization":
            values = [utilization(pod) if pod and pod["warm"] else None for pod in baseline]
            self.memory.learn(values, None if canary is None else 0.0)
            return
        counts = [self.count(pod) if pod and on and self.takes(pod) else None for pod, on in zip(baseline, active)]
        if self.memory.one_pod:
            events = [self.count(pod)[0] for pod in canary or () if self.takes(pod)]
            self.memory.learn([None if c is None else c[0] for c in counts], np.mean(events) if events else None)
            return
        some = [c is not None for c in counts]
        if sum(some) >= 2:
            k, n = np.array([c or (0, 0) for c in counts]).T
            p = k.sum() / max(1, n.sum())
            self.memory.add(k - n * p, sum(some) - 1, (n * p * (1 - p) * (1 - n / max(1, n.sum()))).sum())

    def step(self, canary, wanted):
        if canary:
            self.cells += 1
            if self.what == "utilization":
                values = [utilization(pod) for pod in canary if pod["warm"]]
                values = [min(1.0, value) for value in values if value is not None]
                self.log_e += bets(np.mean(values), self.bound) if values else 0.0
            else:
                counts = [self.count(pod) for pod in canary if self.takes(pod)]
                events, requests = np.sum(counts, axis=0) if counts else (0, 0)
                self.log_e += by_odds(events, requests, self.permitted) if requests else 0.0
        self.proved |= self.total() >= wanted

    def total(self):
        """ln E, divided by what events have of clusters and pods of memory."""
        shape = UTILIZATION if self.what == "utilization" else prior("approve errors", "vary", self.one_pod)
        divided = self.log_e / self.memory.kappa(shape, max(1, self.cells))
        return float(evalues.log_sum(divided) - math.log(len(divided)))
