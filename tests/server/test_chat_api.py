"""/v1/chat/completions, as the real OpenAI client sees it."""

import pytest

HELLO = [{"role": "user", "content": "Hello, who are you?"}]
NEVER_ENDING = {"ignore_eos": True}


def ask(client, **more):
    given = {"model": "toy", "messages": HELLO, "max_tokens": 24, "seed": 7} | more
    extra = NEVER_ENDING | given.pop("extra_body", {})
    return client.chat.completions.create(**given, extra_body=extra)


def streamed(client, **more):
    """Texts by choice, and the chunks."""
    chunks = list(ask(client, stream=True, **more))
    texts = {}
    for chunk in chunks:
        for choice in chunk.choices:
            texts[choice.index] = texts.get(choice.index, "") + (choice.delta.content or "")
    return [texts[index] for index in sorted(texts)], chunks


def test_a_stream_says_what_the_whole_answer_says(client):
    whole = ask(client)
    texts, chunks = streamed(client)

    assert texts == [whole.choices[0].message.content]
    assert chunks[0].choices[0].delta.role == "assistant"
    assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason == "length"


def test_usage_is_in_every_answer_and_costs_sum(client):
    whole = ask(client).usage
    last = streamed(client)[1][-1].usage

    assert last.completion_tokens == whole.completion_tokens == 24
    assert last.prompt_tokens == whole.prompt_tokens > len(HELLO[0]["content"])
    for usage in (whole, last):
        assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
        details = usage.model_extra["cost_details"]
        assert set(details) == {"fresh", "cached", "decode", "rejected"}
        assert usage.model_extra["cost"] == pytest.approx(sum(details.values()), abs=1e-12)
        assert usage.model_extra["cost"] > 0


def test_include_usage_adds_a_chunk_without_choices(client):
    _, chunks = streamed(client, stream_options={"include_usage": True})

    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == 24
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert chunks[-2].choices[0].finish_reason == "length"


def test_a_second_asking_finds_its_prompt_in_the_cache(client):
    messages = [{"role": "user", "content": "a long prompt " * 40}]
    first = ask(client, messages=messages).usage
    second = ask(client, messages=messages).usage

    assert first.prompt_tokens_details.cached_tokens == 0
    assert second.prompt_tokens_details.cached_tokens > 400
    assert second.prompt_tokens == first.prompt_tokens


def test_the_seed_that_is_returned_replays_the_answer(client):
    first = ask(client, seed=None)
    again = ask(client, seed=first.model_extra["seed"])
    other = ask(client, seed=None)

    assert again.choices[0].message.content == first.choices[0].message.content
    assert other.model_extra["seed"] != first.model_extra["seed"]
    assert ask(client, seed=-5).model_extra["seed"] == -5


def test_n_answers_are_n_different_ones_and_the_prompt_counts_once(client):
    whole = ask(client, n=3)
    texts, chunks = streamed(client, n=3)

    assert [choice.message.content for choice in whole.choices] == texts
    assert len(set(texts)) == 3 and [choice.index for choice in whole.choices] == [0, 1, 2]
    assert whole.usage.completion_tokens == chunks[-1].usage.completion_tokens == 72
    assert whole.usage.prompt_tokens == ask(client).usage.prompt_tokens
    ends = [c.finish_reason for chunk in chunks for c in chunk.choices if c.finish_reason]
    assert ends == ["length"] * 3


def test_an_answer_ends_before_its_stop_string(client):
    text = ask(client).choices[0].message.content
    stop = text[9:12]
    expected = text[: text.index(stop)]

    whole = ask(client, stop=["never in there", stop])
    texts, chunks = streamed(client, stop=stop)

    assert whole.choices[0].message.content == expected and texts == [expected]
    assert whole.choices[0].finish_reason == "stop" == chunks[-1].choices[0].finish_reason
    assert whole.choices[0].model_extra["stop_reason"] == stop
    assert 0 < whole.usage.completion_tokens < 24
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens


def test_a_stop_token_ends_the_answer_and_is_not_shown(client):
    biased = {"36": 5, "37": 5, "38": 5, "39": 5}
    entries = ask(client, logprobs=True, logit_bias=biased).choices[0].logprobs.content
    first = next(i for i, entry in enumerate(entries) if entry.token == "C")
    stop = {"stop_token_ids": [37]}
    ended = ask(client, logprobs=True, logit_bias=biased, extra_body=stop)

    assert ended.choices[0].finish_reason == "stop"
    assert len(ended.choices[0].logprobs.content) == first
    assert ended.usage.completion_tokens == first + 1
    assert "C" not in ended.choices[0].message.content


def test_logprobs_come_for_every_token_whole_and_streamed(client):
    whole = ask(client, logprobs=True, top_logprobs=3).choices[0].logprobs.content
    _, chunks = streamed(client, logprobs=True, top_logprobs=3)
    pieces = [choice.logprobs for chunk in chunks for choice in chunk.choices if choice.logprobs]
    entries = [entry for piece in pieces for entry in piece.content]

    assert len(whole) == len(entries) == 24
    assert [e.model_dump() for e in entries] == [e.model_dump() for e in whole]
    for entry in whole:
        assert entry.logprob <= 0 and len(entry.top_logprobs) == 3
        assert entry.top_logprobs[0].logprob >= entry.top_logprobs[1].logprob


def test_temperature_zero_takes_the_likeliest(client):
    answer = ask(client, temperature=0, logprobs=True, top_logprobs=1, seed=None)
    content = answer.choices[0].logprobs.content
    assert all(entry.logprob == entry.top_logprobs[0].logprob for entry in content)


def test_a_bias_of_100_forces_a_token(client):
    answer = ask(client, logit_bias={"36": 100}, logprobs=True, max_tokens=5)
    assert len({entry.token for entry in answer.choices[0].logprobs.content}) == 1


def test_every_field_of_the_list_is_taken_and_harmless_ones_ignored(client):
    answer = ask(
        client,
        temperature=0.8,
        top_p=0.9,
        presence_penalty=0.5,
        frequency_penalty=0.5,
        max_tokens=None,
        max_completion_tokens=8,
        user="somebody",
        store=False,
        metadata={"a": "b"},
        service_tier="auto",
        response_format={"type": "text"},
        tools=[],
        extra_body={"top_k": 5, "min_p": 0.01, "repetition_penalty": 1.1, "min_tokens": 8},
    )
    assert answer.usage.completion_tokens == 8


def test_our_own_answers_may_be_sent_back(client):
    said = ask(client).choices[0].message.model_dump()
    answer = ask(client, messages=[*HELLO, said, {"role": "user", "content": "And?"}])
    assert answer.choices[0].message.content


def test_content_in_parts_is_one_text(client):
    parts = [{"type": "text", "text": "Hello, "}, {"type": "text", "text": "who are you?"}]
    answer = ask(client, messages=[{"role": "user", "content": parts}])
    assert answer.choices[0].message.content == ask(client).choices[0].message.content
