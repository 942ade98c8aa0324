"""Standard errors at a maximum of the likelihood: from curvature, or by resampling.

It takes a `Maximum` and never an `EMFit`.
"""
