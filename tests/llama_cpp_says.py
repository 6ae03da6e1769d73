"""What llama.cpp makes of a GGUF file, asked in a process of its own: it holds on to what it opens.

python llama_cpp_says.py FILE OUT.npz < {"texts": [..], "ids": [..]}
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np


def tokens(path: Path, texts: list[str]) -> list[list[int]]:
    """Of each text, special tokens parsed and none added. Needs no weights."""
    found: list[list[int]] = json.loads(str(_asked(path, texts=texts)["tokens"]))
    return found


def logits(path: Path, ids: list[int]) -> Any:
    """fp32 [T, V] of one sequence, fed whole."""
    return _asked(path, ids=ids)["logits"]


def _asked(path: Path, **asked: Any) -> Any:
    out = path.with_suffix(".npz")
    command = [sys.executable, __file__, str(path), str(out)]
    done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return np.load(out, allow_pickle=False)


def _answer(path: str, out: str, asked: dict[str, Any]) -> None:
    import llama_cpp

    texts, ids = asked.get("texts", []), asked.get("ids", [])
    model = llama_cpp.Llama(
        path, vocab_only=not ids, n_ctx=max(len(ids), 8), logits_all=True, n_threads=2, verbose=True
    )
    found = [model.tokenize(text.encode(), add_bos=False, special=True) for text in texts]
    if ids:
        model.eval(ids)
    scores = model.scores[: len(ids)] if ids else np.zeros(0)
    np.savez(out, tokens=json.dumps(found), logits=np.array(scores, np.float32))


if __name__ == "__main__":
    _answer(*sys.argv[1:], json.load(sys.stdin))
