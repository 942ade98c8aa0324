"""Standard errors of an EM fit: from the curvature of the log-likelihood, and from fits of resampled rows."""
