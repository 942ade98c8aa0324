"""Estimators that follow scikit-learn's API: EM and the posterior, for pipelines and searches.

They convert arguments and results, and leave all computation to the functions of the package.
"""
