"""Files of an analysis: a folder that is replaced as a whole or not at all, and NetCDF that is checked when it is read.

It knows files, JSON and HDF5, and nothing of mixtures.
"""
