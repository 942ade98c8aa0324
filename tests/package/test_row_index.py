"""Results with one entry per row keep the index of the data frame, through the posterior and through a file."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import bayesgmm as bg
from bayesgmm.row_index import index_of, index_of_rows, row_coordinate
from bayesgmm.storage.netcdf import from_netcdf, to_netcdf

INDICES = {
    "whole numbers": pd.Index([5, 1, 7, 9], name="id"),
    "texts": pd.Index(["a", "b", "ü", "a"]),
    "fractions": pd.Index([0.5, np.nan, 2.0, 3.0]),
    "truth values": pd.Index([True, False, True, False]),
    "dates": pd.date_range("2020-01-01 12:30", periods=4, name="day"),
    "dates of a zone": pd.date_range("2020-10-25", periods=4, freq="h", tz="Europe/Berlin"),
    "dates with a gap": pd.DatetimeIndex(["2020", "2021", None, "2022"]),
    "durations": pd.to_timedelta([1, 2, 3, 4], unit="h"),
    "months": pd.period_range("2020-01", periods=4, freq="M"),
    "several levels": pd.MultiIndex.from_arrays(
        [list("abab"), [1, 2, 3, 4], pd.date_range("2020", periods=4)], names=["site", "number", None]
    ),
    "texts that files cannot hold": pd.Index(["a\0", "b\ud800", "c", "d"], dtype=object),
    "a mixture": pd.Index([1, "a", None, 2.5], dtype=object),
}


@pytest.mark.parametrize("kind", INDICES)
def test_an_index_survives_the_posterior_and_a_file(kind):
    index = INDICES[kind]
    group = xr.Dataset({"X": (("row", "feature"), np.zeros((4, 1)))}, row_coordinate(index))
    loaded = from_netcdf(to_netcdf(xr.DataTree.from_dict({"observed_data": group})), "f")["observed_data"].to_dataset()
    for kept in (group, loaded):
        found = index_of_rows(kept, 4)
        assert found.equals(index)
        assert found.names == index.names


@pytest.fixture(scope="module")
def measured(faithful):
    """Old Faithful with gaps and names of the rows, the rows without gaps, a fit and a posterior."""
    frame = faithful.assign(name=[f"eruption {i}" for i in range(len(faithful))]).set_index("name")
    frame.loc[["eruption 3", "eruption 100"], "waiting"] = np.nan
    rows = frame.dropna()
    em = bg.fit_em(rows, 2, rng=1)
    posterior = bg.sample_posterior(rows, 2, start=em.parameters, draws=200, rng=1, progress=False)
    return frame, rows, em, bg.align(posterior, em.parameters)


def test_results_join_their_data_frame_after_dropna(measured):
    frame, rows, em, posterior = measured
    tables = {
        "row_uncertainty": bg.row_uncertainty(em, posterior)["label"],
        "row_uncertainty of rows": bg.row_uncertainty(em, posterior, rows)["label"],
        "predict": bg.predict(posterior, rows).table["label"],
    }
    expected = em.parameters.predict(rows)
    for name, labels in tables.items():
        joined = frame.join(labels.rename("label"))
        assert joined["label"].isna().to_numpy().tolist() == frame["waiting"].isna().tolist(), name
        np.testing.assert_array_equal(joined.loc[rows.index, "label"], expected)


def test_every_result_with_one_entry_per_row_has_the_index(measured):
    _, rows, em, posterior = measured
    for table in (
        bg.density_difference(em, posterior),
        bg.predict_density(posterior, rows[:7]).table,
        bg.loo(posterior).table,
        bg.point_partition(posterior, rng=1).table,
    ):
        pd.testing.assert_index_equal(table.index, rows.index[: len(table)])
    some = bg.co_clustering(posterior, max_rows=10)
    pd.testing.assert_index_equal(some.index, rows.index[some.rows])
    for tree in (
        bg.add_log_likelihood(posterior)["log_likelihood"],
        bg.add_posterior_predictive(posterior, rng=1)["posterior_predictive"],
    ):
        assert tree["row"].values.tolist() == rows.index.tolist()


def test_the_index_survives_the_reduction_to_some_features_and_a_saved_analysis(measured, tmp_path):
    _, rows, em, posterior = measured
    diagnosis = bg.diagnose(posterior)
    analysis = bg.Analysis(em, posterior, diagnosis, bg.compare(em, posterior, diagnosis=diagnosis))
    loaded = bg.Analysis.load(analysis.save(tmp_path / "saved"))
    pd.testing.assert_frame_equal(bg.row_uncertainty(loaded.em, loaded.posterior), bg.row_uncertainty(em, posterior))
    pd.testing.assert_index_equal(bg.loo(bg.marginal(posterior, ["waiting"])).index, rows.index)


def test_rows_of_an_array_are_numbered(faithful_em, faithful_posterior):
    assert bg.row_uncertainty(faithful_em, faithful_posterior).index.equals(pd.RangeIndex(272, name="row"))
    assert "row" not in faithful_posterior["observed_data"].to_dataset().coords


def test_an_index_of_several_levels_is_read_from_a_frame():
    index = INDICES["several levels"]
    found = index_of(pd.DataFrame({"x": range(4)}, index=index))
    assert found.equals(index) and found.names == index.names
