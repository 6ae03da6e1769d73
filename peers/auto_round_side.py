"""auto-round's quantizer (Intel's SignSGD, 2309.05516) on a Hugging Face folder.

Usage (in its own venv): auto_round_side.py MODEL FOLDER BITS GROUP ITERATIONS SAMPLES.npy

Symmetric, every linear but the head. SAMPLES holds token ids [S, T]: the calibration text is given,
as no data set need be fetched. Saved as compressed-tensors.
"""

import sys

import numpy as np
import torch
from auto_round import AutoRound
from transformers import AutoModelForCausalLM, AutoTokenizer


def main() -> None:
    source, folder, bits, group, iterations, samples = sys.argv[1:7]
    ids = torch.from_numpy(np.load(samples).astype(np.int64))
    model = AutoModelForCausalLM.from_pretrained(source, dtype=torch.float32)
    rounder = AutoRound(
        model,
        AutoTokenizer.from_pretrained(source),
        bits=int(bits),
        group_size=int(group),
        sym=True,
        iters=int(iterations),
        nsamples=len(ids),
        seqlen=ids.shape[1],
        dataset=[{"input_ids": row[None]} for row in ids],
        device_map="cpu",
    )
    rounder.quantize_and_save(folder, format="llm_compressor")


if __name__ == "__main__":
    main()
