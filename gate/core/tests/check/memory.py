"""What a series remembers: variances of block sums over the variance of one cell, from the rows themselves."""

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

BLOCKS = (6, 12, 24, 48, 90, 180)
# The curve a + m/b before there is data, worth so many blocks: (one baseline pod, several).
PRIORS = {
    "rollback latency vary": ((2.5, 48, 40), (4, 24, 160)),
    "rollback latency alike": (None, (1.5, 24, 4)),
    "rollback errors vary": ((1.25, 48, 10), (1.25, 48, 10)),
    "rollback errors alike": (None, (1.25, 48, 10)),
    "rollback cpu": ((5, 24, 12), (5, 12, 12)),
    "approve latency": ((4, 24, 20), (4, 24, 20)),
    "approve errors": ((2, 48, 16), (1.5, 48, 20)),
    "approve cpu": ((5, 24, 12), (6, 12, 24)),
}
# Standard errors added where several pods were watched for ten minutes; else they are as if alike.
MARGINS = {"rollback errors": -1, "rollback cpu": -0.5}


def prior(use, assume, one_pod):
    """The prior of a use such as `rollback latency`: a, b, weight, and the margin where there is one."""
    assume, margin = ("alike", MARGINS.get(use, 0)) if assume == "watched" else (assume, 0)
    found = PRIORS.get(f"{use} {assume}", PRIORS.get(use))[0 if one_pod else 1]
    return found if one_pod or found is None else (*found, margin)


class Memory:
    """The rows of one series. `kind`: count, cpu, or phi, which is measured in binomial variances."""

    def __init__(self, kind):
        self.kind, self.one_pod = kind, False
        self.rows, self.variances, self.df = [], [], 0

    def begin(self, one_pod):
        """Fixes the form at the first judged cell; one pod starts anew."""
        if one_pod:
            self.__init__(self.kind)
            self.one_pod = True

    def learn(self, values, canary=None):
        """Values by slot of the baseline, None of pods that sit out; the canary's mean, None in history."""
        present = [value for value in values if value is not None]
        if self.one_pod:
            if present and canary is not None:
                self.add([np.mean(present), canary], 0, np.mean(present))
        elif len(present) >= 2:
            residuals = [0.0 if value is None else value - np.mean(present) for value in values]
            self.add(residuals, len(present) - 1, 0.0)

    def add(self, row, df, variance):
        self.rows.append([float(x) for x in row])
        self.variances.append(float(variance))
        self.df += df

    def excess(self, m):
        """Variance of block sums over m times that of one cell, less 1, and how many blocks it is worth; or None."""
        n = len(self.rows)
        if n < (2 * m if self.one_pod else m):
            return None
        width = max(map(len, self.rows))
        rows = np.array([row + [0.0] * (width - len(row)) for row in self.rows])
        blocks = sliding_window_view(rows, m, axis=0).sum(-1)
        single = sum(self.variances) / n
        if not self.one_pod:
            single = single if self.kind == "phi" else (rows**2).sum() / n
            return ((blocks**2).sum(1).mean() / m / single - 1, self.df / m) if single > 0 else None
        b, c = rows.T
        away = blocks - m * rows.mean(0)
        scale = b.mean() / c.mean() if c.mean() else 0.0
        own, shared = (away[:, [0]] * away).mean(0) / m * n / (n - m) * [1, scale]
        if self.kind == "phi":
            return (max(0.0, own - shared) / single - 1, n / m) if single > 0 else None
        v, w = np.cov(b, c)[0] * [1, scale]
        if v <= 0:
            return None
        if self.kind == "cpu":
            return own / v - 1, n / m
        return min(own / v, (own - shared) / max(v - w, v / 20)) - 1, n / m

    def kappa(self, prior, t):
        """κ after t judged cells."""
        if prior is None:
            return 1.0
        a, b, weight, margin = (*prior, 0)[:4]
        shape = lambda m: a - 1 + m / b
        curve = []
        for i, m in enumerate(BLOCKS):
            guess = curve[-1] * shape(m) / shape(BLOCKS[i - 1]) if curve else shape(m)
            found = self.excess(m)
            if found is not None:
                blocks = weight + found[1]
                guess = (weight * guess + found[1] * max(0.0, found[0])) / blocks
                guess = max(0.0, guess + margin * (1 + guess) * math.sqrt(2 / blocks))
            curve.append(max([guess, *curve[-1:]]))
        beyond = max(1.0, t / BLOCKS[-1])
        return 1 + beyond * float(np.interp(t, BLOCKS, curve))


class Scale:
    """Standard deviation of the baseline's residuals of ln CPU a request: 0.1 to begin with, worth twelve."""

    def __init__(self):
        self.squares, self.last = [0.01] * 12, None

    def value(self):
        return max(0.01, math.sqrt(self.sum() / len(self.squares)))

    def sum(self):
        return math.fsum(self.squares)

    def add(self, values):
        """By slot. Several pods: deviations from their mean, one for each but one. One pod: ¾ of its squared step."""
        present = {slot: y for slot, y in enumerate(values) if y is not None}
        if len(present) >= 2:
            y = np.array(list(present.values()))
            self.squares += [((y - y.mean()) ** 2).sum()] + [0.0] * (len(y) - 2)
            self.last = None
        elif present:
            [(slot, y)] = present.items()
            if self.last is not None and self.last[0] == slot:
                self.squares.append(0.75 * (y - self.last[1]) ** 2)
            self.last = slot, y


def indicator(counts, cells):
    """The threshold after so many cells: the 95 % quantile of all the baseline's counts, plus 1; None before 12."""
    if cells < 12 or not counts:
        return None
    return sorted(counts)[math.ceil(0.95 * len(counts)) - 1] + 1
