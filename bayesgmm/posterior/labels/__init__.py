"""Which component of a draw is which: relabelling, and how firmly labels stand.

It reads draws and a reference mixture, and changes nothing but the order of components.
"""
