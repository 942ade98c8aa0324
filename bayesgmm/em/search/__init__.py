"""The search for the maximum of the likelihood: starts, climbs, restarts, and the optima they reach.

It takes rows and gives points and their records; the fit as a user sees it is made above.
"""
