"""Makes the weight forms that the peers read best from the shipped GGUF, by llama.cpp's quantizer.

Usage (in the peers' venv): forms.py SHIPPED.gguf FOLDER
"""

import ctypes
import sys
from pathlib import Path

import llama_cpp as cpp

FORMS = {"q4_0": cpp.LLAMA_FTYPE_MOSTLY_Q4_0, "q8_0": cpp.LLAMA_FTYPE_MOSTLY_Q8_0}


def main() -> None:
    source, folder = Path(sys.argv[1]), Path(sys.argv[2])
    cpp.llama_backend_init()
    for name, form in FORMS.items():
        made = folder / f"{name}.gguf"
        if not made.exists():
            quantize(source, made, form)


def quantize(source: Path, made: Path, form: int) -> None:
    """Written beside and renamed. The embedding, which is the head too, stays Q8_0."""
    params = cpp.llama_model_quantize_default_params()
    params.ftype = form
    params.allow_requantize = True
    beside = made.with_suffix(".part")
    paths = (str(source).encode(), str(beside).encode())
    code = cpp.llama_model_quantize(*paths, ctypes.byref(params))
    assert code == 0, f"llama_model_quantize gave {code}"
    beside.rename(made)


if __name__ == "__main__":
    main()
