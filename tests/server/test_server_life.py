"""Starting, being reached, having keys, being full, ending."""

import signal
import socket
import subprocess
import sys

import httpx
import openai
import pytest
from served import RUN, Served, serving

from farthing.errors import InputError
from farthing.server.keys import Keys, need_keys, read_keys
from farthing.server.listen import listen

FOREVER = {"model": "toy", "prompt": "x", "max_tokens": 4000, "ignore_eos": True, "stream": True}
SECRET = "correct-horse-battery"


def test_told_to_end_it_finishes_what_it_can_and_ends_with_zero(tmp_path):
    served = Served(tmp_path, "grace_seconds=20")
    with openai.OpenAI(base_url=served.api, api_key="none", max_retries=0) as client:
        stream = client.completions.create(
            model="toy", prompt="x", max_tokens=300, stream=True, extra_body={"ignore_eos": True}
        )
        next(iter(stream))
        served.process.send_signal(signal.SIGTERM)
        *_, last = stream
    assert last.choices[0].finish_reason == "length" and last.usage.completion_tokens == 300
    assert served.end() == 0
    assert [row.finish_reason for row in served.rows()] == ["length"]


def test_what_it_cannot_finish_is_told_and_billed(tmp_path):
    served = Served(tmp_path, "grace_seconds=0.2")
    with httpx.stream("POST", f"{served.api}/completions", json=FOREVER) as response:
        lines = response.iter_lines()
        next(lines)
        served.process.send_signal(signal.SIGTERM)
        rest = "\n".join(lines)
    assert '"server_stopping"' in rest and rest.rstrip().endswith("[DONE]")
    assert served.end() == 0 and "Traceback" not in served.complaints
    (row,) = served.rows()
    assert row.finish_reason == "cancelled" and row.decode_tokens > 0


def test_told_twice_it_hurries(tmp_path):
    served = Served(tmp_path, "grace_seconds=3000")
    with httpx.stream("POST", f"{served.api}/completions", json=FOREVER | {"n": 2}) as response:
        lines = response.iter_lines()  # if it is dropped, httpx hangs up
        next(lines)
        served.process.send_signal(signal.SIGTERM)
        while httpx.get(f"{served.url}/health").status_code == 200:
            pass
        refused = httpx.post(f"{served.api}/completions", json=FOREVER)
        assert next(lines) is not None
        assert served.end(signal.SIGINT) == 0
    assert refused.status_code == 503 and refused.headers["retry-after"]


def test_an_engine_that_hangs_keeps_nobody_from_ending_it(tmp_path):
    with serving(tmp_path) as served:
        hang = {"model": "toy", "prompt": "<|im_start|>" * 5}
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{served.api}/completions", json=hang, timeout=0.5)
        assert httpx.get(f"{served.url}/metrics", timeout=10).status_code == 200
        assert served.end() == 0
    assert [row.finish_reason for row in served.rows()] == ["died"]


def test_a_taken_port_is_named_with_a_free_one(tmp_path):
    with serving(tmp_path) as served:
        port = served.url.rpartition(":")[2]
        command = [sys.executable, str(RUN), str(tmp_path / "second"), port]
        second = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert second.returncode
    assert f"port {port} of 127.0.0.1 is taken" in second.stderr and "--port " in second.stderr


def test_the_port_that_is_suggested_is_free():
    with listen("127.0.0.1", 0) as first:
        with pytest.raises(InputError, match=r"(\d+) is free") as caught:
            listen("127.0.0.1", first.getsockname()[1])
        free = int(str(caught.value).rpartition("--port ")[2])
        with socket.create_server(("127.0.0.1", free)):
            pass


def test_the_greeting_holds_a_command_that_works_when_pasted(tmp_path):
    with serving(tmp_path, "measure=1") as served:
        command = next(line for line in served.said.splitlines() if line.startswith("try"))
        shell = command.removeprefix("try").strip().replace("curl ", "curl -s -m 60 ", 1)
        answer = subprocess.run(shell, shell=True, capture_output=True, text=True, timeout=70)
        served.measured()
    assert '"chat.completion"' in answer.stdout
    for word in ("decode", "prefill", "tokens/s", "USD an hour", "farthing cost", "toy"):
        assert word in served.said


def test_the_measurement_is_on_a_bill_of_its_own(tmp_path):
    with serving(tmp_path, "measure=1") as served:
        served.measured()
    assert {row.key_name for row in served.rows()} == {"farthing"}


def test_another_address_needs_a_key():
    with pytest.raises(InputError, match="FARTHING_API_KEY"):
        need_keys("0.0.0.0", Keys({}))
    for host in ("127.0.0.1", "::1", "localhost", "127.9.9.9"):
        need_keys(host, Keys({}))
    need_keys("0.0.0.0", Keys({"a": SECRET}))


def test_keys_open_the_door_are_on_the_bill_and_never_shown(tmp_path):
    file = tmp_path / "keys"
    file.write_text(f"# ours\nalice:{SECRET}-a\nbob:{SECRET}-b\n")
    with serving(tmp_path, f"api_key_file={file}", FARTHING_API_KEY=f"{SECRET}-d") as served:
        for path in ("/v1/models", "/metrics", "/tokenize", "/openapi.json"):
            assert httpx.get(served.url + path).status_code == 401
        for path in ("/", "/health"):
            assert httpx.get(served.url + path).status_code == 200
        wrong = httpx.get(f"{served.api}/models", headers={"authorization": f"Bearer {SECRET}"})
        assert wrong.status_code == 401 and wrong.json()["error"]["code"] == "invalid_api_key"
        for key in ("a", "b", "d"):
            with openai.OpenAI(base_url=served.api, api_key=f"{SECRET}-{key}") as client:
                client.completions.create(model="toy", prompt="x")
    assert [row.key_name for row in served.rows()] == ["alice", "bob", "default"]
    assert SECRET not in served.said + served.complaints


@pytest.mark.parametrize(
    "text", ["alice", "alice:short", "al ice:" + SECRET, "a:" + SECRET + "\na:" + SECRET, "", "# x"]
)
def test_a_key_file_that_is_wrong_is_refused_without_showing_it(tmp_path, text):
    file = tmp_path / "keys"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        read_keys(file, {})
    assert SECRET not in str(caught.value)


def test_one_more_than_fits_is_told_to_come_back(tmp_path):
    with (
        serving(tmp_path, "max_answers=2", "max_answers_per_key=2") as served,
        httpx.stream("POST", f"{served.api}/completions", json=FOREVER | {"n": 2}) as response,
    ):
        lines = response.iter_lines()
        next(lines)
        full = httpx.post(f"{served.api}/completions", json=FOREVER)
        assert full.status_code == 429 and full.headers["retry-after"]
        assert full.json()["error"]["code"] == "rate_limit_exceeded"
    assert len(served.rows()) == 1
    with (
        serving(tmp_path, "max_answers=2") as served,
        httpx.stream("POST", f"{served.api}/completions", json=FOREVER | {"n": 2}) as response,
    ):
        lines = response.iter_lines()
        next(lines)
        assert httpx.post(f"{served.api}/completions", json=FOREVER).status_code == 503
