"""The search for the maximum of the likelihood: starts, climbs, restarts, and the optima they reach.

The modules here take rows and return points with their records. The modules above make the fit that a user sees.
"""
