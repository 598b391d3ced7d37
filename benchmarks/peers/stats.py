"""Statistics of rounds. Engines are compared within a round, where they saw the same machine; never across rounds."""
import dataclasses

import numpy as np

OURS = "tenon"
RESAMPLES = 2000
LEVEL = 0.95
MARGIN = 0.02  # a difference smaller than this is none, however sure


@dataclasses.dataclass(frozen=True)
class Interval:
    value: float
    low: float
    high: float

    def verdict(self):
        """Of a ratio theirs / ours: whether we are "faster", "slower" or "even"."""
        if self.low > 1 and self.value > 1 + MARGIN:
            return "faster"
        if self.high < 1 and self.value < 1 / (1 + MARGIN):
            return "slower"
        return "even"


def bootstrap(cells, statistic, seed=0):
    """The statistic of one or more cells of rounds, with its percentile-bootstrap interval over the rounds.

    cells: arrays of one figure a round. statistic takes a list of arrays [resamples, rounds], resampled within each cell, and gives
    [resamples]. Source: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    cells = [np.asarray(cell, np.float64) for cell in cells]
    rng = np.random.default_rng(seed)
    value = float(statistic([cell[None] for cell in cells])[0])
    drawn = statistic([cell[rng.integers(0, len(cell), (RESAMPLES, len(cell)))] for cell in cells])
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))


def logarithms(theirs, ours):
    """Of the ratios within each round: the median of these is that of 1 / ratio when the engines change places."""
    theirs, ours = np.asarray(theirs, np.float64), np.asarray(ours, np.float64)
    if theirs.shape != ours.shape or theirs.size == 0 or not (np.all(theirs > 0) and np.all(ours > 0)):
        raise ValueError(f"expected positive figures of the same rounds, got {theirs.size} and {ours.size}")
    return np.log(theirs / ours)


def exponential(interval):
    return Interval(*(float(np.exp(x)) for x in dataclasses.astuple(interval)))


def median(values):
    """Of one figure a round, with its interval."""
    return bootstrap([values], lambda cells: np.median(cells[0], axis=1))


def ratio(theirs, ours):
    """The median over rounds of theirs / ours, with its interval: above 1, ours is smaller."""
    return exponential(bootstrap([logarithms(theirs, ours)], lambda cells: np.median(cells[0], axis=1)))


def mean_ratio(pairs):
    """The geometric mean over cells [(theirs, ours)] of their ratios, with its interval: rounds are drawn anew within each cell."""
    cells = [logarithms(theirs, ours) for theirs, ours in pairs]
    return exponential(bootstrap(cells, lambda cells: np.mean([np.median(cell, axis=1) for cell in cells], axis=0)))


def as_dict(interval):
    """Of a ratio, for JSON."""
    return dataclasses.asdict(interval) | {"verdict": interval.verdict()}


def cells(answers, figure, inverse=False):
    """engine -> {"value", "low", "high", "rounds"} of one figure of its answers, and "ratio" to ours: above 1 we are better."""
    rounds = {engine: [float(answer[figure]) for answer in a] for engine, a in answers.items()}
    result = {}
    for engine, values in rounds.items():
        result[engine] = dataclasses.asdict(median(values)) | {"rounds": values}
        if engine != OURS and OURS in rounds and min(values) > 0 and min(rounds[OURS]) > 0:
            pair = (rounds[OURS], values) if inverse else (values, rounds[OURS])
            result[engine]["ratio"] = as_dict(ratio(*pair))
    return result
