"""Fits a KV cache of 4 bits to a model's keys, on text that the model writes."""

from pathlib import Path

from farthing.engine import key_fits
from farthing.errors import InputError
from farthing.evaluate.texts import MOST_SEED, written
from farthing.formats import packed
from farthing.models.config import whole
from farthing.ops.key_fit import FILE

FIT_TOKENS = 1024
FIT_SEED = MOST_SEED
"""Of the text that keys are fitted on: not what anything is measured on."""


def fit(folder: Path) -> None:
    """Fits a packed model's keys on text that it writes itself, unless that was done before.

    InputError if the folder can't be written.
    """
    if (folder / FILE).is_file():
        return
    most = whole(packed.open(folder).config, "max_position_embeddings")
    length = min(FIT_TOKENS, most - 1)
    texts = written(folder, seed=FIT_SEED, length=length, tokens=length)
    found = key_fits.fits_of(folder, texts.sequences[0])
    try:
        key_fits.write(folder, found)
    except OSError as error:
        raise InputError(
            f"{folder} can't be written ({error.strerror}): what a cache of 4 bits must know of the"
            " model's keys is kept there; copy the model, or measure 8 bits"
        ) from error
