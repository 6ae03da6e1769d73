"""Any reading of evaluate/readings.py that answers tasks: slow, one sequence after another.

For the fp32 reference, whose share of right answers is what a quantized model's is held against.
"""

from collections.abc import Callable, Sequence

import numpy as np

from farthing.errors import ContextTooLong, InputError
from farthing.evaluate.readings import Reading
from farthing.evaluate.tasks.types import Ids, Likelihood, Pair, Sample, Written
from farthing.tokenizer import Tokenizer


class Reference:
    """types.Answers. It writes greedily alone, and reads all again for each token."""

    def __init__(self, reading: Reading, tokenizer: Tokenizer) -> None:
        self.reading, self.tokenizer = reading, tokenizer
        self.max_context = reading.shape.max_context
        self._read, self._logits = b"", np.empty((0, 0), np.float32)
        """What was read last: choices of one token each are all told by their context's logits."""

    def loglikelihoods(
        self, pairs: Sequence[Pair], told: Callable[[int], None]
    ) -> list[Likelihood]:
        for context, continuation in pairs:
            if (read := len(context) + len(continuation) - 1) > self.max_context:
                raise ContextTooLong(read, self.max_context)
        # those that read the same follow one another
        order = sorted(range(len(pairs)), key=lambda i: _what_is_read(pairs[i]))
        found = [Likelihood(0.0, False)] * len(pairs)
        for done, place in enumerate(order, 1):
            found[place] = self._likelihood(pairs[place])
            told(done)
        return found

    def generate(
        self, prompts: Sequence[Ids], sample: Sample, told: Callable[[int], None]
    ) -> list[Written]:
        if sample.temperature:
            raise InputError(
                f"the reference writes greedily alone, and temperature is {sample.temperature};"
                " drop it, or sample from a packed model"
            )
        found = []
        for done, prompt in enumerate(prompts, 1):
            if len(prompt) >= self.max_context:
                raise ContextTooLong(len(prompt), self.max_context - 1)
            found.append(self._written(prompt, sample))
            told(done)
        return found

    def _likelihood(self, pair: Pair) -> Likelihood:
        targets = np.array(pair.continuation, np.int32)
        ids = np.array([*pair.context, *targets[:-1]], np.int32)
        if ids.tobytes() != self._read:
            self._read, self._logits = ids.tobytes(), self.reading.logits(ids)
        logits = self._logits[len(pair.context) - 1 :].astype(np.float64)
        top = logits.max(-1, keepdims=True)
        every = logits - top - np.log(np.exp(logits - top).sum(-1, keepdims=True))
        total = float(every[np.arange(len(targets)), targets].sum())
        return Likelihood(total, bool((logits.argmax(-1) == targets).all()))

    def _written(self, prompt: Ids, sample: Sample) -> Written:
        ids = list(prompt)
        most = min(len(ids) + sample.max_tokens, self.max_context)
        text = self.tokenizer.stream(sample.stop, continues=True)
        pieces: list[str] = []
        while len(ids) < most and text.stopped is None:
            ids.append(int(self.reading.logits(np.array(ids, np.int32))[-1].argmax()))
            if ids[-1] in self.tokenizer.stop_ids:
                break
            pieces.append(text.push([ids[-1]]))
        return Written("".join(pieces) + text.finish(), len(ids) - len(prompt))


def _what_is_read(pair: Pair) -> list[int]:
    return [*pair.context, *pair.continuation[:-1]]
