"""`farthing serve` with the real model, as a user starts it."""

import subprocess
import sys

import openai
import pytest
from serve_verb import MAIN, environment, serve

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture
def client(smollm2_home):
    with serve("smollm2-135m", "--port", "0", "--no-measure", "--cache-bytes", "50000000") as (
        _,
        greeting,
    ):
        url = greeting.split(" on ")[1].split(";")[0]
        with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as client:
            yield client


def test_it_answers_as_itself_streamed_whole_alone_and_among_others(client):
    def ask(**more):
        return client.chat.completions.create(
            model="smollm2-135m", messages=QUESTION, temperature=0, max_tokens=24, **more
        )

    whole = ask().choices[0].message.content
    pieces = [c.delta.content or "" for chunk in ask(stream=True) for c in chunk.choices]
    several = ask(n=4).choices

    counted = client.completions.create(
        model="smollm2-135m", prompt="1, 2, 3, 4, 5, 6,", temperature=0, max_tokens=10
    )

    assert counted.choices[0].text.startswith(" 7, 8, 9")
    assert "".join(pieces) == whole
    assert {choice.message.content for choice in several} == {whole}


def test_a_refused_setting_is_named(smollm2_home):
    command = [sys.executable, "-c", MAIN, "serve", "smollm2-135m", "--host", "0.0.0.0"]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment())
    assert refused.returncode == 2
    assert refused.stderr.startswith("farthing: 0.0.0.0 can be reached") and refused.stdout == ""
