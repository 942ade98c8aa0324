"""What a posterior predicts: densities and responsibilities of rows, replicated data, cross-validation.

Every function averages over draws, whatever the labels.
"""
