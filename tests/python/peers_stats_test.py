"""benchmarks/peers/stats.py, by properties that its figures must have."""
import dataclasses

import numpy as np
import pytest
from peers import stats


@pytest.fixture(params=range(8))
def rounds(request):
    """Figures of two engines in some rounds: noise that both share, and noise of their own."""
    rng = np.random.default_rng(request.param)
    count = int(rng.integers(3, 30))
    weather = rng.lognormal(0, 0.5, count)
    return weather * rng.lognormal(1, 0.1, count), weather * rng.lognormal(0.5, 0.1, count)


def close(a, b):
    return np.allclose(dataclasses.astuple(a), dataclasses.astuple(b), rtol=1e-9)


def test_ratio_is_the_median_of_ratios_within_rounds(rounds):
    theirs, ours = rounds
    got = stats.ratio(theirs, ours)
    ordered = sorted(theirs / ours)
    assert ordered[(len(ordered) - 1) // 2] * (1 - 1e-12) <= got.value <= ordered[len(ordered) // 2] * (1 + 1e-12)
    assert min(ordered) <= got.low <= got.value <= got.high <= max(ordered)


def test_ratio_does_not_see_what_both_engines_saw(rounds):
    theirs, ours = rounds
    weather = np.random.default_rng(99).lognormal(0, 2, len(ours))
    assert close(stats.ratio(theirs * weather, ours * weather), stats.ratio(theirs, ours))


def test_ratio_scales(rounds):
    theirs, ours = rounds
    plain, scaled = stats.ratio(theirs, ours), stats.ratio(3 * theirs, ours)
    assert close(scaled, stats.Interval(3 * plain.value, 3 * plain.low, 3 * plain.high))


def test_engines_change_places(rounds):
    theirs, ours = rounds
    there, back = stats.ratio(theirs, ours), stats.ratio(ours, theirs)
    np.testing.assert_allclose([back.value, back.low, back.high], [1 / there.value, 1 / there.high, 1 / there.low], rtol=0.02)
    opposite = {"faster": "slower", "slower": "faster", "even": "even"}
    assert stats.Interval(1 / there.value, 1 / there.high, 1 / there.low).verdict() == opposite[there.verdict()]


def test_order_of_rounds_does_not_matter_to_the_value(rounds):
    theirs, ours = rounds
    order = np.random.default_rng(5).permutation(len(ours))
    assert stats.ratio(theirs[order], ours[order]).value == pytest.approx(stats.ratio(theirs, ours).value)


def test_same_figures_same_interval(rounds):
    assert stats.ratio(*rounds) == stats.ratio(*rounds)


def test_equal_rounds_have_no_width():
    assert close(stats.ratio([3.0] * 5, [2.0] * 5), stats.Interval(1.5, 1.5, 1.5))


def test_mean_ratio_of_one_cell_is_its_ratio(rounds):
    assert close(stats.mean_ratio([rounds]), stats.ratio(*rounds))


def test_mean_ratio_is_geometric(rounds):
    theirs, ours = rounds
    assert stats.mean_ratio([(theirs, ours), (ours, theirs)]).value == pytest.approx(1)
    assert stats.mean_ratio([(2 * ours, ours), (8 * ours, ours)]).value == pytest.approx(4)


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(7)
    cover = 0
    for _ in range(300):
        ours = rng.lognormal(0, 0.5, 20)
        got = stats.ratio(1.1 * ours * rng.lognormal(0, 0.05, 20), ours)
        cover += got.low <= 1.1 <= got.high
    assert 0.88 <= cover / 300 <= 0.995


def test_interval_narrows_with_more_rounds():
    rng = np.random.default_rng(3)
    widths = []
    for count in (8, 64, 512):
        got = stats.ratio(rng.lognormal(0, 0.1, count), np.ones(count))
        widths.append(got.high - got.low)
    assert widths[0] > widths[1] > widths[2]


@pytest.mark.parametrize("interval, verdict", [
    ((1.10, 1.05, 1.20), "faster"), ((1.10, 0.99, 1.20), "even"), ((1.015, 1.01, 1.02), "even"), ((1.0, 1.0, 1.0), "even"),
    ((0.90, 0.85, 0.95), "slower"), ((0.90, 0.85, 1.01), "even"), ((0.99, 0.985, 0.995), "even"),
])
def test_verdict_needs_an_interval_without_1_and_a_gap(interval, verdict):
    assert stats.Interval(*interval).verdict() == verdict


@pytest.mark.parametrize("theirs, ours", [([], []), ([1.0], [1.0, 2.0]), ([1.0, 0.0], [1.0, 1.0]), ([1.0], [-1.0])])
def test_figures_that_are_no_rounds(theirs, ours):
    with pytest.raises(ValueError, match="expected positive figures of the same rounds"):
        stats.ratio(theirs, ours)
