"""An analysis: EM, posterior, diagnosis and comparison in one call, kept in one folder.

`run` makes it, `result` is what it returns, and `saved` reads and writes the folder. The files import upwards in the
order saved, result, run.
"""
