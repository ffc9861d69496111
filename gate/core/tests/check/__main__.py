"""The numbers of the judge, computed a second time: by enumeration, by numpy and by scipy, from docs/statistics.md.

    python gate/core/tests/check < what-rust-says.json

compares them with the tables in `reference/` and with what the Rust code said of inputs of its own, which the test
`statistics` writes to standard input. Says where they disagree, and how many numbers of each kind were compared.
"""

import json
import math
import sys
from itertools import product
from pathlib import Path

import numpy as np
from scipy.stats import binom, poisson

import evalues
import limits
import times
from memory import Memory, Scale, indicator, prior
from rollout import Rollout

TOLERANCE = 1e-9
SHOWN_MAX = 20
TABLES = Path(__file__).resolve().parent.parent / "reference"


class Report:
    """What was compared, by kind, and what was not the same."""

    def __init__(self):
        self.compared, self.wrong = {}, []

    def check(self, kind, place, found, expected):
        """`found` is the judge's, or the table's; `expected` is computed here."""
        self.compared[kind] = self.compared.get(kind, 0) + 1
        if isinstance(expected, (float, np.floating)) and isinstance(found, (int, float)):
            same = abs(found - expected) <= TOLERANCE * max(1.0, abs(expected))
        else:
            same = found == expected
        if not same:
            self.wrong.append(f"{kind}, {place}: {found}, not {expected}")

    def checks(self, kind, place, found, expected):
        if len(found) != len(expected):
            self.wrong.append(f"{kind}, {place}: {len(found)} numbers, not {len(expected)}")
        for i, pair in enumerate(zip(found, expected)):
            self.check(kind, f"{place}, {i}", *pair)


# Of one cell.


def labels(report, kind, cases):
    for case in cases:
        report.check(kind, case, case["log_e"], evalues.label(case["scores"], case["canary_pods_last"]))


def ratios(report, kind, cases):
    for case in cases:
        arms = (case["kc"], case["nc"]), (case["kb"], case["nb"])
        report.checks(kind, case, case["log_e"], evalues.ratio(*arms, case["r"], np.exp(case["tilts"]))[0])


def thinnings(report, kind, cases):
    for case in cases:
        key = [int(case[part]) for part in ("seed", "objective", "batch", "pod_route", "draw")]
        report.check(kind, case, case["kept"], evalues.thin(case["k"], case["q"], key))


def components(report, cases):
    for at, case in enumerate(cases):
        family = ("capped", int(case["cap"])) if case["cap"] else ("count", None)
        exposure, total = evalues.Exposure(1), np.zeros(len(case["tilts"]))
        for cell, (k, n, log_e) in enumerate(zip(case["k"], case["n"], case["log_e_cumulative"])):
            k, n, pods = np.array([k]).T, np.array([n]).T, case["baseline_pods"]
            who = exposure.step(n, pods)
            if who:
                key = (int(case["seed"]), int(case["objective"]), cell)
                total = total + evalues.counts(who, k, n, case["rate"], case["tilts"], family, key, pods)
            report.checks("committed component", f"{at}, cell {cell}", log_e, list(total))


# Of memory.


def committed_memory(report, tables):
    for case in tables["cases"]:
        kind = "phi" if case.get("binomial") else "cpu" if case.get("cpu") else "count"
        memory, pods = Memory(kind), case["pods"]
        memory.begin(pods == 1)
        for at, (values, canary, variance) in enumerate(case["rows"]):
            row = [values[0], canary] if pods == 1 else values
            memory.add(row, pods - 1, variance * pods)
            judged = at - case["history"]
            if judged >= 0:
                kappa = memory.kappa(case["prior"] and tuple(case["prior"]), judged + 1)
                report.check("committed kappa", f"{case['name']}, {judged}", case["kappa"][judged], kappa)
    scale = Scale()
    for at, (y, value) in enumerate(zip(tables["cpu_scale"]["y"], tables["cpu_scale"]["value"])):
        report.check("committed scale", at, value, scale.value())
        scale.add(y if isinstance(y, list) else [y])
    counts, seen = tables["indicator"], []
    for cells, (k, value) in enumerate(zip(counts["counts"], counts["value"])):
        report.check("committed indicator", cells, value, indicator(seen, cells) or 0)
        seen = seen + k


def memories(report, cases):
    for case in cases:
        kind = {"approve errors": "phi", "approve cpu": "cpu", "rollback cpu": "cpu"}.get(case["use"], "count")
        memory = Memory(kind)
        memory.begin(case["one_pod"])
        for at, (values, canary, row) in enumerate(case["rows"]):
            if row is None:
                memory.learn(values, canary)
            else:
                memory.add(*row)
            found = case["kappa"].get(str(at))
            if found is not None:
                kappa = memory.kappa(prior(case["use"], case["assume"], case["one_pod"]), at + 1)
                report.check("kappa", f"{case['use']}, {case['assume']}, one pod {case['one_pod']}, {at}", found, kappa)


# Of rollouts.


def committed_rollouts(report, cases):
    for case in cases:
        pods, routes = case["baseline_pods"], len(case["batches"][0]["pods"][0]["routes"])
        config = {"latency": {"above": 1.10, "below": 1.25, "quantile": 0.99, "strict": False, "required": True},
                  "errors": {"above": 1.25, "below": 3.0, "negligible": None, "required": True},
                  "cpu": {"above": 1.10, "below": 1.15, "required": True},
                  "alpha": 0.01, "beta": 0.01, "assume": case["assume"], "cells_min": 12, "seed": int(case["seed"]),
                  "routes": routes, "scale": 6, "buckets": 14 * 64}
        rollout = Rollout(config)
        for at, batch in enumerate(case["batches"]):
            named = [{"name": f"p{i}", "warm": True, "coverage": 1.0, **pod} for i, pod in enumerate(batch["pods"])]
            cell, found = {"baseline": named[:pods], "canary": named[pods:]}, batch["result"]
            if found is None:
                rollout.watch(cell)
                continue
            said, place = rollout.step(cell), f"{case['name']}, cell {at}"
            report.check("committed rollout", place, found["verdict"], said["verdict"])
            report.check("committed rollout", place, found["log_e_harm"], said["harm"])
            for name, short in (("latency", "lat"), ("errors", "err"), ("cpu", "cpu")):
                harm = [found["harm"][name]] + ([found["harm"]["route"]] if name == "latency" and routes > 1 else [])
                expected = said["objectives"][name]
                report.check("committed rollout", f"{place}, {name}", float(evalues.log_sum(harm)), expected["harm"])
                report.check("committed rollout", f"{place}, {name}", found["safe"][short], expected["safe"])


def rollouts(report, cases):
    for number, case in enumerate(cases):
        rollout = Rollout(case["config"])
        for at, cell in enumerate(case["cells"]):
            if cell["said"] is None:
                rollout.watch(cell)
                continue
            if cell["restart"]:
                rollout.restart()
            expected, found, place = rollout.step(cell), cell["said"], f"{number}, cell {at}"
            report.check("rollout", place, found["verdict"], expected["verdict"])
            report.check("rollout", place, found["harm"], expected["harm"])
            for name, numbers in expected["objectives"].items():
                for key, value in numbers.items():
                    report.check("rollout", f"{place}, {name}, {key}", found["objectives"][name][key], value)
            for at, numbers in enumerate(expected["limits"]):
                for key, value in numbers.items():
                    report.check("limit of a rollout", f"{place}, {at}, {key}", found["limits"][at][key], value)


def bounds(report, cases):
    """E-values of absolute limits, cell by cell."""
    for case in cases:
        total = 0.0
        for cell, log_e in zip(case["cells"], case["log_e"]):
            one = limits.bets(cell, case["limit"]) if case["mean"] else limits.by_odds(*cell, case["limit"])
            total = total + one
            report.checks("bound", case["limit"], log_e, list(total))


def expectations(report, cases):
    for case in cases:
        found = times.seconds(case["what"], case["side"], case["limits"], case["ratio"], case["traffic"], case["assume"])
        report.check("time", case, case["seconds"], found)


def expected_limits(report, cases):
    for case in cases:
        found = times.of_limit(case["what"], case["permitted"], case["value"], case["parts"], case["risk"], case["traffic"])
        report.check("time of a limit", case, case["seconds"], found)


# What the theorem says, of the judge's own numbers and by exact sums.


def theorem(report, labelings):
    for log_e in labelings:
        # However the pods score: over all pods that could have been the canary, E is 1 on average.
        report.check("E of labels is 1", len(log_e), float(np.exp(log_e).mean()), 1.0)
    worst = lambda values: max(0.0, float(np.max(values)) - 1 - TOLERANCE)
    for n in (1, 7, 40):
        k = np.arange(n + 1)
        for limit, factor in ((3.0, 1 / 2), (1.25, 1 / 5), (2.0, 1 / 1.2)):
            theta = limit * 200 / (limit * 200 + 800)
            e = np.exp([evalues.ratio((x, 200), (n - x, 800), limit, factor)[0, 0] for x in k])
            report.check("E of a ratio is at most 1", (n, limit), worst(binom.pmf(k, n, theta) @ e), 0.0)
        for factor in (0.0, 0.2, 1.5, 10.0):
            e = [math.exp(evalues.alone(int(x), n, 0.02, factor)) for x in k]
            report.check("E of the canary alone is at most 1", (n, factor), worst(binom.pmf(k, n, 0.02) @ e), 0.0)
        for limit in (0.0005, 0.02, 0.5):
            e = np.exp([limits.by_odds(int(x), n, limit) for x in k])
            report.check("E of a limit is at most 1", (n, limit), worst(binom.pmf(k, n, limit) @ e), 0.0)
    wander(report)
    # Poisson events at the same rate, by requests: at most 1 where the canary has the fewest; where a pod has fewer, its
    # events are raised by an approximation, which docs/statistics.md puts at 1.0001.
    for requests, most in (((300, 400, 100), 1.0), ((150, 50, 100), 1.0001)):
        for events in (0.05, 0.5):
            mean = float(np.max(poisson_mean(requests, events)))
            report.check("E of unequal exposure", (requests, events), max(mean, most), most)


def wander(report):
    """Rates that wander around the limit, their mean exactly at it: still at most 1 on average, by exact sums."""
    for rates in ((0.01, 0.03, 0.05, 0.11), (0.2, 0.0, 0.0, 0.0), (0.05, 0.05, 0.05, 0.05)):
        each = [[np.exp(limits.by_odds(k, 4, 0.05)) * binom.pmf(k, 4, rate) for k in range(5)] for rate in rates]
        mean = np.prod(np.sum(each, axis=1), axis=0)
        report.check("E of a wandering rate is at most 1", rates, max(0.0, float(mean.max()) - 1 - TOLERANCE), 0.0)
    for means in ((0.3, 0.9), (0.6, 0.6), (0.0, 0.8)):
        each = [np.exp(limits.bets(1.0, 0.6)) * x + np.exp(limits.bets(0.0, 0.6)) * (1 - x) for x in means]
        worst = float(np.prod(each, axis=0).max())
        report.check("E of a wandering mean is at most 1", means, max(0.0, worst - 1 - TOLERANCE), 0.0)


def poisson_mean(requests, events, top=9):
    """Mean of E by tilt: two pods of the baseline and a canary, so many events in a hundred requests."""
    who = {"baseline": [0, 1], "canary": [2], "slots": 2, "before": [1.0], "now": [float(requests[2])]}
    n, tilts = np.array(requests)[:, np.newaxis], np.log([0.2, 0.5, 1.2, 1.6, 5, 10])
    chances = [poisson.pmf(range(top), events * r / 100) for r in requests]
    e_of = lambda k: np.exp(evalues.counts(who, np.array(k)[:, np.newaxis], n, 1.0, tilts, ("count", None), (0, 0, 0), 2))
    return sum(math.prod(c[i] for c, i in zip(chances, k)) * e_of(k) for k in product(range(top), repeat=3))


def main():
    said, report = json.load(sys.stdin), Report()
    tables = json.loads((TABLES / "rollouts.json").read_text())
    labels(report, "committed label", tables["perm_log_e"])
    ratios(report, "committed ratio", tables["lr_log_e"])
    thinnings(report, "committed thinning", tables["thin"])
    components(report, tables["count_components"])
    committed_rollouts(report, tables["rollouts"])
    committed_memory(report, json.loads((TABLES / "kappa.json").read_text()))
    labels(report, "label", said["labels"])
    ratios(report, "ratio", said["ratios"])
    thinnings(report, "thinning", said["thinnings"])
    for case in said["alone"]:
        expected = [evalues.alone(case["k"], case["n"], case["limit"], factor) for factor in case["factors"]]
        report.checks("canary alone", case, case["log_e"], expected)
    memories(report, said["memories"])
    rollouts(report, said["rollouts"])
    bounds(report, said["bounds"])
    expectations(report, said["times"])
    expected_limits(report, said["limit_times"])
    theorem(report, said["labelings"])
    for kind, compared in report.compared.items():
        print(f"{compared:6} {kind}")
    for line in report.wrong[:SHOWN_MAX]:
        print(f"disagree: {line}")
    return 1 if report.wrong else 0


sys.exit(main())
