"""llama.cpp's own quantizer on one file, as its authors run it.

Usage (in the peers' venv): llama_quantizer.py SOURCE.gguf MADE.gguf q4_0|q4_1|q4_k_m
                            [--embedding] [--importance MATRIX.npz]

--embedding keeps the embedding at Q8_0, where llama.cpp would give it the form of the file because
the head has a matrix of its own. MATRIX holds the mean square of each input by tensor's name.
"""

import ctypes
import sys
from pathlib import Path
from typing import Any

import llama_cpp as cpp
import numpy as np

FORMS = {
    "q4_0": cpp.LLAMA_FTYPE_MOSTLY_Q4_0,
    "q4_1": cpp.LLAMA_FTYPE_MOSTLY_Q4_1,
    "q4_k_m": cpp.LLAMA_FTYPE_MOSTLY_Q4_K_M,
}

KEPT: list[Any] = []
"""What the library is given pointers to."""


def main() -> None:
    source, made, form = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    cpp.llama_backend_init()
    params = cpp.llama_model_quantize_default_params()
    params.ftype = FORMS[form]
    if "--embedding" in sys.argv[4:]:
        params.token_embedding_type = cpp.GGML_TYPE_Q8_0
    if "--importance" in sys.argv[4:]:
        kept = importance(Path(sys.argv[sys.argv.index("--importance") + 1]))
        params.imatrix = kept
    beside = made.with_suffix(".part")
    paths = (str(source).encode(), str(beside).encode())
    code = cpp.llama_model_quantize(*paths, ctypes.byref(params))
    assert code == 0, f"llama_model_quantize gave {code}"
    beside.rename(made)


def importance(path: Path) -> Any:
    """llama.cpp's array of names and values, ended by an entry without a name."""
    with np.load(path) as found:
        held = {name: np.ascontiguousarray(found[name], np.float32) for name in found.files}
    made = (cpp.llama_model_imatrix_data * (len(held) + 1))()
    for entry, (name, values) in zip(made, held.items(), strict=False):
        entry.name = name.encode()
        entry.data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
        entry.size = len(values)
    KEPT.append(held)
    return made


if __name__ == "__main__":
    main()
