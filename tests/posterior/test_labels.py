"""Relabelling against brute force and planted permutations."""

from itertools import permutations, product

import numpy as np
import pytest
import xarray as xr
from scipy.optimize import linear_sum_assignment
from scipy.stats import multivariate_normal, norm

import bayesgmm as bg
from bayesgmm.bayes.sampling.schema import DIMS
from bayesgmm.convergence import label_free_quantities
from bayesgmm.mixture.draws import MixtureDraws
from bayesgmm.mixture.matching import distances_to_reference, label_costs
from bayesgmm.posterior.labels import methods as relabelling
from bayesgmm.posterior.labels.methods import RELABELLINGS, best_permutations, regrets, unlabelled_draws


@pytest.mark.parametrize("K", range(1, 7))
def test_the_assignment_is_the_best_of_all_permutations(K):
    rng = np.random.default_rng(K)
    reference = bg.datasets.simulate(10, K, 2, separation=1.0, rng=rng).parameters
    for _ in range(20):
        draw = bg.datasets.simulate(10, K, 2, separation=1.0, rng=rng).parameters
        cost = label_costs(reference, draw.weights[None], draw.means[None], draw.covariances[None])[0]
        best = min(sum(cost[j, p[j]] for j in range(K)) for p in permutations(range(K)))
        rows, columns = linear_sum_assignment(cost)
        assert cost[rows, columns].sum() == pytest.approx(best, abs=1e-12)


def test_the_cost_is_the_expected_complete_data_log_likelihood():
    """Against a mean over 400,000 rows of the reference: within 5 standard errors, once in 1e6 by chance."""
    rng = np.random.default_rng(0)
    reference = bg.datasets.simulate(10, 2, 2, rng=rng).parameters
    draw = bg.datasets.simulate(10, 2, 2, rng=rng).parameters
    cost = label_costs(reference, draw.weights[None], draw.means[None], draw.covariances[None])[0]
    for j in range(2):
        X = rng.multivariate_normal(reference.means[j], reference.covariances[j], 400_000)
        for k in range(2):
            one = bg.MixtureParameters([1.0], draw.means[k : k + 1], draw.covariances[k : k + 1])
            terms = -reference.weights[j] * (np.log(draw.weights[k]) + one.log_density(X))
            assert abs(terms.mean() - cost[j, k]) < 5 * terms.std() / np.sqrt(len(X))


def scramble(posterior, rng):
    """The posterior with the components of each draw in a random order."""
    scrambled = posterior.copy(deep=True)
    draws = scrambled["posterior"].to_dataset()
    chains, n, K = draws["weights"].shape
    order = np.argsort(rng.random((chains, n, K)), axis=-1)
    for name, variable in draws.data_vars.items():
        index = order.reshape(chains, n, K, *(1,) * (variable.ndim - 3))
        scrambled["posterior"][name] = variable.copy(data=np.take_along_axis(variable.values, index, axis=2))
    return scrambled


def test_planted_permutations_are_undone_exactly(faithful_posterior, faithful_em):
    scrambled = scramble(faithful_posterior, np.random.default_rng(0))
    assert not np.array_equal(scrambled["posterior"]["means"], faithful_posterior["posterior"]["means"])
    restored = bg.align(scrambled, faithful_em.parameters)
    for name in faithful_posterior["posterior"].data_vars:
        np.testing.assert_array_equal(restored["posterior"][name], faithful_posterior["posterior"][name])


def test_label_free_quantities_do_not_move(faithful_posterior, faithful_em):
    scrambled = scramble(faithful_posterior, np.random.default_rng(1))
    before, names = label_free_quantities(scrambled)
    aligned = bg.align(scrambled, faithful_em.parameters)
    after, _ = label_free_quantities(aligned)
    assert names[0] == "log posterior"
    np.testing.assert_allclose(before, after, rtol=1e-13)


def test_the_input_is_left_as_it_was(faithful, faithful_em):
    posterior = bg.sample_posterior(faithful, 2, draws=50, rng=1, progress=False)
    before = posterior["posterior"]["means"].values.copy()
    bg.align(posterior, faithful_em.parameters.permute([1, 0]))
    np.testing.assert_array_equal(posterior["posterior"]["means"].values, before)
    assert posterior.attrs["aligned"] == 0


def test_labels_are_clear_for_separated_components_and_unclear_for_near_duplicates(faithful_posterior):
    assert faithful_posterior["sample_stats"]["label_clear"].values.all()
    X = np.random.default_rng(0).normal(size=(100, 1))
    em = bg.fit_em(X, 2, rng=1)
    duplicates = bg.align(bg.sample_posterior(X, 2, draws=300, rng=1, progress=False), em.parameters)
    assert duplicates["sample_stats"]["label_clear"].values.mean() < 0.8


def test_bhattacharyya_distance_is_minus_the_log_overlap():
    """Against quadrature of sqrt(p q) in one dimension."""
    reference = bg.MixtureParameters([0.5, 0.5], [[0.0], [1.0]], [[[1.0]], [[2.0]]])
    found = distances_to_reference(reference, np.array([[[0.7], [-1.0]]]), np.array([[[[0.5]], [[3.0]]]]))
    x = np.linspace(-30, 30, 200_001)
    for j, (mean, variance) in enumerate([(0.0, 1.0), (1.0, 2.0)]):
        for k, (other, spread) in enumerate([(0.7, 0.5), (-1.0, 3.0)]):
            overlap = np.sqrt(norm.pdf(x, mean, variance**0.5) * norm.pdf(x, other, spread**0.5)).sum() * (x[1] - x[0])
            assert found[0, j, k] == pytest.approx(-np.log(overlap), abs=1e-9)


def test_a_reference_of_another_size_is_refused(faithful_posterior, iris):
    with pytest.raises(bg.errors.InputError, match="3 components of 4 features; the posterior has 2 of 2"):
        bg.align(faithful_posterior, bg.fit_em(iris, 3, n_init=3, rng=1).parameters)


def planted(K, rng, separation=8.0, n_rows=150, n_draws=50):
    """A posterior with draws near a reference of K separated components, and the reference."""
    reference = bg.datasets.simulate(10, K, 3, separation=separation, rng=rng).parameters
    return around(reference, rng, n_rows, n_draws), reference


def around(reference, rng, n_rows=150, n_draws=50):
    """A posterior of two chains whose draws lie around a mixture, labelled as it is."""
    K, D = reference.means.shape
    shape = (2, n_draws)
    scale = np.exp(0.05 * rng.standard_normal((*shape, K, 1)))
    means = reference.means + 0.2 * rng.standard_normal((*shape, K, D))
    stds = reference.stds * scale
    correlations = np.broadcast_to(reference.correlations, (*shape, K, D, D))
    values = {
        "weights": rng.dirichlet(200 * reference.weights, shape),
        "means": means,
        "stds": stds,
        "correlations": correlations,
        "covariances": correlations * stds[..., np.newaxis] * stds[..., np.newaxis, :],
    }
    dims = {name: ("chain", "draw", *DIMS[name]) for name in values}
    lp = rng.standard_normal(shape)
    return xr.DataTree.from_dict(
        {
            "posterior": xr.Dataset({name: (dims[name], value) for name, value in values.items()}),
            "sample_stats": xr.Dataset(
                dict.fromkeys(("lp", "total_log_likelihood", "energy"), (("chain", "draw"), lp))
            ),
            "observed_data": xr.Dataset({"X": (("row", "feature"), reference.sample(n_rows, rng)[0])}),
        }
    )


@pytest.mark.parametrize("method", RELABELLINGS)
@pytest.mark.parametrize("K", range(1, 7))
def test_planted_permutations_of_up_to_six_components_are_undone_exactly(K, method):
    rng = np.random.default_rng(K)
    posterior, reference = planted(K, rng)
    restored = bg.align(scramble(posterior, rng), reference, method)
    for name in posterior["posterior"].data_vars:
        np.testing.assert_array_equal(restored["posterior"][name], posterior["posterior"][name])
    assert restored["sample_stats"]["label_clear"].values.all()


@pytest.mark.parametrize("method", RELABELLINGS)
@pytest.mark.parametrize("K", [2, 6])
def test_relabelling_changes_no_bit_but_the_order(K, method):
    """Each draw keeps its components, bit for bit, and every statistic its values, also where labels are unclear."""
    rng = np.random.default_rng(K)
    posterior, _ = planted(K, rng)
    elsewhere = bg.datasets.simulate(10, K, 3, separation=0.5, rng=rng).parameters
    aligned = bg.align(posterior, elsewhere, method)
    order = aligned["sample_stats"]["label"].values
    assert (np.sort(order, axis=-1) == np.arange(K)).all()
    for name in posterior["posterior"].data_vars:
        before, after = (tree["posterior"][name].values for tree in (posterior, aligned))
        index = order.reshape(*order.shape, *(1,) * (before.ndim - 3))
        np.testing.assert_array_equal(np.take_along_axis(before, index, axis=2), after)
    for name in posterior["sample_stats"].data_vars:
        np.testing.assert_array_equal(aligned["sample_stats"][name], posterior["sample_stats"][name])


@pytest.mark.parametrize("method", ["ecr", "cross-entropy"])
def test_an_assignment_of_greatest_cost_would_be_noticed(method, monkeypatch):
    """A deliberately broken version: each component is matched to the place where it costs most."""
    posterior, reference = planted(3, np.random.default_rng(1))
    monkeypatch.setattr(
        relabelling, "best_permutations", lambda costs, tie_breakers=None: best_permutations(-costs, tie_breakers)
    )
    worst = bg.align(posterior, reference, method)
    assert (worst["posterior"]["means"].values != posterior["posterior"]["means"].values).any(axis=(2, 3)).any()


@pytest.mark.filterwarnings("ignore:Kullback-Leibler relabelling still changed labels")
def test_transposed_divergences_would_be_noticed(monkeypatch):
    """A deliberately broken version: a third of the permutations of three components are not their own inverse."""
    rng = np.random.default_rng(1)
    posterior, reference = planted(3, rng)
    divergences = relabelling._divergences
    monkeypatch.setattr(relabelling, "_divergences", lambda *arguments: divergences(*arguments).transpose(0, 2, 1))
    mixed = bg.align(scramble(posterior, rng), reference, "kullback-leibler")
    assert not np.array_equal(mixed["posterior"]["means"], posterior["posterior"]["means"])


def all_permutations(K):
    """All permutations, (K!, K)."""
    return np.array(list(permutations(range(K))))


def totals(cost):
    """Cost of each permutation, (K!,), for a table (K, K) of places by components."""
    return np.array([sum(cost[j, p[j]] for j in range(len(cost))) for p in all_permutations(len(cost))])


@pytest.mark.parametrize("K", range(1, 7))
def test_margins_are_what_brute_force_finds(K):
    """For each place and component, the best permutation with that component there minus the best of all."""
    costs = np.random.default_rng(K).normal(size=(10, K, K))
    found = best_permutations(costs)
    extra = regrets(costs, found.labels)
    for s, (cost, label) in enumerate(zip(costs, found.labels, strict=True)):
        total = totals(cost)
        assert total.min() == pytest.approx(cost[np.arange(K), label].sum(), abs=1e-12)
        for j in range(K):
            elsewhere = total[all_permutations(K)[:, j] != label[j]]
            assert found.margins[s, j] == pytest.approx((elsewhere - total.min()).min(initial=np.inf), abs=1e-12)
            for i in range(K):
                there = total[all_permutations(K)[:, j] == label[i]]
                assert extra[s, j, i] == pytest.approx(there.min() - total.min(), abs=1e-12)


@pytest.mark.parametrize("K", range(2, 6))
def test_ties_are_broken_by_the_second_cost(K):
    """Whole numbers from 0 to 2, which tie in most draws: the cheapest in `ties` among all of the best."""
    rng = np.random.default_rng(K)
    costs, ties = rng.integers(0, 3, (50, K, K)).astype(float), rng.normal(size=(50, K, K))
    found, tied = best_permutations(costs, ties), 0
    for cost, tie, label in zip(costs, ties, found.labels, strict=True):
        total, second = totals(cost), totals(tie)
        best = total == total.min()
        tied += best.sum() > 1
        np.testing.assert_array_equal(label, all_permutations(K)[best][second[best].argmin()])
    assert tied > 10
    assert not np.array_equal(best_permutations(costs, -ties).labels, found.labels)  # a deliberately broken version


def responsibilities(X, weights, means, covariances):
    """By SciPy's densities."""
    densities = [
        w * multivariate_normal.pdf(X, m, c).reshape(-1) for w, m, c in zip(weights, means, covariances, strict=True)
    ]
    return np.transpose(densities) / np.sum(densities, axis=0)[:, np.newaxis]


def of(posterior):
    """The draws flat (S, K, ...), the rows, and each draw's responsibilities (S, n, K) by SciPy."""
    draws = [posterior["posterior"][name].values for name in ("weights", "means", "covariances")]
    flat = [array.reshape(-1, *array.shape[2:]) for array in draws]
    X = posterior["observed_data"]["X"].values
    return flat, X, np.array([responsibilities(X, *draw) for draw in zip(*flat, strict=True)])


def labels_of(aligned):
    label = aligned["sample_stats"]["label"].values
    return label.reshape(-1, label.shape[-1])


@pytest.fixture(scope="module", params=[2, 3, 4])
def overlapping(request):
    """Scrambled draws around a mixture one standard deviation apart, where the methods differ; and the mixture."""
    rng = np.random.default_rng(request.param)
    posterior, reference = planted(request.param, rng, separation=1.0, n_draws=15)
    return scramble(posterior, rng), reference


def test_ecr_is_the_best_of_all_permutations(overlapping):
    posterior, reference = overlapping
    _, X, shares = of(posterior)
    reference_labels = responsibilities(X, reference.weights, reference.means, reference.covariances).argmax(axis=1)
    aligned = bg.align(posterior, reference)
    margins = aligned["sample_stats"]["label_margin"].values.reshape(len(shares), -1)
    for r, label, margin in zip(shares, labels_of(aligned), margins, strict=True):
        agree = np.array([r[np.arange(len(X)), p[reference_labels]].sum() for p in all_permutations(len(label))])
        found = r[np.arange(len(X)), label[reference_labels]].sum()
        assert found == pytest.approx(agree.max(), abs=1e-9)
        for j, least in enumerate(margin):
            assert found - agree[all_permutations(len(label))[:, j] != label[j]].max() == pytest.approx(least, abs=1e-9)


def test_kullback_leibler_stops_where_no_permutation_of_a_draw_is_better(overlapping):
    posterior, reference = overlapping
    _, X, shares = of(posterior)
    aligned = bg.align(posterior, reference, "kullback-leibler")
    labels = labels_of(aligned)
    mean = np.mean([r[:, label] for r, label in zip(shares, labels, strict=True)], axis=0)
    for r, label in zip(shares, labels, strict=True):
        divergences = [(r[:, p] * np.log(r[:, p] / mean)).sum() for p in all_permutations(len(label))]
        assert (r[:, label] * np.log(r[:, label] / mean)).sum() == pytest.approx(min(divergences), abs=1e-9)
    # A component has the name of the reference's component that it shares most rows with.
    reference_labels = reference.predict(X)
    together = np.array([mean[reference_labels == j].sum(axis=0) for j in range(len(mean[0]))])
    assert np.trace(together) == pytest.approx(max(np.trace(together[:, p]) for p in all_permutations(len(together))))


def test_kullback_leibler_reaches_the_least_divergence_of_all_labellings():
    """Eight draws of two components one deviation apart: all 256 joint labellings."""
    rng = np.random.default_rng(0)
    posterior, reference = planted(2, rng, separation=1.0, n_draws=4)
    _, _, shares = of(scramble(posterior, rng))

    def divergence(flips):
        p = np.array([r[:, ::-1] if flip else r for r, flip in zip(shares, flips, strict=True)])
        return (p * np.log(p / p.mean(axis=0))).sum()

    flips = labels_of(bg.align(scramble(posterior, np.random.default_rng(5)), reference, "kullback-leibler"))
    _, _, shares = of(scramble(posterior, np.random.default_rng(5)))
    least = min(divergence(joint) for joint in product([False, True], repeat=8))
    assert divergence(flips[:, 0] == 1) == pytest.approx(least, abs=1e-9)
    assert divergence(~(flips[:, 0] == 1) ^ (np.arange(8) == 3)) > least + 1  # one draw flipped


@pytest.mark.parametrize("method", RELABELLINGS)
def test_switched_labels_are_found_where_components_overlap(method):
    """Three components two deviations apart, means off by a fifth: the truth in 97 % of 1000 draws at least.

    An answer by chance has one draw in six.
    """
    rng = np.random.default_rng(1)
    posterior, reference = planted(3, rng, separation=2.0, n_rows=300, n_draws=500)
    restored = bg.align(scramble(posterior, rng), reference, method)
    right = (restored["posterior"]["means"].values == posterior["posterior"]["means"].values).all(axis=(2, 3))
    assert right.mean() >= 0.97


def with_empty_components():
    """Two components that hold no row, and the draws around them: agreement says nothing about the two."""
    covariances = np.stack([np.eye(2)] * 4)
    means = [[0.0, 0.0], [20.0, 0.0], [0.0, 60.0], [60.0, 0.0]]
    reference = bg.MixtureParameters([0.5, 0.5 - 2e-9, 1e-9, 1e-9], means, covariances)
    rng = np.random.default_rng(2)
    posterior = around(reference, rng)
    return posterior, scramble(posterior, rng), reference


@pytest.mark.parametrize("method", ["ecr", "kullback-leibler"])
def test_components_without_rows_are_told_apart_by_their_parameters(method):
    posterior, scrambled, reference = with_empty_components()
    restored = bg.align(scrambled, reference, method)
    np.testing.assert_array_equal(restored["posterior"]["means"], posterior["posterior"]["means"])
    margins = restored["sample_stats"]["label_margin"].values
    assert margins[..., :2].min() > 1
    assert margins[..., 2:].max() < 1e-6
    rows = restored["sample_stats"]["label_rows"].values
    np.testing.assert_allclose(rows.sum(axis=-1), 150)
    assert rows[..., 2:].max() < 1e-6


def test_ties_left_to_chance_would_be_noticed(monkeypatch):
    """A deliberately broken version: agreement alone decides."""
    posterior, scrambled, reference = with_empty_components()
    monkeypatch.setattr(relabelling, "best_permutations", lambda costs, tie_breakers=None: best_permutations(costs))
    chance = bg.align(scrambled, reference)
    assert not np.array_equal(chance["posterior"]["means"], posterior["posterior"]["means"])


@pytest.mark.parametrize("method", RELABELLINGS)
def test_neither_the_order_of_rows_nor_that_of_features_matters(method, overlapping):
    posterior, reference = overlapping
    labels = labels_of(bg.align(posterior, reference, method))
    turned = posterior.isel(feature=[2, 0, 1], feature_other=[2, 0, 1])
    turned["observed_data"] = turned["observed_data"].isel(row=np.random.default_rng(0).permutation(150))
    np.testing.assert_array_equal(labels_of(bg.align(turned, reference.marginal([2, 0, 1]), method)), labels)


@pytest.mark.parametrize("method", RELABELLINGS)
def test_neither_the_units_nor_the_place_of_the_data_matter(method, overlapping):
    posterior, reference = overlapping
    labels = labels_of(bg.align(posterior, reference, method))
    factor, shift = np.array([1e-3, 1.0, 1e4]), np.array([5.0, -3.0, 1e5])
    square = np.outer(factor, factor)
    moved = posterior.copy(deep=True)
    moved["posterior"]["means"] = moved["posterior"]["means"] * factor + shift
    moved["posterior"]["covariances"] = moved["posterior"]["covariances"] * square
    moved["observed_data"]["X"] = moved["observed_data"]["X"] * factor + shift
    there = bg.MixtureParameters(reference.weights, reference.means * factor + shift, reference.covariances * square)
    np.testing.assert_array_equal(labels_of(bg.align(moved, there, method)), labels)


def test_many_rows_are_used_in_part_and_the_part_is_named():
    rng = np.random.default_rng(3)
    posterior, reference = planted(3, rng, n_rows=5000)
    for most, used in ((2000, 2000), (100, 100), (9000, 5000)):
        aligned = bg.align(scramble(posterior, rng), reference, max_rows=most)
        np.testing.assert_array_equal(aligned["posterior"]["means"], posterior["posterior"]["means"])
        assert aligned.attrs["align_rows"] == used
        np.testing.assert_allclose(aligned["sample_stats"]["label_rows"].sum("component"), used)
        assert bg.label_report(aligned).table["expected_rows"].sum() == pytest.approx(5000)


@pytest.mark.parametrize("dtype", [np.float32, np.int64])
def test_rows_of_other_numbers_are_read_too(dtype):
    rng = np.random.default_rng(8)
    posterior, reference = planted(3, rng)
    X = posterior["observed_data"].to_dataset()["X"]
    posterior["observed_data"]["X"] = X.round().astype(dtype)
    aligned = bg.align(scramble(posterior, rng), reference)
    np.testing.assert_array_equal(aligned["posterior"]["means"], posterior["posterior"]["means"])


def without_rows(posterior):
    return xr.DataTree.from_dict({name: posterior[name].to_dataset() for name in ("posterior", "sample_stats")})


def test_without_rows_another_method_is_used_and_named(overlapping):
    posterior, reference = overlapping
    bare = without_rows(posterior)
    aligned = bg.align(bare, reference)
    assert aligned.attrs["align_method"] == "cross-entropy"
    assert "holds none" in bg.label_report(aligned).summary()
    np.testing.assert_array_equal(labels_of(aligned), labels_of(bg.align(posterior, reference, "cross-entropy")))
    assert "align_note" not in bg.align(posterior, reference).attrs
    with pytest.raises(bg.errors.InputError, match="kullback-leibler needs the observed rows"):
        bg.align(bare, reference, "kullback-leibler")


def test_what_cannot_be_relabelled_is_refused(overlapping):
    posterior, reference = overlapping
    with pytest.raises(bg.errors.InputError, match="method must be one of ecr, kullback-leibler, cross-entropy"):
        bg.align(posterior, reference, "ECR")
    with pytest.raises(bg.errors.InputError, match="max_rows"):
        bg.align(posterior, reference, max_rows=0)
    broken = posterior.copy(deep=True)
    broken["posterior"]["weights"][0, 3] = np.nan
    with pytest.raises(bg.errors.InputError, match="NaN or infinity in 1 of 30 draws"):
        bg.align(broken, reference)
    broken = posterior.copy(deep=True)
    broken["posterior"]["covariances"][0, 3] = 0.0
    with pytest.raises(bg.errors.InputError, match="not positive definite"):
        bg.align(broken, reference)


def test_labels_that_still_change_at_the_limit_of_iterations_are_reported(monkeypatch):
    rng = np.random.default_rng(4)
    posterior, _ = planted(4, rng, separation=1.0)
    elsewhere = bg.datasets.simulate(10, 4, 3, separation=0.5, rng=rng).parameters
    scrambled = scramble(posterior, rng)
    assert bg.align(scrambled, elsewhere, "kullback-leibler").attrs["align_iterations"] > 1
    monkeypatch.setattr(relabelling, "_MAX_ITERATIONS", 1)
    with pytest.warns(bg.errors.BayesgmmWarning, match="still changed labels after 1 iterations"):
        bg.align(scrambled, elsewhere, "kullback-leibler")


def test_agreements_are_expected_counts(overlapping):
    posterior, reference = overlapping
    flat, X, shares = of(posterior)
    reference_labels = reference.predict(X)
    expected = [[r[reference_labels == j].sum(axis=0) for j in range(reference.n_components)] for r in shares]
    np.testing.assert_allclose(
        unlabelled_draws(reference, MixtureDraws(*flat, reference.features), X).agreements,
        expected,
        rtol=1e-9,
        atol=1e-9,
    )


def test_the_report_counts_what_was_planted():
    rng = np.random.default_rng(5)
    posterior, reference = planted(3, rng)
    order = np.tile(np.arange(3), (2, 50, 1))
    order[0, :20] = [1, 0, 2]  # a fifth of the draws
    for name, variable in posterior["posterior"].data_vars.items():
        index = order.reshape(*order.shape, *(1,) * (variable.ndim - 3))
        posterior["posterior"][name] = variable.copy(data=np.take_along_axis(variable.values, index, axis=2))
    aligned = bg.align(posterior, reference)
    report = bg.label_report(aligned)
    assert (report.method, report.unit) == ("ecr", "rows")
    assert report.n_rows == 150
    assert report.share_changed == pytest.approx(0.2)
    assert report.label_clear == 1
    np.testing.assert_allclose(report.table["share_changed"], [0.2, 0.2, 0.0])
    np.testing.assert_allclose(report.table["label_clear"], 1)
    np.testing.assert_allclose(
        report.table["weight_mean"], aligned["posterior"]["weights"].mean(("chain", "draw")), rtol=1e-12
    )
    assert report.table["expected_rows"].sum() == pytest.approx(150)
    assert (report.table["margin_q05"] <= report.table["margin_median"]).all()
    for word in ("ecr", "150 rows", "20.0%", "5 % margin", "expected rows"):
        assert word in report.summary()
    with pytest.raises(bg.errors.InputError, match="no labels"):
        bg.label_report(posterior)


def test_the_rate_of_a_component_counts_draws_in_which_not_one_is_nearest_to_it():
    """One draw in ten has its second component on top of the first."""
    rng = np.random.default_rng(6)
    posterior, reference = planted(3, rng)
    posterior["posterior"]["means"][:, ::10, 1] = reference.means[0]
    posterior["posterior"]["covariances"][:, ::10, 1] = reference.covariances[0]
    report = bg.label_report(bg.align(posterior, reference))
    assert report.label_clear == pytest.approx(0.9)
    np.testing.assert_allclose(report.table["label_clear"], [0.9, 0.9, 1.0])


def test_one_component_has_nothing_to_be_mistaken_for():
    posterior, reference = planted(1, np.random.default_rng(7))
    table = bg.label_report(bg.align(posterior, reference)).table
    assert np.isposinf(table[["margin_median", "margin_q05"]]).all(axis=None)
    assert not table.isna().any(axis=None)


def test_labels_are_the_same_after_a_file(faithful_posterior, tmp_path):
    faithful_posterior.to_netcdf(tmp_path / "posterior.nc", engine="h5netcdf")
    with xr.open_datatree(tmp_path / "posterior.nc", engine="h5netcdf") as tree:
        read = tree.load()
    before, after = bg.label_report(faithful_posterior), bg.label_report(read)
    assert before.summary() == after.summary()
    assert (after.method, after.unit) == ("ecr", "rows")
    assert bg.diagnose(read).labels.equals(after.table)


def test_a_posterior_that_was_aligned_before_margins_were_kept_still_reads(faithful_posterior):
    old = faithful_posterior.copy(deep=True)
    stats = old["sample_stats"].to_dataset()
    old["sample_stats"] = xr.DataTree(stats.drop_vars(["label_margin", "label_nearest", "label_rows"]))
    old.attrs = {name: value for name, value in old.attrs.items() if not name.startswith("align_")}
    diagnosis = bg.diagnose(old)
    assert diagnosis.ok
    assert diagnosis.labels["share_changed"].notna().all()
    assert "margins were not stored" in bg.label_report(old).summary()


def test_the_diagnosis_names_the_component_that_is_unclear(faithful_posterior, faithful_em):
    assert "most often" not in bg.diagnose(faithful_posterior).summary()
    doubled = faithful_posterior.copy(deep=True)
    for name in ("means", "covariances", "stds", "correlations"):
        doubled["posterior"][name][:, ::5, 1] = doubled["posterior"][name].values[:, ::5, 0]
    diagnosis = bg.diagnose(bg.align(doubled, faithful_em.parameters))
    assert "draws without clear labels: 20.0 %; most often component 0, in 20.0 %" in diagnosis.summary()
    bare = faithful_posterior.copy(deep=True)
    bare["sample_stats"] = xr.DataTree(bare["sample_stats"].to_dataset().drop_vars(["label", "label_clear"]))
    assert bg.diagnose(bare).labels is None
