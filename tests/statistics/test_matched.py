import numpy as np
import pytest
from prediction_tables import predictions_table

from mammo_jax.statistics.bootstrap import Estimate, estimates
from mammo_jax.statistics.matched import MatchedArea, check_seeds_differ, matched_areas, reader_comparisons
from mammo_jax.statistics.prediction_grid import PredictionGrid, StatisticsError, prediction_grid

CELLS = {("1", 1.0): 0.0, ("1", 15.0): 0.1, ("15", 15.0): 0.3, ("100", 100.0): 1.0}


def grid_of(seeds: int) -> PredictionGrid:
    return prediction_grid(predictions_table(CELLS, seeds=seeds, seed_noise=0.2, patients=60, folds=2))


def test_the_lower_one_of_both_bounds_counts():
    grid = grid_of(5)
    cells, _ = estimates(grid, 200, 0)
    areas = matched_areas(grid, cells)
    assert sorted(areas) == [1.0, 15.0, 100.0], "the network of CR 1 at CR 15 is not matched"
    for ratio, area in areas.items():
        assert isinstance(area, MatchedArea)
        assert area.value == pytest.approx(area.readers.value, abs=1e-12)
        bounds = [each.lower_bound(0.025) for each in (area.bootstrap, area.readers)]
        assert area.lower_bound(0.025) == min(bounds)
        difference = area - areas[1.0]
        readers = area.readers - areas[1.0].readers
        assert difference.value == pytest.approx(readers.value, abs=1e-12)
        bootstrap = area.bootstrap - areas[1.0].bootstrap
        assert difference.lower_bound(0.05) == min(bootstrap.lower_bound(0.05), readers.lower_bound(0.05))
        if ratio == 1.0:
            assert (readers.value, readers.standard_error) == (0.0, 0.0)


def test_rows_have_the_analysis_of_every_ratio():
    grid = grid_of(5)
    areas = matched_areas(grid, estimates(grid, 100, 0)[0])
    rows = reader_comparisons(areas)
    assert [row["ratio"] for row in rows] == [15.0, 100.0]
    for row in rows:
        assert row["low"] < row["value"] < row["high"]
        assert row["value"] == pytest.approx(areas[row["ratio"]].value - areas[1.0].value)
        assert row["degrees_of_freedom"] >= 4
        assert row["error"] > row["covariance_3"] > 0
    areas[15.0] = areas[1.0]
    assert reader_comparisons(areas)[0]["degrees_of_freedom"] is None, "infinite, which JSON does not have"
    del areas[1.0]
    assert reader_comparisons(areas) == []


def test_with_fewer_than_five_seeds_there_is_the_bootstrap_alone():
    grid = grid_of(4)
    areas = matched_areas(grid, estimates(grid, 100, 0)[0])
    assert all(type(area) is Estimate for area in areas.values())
    assert reader_comparisons(areas) == []


def test_copies_are_found_wherever_they_are_and_few_distinct_scores_are_none():
    labels = np.tile([True, False], 6)
    fold = grid_of(1).folds[0]
    scores = np.stack([labels * 1.0, labels * 2.0, labels * 1.0])
    grid = PredictionGrid((fold,), (3, 4, 9), {("1", 1.0): (scores,), ("1", 15.0): (scores,)})
    with pytest.raises(StatisticsError, match=r"seeds 3 and 9 .* leave the rows of seed 9 out, or train it anew"):
        check_seeds_differ(grid)
    other = scores.copy()
    other[2, 5] += 1
    check_seeds_differ(PredictionGrid((fold,), (3, 4, 9), {("1", 1.0): (scores,), ("1", 15.0): (other,)}))
