"""Any reading of evaluate/readings.py that answers tasks: slow, one sequence after another.

page.py does the same for the fp32 reference alone, and much faster.
"""

from collections.abc import Callable, Sequence

import numpy as np

from farthing.errors import ContextTooLong
from farthing.evaluate.readings import Reading
from farthing.evaluate.tasks.branches import must_fit
from farthing.evaluate.tasks.page import Text, greedy_alone
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
        must_fit(pairs, self.max_context)
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
        greedy_alone(sample)
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
        text = Text(self.tokenizer, sample, self.max_context - len(ids))
        while True:
            ids.append(int(self.reading.logits(np.array(ids, np.int32))[-1].argmax()))
            if not text.push(ids[-1]):
                return text.written()


def _what_is_read(pair: Pair) -> list[int]:
    return [*pair.context, *pair.continuation[:-1]]
