"""Tables read from files, and folders to write to.

A table is read in four steps: bytes become text, text becomes cells, cells become numbers, and columns are chosen.
"""
