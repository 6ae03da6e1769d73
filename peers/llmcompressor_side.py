"""llmcompressor's GPTQ (vLLM's) on a Hugging Face folder.

Usage (in its own venv): llmcompressor_side.py MODEL FOLDER BITS GROUP SAMPLES.npy

Symmetric, every linear but the head. SAMPLES holds token ids [S, T]. Saved as compressed-tensors.
"""

import sys

import numpy as np
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from datasets import Dataset
from llmcompressor import oneshot
from llmcompressor.modifiers.quantization import GPTQModifier
from transformers import AutoModelForCausalLM


def main() -> None:
    source, folder, bits, group, samples = sys.argv[1:6]
    ids = np.load(samples).astype(np.int64)
    model = AutoModelForCausalLM.from_pretrained(source, dtype="auto")
    weights = QuantizationArgs(
        num_bits=int(bits), type="int", symmetric=True, strategy="group", group_size=int(group)
    )
    scheme = QuantizationScheme(targets=["Linear"], weights=weights)
    data = {"input_ids": ids.tolist(), "attention_mask": np.ones_like(ids).tolist()}
    oneshot(
        model=model,
        dataset=Dataset.from_dict(data),
        recipe=GPTQModifier(config_groups={"all": scheme}, ignore=["lm_head"]),
        max_seq_length=ids.shape[1],
        num_calibration_samples=len(ids),
    )
    model.save_pretrained(folder, save_compressed=True)


if __name__ == "__main__":
    main()
