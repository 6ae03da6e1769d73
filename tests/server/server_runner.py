"""The toy runner with the vocabulary of the toy model, for the engine's own process.

Each step takes a moment, as a real one does. What a prompt ends with steers it: see DEADLY.
"""

import os
import signal
import time
from pathlib import Path

from toy_runner import ToyRunner

from farthing.config import EngineConfig
from farthing.engine.types import Sampled, Step

DEADLY = 0
"""The token <|endoftext|>, five in a row in a prompt, kills the process."""
HANGING = 1
"""The token <|im_start|>, five in a row in a prompt, and the step never ends."""
VOCABULARY = 259
STEP_SECONDS = 0.002


class ServerRunner(ToyRunner):
    def run(self, step: Step) -> Sampled:
        time.sleep(STEP_SECONDS)
        if five(step, DEADLY):
            os.kill(os.getpid(), signal.SIGKILL)
        if five(step, HANGING):
            time.sleep(600)
        return super().run(step)


def five(step: Step, token: int) -> bool:
    """Whether it stands five times in a row: no chat brings that about."""
    return b"\1" * 5 in (step.tokens == token).tobytes()


def make(folder: Path, config: EngineConfig) -> ServerRunner:
    context = config.max_context or 4096
    return ServerRunner(
        step_tokens=config.max_step_tokens, max_context=context, pages=512, vocabulary=VOCABULARY
    )
