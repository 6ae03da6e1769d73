"""Paths of corpora as people read them: without the folders that all of them share."""

import os.path
from collections.abc import Iterable


def shortened(paths: Iterable[str]) -> dict[str, str]:
    """A name for each path; of one path alone, its last part."""
    every = list(dict.fromkeys(paths))
    folders = [os.path.dirname(path) for path in every]
    try:
        common = os.path.commonpath(folders) if folders else ""
    except ValueError:  # some are absolute, some are not
        common = ""
    return {path: os.path.relpath(path, common) if common else path for path in every}
