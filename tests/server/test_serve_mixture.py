"""A small mixture with latents as a user meets it: `farthing pull ./folder`, `farthing serve`."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from serve_verb import MAIN, environment, serve

from small_mixtures import source

SEEDS = range(8)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    at = tmp_path_factory.mktemp("mixture")
    source(at / "tiny", "deepseek_v3")
    home = str(at / "home")
    said = subprocess.run(
        [sys.executable, "-c", MAIN, "pull", "./tiny"],
        cwd=at, env=environment(FARTHING_HOME=home), capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert said.stdout.startswith("tiny packed"), said.stdout
    options = ("--port", "0", "--no-measure", "--threads", "2", "--cache-bytes", "50000000")
    with serve("tiny", *options, FARTHING_HOME=home) as (_, greeting):
        yield greeting.split(" on ")[1].split(";")[0]


def question(seed: int, **more: Any) -> dict[str, Any]:
    """Every seed its own question and length, so that streams come and go."""
    return {
        "model": "tiny",
        "messages": [{"role": "user", "content": f"{seed} mixtures? " * (1 + 3 * seed)}],
        "max_tokens": 20 + 5 * seed,
        "temperature": 1,
        "seed": seed,
        "logprobs": True,
        "extra_body": {"ignore_eos": True},
    } | more


def told(choices: list[Any]) -> tuple[str, list[tuple[list[int], float]]]:
    """The text of an answer or of a stream's choices; bytes and log-probability of each token."""
    pieces = [getattr(choice, "message", None) or choice.delta for choice in choices]
    tokens = [t for choice in choices if choice.logprobs for t in choice.logprobs.content]
    text = "".join(piece.content or "" for piece in pieces)
    return text, [(token.bytes, token.logprob) for token in tokens]


def test_usage_and_cost_add_up(url: str) -> None:
    def billed() -> float:
        lines = httpx.get(f"{url}/metrics").text.splitlines()
        named = [line for line in lines if line.startswith("farthing_cost_dollars_total")]
        return sum(float(line.rpartition(" ")[2]) for line in named)

    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        before = billed()
        answers = [client.chat.completions.create(**question(seed)) for seed in (1, 2, 2)]
    costs = []
    for answer, length in zip(answers, (25, 30, 30), strict=True):
        usage = answer.usage
        assert usage.completion_tokens == length == len(answer.choices[0].logprobs.content)
        assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
        costs.append(usage.model_extra["cost"])
        details = usage.model_extra["cost_details"]
        assert costs[-1] == pytest.approx(sum(details.values()), abs=1e-12) and costs[-1] > 0
    assert answers[2].usage.prompt_tokens_details.cached_tokens == 64
    assert billed() - before == pytest.approx(sum(costs), abs=1e-9)


def test_a_seed_tells_the_same_alone_and_among_eight_streams(url: str) -> None:
    with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
        alone = [told(client.chat.completions.create(**question(s)).choices) for s in SEEDS]

    async def streams() -> list[Any]:
        async with openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="none") as client:

            async def one(seed: int) -> Any:
                stream = await client.chat.completions.create(**question(seed, stream=True))
                return told([choice async for chunk in stream for choice in chunk.choices])

            return await asyncio.gather(*map(one, SEEDS))

    assert asyncio.run(streams()) == alone
    assert [len(tokens) for _, tokens in alone] == [20 + 5 * seed for seed in SEEDS]
    assert len({text for text, _ in alone}) == len(SEEDS)
