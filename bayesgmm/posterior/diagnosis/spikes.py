"""Components that sit on equal values of a feature."""

import numpy as np
import xarray as xr

from bayesgmm.mixture.resolution import resolution_of
from bayesgmm.posterior.diagnosis.problems import Spike
from bayesgmm.posterior.draws import feature_names, has_rows, mixture_dataset, observed_rows

# Fewer equal values than this are no spike: a component on them has a standard deviation that the prior decides anyway.
_FEWEST_ROWS = 5
# A component sits on equal values if its standard deviation is below this many spacings of the feature's values: 1 /
# sqrt(12), the standard deviation of rounding.
_SPACINGS = 0.29


def find_spikes(posterior: xr.DataTree) -> tuple[Spike, ...]:
    """Components whose median standard deviation is below what rounding gives, at a value that many rows have.

    Components are taken as the draws number them. Without the observed rows nothing is found.
    """
    if not has_rows(posterior):
        return ()
    draws = mixture_dataset(posterior)
    X = observed_rows(posterior, feature_names(draws)).values
    stds = np.median(draws["stds"].values, axis=(0, 1))
    means = np.median(draws["means"].values, axis=(0, 1))
    spacings = resolution_of(X)
    spikes = []
    for k, d in zip(*np.nonzero(stds < _SPACINGS * spacings), strict=True):
        value = float(X[np.abs(X[:, d] - means[k, d]).argmin(), d])
        n_rows = int(np.count_nonzero(X[:, d] == value))
        if n_rows >= _FEWEST_ROWS:
            spikes.append(Spike(str(draws["feature"].values[d]), value, n_rows, int(k), float(stds[k, d])))
    return tuple(spikes)
