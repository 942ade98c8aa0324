"""The fuzzer finds planted faults: each broken version of a function must be refused."""

import dataclasses
import warnings

import numpy as np
import pytest
from fuzz.doors import DOORS
from fuzz.properties import message_fault
from fuzz.runner import fails

import bayesgmm as bg

fit_em, em_path, predict, read_table = bg.fit_em, bg.em_path, bg.predict, bg.read_table


def with_field(value, **changes):
    """A frozen value with fields that its own checks would refuse."""
    copy = dataclasses.replace(value)
    for name, field in changes.items():
        object.__setattr__(copy, name, field)
    return copy


def off_by_a_little(*args, **keywords):
    em = fit_em(*args, **keywords)
    return with_field(em, log_likelihood=em.log_likelihood + 1e-4 * max(1.0, abs(em.log_likelihood)))


def with_nan(*args, **keywords):
    em = fit_em(*args, **keywords)
    return with_field(em, parameters=with_field(em.parameters, means=em.parameters.means * np.nan))


def with_singular_covariance(*args, **keywords):
    em = fit_em(*args, **keywords)
    return with_field(em, parameters=with_field(em.parameters, covariances=em.parameters.covariances * 0))


def with_weights_of_sum_less_than_1(*args, **keywords):
    em = fit_em(*args, **keywords)
    return with_field(em, parameters=with_field(em.parameters, weights=em.parameters.weights * 0.999))


def with_another_criterion(*args, **keywords):
    return with_field(fit_em(*args, **keywords), n_free=0)


def leaking(*args, **keywords):
    raise ValueError("operands could not be broadcast together")


def refusing_without_remedy(*args, **keywords):
    raise bg.errors.InputError("The input is not acceptable here")


def warning_of_numpy(*args, **keywords):
    warnings.warn("invalid value encountered in divide", RuntimeWarning, stacklevel=1)
    return fit_em(*args, **keywords)


BROKEN_FITS = [
    off_by_a_little,
    with_nan,
    with_singular_covariance,
    with_weights_of_sum_less_than_1,
    with_another_criterion,
    leaking,
    refusing_without_remedy,
    warning_of_numpy,
]


@pytest.mark.parametrize("broken", BROKEN_FITS, ids=lambda f: f.__name__)
def test_a_broken_fit_is_found(broken, monkeypatch):
    monkeypatch.setattr(bg, "fit_em", broken)
    assert fails(DOORS["fit_em"], 25)


def of_one_iteration(*args, **keywords):
    is_drawn = isinstance(keywords["start"], str)
    return fit_em(*args, **keywords | ({"n_init": 1, "max_iter": 1} if is_drawn else {}))


def test_a_fit_below_that_of_scikit_learn_is_found(monkeypatch):
    monkeypatch.setattr(bg, "fit_em", of_one_iteration)
    assert fails(DOORS["fit_em against scikit-learn"], 30)


def path_of_changed_rows(change):
    def broken(X, *args, **keywords):
        return em_path(*change(X, keywords), *args, **keywords)

    return broken


def ignoring_weights(X, keywords):
    keywords.pop("sample_weight", None)
    return (X,)


def rounded(X, keywords):
    return (np.round(X, 2),)


def sorted_by_name(X, keywords):
    """The rows of another order of columns, under the names of the first."""
    return (X.set_axis(sorted(X.columns), axis=1) * (1 + np.arange(X.shape[1])),)


def without_the_first_row(X, keywords):
    X = np.array(X)
    X[0] = X[1]
    return (X,)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("repeated rows = weights", ignoring_weights),
        ("weight 0 = no row", ignoring_weights),
        ("affine maps", rounded),
        ("columns in another order", sorted_by_name),
        ("rows in another order", without_the_first_row),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_broken_relation_is_found(name, change, monkeypatch):
    monkeypatch.setattr(bg, "em_path", path_of_changed_rows(change))
    assert fails(DOORS[name], 25)


def test_probabilities_that_do_not_sum_to_1_are_found(monkeypatch):
    def broken(*args, **keywords):
        prediction = predict(*args, **keywords)
        return with_field(prediction, probabilities=prediction.probabilities * 1.001)

    monkeypatch.setattr(bg, "predict", broken)
    assert fails(DOORS["predict, any rows"], 25)


def test_a_number_of_a_file_that_is_read_wrongly_is_found(monkeypatch):
    monkeypatch.setattr(bg, "read_table", lambda *args, **keywords: read_table(*args, **keywords) + 1)
    assert fails(DOORS["read_table, written tables"], 60)


GOOD = "n_init must be a whole number of at least 1; received 0."


@pytest.mark.parametrize(
    ("message", "fault"),
    [
        (GOOD, None),
        ("X has one row; a covariance needs at least two. Pass more rows.", None),
        ("X is bad.", "length"),
        (GOOD + " X must differ." * 200, "length"),
        ("X holds \x1b[31m values, which is wrong. Change it.", "printable"),
        ("X holds NaN and so it cannot be fitted.", "no remedy"),
        ("X must hold numbers. Convert it", "sentence"),
    ],
)
def test_messages_without_remedy_or_bounds_are_found(message, fault):
    found = message_fault(message)
    assert found is None if fault is None else fault in found
