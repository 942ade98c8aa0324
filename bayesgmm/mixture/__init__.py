"""What a Gaussian mixture is: its parameters, structures of covariances, draws of it, and components matched.

It knows no way of estimating one, and needs NumPy and SciPy only.
"""
