"""Results show themselves in a console and in a notebook: short, aligned, with units and counts."""

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

import bayesgmm as bg
from bayesgmm.display.cards import Card, Grid, Listing, as_html, as_text, short_name, shortened
from bayesgmm.display.warning_lines import WarningLines

NASTY = ["<script>alert(1)</script>", 'b & "c"\nd']


class Cells(HTMLParser):
    """What a browser reads: the tags, which have to be closed, and the text of each cell of a table."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.rows, self.text = [], set(), [], ""
        self.feed(html)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def mixture(K, D, features=()):
    rng = np.random.default_rng(1)
    return bg.MixtureParameters(np.full(K, 1 / K), rng.normal(size=(K, D)), np.tile(np.eye(D), (K, 1, 1)), features)


@pytest.fixture(scope="module")
def nasty():
    X = pd.DataFrame(np.random.default_rng(1).normal(size=(60, 2)), columns=NASTY)
    return bg.analyze(X, 1, draws=20, chains=2, n_init=2, rng=1, progress=False)


@pytest.fixture(scope="module")
def shown(nasty):
    """One of each result that people look at."""
    em, posterior = nasty.em, nasty.posterior
    return {
        "MixtureParameters": em.parameters,
        "EMFit": em,
        "StandardErrors": em.standard_errors(),
        "Diagnosis": nasty.diagnosis,
        "Comparison": nasty.comparison,
        "Analysis": nasty,
        "Prior": bg.Prior.for_data(posterior["observed_data"]["X"].values),
        "LabelReport": bg.label_report(posterior),
        "Partition": bg.point_partition(posterior, n_draws=10, rng=1),
        "DensityDistances": nasty.comparison.densities,
        "PartitionAgreement": bg.partition_agreement(em, posterior, n_draws=10, rng=1),
    }


NAMES = ["MixtureParameters", "EMFit", "StandardErrors", "Diagnosis", "Comparison", "Analysis", "Prior", "LabelReport"]
NAMES += ["Partition", "DensityDistances", "PartitionAgreement"]


@pytest.mark.parametrize("name", NAMES)
def test_a_result_says_in_a_few_lines_what_it_is(shown, name):
    lines = repr(shown[name]).splitlines()
    assert lines[0].startswith(name)
    assert 2 <= len(lines) <= 20
    assert max(map(len, lines)) <= 140  # these features have long names
    assert all(line == line.rstrip() for line in lines)


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_shown_the_same_words_and_no_markup_of_the_data(shown, name):
    html = shown[name]._repr_html_()
    cells = Cells(html)
    assert cells.tags <= {"div", "strong", "table", "thead", "tbody", "tr", "th", "td"}
    assert "".join(cells.text.split()) == "".join(repr(shown[name]).split())


def test_a_fit_shows_its_numbers_in_the_units_of_the_data(faithful_em):
    lines = repr(faithful_em).splitlines()
    assert lines[0] == "EMFit: 2 components, 2 features, covariance full, 272 rows"
    assert lines[1] == "log-likelihood -1130.2640; AIC 2282.53, BIC 2322.19, ICL 2323.58 (11 free parameters)"
    p, header = faithful_em.parameters, [line.split()[:1] for line in lines].index(["component"])
    for k in range(2):
        row = lines[header + 1 + k]
        found = re.fullmatch(r"  (\d) +([\d.]+) +([\d.]+) +([\d.]+) \(([\d.]+)\) +([\d.]+) \(([\d.]+)\)", row)
        component, weight, rows, mean, sd, *_ = map(float, found.groups())
        assert component == k
        np.testing.assert_allclose(weight, p.weights[k], atol=5e-5)
        np.testing.assert_allclose(rows, 272 * p.weights[k], atol=0.05)
        np.testing.assert_allclose([mean, sd], [p.means[k, 0], p.stds[k, 0]], atol=5e-4)
    assert lines[-1] == "Features: mean (standard deviation), in the units of the data."


def test_columns_stand_under_their_titles():
    text = as_text(Card("title", grid=Grid(["", "first", "b"], [["x", "1", "20000"], ["longer", "2", "3"]])))
    assert text.splitlines() == ["title", "          first      b", "  x           1  20000", "  longer      2      3"]


def test_a_wide_mixture_is_cut_and_says_so():
    lines = repr(mixture(30, 50)).splitlines()
    assert len(lines) <= 16
    assert max(map(len, lines)) <= 120
    assert lines[-1] == "Not shown: 18 of 30 components and 44 of 50 features; .summary() shows all."
    full = mixture(30, 50).summary().splitlines()
    assert len(full) == 1 + 1 + 30 + 1
    assert full[1].split()[-1] == "x49"
    prior = repr(bg.Prior(np.zeros(50), 1.0, bg.priors.LogNormal(np.ones(50)))).splitlines()
    assert prior[-1] == "Not shown: 38 of 50 features."
    assert repr(bg.priors.LogNormal(np.ones(50))).endswith("1, ... 38 more], log_sd=1)")


def test_one_component_of_one_feature_without_a_name_is_in_the_singular():
    lines = repr(bg.fit_em([1.0, 2.0, 3.0, 4.0, 7.0], 1, rng=1)).splitlines()
    assert lines[0] == "EMFit: 1 component, 1 feature, covariance full, 5 rows"
    assert lines[3].split() == ["component", "weight", "rows", "x0"]
    assert lines[4].split() == ["0", "1.0000", "5.0", "3.40", "(2.06)"]


def test_weights_that_are_no_counts_are_said_to_be_weights():
    em = bg.fit_em([1.0, 2.0, 3.0, 4.0, 7.0], 1, sample_weight=[1.0, 1.0, 1.0, 1.0, 0.5], rng=1)
    assert repr(em).splitlines()[0].endswith("rows of weight 4.5")


@pytest.mark.parametrize(("scale", "expected"), [(1e-12, "e-12"), (1e12, "e+12"), (1.0, "0.345584 (1.00)")])
def test_numbers_of_any_size_stay_short(scale, expected):
    p = mixture(1, 1)
    scaled = bg.MixtureParameters(p.weights, scale * p.means, scale**2 * p.covariances)
    cell = repr(scaled).splitlines()[2].split(maxsplit=2)[2]
    assert len(cell) <= 25
    assert expected in cell or (scale == 1.0 and cell == "0.35 (1.00)")


def test_means_far_from_zero_keep_the_digits_that_their_spread_calls_for():
    p = bg.MixtureParameters([1.0], [[1_000_000.126]], [[[0.01]]])
    assert "1000000.126 (0.100)" in repr(p)


def test_a_long_name_is_cut_and_a_broken_one_is_made_a_line():
    assert short_name("a" * 30) == "a" * 19 + "…"
    assert short_name("a\n b") == "a b"


def test_a_prior_writes_the_call_that_makes_it_to_the_last_digit():
    prior = bg.Prior([1 / 3, 2.0], 1.5, bg.priors.Gamma(2.0, [1 / 7, 1.0]), concentration=0.1)
    again = eval(prior.expression(), {"Prior": bg.Prior, "Gamma": bg.priors.Gamma})
    assert again.mean_location.tolist() == [1 / 3, 2.0]
    assert again.std.beta.tolist() == [1 / 7, 1.0]
    assert (again.mean_scale.item(), again.concentration, again.correlation_eta) == (1.5, 0.1, 1.0)


def test_an_interrupted_posterior_says_so(nasty):
    partial = nasty.posterior.copy()
    partial.attrs["interrupted"] = 1
    lines = repr(bg.diagnose(partial)).splitlines()
    assert re.match(r"Diagnosis: \d+ problems found", lines[0])
    assert "2 chains x 20 draws (interrupted)" in lines[1]
    assert "problem: sampling was interrupted" in "\n".join(lines)


def test_a_comparison_shows_the_numbers_that_are_farthest(faithful_em, faithful_posterior):
    comparison = bg.compare(faithful_em, faithful_posterior)
    lines = repr(comparison).splitlines()
    shown = [line.split("  ")[1] for line in lines if re.match(r"  (weights|means|stds|correlations)\[", line)]
    assert set(shown) == set(comparison.table["z"].abs().nlargest(8).index)
    assert (
        lines[-1] == f"Not shown: {len(comparison.table) - 8} of {len(comparison.table)} numbers; .summary() shows all."
    )


def test_a_part_of_a_result_is_one_line(faithful_em):
    assert repr(faithful_em.optima[0]).startswith("Optimum(log-likelihood -1130.2640, reached by ")
    assert re.fullmatch(
        r"Restart\(.+, converged after \d+ iterations, log-likelihood -1130\.26\d\d\)", repr(faithful_em.restarts[0])
    )


def test_a_short_card_counts_everything_that_it_hides():
    rows = [[str(i), str(10 * i)] for i in range(5)]
    problems = Listing([f"problem {i}" for i in range(4)], "problem", n_shown=1)
    card = Card("title", [problems], Grid(["", "x"], rows, "number", n_shown=2, ranking=[4, 1, 0, 2, 3]), ["note"])
    assert as_text(shortened(card)).splitlines() == [
        "title",
        "problem 0",
        "      x",
        "  1  10",
        "  4  40",
        "note",
        "Not shown: 3 of 4 problems and 3 of 5 numbers; .summary() shows all.",
    ]
    assert len(as_text(card).splitlines()) == 1 + 4 + 6 + 1
    assert shortened(card._replace(lines=[], grid=None)) == Card("title", [], None, ["note"])


def test_html_is_aligned_and_escaped():
    cells = Cells(as_html(Card("<b>", ["a & b"], Grid(["", "<i>"], [["'x'", "1"]]), ["</div>"])))
    assert cells.rows == [["", "<i>"], ["'x'", "1"]]
    assert cells.text == "<b>a & b<i>'x'1</div>"


def test_warnings_wait_for_the_first_result_and_are_left_out_if_it_says_the_same(capsys):
    lines = WarningLines()
    lines.show("now")
    lines.hold()
    lines.show("the result says  so")
    lines.show("the result does not")
    assert capsys.readouterr().err == "bayesgmm: warning: now\n"
    lines.show_waiting("Problem: the result\n  says so.")
    lines.show("later")
    assert capsys.readouterr().err == "bayesgmm: warning: the result does not\nbayesgmm: warning: later\n"
