"""transformers' side of the training comparison: its DeepSeek-V3 class and its Trainer.

Usage: transformers_learn.py TASK_FOLDER THREADS search|first
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
import transformers
from learn_task import COMPILING, LENGTH, OPTIMIZER, SHAPE, WARMUP, Task
from side import serve
from torch import Tensor
from transformers import DeepseekV3Config, DeepseekV3ForCausalLM, Trainer, TrainingArguments

TRIED = 2
"""Steps that a choice of settings is timed on."""


class Rows(torch.utils.data.Dataset[dict[str, Tensor]]):
    def __init__(self, rows: Tensor) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Tensor]:
        return {"input_ids": self.rows[index], "labels": self.rows[index]}


class Clock(transformers.TrainerCallback):
    """When each step of the optimizer ended."""

    def __init__(self) -> None:
        self.ended: list[float] = []

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.ended.append(perf_counter())


class Transformers:
    def __init__(self, folder: Path, threads: int) -> None:
        torch.set_num_threads(threads)
        self.folder, self.task = folder, Task.read(folder)
        self.rows = Rows(torch.from_numpy(self.task.rows()))
        self.settings: dict[str, Any] = {}
        self.model: Any = None

    def about(self) -> dict[str, Any]:
        told = ", ".join(f"{name} {value}" for name, value in self.settings.items())
        return {
            "version": f"transformers {transformers.__version__}, torch {torch.__version__}",
            "settings": f"Trainer; {told}; AdamW (fused); {torch.get_num_threads()} threads",
            "parameters": sum(p.numel() for p in self.model.parameters()),
        }

    def choose(self, settings: dict[str, Any], tokens: int) -> dict[str, Any]:
        """From now on so: `experts`, `weights` in fp32 (computing in bf16) or bf16, `rows` that go
        through the model at once, whether to `compile`. And how fast a step of so many tokens is
        that way, or why it fails."""
        torch._dynamo.reset()
        torch.manual_seed(0)
        self.settings = settings
        config = DeepseekV3Config(
            **{name: value for name, value in SHAPE.items() if name != "model_type"},
            num_nextn_predict_layers=0,
            use_cache=False,
        )
        config._experts_implementation = settings["experts"]
        self.model = DeepseekV3ForCausalLM(config)
        if settings["weights"] == "bf16":
            self.model.to(torch.bfloat16)
        try:
            return self.train(TRIED, tokens)
        except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
            return {"rate": 0.0, "failed": f"{type(error).__name__}: {str(error)[:300]}"}

    def train(self, steps: int, tokens: int | None = None) -> dict[str, Any]:
        """Steps of the Trainer's own loop, its data loading, clipping and optimizer included."""
        tokens = tokens or self.task.tokens
        clock, warmup = Clock(), COMPILING if self.settings["compile"] else WARMUP
        trainer = Trainer(
            model=self.model,
            args=self._arguments(warmup + steps, tokens),
            train_dataset=self.rows,
            callbacks=[clock],
        )
        loss = trainer.train().training_loss
        timed = clock.ended[warmup - 1 :]
        assert len(timed) == steps + 1, "the Trainer made other steps"
        return {"rate": steps * tokens / (timed[-1] - timed[0]), "loss": loss}

    def _arguments(self, steps: int, tokens: int) -> TrainingArguments:
        at_once = min(self.settings["rows"], tokens // LENGTH)
        betas: Sequence[float] = OPTIMIZER["betas"]
        return TrainingArguments(
            output_dir=str(self.folder / "trainer"),
            max_steps=steps,
            per_device_train_batch_size=at_once,
            gradient_accumulation_steps=tokens // LENGTH // at_once,
            use_cpu=True,
            bf16=self.settings["weights"] == "fp32",
            torch_compile=self.settings["compile"],
            optim="adamw_torch_fused",
            learning_rate=OPTIMIZER["rate"],
            weight_decay=OPTIMIZER["decay"],
            adam_beta1=betas[0],
            adam_beta2=betas[1],
            max_grad_norm=OPTIMIZER["clip"],
            lr_scheduler_type="constant",
            dataloader_pin_memory=False,
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
        )


def main() -> None:
    side = Transformers(Path(sys.argv[1]), int(sys.argv[2]))
    serve({name: getattr(side, name) for name in ("about", "choose", "train")})


if __name__ == "__main__":
    main()
