"""Labels of components: relabelling the draws, and how certain the labels are.

It reads draws and a reference mixture, and changes only the order of components.
"""
