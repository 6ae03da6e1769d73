"""What goes into the engine and what comes out: plain messages, token ids only."""

from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from farthing.usage import Usage


class Sampling(msgspec.Struct, kw_only=True, frozen=True):
    """How the next token is chosen. The defaults leave the model's distribution as it is."""

    temperature: float = 1.0
    """0 takes the likeliest token (ties go to the lowest id)."""
    top_k: int = 0
    """0 means all."""
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    """Over prompt and answer: a positive logit is divided by it, a negative one multiplied."""
    presence_penalty: float = 0.0
    """Taken once from the logit of every token already in the answer."""
    frequency_penalty: float = 0.0
    """Taken for each time a token is already in the answer."""
    seed: int = 0
    """Noise is keyed by (seed, choice, position, token id): 64 bits."""
    choice: int = 0
    """Which of `n` answers this is."""
    logit_bias: dict[int, float] = {}
    logprobs: int | None = None
    """None: none; 0: the chosen token's; k: also the k likeliest."""


class Request(msgspec.Struct, kw_only=True, frozen=True, tag="request"):
    id: str
    tokens: list[int]
    max_tokens: int
    sampling: Sampling = Sampling()
    stop_ids: list[int] = []
    """Ends the answer; the stop token is counted and reported, finish reason "stop"."""
    min_tokens: int = 0
    """No stop id may be chosen before this many tokens."""


class Cancel(msgspec.Struct, kw_only=True, frozen=True, tag="cancel"):
    """Stop a request now: the client left, or a stop string was found.

    `keep` says how many completion tokens the client was shown (stop strings); None keeps all.
    """

    id: str
    keep: int | None = None


class Token(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One chosen token of one request. `top` holds (id, logprob), likeliest first."""

    request: str
    id: int
    logprob: float | None = None
    top: list[tuple[int, float]] | None = None


class Finished(msgspec.Struct, frozen=True):
    """`reason` is "stop" (a stop id), "length" or "cancelled". Sent once for every request."""

    request: str
    reason: str
    usage: Usage


class Started(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A request left the queue. `cached_tokens` of its prompt need not be computed."""

    request: str
    cached_tokens: int


class Charge(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Nanoseconds of one step that a request caused. `kind` is an index into usage.CLASSES.

    The sum of a request's charges is its usage; whoever adds them up knows the bill of a request
    whose engine died.
    """

    request: str
    kind: int
    nanoseconds: int


class Refused(msgspec.Struct, frozen=True):
    """A request that was not taken: no tokens, no Finished. `code` names the error's class."""

    request: str
    code: str
    message: str


class Counters(msgspec.Struct, frozen=True, array_like=True):
    """The engine's state after a step, and its sums since it began (nanoseconds and tokens)."""

    busy: int = 0
    idle: int = 0
    load: int = 0
    running: int = 0
    waiting: int = 0
    pages: int = 0
    """In the pool."""
    pages_used: int = 0
    """By running sequences."""
    pages_kept: int = 0
    """By the prefix cache alone: free when needed."""
    steps: int = 0
    preemptions: int = 0
    prompt_tokens: int = 0
    """Of the requests that started, cached ones included."""
    cached_tokens: int = 0
    completion_tokens: int = 0


class Events(msgspec.Struct, tag="events"):
    """All that one step gave. `step_nanoseconds` is the native call, for live figures."""

    tokens: list[Token] = []
    finished: list[Finished] = []
    started: list[Started] = []
    charges: list[Charge] = []
    refused: list[Refused] = []
    step_nanoseconds: int = 0
    counters: Counters = Counters()


class EngineInfo(msgspec.Struct, kw_only=True, frozen=True, tag="info"):
    """What is running, told once when it is ready."""

    isa: str
    threads: int
    vocabulary: int
    max_context: int
    """Longest prompt plus answer: what was asked, what the model reads, what the pool holds."""
    page_bytes: int
    pages: int
    load_nanoseconds: int


class Step(msgspec.Struct):
    """One call of the runner: T tokens of S segments (one per sequence), R rows wanted.

    A segment is a run of new tokens of one sequence at consecutive positions.
    """

    tokens: NDArray[np.int32]
    """[T] all segments end to end."""
    starts: NDArray[np.int32]
    """[S + 1] where each segment begins in `tokens`, then T."""
    positions: NDArray[np.int32]
    """[S] position of each segment's first token in its sequence."""
    tables: NDArray[np.int32]
    """[S, P] page of each 64 positions of the sequence; unused entries are -1."""
    fresh: NDArray[np.int32]
    """[F] pages newly taken: zeroed before anything else."""
    rows: NDArray[np.int32]
    """[R] tokens (indices into T) whose next token is wanted, ascending."""
    sampling: "RowSampling"


class RowSampling(msgspec.Struct):
    """How to choose the token after each of the R rows: Sampling, turned into arrays.

    The adjustments of row r are entries first[r]..first[r+1] of `ids`: `bias` is added to the
    logit; `counts` is how often the token stands in the answer, `seen` is 1 if it stands in
    prompt or answer. Penalties read counts and seen. A token appears at most once in a row.
    """

    temperature: NDArray[np.float32]
    top_k: NDArray[np.int32]
    top_p: NDArray[np.float32]
    min_p: NDArray[np.float32]
    repetition: NDArray[np.float32]
    presence: NDArray[np.float32]
    frequency: NDArray[np.float32]
    seed: NDArray[np.uint64]
    choice: NDArray[np.uint32]
    position: NDArray[np.int32]
    """[R] position the chosen token will take in its sequence."""
    logprobs: NDArray[np.int32]
    """[R] -1: none; 0: the chosen one's; k: also the k likeliest."""
    first: NDArray[np.int32]
    """[R + 1]"""
    ids: NDArray[np.int32]
    bias: NDArray[np.float32]
    counts: NDArray[np.int32]
    seen: NDArray[np.uint8]


class Sampled(msgspec.Struct):
    """ids [R]; logprob [R]; top_ids and top_logprobs [R, k] where k is the most any row asked."""

    ids: NDArray[np.int32]
    logprobs: NDArray[np.float32]
    top_ids: NDArray[np.int32]
    top_logprobs: NDArray[np.float32]


class Runner(Protocol):
    """Runs steps over a pool of pages. The engine knows the model by this alone."""

    isa: str
    """The instruction set in use."""
    threads: int
    vocabulary: int
    max_context: int
    page_bytes: int
    """Bytes of 64 tokens' KV cache, all layers."""
    pages: int
    """Pages in the pool."""
    max_step_tokens: int

    def run(self, step: Step) -> Sampled:
        """One step, without the GIL. Logprobs are of the distribution before temperature,
        after bias and penalties."""
        ...

    def work(self, step: Step) -> NDArray[np.float64]:
        """[S] share of the step's time that each segment caused, by the work of every op; sums to
        one. See meter/attribution.py."""
        ...
