"""transformers' side of the headline: bf16 and `generate`, as people first run a model on a CPU.

Usage: transformers_side.py HUGGING_FACE_FOLDER THREADS search|first
"""

import sys
import time
from typing import Any

import torch
import transformers
from side import serve


class Transformers:
    def __init__(self, folder: str, threads: int) -> None:
        torch.set_num_threads(threads)
        began = time.perf_counter()
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder, padding_side="left")
        self.model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
        self.load_seconds = time.perf_counter() - began

    def about(self) -> dict[str, Any]:
        return {
            "version": f"transformers {transformers.__version__}, torch {torch.__version__}",
            "instructions": torch.backends.cpu.get_cpu_capability(),
            "settings": f"bf16, {self.model.config._attn_implementation} attention,"
            f" {torch.get_num_threads()} threads, greedy",
            "load_seconds": self.load_seconds,
        }

    def together(self, prompts: list[list[int]], tokens: int) -> dict[str, Any]:
        """All prompts in one batch, the shorter ones padded; answers of exactly `tokens`."""
        began = time.perf_counter()
        given = self.tokenizer.pad({"input_ids": prompts}, return_tensors="pt")
        made = self._generate(given, tokens)
        return {"seconds": time.perf_counter() - began, "ids": made}

    def alone(self, prompts: list[list[int]], tokens: int) -> dict[str, Any]:
        """One prompt after the other."""
        began, made = time.perf_counter(), []
        for prompt in prompts:
            ids = torch.tensor([prompt])
            made += self._generate({"input_ids": ids, "attention_mask": ids != -1}, tokens)
        return {"seconds": time.perf_counter() - began, "ids": made}

    def _generate(self, given: Any, tokens: int) -> list[list[int]]:
        """What ends an answer is not chosen before its length, so that all sides make as many."""
        with torch.inference_mode():
            out = self.model.generate(
                **given,
                do_sample=False,
                max_new_tokens=tokens,
                min_new_tokens=tokens,
                pad_token_id=self.tokenizer.pad_token_id,
            )
        made: list[list[int]] = out[:, given["input_ids"].shape[1] :].tolist()
        assert all(len(ids) == tokens for ids in made), "an answer ended early"
        return made


def main() -> None:
    side = Transformers(sys.argv[1], int(sys.argv[2]))
    serve({name: getattr(side, name) for name in ("about", "together", "alone")})


if __name__ == "__main__":
    main()
