"""A packed model in EleutherAI's lm_eval: log-likelihoods and greedy or sampled texts.

    python -m farthing.evaluate.lm_eval_model run \\
        --model farthing --model_args model=smollm2-135m --tasks hellaswag

is lm_eval's own command line with farthing among its models. After

    python -m farthing.evaluate.lm_eval_model install

`lm_eval --model farthing ...` does the same: see lm_eval_hook.py. Programs call `register`.
"""

import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from farthing import store
from farthing.config import EngineConfig
from farthing.errors import FarthingError, InputError, NotFound
from farthing.evaluate import lm_eval_hook
from farthing.evaluate.tasks import asking, native
from farthing.evaluate.tasks.types import Answers, Ids, Pair, Sample
from farthing.evaluate.texts import start_id
from farthing.formats import packed

MAX_TOKENS = 256
"""Of a text whose task names no number, as in lm_eval's own models."""
LENGTHS = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
GENERATION = {"until", "do_sample", "temperature", "seed", *LENGTHS}


class Adapter:
    """lm_eval's LM, in terms of Answers. Nothing is cut: what is too long is ContextTooLong."""

    cache_hook: Any
    """lm_eval's, of its LM."""

    def __init__(
        self,
        model: str,
        threads: int = 0,
        kv_bits: int = 16,
        max_length: int = 0,
        batch_size: int | str = 1,
        max_batch_size: int | None = None,
        device: str | None = None,
    ) -> None:
        """`model` is a name (`farthing ls`) or a packed folder. Batches are the engine's affair,
        and it runs on the CPU: what lm_eval says of these unasked is taken and not used."""
        super().__init__()
        folder = store.find(model).folder
        config = EngineConfig(threads=threads, kv_bits=kv_bits, max_context=max_length)
        self.answers: Answers = native.open(folder, config)
        self.prefix = start_id(packed.open(folder).config, self.answers.tokenizer.vocabulary)
        self._name = str(model)
        self._templated = False

    def loglikelihood(
        self, requests: Sequence[Any], disable_tqdm: bool = False
    ) -> list[tuple[float, bool]]:
        """Of each (context, continuation), both texts."""
        pairs = [self._pair(*request.args) for request in requests]
        with _counting("loglikelihood", len(pairs), disable_tqdm) as told:
            found = [(one.sum, one.greedy) for one in self.answers.loglikelihoods(pairs, told)]
        self._keep("loglikelihood", requests, found)
        return found

    def loglikelihood_rolling(
        self, requests: Sequence[Any], disable_tqdm: bool = False
    ) -> list[float]:
        """Of each (text,): every token once, after as much before it as fits."""
        each = [self._windows(request.args[0]) for request in requests]
        flat = [pair for pairs in each for pair in pairs]
        with _counting("loglikelihood_rolling", len(flat), disable_tqdm) as told:
            sums = iter([one.sum for one in self.answers.loglikelihoods(flat, told)])
        found = [sum(next(sums) for _ in pairs) for pairs in each]
        self._keep("loglikelihood_rolling", requests, found)
        return found

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        """A text for each (context, settings)."""
        together: dict[Sample, list[int]] = defaultdict(list)
        for index, request in enumerate(requests):
            together[sampling(request.args[1])].append(index)
        found = [""] * len(requests)
        for sample, places in together.items():
            prompts = [self._prompt(requests[place].args[0]) for place in places]
            with _counting("generate_until", len(prompts), disable_tqdm) as told:
                written = self.answers.generate(prompts, sample, told)
            for place, one in zip(places, written, strict=True):
                found[place] = one.text
        self._keep("generate_until", requests, found)
        return found

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        self._templated = True
        return self.answers.tokenizer.chat_text(
            chat_history, add_generation_prompt=add_generation_prompt
        )

    def chat_template(self, chat_template: bool | str = False) -> str | None:
        """The template's text, which lm_eval writes into its results."""
        if isinstance(chat_template, str):
            raise InputError(f"a template named {chat_template!r}: farthing uses a model's default")
        template = self.answers.tokenizer.template
        return template.source if chat_template and template else None

    @property
    def tokenizer_name(self) -> str:
        return self._name.replace("/", "__")

    def _prompt(self, text: str) -> Ids:
        if not text:
            return [self.prefix]
        # a text from the chat template has the tokens around it already
        return self.answers.tokenizer.encode(text, add_special=not self._templated)

    def _pair(self, context: str, continuation: str) -> Pair:
        """The spaces at a context's end belong to what follows, as in lm_eval's own models."""
        if not continuation:
            raise InputError("a continuation is empty: its likelihood after anything is 1")
        kept = context.rstrip()
        continuation = context[len(kept) :] + continuation
        if not kept:
            ids = self.answers.tokenizer.encode(continuation)
            return Pair([self.prefix], ids) if ids[0] != self.prefix else Pair(ids[:1], ids[1:])
        alone, whole = self._prompt(kept), self._prompt(kept + continuation)
        return asking.cut(alone, whole)

    def _windows(self, text: str) -> list[Pair]:
        utils = import_module("lm_eval.utils")
        ids = self.answers.tokenizer.encode(text)
        windows = utils.get_rolling_token_windows(
            ids, prefix_token=self.prefix, max_seq_len=self.answers.max_context, context_len=1
        )
        return [Pair(*utils.make_disjoint_window(window)) for window in windows]

    def _keep(self, kind: str, requests: Sequence[Any], found: Sequence[Any]) -> None:
        """lm_eval's cache of answers, where it was asked for."""
        for request, one in zip(requests, found, strict=True):
            self.cache_hook.add_partial(kind, request.args, one)


def sampling(settings: dict[str, Any]) -> Sample:
    """From lm_eval's. Raises InputError for what we don't know, rather than leave it out."""
    if unknown := sorted(settings.keys() - GENERATION):
        raise InputError(
            f"generation setting {unknown[0]!r}: farthing's adapter knows"
            f" {', '.join(sorted(GENERATION))}"
        )
    until = settings.get("until") or []
    lengths = [settings[name] for name in LENGTHS if settings.get(name) is not None]
    greedy = not settings.get("do_sample", settings.get("temperature"))
    return Sample(
        max_tokens=int(lengths[0]) if lengths else MAX_TOKENS,
        stop=tuple([until] if isinstance(until, str) else until),
        temperature=0.0 if greedy else float(settings.get("temperature", 1.0)),
        seed=int(settings.get("seed", 0)),
    )


def register() -> type:
    """Puts `farthing` into lm_eval's registry. Raises NotFound where lm_eval is not installed."""
    try:
        import_module(lm_eval_hook.MODELS)  # fills the registry: it would not after us
        base = import_module("lm_eval.api.model").LM
    except ModuleNotFoundError as error:
        raise NotFound(f"{error}: pip install lm_eval, or farthing[lm-eval]") from None
    lm_eval_hook.add()
    return type("Farthing", (Adapter, base), {})


def __getattr__(name: str) -> type:
    """`Farthing`, as lm_eval's registry asks for it: a class made of its LM and our Adapter."""
    if name != "Farthing":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return register()


def main() -> int:
    """lm_eval's own command line with our model in it; or `install`."""
    try:
        if sys.argv[1:] == ["install"]:
            print(f"{lm_eval_hook.install()} written: `lm_eval --model farthing` works from now on")
            return 0
        register()
        import_module("lm_eval.__main__").cli_evaluate()
    except FarthingError as error:
        print(f"farthing: {error}", file=sys.stderr)
        return error.exit_code
    return 0


class _counting:
    """tqdm's bar, as lm_eval's own models show it."""

    def __init__(self, what: str, total: int, hidden: bool) -> None:
        self.bar = import_module("tqdm").tqdm(total=total, desc=what, disable=hidden)

    def __enter__(self) -> Callable[[int], None]:
        return lambda done: self.bar.update(done - self.bar.n)

    def __exit__(self, *_: object) -> None:
        self.bar.close()


if __name__ == "__main__":
    sys.exit(main())
