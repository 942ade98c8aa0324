"""Co-clustering, point partitions and credible balls, against enumeration and hand-made posteriors."""

from itertools import product

import numpy as np
import pytest
from helpers.posteriors import permuted, posterior_of, similar_draws
from scipy.stats import multivariate_normal
from sklearn.metrics import adjusted_rand_score, mutual_info_score

import bayesgmm as bg
from bayesgmm.posterior.partition import losses as partition_losses
from bayesgmm.posterior.partition import partition
from bayesgmm.posterior.partition import search as partition_search


def responsibilities(X, weights, means, covariances):
    """(S, N, K) by SciPy."""
    S, K = weights.shape
    densities = np.array(
        [
            [weights[s, k] * multivariate_normal(means[s, k], covariances[s, k]).pdf(X) for k in range(K)]
            for s in range(S)
        ]
    ).reshape(S, K, -1)
    return (densities / densities.sum(axis=1, keepdims=True)).transpose(0, 2, 1)


def sharing_by_enumeration(r):
    """(N, N) probability of a shared component: all K^N assignments of each draw, with their probabilities."""
    _, N, K = r.shape
    together = np.zeros((N, N))
    for labels in product(range(K), repeat=N):
        labels = np.array(labels)
        probability = r[:, np.arange(N), labels].prod(axis=1).mean()
        together += probability * (labels[:, np.newaxis] == labels)
    return together


def hard_posterior(partitions, repeats, rng):
    """Draws whose partitions of 8 rows are certain: partitions[i] in repeats[i] of the draws, in random order.

    Feature i of a row is 1000 times its cluster in partition i. The components of a draw of partition i stand at 0,
    1000, ... of that feature with standard deviation 1, and are too wide in the others for them to matter.
    """
    X = 1000.0 * np.array(partitions).T
    D = len(partitions)
    weights, means, covariances = [], [], []
    for i, n in enumerate(repeats):
        stds = np.full(D, 1e4)
        stds[i] = 1.0
        centers = np.zeros((8, D))
        centers[:, i] = 1000.0 * np.arange(8)
        weights += n * [np.full(8, 1 / 8)]
        means += n * [centers]
        covariances += n * [np.broadcast_to(np.diag(stds**2), (8, D, D))]
    order = rng.permutation(len(weights))
    return posterior_of(*(np.array(array)[order] for array in (weights, means, covariances)), X, chains=1)


def all_partitions(n):
    """Every partition of n rows, as labels in order of appearance."""
    found = [[0]]
    for _ in range(n - 1):
        found = [[*labels, new] for labels in found for new in range(max(labels) + 2)]
    return np.array(found)


def together(labels):
    return labels[..., :, np.newaxis] == labels[..., np.newaxis, :]


def vi(one, others):
    """Bits; Wade and Ghahramani (2018): the mean over rows of log2 of the sizes, minus twice that of the overlap's."""
    a, b = together(one), together(others)
    return (np.log2(a.sum(-1)) + np.log2(b.sum(-1)) - 2 * np.log2((a & b).sum(-1))).mean(axis=-1)


def binder(one, others):
    return (together(one) != together(others)).mean(axis=(-1, -2))


LOSSES = {"vi": vi, "binder": binder}


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(11)
    draws = similar_draws(30, 3, 2, rng, spread=1.0)
    X = 3 * rng.normal(size=(7, 2))
    return draws, X


# Co-clustering


def test_co_clustering_is_the_sum_over_all_assignments(small):
    draws, X = small
    found = bg.co_clustering(posterior_of(*draws, X))
    expected = sharing_by_enumeration(responsibilities(X, *draws))
    assert 0.2 < expected[~np.eye(7, dtype=bool)].mean() < 0.8  # nothing trivial
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-9)
    assert (found.n_draws, found.n_samples, found.rows.tolist()) == (30, 7, list(range(7)))


def test_co_clustering_ignores_labels_and_averaged_responsibilities_would_not(small):
    draws, X = small
    mixed = permuted(draws, np.random.default_rng(1))
    found = bg.co_clustering(posterior_of(*draws, X)).probabilities
    np.testing.assert_allclose(bg.co_clustering(posterior_of(*mixed, X)).probabilities, found, atol=1e-12)
    broken = responsibilities(X, *mixed).mean(axis=0)
    assert np.abs(broken @ broken.T - found).max() > 0.1


def test_rows_beyond_the_limit_are_evenly_chosen_and_named(small):
    draws, _ = small
    X = np.random.default_rng(2).normal(size=(100, 2))
    posterior = posterior_of(*draws, X)
    found = bg.co_clustering(posterior, max_rows=12)
    assert found.n_samples == 100
    assert found.rows.tolist() == list(range(0, 100, 9))
    whole = bg.co_clustering(posterior).probabilities
    np.testing.assert_allclose(found.probabilities, whole[np.ix_(found.rows, found.rows)], atol=1e-12)
    chosen = bg.point_partition(posterior, max_rows=12, rng=1)
    assert len(chosen.labels) == 12
    assert "12 of the 100 rows" in chosen.summary()


def test_draws_beyond_the_number_asked_for_are_evenly_spaced(small):
    draws, X = small
    found = bg.co_clustering(posterior_of(*draws, X), n_draws=4)
    few = tuple(array[[0, 10, 19, 29]] for array in draws)
    assert found.n_draws == 4
    np.testing.assert_allclose(found.probabilities, bg.co_clustering(posterior_of(*few, X)).probabilities, atol=1e-12)


def test_other_rows_can_be_given(small):
    draws, X = small
    other = X[::-1] + 1.0
    found = bg.co_clustering(posterior_of(*draws, X), other).probabilities
    np.testing.assert_allclose(found, bg.co_clustering(posterior_of(*draws, other)).probabilities)


# Losses and the search


@pytest.mark.parametrize("loss", LOSSES)
def test_the_loss_of_two_partitions_is_the_textbooks(loss):
    rng = np.random.default_rng(3)
    labels, drawn = rng.integers(0, 4, 40), rng.integers(0, 3, (40, 25))
    labels = np.unique(labels, return_inverse=True)[1]
    similarity = together(drawn.T).mean(axis=0)
    criteria = {"vi": partition_losses.VariationOfInformation, "binder": partition_losses.Binder}
    criterion = criteria[loss](similarity, drawn.astype(np.int32), 3)
    found = criterion.distances(labels)
    np.testing.assert_allclose(found, LOSSES[loss](labels, drawn.T), atol=1e-12)
    assert criterion.expected(labels) == pytest.approx(found.mean())
    if loss == "vi":  # H(a) + H(b) - 2 I(a, b)
        entropies = [mutual_info_score(drawn[:, s], drawn[:, s]) for s in range(25)]
        shared = [mutual_info_score(labels, drawn[:, s]) for s in range(25)]
        expected = mutual_info_score(labels, labels) + np.array(entropies) - 2 * np.array(shared)
        np.testing.assert_allclose(found, expected / np.log(2), atol=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("seed", range(6))
def test_no_partition_of_eight_rows_is_better(loss, seed):
    """All 4140 partitions; the posterior is a few partitions of random shape, which have little in common."""
    rng = np.random.default_rng(seed)
    partitions = [np.unique(rng.integers(0, 4, 8), return_inverse=True)[1].tolist() for _ in range(6)]
    repeats = rng.integers(1, 10, 6).tolist()
    found = bg.point_partition(hard_posterior(partitions, repeats, rng), loss=loss, rng=seed)
    every = all_partitions(8)
    assert len(every) == 4140
    losses = sum(n * LOSSES[loss](np.array(p), every) for p, n in zip(partitions, repeats, strict=True)) / sum(repeats)
    assert found.expected_loss == pytest.approx(losses.min(), abs=1e-9)
    at_labels = np.flatnonzero((together(every) == together(found.labels)).all(axis=(1, 2)))
    assert losses[at_labels] == pytest.approx(found.expected_loss, abs=1e-9)
    assert np.median(losses) > 1.1 * losses.min()  # any partition at all would be seen


@pytest.mark.parametrize("seed", range(4))
def test_no_partition_is_better_by_the_summed_out_binder_loss(seed):
    rng = np.random.default_rng(100 + seed)
    posterior = posterior_of(*similar_draws(40, 3, 2, rng, spread=1.0), 3 * rng.normal(size=(8, 2)))
    found = bg.point_partition(posterior, loss="binder", rng=seed)
    losses = np.abs(together(all_partitions(8)) - found.co_clustering.probabilities).mean(axis=(1, 2))
    assert found.expected_loss == pytest.approx(losses.min(), abs=1e-9)


def test_a_start_without_clusters_is_allocated_to_the_best_of_one_sweep_or_better():
    """Sequential allocation alone, without other starts, ends where no move of one row improves."""
    rng = np.random.default_rng(5)
    drawn = rng.integers(0, 3, (8, 40)).astype(np.int32)
    similarity = together(drawn.T).mean(axis=0)
    for name, criterion in (
        ("vi", partition_losses.VariationOfInformation(similarity, drawn, 3)),
        ("binder", partition_losses.Binder(similarity, drawn, 3)),
    ):
        labels = np.full(8, -1, dtype=np.intp)
        criterion.sweeten(labels, rng.permutation(8))
        assert labels.min() >= 0
        best = LOSSES[name](np.unique(labels, return_inverse=True)[1], drawn.T).mean()
        for i, new in product(range(8), range(8)):
            moved = labels.copy()
            moved[i] = new
            assert LOSSES[name](moved, drawn.T).mean() >= best - 1e-9


@pytest.mark.parametrize("loss", LOSSES)
def test_planted_clusters_are_found(loss):
    X, labels, mixture = bg.datasets.simulate(300, 4, 2, separation=8, rng=4)
    rng = np.random.default_rng(4)
    means = mixture.means + 0.1 * rng.normal(size=(50, *mixture.means.shape))
    draws = np.tile(mixture.weights, (50, 1)), means, np.tile(mixture.covariances, (50, 1, 1, 1))
    found = bg.point_partition(posterior_of(*permuted(draws, rng), X), loss=loss, rng=1)
    assert found.n_clusters == 4
    assert adjusted_rand_score(found.labels, labels) > 0.98
    assert (np.diff(np.bincount(found.labels)) <= 0).all()  # the largest is 0


def test_the_same_seed_gives_the_same_partition(small):
    draws, X = small
    posterior = posterior_of(*draws, X)
    one, two, other = (bg.point_partition(posterior, rng=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one.labels, two.labels)
    assert one.expected_loss == two.expected_loss != other.expected_loss


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
def test_five_hundred_more_orders_find_nothing_better(loss):
    """Overlapping components: the default search is within 0.1 % of the best of 500 more starts."""
    rng = np.random.default_rng(9)
    draws = similar_draws(300, 5, 2, rng)
    X = bg.MixtureParameters(*(array[0] for array in draws)).sample(200, rng=1)[0]
    found = bg.point_partition(posterior_of(*draws, X), loss=loss, rng=1)
    drawn = np.empty((200, 300), dtype=np.int32)
    stream = partition.responsibilities_of_draws(X, *draws)
    for_labels, _ = np.random.default_rng(1).spawn(2)
    for _ in partition._sampling_labels(stream, drawn, for_labels):
        pass
    criteria = {"vi": partition_losses.VariationOfInformation, "binder": partition_losses.Binder}
    criterion = criteria[loss](found.co_clustering.probabilities, drawn, 5)
    assert criterion.expected(found.labels) == pytest.approx(found.expected_loss)
    best = np.inf
    for _ in range(500):
        labels = np.full(200, -1, dtype=np.intp)
        criterion.sweeten(labels, rng.permutation(200))
        best = min(best, criterion.expected(partition_losses.numbered_by_size(labels)))
    assert found.expected_loss <= 1.001 * best


# The credible ball


def test_the_ball_of_a_posterior_made_by_hand():
    """80 % of one partition; three others whose distances and numbers of clusters are known."""
    middle = [0, 0, 0, 0, 1, 1, 1, 1]
    joined = [0] * 8
    split = [0, 0, 0, 0, 1, 1, 1, 2]
    shifted = [0, 0, 0, 1, 1, 1, 1, 1]
    posterior = hard_posterior([middle, joined, split, shifted], [80, 4, 7, 9], np.random.default_rng(1))
    to = {name: vi(np.array(middle), np.array(p)) for name, p in (("j", joined), ("sp", split), ("sh", shifted))}
    assert to["sp"] < to["sh"] < to["j"]
    found = bg.point_partition(posterior, loss="vi", ci_prob=0.95, rng=1)
    assert found.labels.tolist() == middle
    ball = found.ball
    assert ball.radius == pytest.approx(to["sh"])
    assert ball.probability == pytest.approx(0.96)
    assert (ball.upper.n_clusters, ball.lower.n_clusters) == (2, 3)
    assert adjusted_rand_score(ball.upper.labels, shifted) == 1
    assert adjusted_rand_score(ball.lower.labels, split) == 1
    assert adjusted_rand_score(ball.horizontal.labels, shifted) == 1
    assert ball.lower.distance == pytest.approx(to["sp"])
    wide = bg.point_partition(posterior, loss="vi", ci_prob=0.99, rng=1).ball
    assert wide.radius == pytest.approx(to["j"]) and wide.probability == 1
    assert wide.upper.n_clusters == 1
    narrow = bg.point_partition(posterior, loss="vi", ci_prob=0.5, rng=1).ball
    assert narrow.radius == pytest.approx(0, abs=1e-12) and narrow.probability == pytest.approx(0.8)


def test_results_are_read_only(small):
    draws, X = small
    found = bg.point_partition(posterior_of(*draws, X), rng=1)
    for array in (found.labels, found.co_clustering.probabilities, found.ball.upper.labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1


# Arguments


def test_wrong_arguments_are_refused(small):
    draws, X = small
    posterior = posterior_of(*draws, X)
    with pytest.raises(bg.errors.InputError, match=r"loss must be 'vi'.*received 'VI'"):
        bg.point_partition(posterior, loss="VI")
    with pytest.raises(bg.errors.InputError, match="ci_prob"):
        bg.point_partition(posterior, ci_prob=95)
    with pytest.raises(bg.errors.InputError, match="X has 3 columns"):
        bg.co_clustering(posterior, np.zeros((5, 3)))
    with pytest.raises(bg.errors.InputError, match="max_rows must be a whole number of at least 2"):
        bg.co_clustering(posterior, max_rows=1)
    del posterior["observed_data"]
    with pytest.raises(bg.errors.InputError, match=r"holds no rows\. Pass them as X"):
        bg.co_clustering(posterior)
    bare = posterior_of(*draws, X)
    bare["posterior"] = bare["posterior"].to_dataset().drop_vars("covariances")
    with pytest.raises(bg.errors.InputError, match="no variable covariances"):
        bg.co_clustering(bare)


def test_a_single_row_is_one_cluster(small):
    draws, X = small
    found = bg.point_partition(posterior_of(*draws, X), X[:1], rng=1)
    assert (found.labels.tolist(), found.n_clusters, found.expected_loss) == ([0], 1, 0.0)


def test_a_search_by_the_wrong_gains_is_seen():
    """A deliberately broken version: with the gains of Binder's loss the search never reaches the least VI here."""
    rng = np.random.default_rng(0)
    drawn = rng.integers(0, 4, (8, 6)).astype(np.int32)
    best = sum(vi(drawn[:, s], all_partitions(8)) for s in range(6)).min() / 6
    for seed in range(20):
        labels = np.full(8, -1, dtype=np.intp)
        order = np.random.default_rng(seed).permutation(8)
        partition_search.sweeten_vi(drawn, 4, 2 * np.arange(9) + 1.0, 8, order, labels)
        assert vi(labels, drawn.T).mean() > best + 1e-6
