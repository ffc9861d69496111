"""A whole rollout, cell by cell, as docs/statistics.md has it."""

import math

import numpy as np

import evalues
from limits import WEIGHT, Limit
from memory import Memory, Scale, indicator, prior

UP, DOWN = np.log([1.2, 1.35, 1.6, 2, 3, 5, 10]), -np.log([1.2, 1.35, 1.6, 2, 3, 5])
UP_INDICATOR, UP_ERRORS, WEIGHTS_ERRORS = UP[2:], np.log([1.5, 2, 3, 5, 10]), [0.15, 0.25, 0.3, 0.2, 0.1]
TILTS_CPU = np.array([0.15, 0.3, 0.6, 1, 1.5, 2.5])
ABOVE, BELOW, BELOW_WEIGHTS = [1.5, 2, 3, 5, 10], [0, 0.2, 0.35, 0.6], [0.7, 0.1, 0.1, 0.1]
SAFE_WEIGHTS = [0.35, 0.35, 0.3]  # with a floor: even over tilts, no difference, the floor
HARM = [0.2, 0.35, 0.5, 0.7, 0.85, 1, 1.1, 1.2, 1.35, 1.5, 2, 3]
SAFE = [1.05, 1.1, 1.15, 1.2, 1.25, 1.3, 1.4, 1.5, 1.75, 2, 2.5, 3, 4, 5]
COARSE = {"latency": np.log([1.35, 2, 5]), "errors": np.log([2, 5]), "cpu": TILTS_CPU[[1, 2, 4]]}
SHARES = {"latency": 0.18, "errors": 0.50, "cpu": 0.32}


def mixture(parts):
    """ln of the sum of weight·e^x over (x, weight)."""
    x, weights = np.transpose(parts)
    return float(evalues.log_sum(x + np.log(weights)))


def even(x):
    return mixture([(value, 1 / len(x)) for value in x])


class Part:
    """One component of the mixture: e-values of counts by tilt, and what their scores remember."""

    def __init__(self, number, family, tilts, weights, use="rollback latency"):
        self.number, self.family, self.tilts, self.weights, self.use = number, family, tilts, weights, use
        self.log_e, self.memory, self.seen, self.cells = np.zeros(len(tilts)), Memory("count"), [], 0

    def learn(self, baseline, canary):
        if self.family[0] == "indicator":
            self.family = ("indicator", indicator(self.seen, self.cells))
            self.seen += [k for k in baseline if k is not None]
            self.cells += 1
        kind, number = self.family
        score = {"count": lambda k: k, "capped": lambda k: min(k, number), "indicator": lambda k: int(k >= (number or 1))}[kind]
        values = [None if k is None else score(k) for k in baseline]
        self.memory.learn(values, np.mean([score(k) for k in canary]) if canary else None)

    def parts(self, assume, t):
        kappa = self.memory.kappa(prior(self.use, assume, self.memory.one_pod), t)
        return [(e / kappa, weight) for e, weight in zip(self.log_e, self.weights)]


class Rollout:
    """`config` as the Rust test writes it; objectives that are absent are not judged."""

    def __init__(self, config):
        self.config, self.seed = config, config["seed"]
        self.names = {"baseline": [], "canary": []}
        self.begun, self.history, self.cells, self.step_cells = None, 0, 0, 0
        on = [name for name in SHARES if config.get(name)]
        share = {name: SHARES[name] / sum(SHARES[n] for n in on) for name in on}
        self.on, routes = on, config["routes"]
        several = routes > 1 and "latency" in on
        main = 0.8 if several else 1.0
        self.proved = {name: {"harm": False, "safe": False, "low": None, "high": None} for name in on}
        flat = lambda tilts, weight: [weight / len(tilts)] * len(tilts)
        if "latency" in on:
            limits, weight = config["latency"], share["latency"] * main / 0.18
            lower = [] if limits["strict"] else [q for q in (0.9, 0.95, 0.99) if q < limits["quantile"]]
            self.levels = [*lower, limits["quantile"]]
            top = len(self.levels) - 1
            self.harm = [(i, Part(i, ("count", None), UP, flat(UP, 0.12 * weight / len(self.levels)))) for i in range(top + 1)]
            self.harm.append((top, Part(top, ("capped", 2), UP, flat(UP, 0.03 * weight))))
            self.harm.append((top, Part(top, ("indicator", None), UP_INDICATOR, flat(UP_INDICATOR, 0.03 * weight))))
            ends = sorted({0, top})
            of_routes = flat(UP, 0.2 / len(ends) / routes)
            self.routes = [[(level, Part(100 + 4 * r + i, ("count", None), UP, of_routes)) for i, level in enumerate(ends)]
                           for r in range(routes if several else 0)]
            self.exposures = [evalues.Exposure(routes)] + [evalues.Exposure(1) for _ in self.routes]
            self.safe_latency, self.recent = np.zeros((2, len(DOWN))), []
        if "errors" in on:
            weight = share["errors"] * main / 0.5
            self.errors = [Part(number, family, UP_ERRORS, [w * part * weight for w in WEIGHTS_ERRORS], "rollback errors")
                           for number, family, part in ((10, ("count", None), 0.43), (11, ("capped", 1), 0.07))]
            self.exposure, self.phi, self.any_error = evalues.Exposure(routes), Memory("phi"), False
            self.safe_errors, self.safe_same = np.zeros(len(DOWN)), np.zeros(1)
            self.floor = {"harm": np.zeros(len(ABOVE)), "safe": np.zeros(len(BELOW))}
        if "cpu" in on:
            self.cpu_weight = share["cpu"] * main
            self.cpu_log_e = {"harm": np.zeros(len(TILTS_CPU)), "safe": np.zeros(len(TILTS_CPU))}
            self.cpu_memory, self.scale = Memory("cpu"), Scale()
        self.limits = [Limit(each, config["scale"], config["first"]) for each in config.get("limits", ())]
        tilts = {"latency": 3, "errors": 2, "cpu": 3}
        self.ladder = {name: {"harm": np.zeros((len(HARM), tilts[name])),
                              "safe": np.zeros((len(SAFE), 6 if name == "errors" else tilts[name]))} for name in on}

    # One cell as tables by slot, the baseline's first.

    def lay_out(self, cell):
        for arm, names in self.names.items():
            names += sorted(pod["name"] for pod in cell[arm] if pod["name"] not in names)
        self.pods = len(self.names["baseline"])
        slots, routes, buckets = self.pods + len(self.names["canary"]), self.config["routes"], self.config["buckets"]
        self.n, self.k = np.zeros((slots, routes), int), np.zeros((slots, routes), int)
        self.hist, self.cpu, warm = np.zeros((slots, routes, buckets), int), [None] * slots, np.zeros(slots, bool)
        for arm, names in self.names.items():
            for pod in cell[arm]:
                if pod["coverage"] < 0.4:
                    continue
                slot = names.index(pod["name"]) + (self.pods if arm == "canary" else 0)
                warm[slot], self.cpu[slot] = pod["warm"], pod["cpu"]
                for r, route in enumerate(pod["routes"]):
                    self.n[slot, r], self.k[slot, r] = route["n"], route["err"]
                    for bucket, count in route["hist"]:
                        self.hist[slot, r, bucket] = count
        total, self.active = self.n.sum(1), np.zeros(slots, bool)
        self.active[evalues.active(total[: self.pods])] = True
        self.active[evalues.active(total[self.pods :]) + self.pods] = True
        self.warm = warm & self.active
        self.hist[~self.warm] = 0
        known = [self.warm[s] and self.cpu[s] and total[s] > 0 for s in range(slots)]
        of = {pod["name"]: pod for pod in cell["baseline"] if pod["coverage"] >= 0.4}
        self.baseline, self.canary = [of.get(name) for name in self.names["baseline"]], cell["canary"]
        self.y = [math.log(self.cpu[s] / total[s]) if ok else None for s, ok in enumerate(known)]

    def edge(self, level, route=None):
        """The lowest edge, as the first bucket above it, with at most its share of the last twelve cells above it."""
        hist = sum((h.sum(0) if route is None else h[route]) for h in self.recent)
        above = np.cumsum(np.append(hist, 0)[::-1])[::-1] if self.recent else np.zeros(1)
        return int(np.flatnonzero(above <= (1 - level) * above[0])[0]) if above[0] else None

    def above(self, edges, shift):
        """Requests above each route's edge, the canary's moved by `shift` buckets."""
        table = np.zeros(self.n.shape, int)
        for r, edge in enumerate(edges):
            if edge is not None:
                table[: self.pods, r] = self.hist[: self.pods, r, edge:].sum(1)
                table[self.pods :, r] = self.hist[self.pods :, r, max(0, edge + shift) :].sum(1)
        return table

    def learn(self, judged):
        split = lambda table, ok: ([int(x) if o else None for x, o in zip(table[: self.pods], ok)],
                                   [int(x) for x, o in zip(table[self.pods :], ok[self.pods :]) if o] if judged else None)
        if "latency" in self.on:
            for level, part in self.harm:
                part.learn(*split(self.above([self.edge(self.levels[level])] * self.n.shape[1], 0).sum(1), self.warm))
            for r, route in enumerate(self.routes):
                for level, part in route:
                    edges = [None] * r + [self.edge(self.levels[level], r)]
                    part.learn(*split(self.above(edges, 0)[:, r], self.warm))
        if "errors" in self.on:
            baseline, canary = split(self.k.sum(1), self.active)
            for part in self.errors:
                part.learn(baseline, canary)
            self.any_error |= bool(self.k[self.active].sum())
            if self.phi.one_pod:
                self.phi.learn(baseline, np.mean(canary) if canary else None)
            elif sum(self.active[: self.pods]) >= 2:
                on = self.active[: self.pods]
                k, n = self.k.sum(1)[: self.pods] * on, self.n.sum(1)[: self.pods] * on
                p = k.sum() / n.sum()
                self.phi.add(k - n * p, on.sum() - 1, (n * p * (1 - p) * (1 - n / n.sum())).sum())
        if "cpu" in self.on:
            self.cpu_memory.learn(self.y[: self.pods], 0.0 if judged else None)
        for limit in self.limits:
            limit.learn(self.baseline, self.active, self.canary if judged else None)

    def finish(self):
        """What a cell teaches after it was judged."""
        if "cpu" in self.on:
            self.scale.add(self.y[: self.pods])
        if "latency" in self.on:
            self.recent = [*self.recent, self.hist[: self.pods].sum(0)][-12:]

    def watch(self, cell):
        """A cell of history."""
        self.lay_out({**cell, "canary": []})
        self.history += 1
        self.learn(False)
        self.finish()

    def restart(self):
        """A new step of the rollout: safety starts anew."""
        self.step_cells = 0
        for proved in self.proved.values():
            proved.update(safe=False, high=None)
        sums = [ladder["safe"] for ladder in self.ladder.values()]
        sums += [self.safe_latency] if "latency" in self.on else []
        sums += [self.safe_errors, self.safe_same, self.floor["safe"]] if "errors" in self.on else []
        sums += [self.cpu_log_e["safe"]] if "cpu" in self.on else []
        for each in sums:
            each[:] = 0

    def step(self, cell):
        """A judged cell: what the judge must say after it."""
        self.lay_out(cell)
        if self.begun is None:
            self.begin()
        self.cells += 1
        self.step_cells += 1
        self.learn(True)
        if "latency" in self.on:
            self.step_latency()
        if "errors" in self.on:
            self.step_errors()
        if "cpu" in self.on:
            self.step_cpu()
        self.finish()
        return self.say()

    def begin(self):
        one_pod = self.active[: self.pods].sum() == 1
        assume = self.config["assume"]
        if assume == "auto":
            assume = "watched" if not one_pod and self.history >= 120 else "vary"
        self.begun, self.first_canary = (one_pod, assume), self.pods
        memories = [part.memory for _, part in self.all_latency()]
        memories += [*(part.memory for part in self.errors), self.phi] if "errors" in self.on else []
        memories += [self.cpu_memory] if "cpu" in self.on else []
        for memory in memories + self.limits:
            memory.begin(one_pod)

    def all_latency(self):
        return self.harm + [pair for route in self.routes for pair in route] if "latency" in self.on else []

    def counts(self, who, k, n, rate, tilts, family, number):
        key = (self.seed, number, self.cells - 1)
        return evalues.counts(who, k, n, rate, tilts, family, key, self.first_canary)

    def buckets(self, ratio, harm):
        width = 2.0 ** self.config["scale"] * math.log2(ratio)
        return math.ceil(width - 1e-9) if harm else math.floor(width + 1e-9)

    def step_latency(self):
        limits, n, routes = self.config["latency"], self.hist.sum(2), self.n.shape[1]
        edges = [[self.edge(level)] * routes for level in self.levels]
        who = self.exposures[0].step(n, self.pods)
        if who:
            up = self.buckets(limits["above"], True)
            for level, part in self.harm:
                k = self.above(edges[level], up)
                part.log_e += self.counts(who, k, n, 1.0, part.tilts, part.family, part.number)
            k = self.above(edges[-1], self.buckets(limits["below"], False))
            for sums, family in zip(self.safe_latency, (("count", None), ("capped", 2))):
                sums += self.counts(who, k, n, 1.0, DOWN, family, 20)
            for side, ratios, sign, number in (("harm", HARM, 1, 21), ("safe", SAFE, -1, 20)):
                for sums, ratio in zip(self.ladder["latency"][side], ratios):
                    k = self.above(edges[-1], self.buckets(ratio, side == "harm"))
                    if edges[-1][0] is not None:
                        sums += self.counts(who, k, n, 1.0, sign * COARSE["latency"], ("count", None), number)
        for r, (route, exposure) in enumerate(zip(self.routes, self.exposures[1:])):
            who = exposure.step(n[:, [r]], self.pods)
            for level, part in route if who else ():
                edges = [None] * r + [self.edge(self.levels[level], r)]
                k = self.above(edges, self.buckets(limits["above"], True))[:, [r]]
                part.log_e += self.counts(who, k, n[:, [r]], 1.0, part.tilts, part.family, part.number)

    def step_errors(self):
        limits, who = self.config["errors"], self.exposure.step(self.n, self.pods)
        if who:
            for part in self.errors:
                part.log_e += self.counts(who, self.k, self.n, limits["above"], part.tilts, part.family, part.number)
            for sums, ratio in zip(self.ladder["errors"]["harm"], HARM):
                sums += self.counts(who, self.k, self.n, ratio, COARSE["errors"], ("count", None), 12)
        arm = lambda slots: tuple(int(x[slots][self.active[slots]].sum()) for x in (self.k, self.n))
        baseline, canary = arm(slice(None, self.pods)), arm(slice(self.pods, None))
        for side, factors in (("harm", ABOVE), ("safe", BELOW)) if limits["negligible"] else ():
            each = [evalues.alone(*canary, limits["negligible"], factor) for factor in factors]
            self.floor[side][:] = np.maximum(-1e300, self.floor[side] + each)
        if baseline[1] and canary[1] and baseline[0] + canary[0]:
            self.safe_errors += evalues.ratio(canary, baseline, limits["below"], np.exp(DOWN))[0]
            self.safe_same += evalues.ratio(canary, baseline, limits["below"], [1 / limits["below"]])[0]
            self.ladder["errors"]["safe"] += evalues.ratio(canary, baseline, SAFE, np.exp(DOWN))

    def step_cpu(self):
        known = [s for s, y in enumerate(self.y) if y is not None]
        arms = [s for s in known if s < self.pods], [s for s in known if s >= self.pods]
        if not arms[0] or not arms[1]:
            return
        n, y = self.n.sum(1), np.array([self.y[s] for s in arms[0] + arms[1]])
        y = y - y[: len(arms[0])].mean()
        shrink = math.sqrt(min(1.0, n[arms[1]].mean() / max(1.0, n[arms[0]].mean())))

        def log_e(limit, tilts):
            u = y.copy()
            u[len(arms[0]) :] = (u[len(arms[0]) :] - math.log(limit)) * shrink
            return evalues.label(np.outer(tilts, u / self.scale.value()), len(arms[1]))

        limits = self.config["cpu"]
        self.cpu_log_e["harm"] += log_e(limits["above"], TILTS_CPU)
        self.cpu_log_e["safe"] += log_e(limits["below"], -TILTS_CPU)
        for side, ratios, sign in (("harm", HARM, 1), ("safe", SAFE, -1)):
            for sums, ratio in zip(self.ladder["cpu"][side], ratios):
                sums += log_e(ratio, sign * COARSE["cpu"])

    # What it comes to.

    def kappas(self, name):
        """κ of the ladder: of harm, of safety."""
        one_pod, assume = self.begun
        of = lambda memory, use, t: memory.kappa(prior(use, assume, one_pod), t)
        if name == "cpu":
            return of(self.cpu_memory, "rollback cpu", self.cells), of(self.cpu_memory, "approve cpu", self.step_cells)
        if name == "errors":
            return (of(self.errors[0].memory, "rollback errors", self.cells),
                    of(self.phi, "approve errors", self.step_cells))
        top = self.harm[len(self.levels) - 1][1].memory
        return of(top, "rollback latency", self.cells), of(top, "approve latency", self.step_cells)

    def phi_alone(self, t):
        one_pod, assume = self.begun
        return self.phi.kappa(prior("approve errors", assume, one_pod), t) if self.any_error else 1.0

    def parts(self, name):
        """Parts of the harm mixture: (ln E / κ, weight)."""
        assume = self.begun[1]
        if name == "latency":
            return [pair for _, part in self.all_latency() for pair in part.parts(assume, self.cells)]
        if name == "cpu":
            kappa = self.kappas(name)[0]
            return [(e / kappa, self.cpu_weight / len(TILTS_CPU)) for e in self.cpu_log_e["harm"]]
        parts = [pair for part in self.errors for pair in part.parts(assume, self.cells)]
        if not self.config["errors"]["negligible"]:
            return parts
        weight = sum(weight for _, weight in parts)
        alone = even(self.floor["harm"] / self.phi_alone(self.cells))
        return [(min(mixture(parts) - math.log(weight), alone), weight)]

    def safe(self, name):
        """ln of the e-value of safety."""
        if name == "latency":
            top, use = len(self.levels) - 1, "approve latency"
            one_pod, assume = self.begun
            families = zip(self.safe_latency, self.harm[top : top + 2], (0.7, 0.3))
            each = [(sums / part.memory.kappa(prior(use, assume, one_pod), self.step_cells), weight / len(DOWN))
                    for sums, (_, part), weight in families]
            return mixture([(e, weight) for sums, weight in each for e in sums])
        kappa = self.kappas(name)[1]
        if name == "cpu":
            return even(self.cpu_log_e["safe"] / kappa)
        relative = even(self.safe_errors / kappa)
        if not self.config["errors"]["negligible"]:
            return relative
        alone = mixture(list(zip(self.floor["safe"] / self.phi_alone(self.step_cells), BELOW_WEIGHTS)))
        return mixture(list(zip([relative, self.safe_same[0] / kappa, alone], SAFE_WEIGHTS)))

    def say(self):
        alpha, beta = -math.log(self.config["alpha"]), -math.log(self.config["beta"])
        every, objectives = [], {}
        for name in self.on:
            parts, safe, proved, limits = self.parts(name), self.safe(name), self.proved[name], self.config[name]
            every += parts
            harm = mixture(parts)
            proved["harm"] |= harm - math.log(sum(weight for _, weight in parts)) >= alpha
            proved["safe"] |= safe >= beta
            kappa = self.kappas(name)
            lows, highs = [proved["low"]], [proved["high"]]
            for ratio, sums in zip(HARM, self.ladder[name]["harm"]):
                if proved["low"] is not None and ratio <= proved["low"]:
                    continue  # proved once, proved for good
                if even(sums / kappa[0]) < alpha:
                    break
                lows.append(ratio)
            for ratio, sums in zip(SAFE[::-1], self.ladder[name]["safe"][::-1]):
                if proved["high"] is not None and ratio >= proved["high"]:
                    continue
                if even(sums / kappa[1]) < beta:
                    break
                highs.append(ratio)
            lows += [limits["above"]] if proved["harm"] else []
            highs += [limits["below"]] if proved["safe"] and not limits.get("negligible") else []
            proved["low"] = max((x for x in lows if x is not None), default=None)
            proved["high"] = min((x for x in highs if x is not None), default=None)
            objectives[name] = {"harm": harm, "safe": safe, **{f"{k}_proved" if k in ("harm", "safe") else k: v
                                                                for k, v in proved.items()}}
        total, each = mixture(every) if every else None, WEIGHT if every else 1.0
        if self.limits:
            each /= len(self.limits)
            for limit in self.limits:
                limit.step(self.canary, alpha - math.log(each))
            parts = [(limit.total(), each) for limit in self.limits]
            total = mixture(parts + ([(total, 1 - WEIGHT)] if every else []))
        required = [name for name in self.on if self.config[name]["required"]]
        verdict = "undecided"
        if total >= alpha:
            verdict = "rollback"
        elif required and self.step_cells >= self.config["cells_min"] and all(self.proved[n]["safe"] for n in required):
            verdict = "approve"
        found = [{"harm": limit.total(), "proved": limit.proved} for limit in self.limits]
        return {"verdict": verdict, "harm": total, "objectives": objectives, "limits": found}
