"""/v1/completions, /tokenize, /detokenize and /v1/models."""

import httpx
import openai
import pytest


def ask(client, prompt, **more):
    extra = {"ignore_eos": True} | more.pop("extra_body", {})
    given = {"model": "toy", "max_tokens": 8, "seed": 3} | more
    return client.completions.create(prompt=prompt, **given, extra_body=extra)


def tokens_of(server, text):
    return httpx.post(f"{server.url}/tokenize", json={"prompt": text}).json()["tokens"]


def test_text_and_its_tokens_are_one_prompt(client, server):
    from_text = ask(client, "Once upon")
    from_ids = ask(client, tokens_of(server, "Once upon"))
    assert from_text.choices[0].text == from_ids.choices[0].text
    assert from_text.usage.prompt_tokens == 9


def test_several_prompts_give_answers_in_order(client, server):
    alone = [ask(client, prompt).choices[0].text for prompt in ("one", "two")]
    together = ask(client, ["one", "two"])
    ids = ask(client, [tokens_of(server, "one"), tokens_of(server, "two")])
    streamed = {}
    for chunk in ask(client, ["one", "two"], stream=True):
        for choice in chunk.choices:
            streamed[choice.index] = streamed.get(choice.index, "") + choice.text

    assert [c.text for c in together.choices] == alone == [c.text for c in ids.choices]
    assert [streamed[0], streamed[1]] == alone
    assert together.usage.prompt_tokens == 6 and together.usage.completion_tokens == 16


def test_echo_begins_with_the_prompt(client):
    plain = ask(client, "Once").choices[0].text
    assert ask(client, "Once", echo=True).choices[0].text == "Once" + plain
    chunks = ask(client, "Once", echo=True, stream=True)
    assert "".join(c.choices[0].text for c in chunks) == "Once" + plain


def test_sixteen_tokens_where_no_number_is_given(client):
    assert ask(client, "x", max_tokens=openai.omit).usage.completion_tokens == 16


def test_logprobs_have_the_older_shape(client):
    got = ask(client, "x", logprobs=2).choices[0].logprobs
    assert len(got.tokens) == len(got.token_logprobs) == len(got.top_logprobs) == 8
    assert got.text_offset[0] == 0 and got.text_offset == sorted(got.text_offset)
    assert all(2 <= len(top) <= 3 for top in got.top_logprobs)


def test_tokenize_and_detokenize_are_inverse(server):
    text = "Grüße, 世界 🙂"
    told = httpx.post(
        f"{server.url}/tokenize", json={"prompt": text, "return_token_strs": True}
    ).json()
    back = httpx.post(f"{server.url}/detokenize", json={"tokens": told["tokens"]}).json()

    assert back == {"prompt": text}
    assert told["count"] == len(told["tokens"]) == len(told["token_strs"])
    assert told["max_model_len"] == 4096


def test_tokenize_counts_a_chat_as_the_chat_endpoint_does(client, server):
    messages = [{"role": "user", "content": "Hi"}]
    count = httpx.post(f"{server.url}/tokenize", json={"messages": messages}).json()["count"]
    answer = client.chat.completions.create(model="toy", messages=messages, max_tokens=1)
    assert answer.usage.prompt_tokens == count


def test_models_are_listed_and_an_unknown_one_is_not_found(client):
    assert [model.id for model in client.models.list()] == ["toy"]
    assert client.models.retrieve("toy").id == "toy"
    with pytest.raises(openai.NotFoundError) as caught:
        client.models.retrieve("org/gpt")
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        ask(client, "x", model="gpt")


def test_a_long_prompt_is_read_beside_running_streams(client):
    """It is encoded in a thread: the stream before it goes on, and both end."""
    stream = ask(client, "x", stream=True, max_tokens=200)
    next(iter(stream))
    assert ask(client, "long " * 700).usage.prompt_tokens == 3500
    assert sum(1 for _ in stream) > 50
