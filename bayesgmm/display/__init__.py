"""How results show themselves: cards for consoles and notebooks, tables as text, progress.

It knows text and plain arrays, and no result.
"""
