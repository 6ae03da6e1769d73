"""llama.cpp's own quantizer on one file, as its authors run it.

Usage (in the peers' venv): llama_quantizer.py SOURCE.gguf MADE.gguf q4_0|q4_1|q4_k_m [--embedding]

--embedding keeps the embedding at Q8_0, where llama.cpp would give it the form of the file because
the head has a matrix of its own.
"""

import ctypes
import sys
from pathlib import Path

import llama_cpp as cpp

FORMS = {
    "q4_0": cpp.LLAMA_FTYPE_MOSTLY_Q4_0,
    "q4_1": cpp.LLAMA_FTYPE_MOSTLY_Q4_1,
    "q4_k_m": cpp.LLAMA_FTYPE_MOSTLY_Q4_K_M,
}


def main() -> None:
    source, made, form = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    cpp.llama_backend_init()
    params = cpp.llama_model_quantize_default_params()
    params.ftype = FORMS[form]
    if "--embedding" in sys.argv[4:]:
        params.token_embedding_type = cpp.GGML_TYPE_Q8_0
    beside = made.with_suffix(".part")
    paths = (str(source).encode(), str(beside).encode())
    code = cpp.llama_model_quantize(*paths, ctypes.byref(params))
    assert code == 0, f"llama_model_quantize gave {code}"
    beside.rename(made)


if __name__ == "__main__":
    main()
