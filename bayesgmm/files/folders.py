"""Prepare folders to write to."""

from pathlib import Path

from bayesgmm.errors import InputError


def prepare_folder(folder: str | Path, *, overwrite: bool = False) -> Path:
    """Create a folder unless it exists, and check that files can be written to it.

    Raises
    ------
    InputError
        The folder is not empty (unless `overwrite`), is a file, or cannot be written to.
    """
    folder = Path(folder)
    try:
        in_use = folder.is_dir() and any(folder.iterdir()) and not overwrite
        if not in_use:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / ".bayesgmm-probe"
            probe.touch()
            probe.unlink()
    except FileExistsError as error:
        raise InputError(f"{folder} is a file, not a folder. Name another folder.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{folder} cannot be written to: {reason}. Name another folder.") from error
    if in_use:
        raise InputError(f"{folder} exists and is not empty. Name another folder, or allow overwriting.")
    return folder
