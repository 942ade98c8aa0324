"""scikit-learn's contract over the floors below."""
