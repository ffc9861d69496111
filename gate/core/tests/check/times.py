"""Expected times: how fast evidence grows on average, and the first cell at which it suffices."""

import math

import numpy as np
from scipy.special import rel_entr
from scipy.stats import norm

import limits
from memory import BLOCKS, prior

CELL, DAY = 5, 17_280
SIGMA = {"latency": 0.7, "cpu": 0.05}


def divergence(p, q):
    return float(rel_entr(p, q) + rel_entr(1 - p, 1 - q))


def growth(what, side, limit, ratio, traffic, quantile, strict, negligible):
    """Mean ln E a cell of the test against `limit` when the ratio is `ratio`, and what else it must overcome."""
    every = traffic["rate"] * CELL
    b, c = every * (1 - traffic["weight"]), every * traffic["weight"]
    share = lambda r: r * c / (r * c + b)
    if what == "cpu":
        pods = baseline_pods(traffic)
        return (math.log(ratio / limit) / SIGMA["cpu"]) ** 2 / 2 * pods / (pods + 1), 0.0
    if what == "errors" and side == "rollback":
        r = ratio / limit
        return (c * r + b) * traffic["errors"] * divergence(share(r), share(1)), 0.0
    if what == "errors":
        by_ratio = (b + c) * traffic["errors"] * divergence(share(1), share(limit))
        if not negligible:
            return by_ratio, 0.0
        rare = traffic["errors"] < negligible
        return max(by_ratio, c * divergence(max(traffic["errors"], 1e-12), negligible) if rare else 0.0), math.log(2)

    def at(q):
        """Above the baseline's quantile q, moved by the limit, is this many times its share."""
        psi = norm.sf(norm.isf(1 - q) - math.log(ratio / limit) / SIGMA["latency"]) / (1 - q)
        return (c * psi + b) * (1 - q) * divergence(share(psi), share(1))

    lowest = quantile if strict or side == "approve" else 0.9
    return max(at(lowest), at(quantile)), 0.0


def baseline_pods(traffic):
    return min(100, max(1, math.floor((1 - traffic["weight"]) / traffic["weight"] + 0.5)))


def kappa(shape, pods, history, t):
    """κ after t cells, an array, where the pods turn out to have no memory: what is left of the prior."""
    if shape is None:
        return np.ones(len(t))
    a, b, blocks, margin = (*shape, 0)[:4]
    found, before = None, (0, 0.0)
    for m in BLOCKS:
        guess = a - 1 + m / b
        if before[0]:
            guess = before[1] * guess / (a - 1 + before[0] / b)
        weight = np.where(history + t >= m, max(1, pods - 1) * (history + t) / m, 0.0)
        level = blocks * guess / (blocks + weight)
        error = np.where(weight > 0, (1 + level) * np.sqrt(2 / (blocks + weight)), 0.0)
        level = np.maximum(before[1], level + margin * error)
        between = level if found is None else before[1] + (level - before[1]) * (t - before[0]) / (m - before[0])
        found = between if found is None else np.where(t > before[0], between, found)
        before = m, level
    return 1 + np.where(t > BLOCKS[-1], before[1] * t / BLOCKS[-1], found)


def seconds(what, side, limits, ratio, traffic, assume):
    """Expected seconds to a decision; None: not within a day."""
    limit = limits["below" if side == "approve" else "above"]
    rate, more = growth(what, side, limit, ratio, traffic, limits["quantile"], limits["strict"], limits["negligible"])
    pods, history = baseline_pods(traffic), traffic["history_seconds"] / CELL
    if assume == "auto":
        assume = "watched" if pods > 1 and traffic["history_seconds"] >= 600 else "vary"
    shape = prior(f"{side} {what}", assume, pods == 1)
    wanted = math.log(1 / limits["risk"]) + 1 + more + (math.log(1 / 0.02) if side == "rollback" else 0.0)
    rate = min(rate, math.log(pods + 1))
    t = np.arange(1, DAY + 1)
    enough = np.flatnonzero(rate * t / kappa(shape, pods, history, t) >= wanted)
    return int(t[enough[0]]) * CELL if len(enough) else None


def of_limit(what, permitted, value, parts, risk, traffic):
    """Expected seconds until a canary at `value` is proved beyond what is permitted. `parts`: alternatives by weight."""
    pods, history = baseline_pods(traffic), traffic["history_seconds"] / CELL
    if what == "utilization":
        rate = max(math.log(1 - c + c * value / permitted) for c in limits.SHARES)
        shape, more = limits.UTILIZATION, 0.0
    else:
        rate = min(math.log(5), traffic["rate"] * CELL * traffic["weight"] * divergence(value, permitted))
        shape, more = prior("approve errors", "vary", pods == 1), 1.0
    t = np.arange(1, DAY + 1)
    enough = np.flatnonzero(rate * t / kappa(shape, pods, history, t) >= math.log(parts / risk) + more)
    return int(t[enough[0]]) * CELL if len(enough) else None
