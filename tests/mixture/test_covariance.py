"""Covariance structures, and functions of covariances."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from bayesgmm.errors import InputError
from bayesgmm.mixture.covariance import (
    DIAG,
    STRUCTURES,
    n_free_parameters,
    stds_and_correlations,
    structure_named,
    structure_of_variables,
)
from bayesgmm.mixture.data_covariance import split_into_equal_volumes


@pytest.mark.parametrize("shape", [(2, 2), (3, 4, 4), (5, 3, 2, 2)])
def test_standard_deviations_and_correlations_make_the_covariances_again(shape):
    factors = np.random.default_rng(0).normal(size=shape)
    covariances = factors @ factors.swapaxes(-1, -2)
    stds, correlations = stds_and_correlations(covariances)
    assert stds.shape == shape[:-1]
    assert_allclose(np.einsum("...ii->...i", correlations), 1.0, rtol=1e-14)
    assert_allclose(stds[..., :, np.newaxis] * correlations * stds[..., np.newaxis, :], covariances, rtol=1e-13)


@pytest.mark.parametrize("structure", STRUCTURES.values(), ids=lambda structure: structure.name)
def test_a_structure_is_known_by_its_variables(structure):
    names = {"weights", "means", structure.std_variable} | ({structure.vine_variable} - {""})
    assert structure_of_variables(names) is structure
    assert structure_of_variables({"weights", "means", "stds"}) is DIAG


@pytest.mark.parametrize("structure", STRUCTURES.values(), ids=lambda structure: structure.name)
def test_only_structures_with_correlations_have_a_vine_variable(structure):
    assert (structure.vine_variable == "") == structure.diagonal


@pytest.mark.parametrize("covariance", ["fulll", "", None, 1, ["full"]])
def test_a_name_that_is_not_a_structures_is_refused(covariance):
    with pytest.raises(InputError, match="covariance must be one of full, tied, diag, spherical; received"):
        structure_named(covariance)


def test_free_parameters_decrease_from_full_to_spherical():
    counts = [n_free_parameters(STRUCTURES[name], 3, 4) for name in ("full", "tied", "diag", "spherical")]
    assert counts == [44, 24, 26, 17]  # 2 weights, 12 means, and 3 x 10, 10, 3 x 4, 3 numbers of the covariances


@pytest.mark.parametrize(("n_components", "n_features"), [(1, 1), (2, 1), (3, 2), (5, 7)])
def test_k_shrunk_covariances_have_the_volume_of_the_whole(n_components, n_features):
    factor = np.random.default_rng(3).normal(size=(n_features, n_features + 2))
    covariance = factor @ factor.T
    part = split_into_equal_volumes(covariance, n_components, n_features)
    volume, of_part = (np.sqrt(np.linalg.det(matrix)) for matrix in (covariance, part))
    assert n_components * of_part == pytest.approx(volume, rel=1e-12)
