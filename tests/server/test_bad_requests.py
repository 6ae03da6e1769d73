"""What is wrong with a request is said: the status, the field, what it held, what fits."""

import socket

import httpx
import openai
import pytest

CHAT = "/v1/chat/completions"
TEXT = "/v1/completions"
HELLO = {"messages": [{"role": "user", "content": "Hi"}]}


def post(server, path, body, **headers):
    data = body if isinstance(body, bytes) else None
    json = None if isinstance(body, bytes) else body
    headers = {"content-type": "application/json"} | headers
    return httpx.post(server.url + path, content=data, json=json, headers=headers, timeout=30)


@pytest.mark.parametrize(
    ("more", "param", "says"),
    [
        ({"temperature": 5}, "temperature", "<= 2.0, got 5"),
        ({"temperature": "hot"}, "temperature", 'got str, got "hot"'),
        ({"top_p": -0.1}, "top_p", ">= 0.0"),
        ({"top_k": -2}, "top_k", ">= -1"),
        ({"min_p": 2}, "min_p", "<= 1.0"),
        ({"repetition_penalty": 0}, "repetition_penalty", ">= 0.01"),
        ({"presence_penalty": 3}, "presence_penalty", "<= 2.0"),
        ({"frequency_penalty": -3}, "frequency_penalty", ">= -2.0"),
        ({"n": 0}, "n", ">= 1"),
        ({"n": 1000}, "n", "<= 32"),
        ({"n": 1.5}, "n", "got 1.5"),
        ({"seed": 2**70}, "seed", "<= 9223372036854775807"),
        ({"max_tokens": 0}, "max_tokens", ">= 1"),
        ({"max_tokens": 5, "max_completion_tokens": 6}, "max_tokens", "send one"),
        ({"min_tokens": 9, "max_tokens": 8}, "min_tokens", "more than max_tokens"),
        ({"top_logprobs": 3}, "top_logprobs", "logprobs: true"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs", "<= 20"),
        ({"logit_bias": {"5": 101}}, "logit_bias", "<= 100"),
        ({"logit_bias": {"x": 1}}, "logit_bias", "int"),
        ({"logit_bias": {"259": 1}}, "logit_bias", "0 to 258"),
        ({"stop": ""}, "stop", "length >= 1"),
        ({"stop": ["a"] * 17}, "stop", "length <= 16"),
        ({"stop_token_ids": [259]}, "stop_token_ids", "0 to 258"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "stream: true"),
        ({"tools": [{"type": "function"}]}, "tools", "not supported"),
        ({"tool_choice": "required"}, "tool_choice", "not supported"),
        ({"response_format": {"type": "json_schema"}}, "response_format", '"text"'),
        ({"max_toekns": 5}, "max_toekns", "unknown field"),
        ({"messages": []}, "messages", "length >= 1"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "missing"),
        ({"messages": [{"role": "king", "content": ""}]}, "messages[0].role", "known: system"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content", "got 5"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "messages[0].content[0].type",
            "known: text",
        ),
        ({"chat_template_kwargs": {"messages": 1}}, "chat_template_kwargs.messages", "itself"),
    ],
)
def test_a_wrong_field_is_named(server, more, param, says):
    answer = post(server, CHAT, HELLO | more)
    error = answer.json()["error"]

    assert answer.status_code == 400, error
    assert error["type"] == "invalid_request_error" and error["code"] == "invalid_request_error"
    assert error["param"] == param and says in error["message"]


@pytest.mark.parametrize(
    ("more", "param"),
    [
        ({"prompt": ""}, "prompt"),
        ({"prompt": []}, "prompt"),
        ({"prompt": [[]]}, "prompt"),
        ({"prompt": [5, "x"]}, "prompt"),
        ({"prompt": [259]}, "prompt"),
        ({"prompt": [-1]}, "prompt[0]"),
        ({"prompt": ["x"] * 33}, "prompt"),
        ({"prompt": "x", "best_of": 2}, "best_of"),
        ({"prompt": "x", "suffix": "y"}, "suffix"),
        ({"prompt": "x", "echo": True, "logprobs": 1}, "echo"),
        ({"prompt": "x", "logprobs": 21}, "logprobs"),
        ({}, "prompt"),
    ],
)
def test_a_wrong_field_of_a_completion_is_named(server, more, param):
    answer = post(server, TEXT, more)
    assert answer.status_code == 400 and answer.json()["error"]["param"] == param


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"5", b"\xff\xfe", b'{"a":1}{', b'{"metadata":' + b"[" * 200_000]
)
def test_what_is_no_json_object_is_refused(server, body):
    answer = post(server, CHAT, body)
    assert answer.status_code == 400 and answer.json()["error"]["message"]


def test_half_a_surrogate_pair_is_refused(server):
    body = b'{"messages":[{"role":"user","content":"\\ud800"}]}'
    assert post(server, CHAT, body).status_code == 400


def test_a_prompt_that_does_not_fit_is_refused_with_both_counts(client, server):
    long = [{"role": "user", "content": "x" * 5000}]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="toy", messages=long)

    assert caught.value.code == "context_length_exceeded" and caught.value.param == "messages"
    count = httpx.post(f"{server.url}/tokenize", json={"messages": long}).json()["count"]
    assert f"{count} tokens" in caught.value.message and "4095" in caught.value.message


def test_an_answer_that_does_not_fit_is_refused_with_counts(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model="toy", prompt="abc", max_tokens=4094)

    assert caught.value.code == "context_length_exceeded" and caught.value.param == "max_tokens"
    assert "at most 4093" in caught.value.message and "4097 together" in caught.value.message


def test_paths_methods_and_media_that_are_not_ours(server):
    unknown = httpx.get(f"{server.url}/v2/models")
    wrong = httpx.get(server.url + CHAT)
    media = post(server, CHAT, HELLO, **{"content-type": "text/plain"})

    assert [r.status_code for r in (unknown, wrong, media)] == [404, 405, 415]
    assert [r.json()["error"]["code"] for r in (unknown, wrong, media)] == [
        "unknown_url",
        "method_not_allowed",
        "unsupported_media_type",
    ]


def test_a_body_beyond_the_bound_is_refused_whether_declared_or_not(server):
    big = b'{"messages":"' + b"x" * (5 << 20)
    assert post(server, CHAT, big).status_code == 413

    def chunks():
        for start in range(0, len(big), 1 << 16):
            yield big[start : start + (1 << 16)]

    headers = {"content-type": "application/json"}
    try:
        answer = httpx.post(server.url + CHAT, content=chunks(), headers=headers)
    except httpx.TransportError:
        return  # it hung up while we were still sending: refused as well
    assert answer.status_code == 413


def test_a_foreign_host_name_or_origin_is_refused(server):
    rebound = httpx.get(f"{server.url}/v1/models", headers={"host": "evil.example:80"})
    crossing = post(server, CHAT, HELLO, origin="https://evil.example")
    own = httpx.get(f"{server.url}/v1/models", headers={"origin": server.url})

    assert rebound.status_code == crossing.status_code == 403
    assert own.status_code == 200
    assert "access-control-allow-origin" not in crossing.headers


def test_garbage_on_the_socket_does_not_hurt(server):
    host, port = server.url.removeprefix("http://").split(":")
    for garbage in (b"\x00\xff\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"POST / HTTP/1.1\r\n"):
        with socket.create_connection((host, int(port)), timeout=10) as raw:
            raw.sendall(garbage)
    assert httpx.get(f"{server.url}/health").json() == {"status": "ok"}
