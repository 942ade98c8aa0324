"""Draws from a posterior: the ways to sample, the choice between them, and when to stop.

Each way gives draws in unconstrained space; `schema` turns them into a posterior in ArviZ's schema.
"""
