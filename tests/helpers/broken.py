"""Priors with a planted fault, for the broken twins."""

import bayesgmm as bg


class WithoutJacobian(bg.priors.LogNormal):
    """The density of s taken for that of log s."""

    def log_scale_coefficients(self):
        table = super().log_scale_coefficients()
        table[2] -= 1.0
        return table
