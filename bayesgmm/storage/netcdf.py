"""Trees of labelled arrays as NetCDF in memory. A file is checked before its values are read.

HDF5 can declare arrays that are far larger than the file, and can refer to other files. Files that `to_netcdf` wrote do
neither, so both are refused.
"""

import io
from collections.abc import Iterator

import h5netcdf
import h5py
import numpy as np
import xarray as xr
from xarray.backends import H5NetCDFStore

from bayesgmm.errors import InputError
from bayesgmm.wording import shortened

_REMEDY = "Save it again, or make it again with analyze()."
# Values of these sizes are allocated beside the arrays: names of dimensions, short texts.
_SLACK_BYTES = 2**20
_MOST_OBJECTS, _MOST_DEPTH = 2000, 4
_MOST_TEXTS = 1_000_000  # in one array: names of features and modes, the index of the rows
_TEXTS_AT_A_TIME = 32
_MOST_ATTRIBUTE = 100_000  # values in one attribute


def to_netcdf(tree: xr.DataTree) -> bytes:
    """The tree as a NetCDF file, without compression.

    It is made in memory because HDF5 ends the process if the disk is full when it closes a file. Raises InputError if
    the tree holds what NetCDF cannot hold, such as an attribute that is an object.
    """
    buffer = io.BytesIO()
    with h5netcdf.File(buffer, "w") as file:
        for node in tree.subtree:
            group = file if node.path == "/" else file.create_group(node.path)
            dataset = node.to_dataset(inherit=False).drop_encoding()
            try:
                dataset.dump_to_store(H5NetCDFStore(group, mode="a"))
            except (ValueError, TypeError, AttributeError) as error:  # what NetCDF has no type for
                reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
                raise InputError(
                    f"posterior cannot be written as NetCDF: its group {node.path} holds something that NetCDF cannot "
                    f"hold ({shortened(reason)}). Remove or convert that variable, coordinate or attribute."
                ) from error
    return buffer.getvalue()


def from_netcdf(content: bytes, name: str) -> xr.DataTree:
    """The tree of a NetCDF file that `to_netcdf` made.

    Raises InputError if it is no such file, or if it refers to other files or declares more than it holds.
    """
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            groups = _Check(len(content)).groups_of(file)
        datasets = {}
        for group in groups:
            with xr.open_dataset(io.BytesIO(content), engine="h5netcdf", group=group, decode_times=False) as dataset:
                datasets[group] = _with_dates(dataset.load())
        return xr.DataTree.from_dict(datasets)
    except MemoryError:
        raise
    except Exception as error:  # h5py, h5netcdf and xarray raise errors of many types for damaged files
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise InputError(f"{name} is damaged: {reason[:300].rstrip('.')}. {_REMEDY}") from error


def _with_dates(dataset: xr.Dataset) -> xr.Dataset:
    """The data set with coordinates that hold dates, as the index of the rows may, as dates."""
    decoded = xr.decode_cf(dataset.coords.to_dataset(), decode_timedelta=False)
    return dataset.assign_coords(decoded.coords)


class _Check:
    """Walks through a file and adds up what it declares."""

    def __init__(self, n_bytes: int) -> None:
        # Arrays that only name a dimension are declared, with 4 bytes per index, and not stored.
        self._most_bytes = 2 * n_bytes + _SLACK_BYTES
        self._n_bytes = self._n_objects = 0

    def groups_of(self, file: h5py.File) -> list[str]:
        """The paths of all groups; raises ValueError where the file does not keep to the rules."""
        return list(self._walk(file, 0))

    def _walk(self, group: h5py.Group, depth: int) -> list[str]:
        if depth > _MOST_DEPTH:
            raise ValueError("its groups are nested too deeply")
        self._check_attributes(group)
        found = [group.name]
        for name in group:
            self._n_objects += 1
            if self._n_objects > _MOST_OBJECTS:
                raise ValueError(f"it holds more than {_MOST_OBJECTS} arrays and groups")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"{name!r:.50} is a link to another file or place")
            member = group[name]
            if isinstance(member, h5py.Group):
                found += self._walk(member, depth + 1)
            elif isinstance(member, h5py.Dataset):
                self._check_attributes(member)
                self._check_array(member)
            else:
                raise ValueError(f"{name!r:.50} is no array of numbers or text")
        return found

    def _check_array(self, array: h5py.Dataset) -> None:
        name = array.name
        if array.external is not None or array.is_virtual:
            raise ValueError(f"the values of {name!r:.50} are in another file")
        is_text = h5py.check_string_dtype(array.dtype) is not None
        if not is_text and array.dtype.kind not in "fiub":
            raise ValueError(f"{name!r:.50} holds neither numbers nor text")
        n_values = int(np.prod([int(size) for size in array.shape or ()], dtype=object))
        self._n_bytes += n_values * array.dtype.itemsize
        if self._n_bytes > self._most_bytes or (is_text and n_values > _MOST_TEXTS):
            raise ValueError(f"it declares more values than it can hold, in {name!r:.50}")
        if is_text:
            for texts in _in_pieces(array):
                self._n_bytes += sum(map(len, texts))
                if self._n_bytes > self._most_bytes:
                    raise ValueError(f"it declares more text than it can hold, in {name!r:.50}")

    def _check_attributes(self, member: h5py.Group | h5py.Dataset) -> None:
        for name in member.attrs:
            if int(np.prod(member.attrs.get_id(name).shape, dtype=object)) > _MOST_ATTRIBUTE:
                raise ValueError(f"an attribute of {member.name!r:.50} holds too many values")


def _in_pieces(array: h5py.Dataset) -> Iterator[list[bytes]]:
    """The texts of an array, a few at a time: each may refer to the same text, which may be as long as the file."""
    if array.ndim != 1:
        yield from ([array[index]] for index in np.ndindex(array.shape))
        return
    for begin in range(0, len(array), _TEXTS_AT_A_TIME):
        yield array[begin : begin + _TEXTS_AT_A_TIME].tolist()
