"""How results show themselves: cards for consoles and notebooks, tables as text, progress.

The modules here know text and plain arrays. They know no result class.
"""
