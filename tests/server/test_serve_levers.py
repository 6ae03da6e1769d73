"""A server says what its levers lose: when it starts, and to who asks for its models."""

import httpx
import pytest
from serve_verb import serve

from lossy import BASE, EIGHT, keep, linked, row


@pytest.fixture
def folder(home, smollm2):
    return linked(home / "models" / "lossy", smollm2)


def asked(folder, *flags: str) -> tuple[str, dict]:
    """All that was said before the first answer, and what /v1/models tells of the model."""
    options = ("--port", "0", "--no-measure", "--cache-bytes", "50000000", *flags)
    with serve("lossy", *options) as (process, greeting):
        url = greeting.split(" on ")[1].split(";")[0]
        said = greeting
        while not said.splitlines()[-1].startswith("try"):
            said += process.stdout.readline()
        (listed,) = httpx.get(f"{url}/v1/models").json()["data"]
        assert httpx.get(f"{url}/v1/models/lossy").json() == listed
        assert httpx.get(f"{url}/v1/models/other").status_code == 404
        assert "/v1/models/{id}" in httpx.get(f"{url}/openapi.json").json()["paths"]
    return said, listed


def test_a_lever_is_listed_with_its_loss(folder):
    keep(folder, row(BASE, 0.003), row(EIGHT, 0.0035))
    said, listed = asked(folder, "--kv-bits", "8", "--loss-budget", "kl=0.004")
    assert "levers   activations int8: KL 0.003 (" in said
    assert "         together: KL 0.0035 (" in said
    assert f"0.05 GB of 8 bits, {64 * (50_000_000 // (64 * 12_240)):,} tokens" in said
    assert listed["object"] == "model"
    about = listed["farthing"]
    assert about["kv_bits"] == 8
    assert [(one["lever"], one["value"], one["loss"]["kl"]) for one in about["levers"]] == [
        ("activations", "int8", 0.003),
        ("kv", "int8", 0.0035),
    ]
    assert about["loss"]["levers"] == EIGHT
    assert about["loss"]["perplexity_ratio"] == pytest.approx(1.01)
    assert about["loss"]["text"] == "samples of the reference, seed 0"


def test_a_lever_that_nobody_measured_is_listed_as_such(folder):
    said, listed = asked(folder, "--kv-bits", "8", "--unmeasured")
    assert "kv int8: not measured" in said
    about = listed["farthing"]
    assert about["loss"] is None
    assert about["levers"] == [
        {"lever": "activations", "value": "int8", "loss": None},
        {"lever": "kv", "value": "int8", "loss": None},
    ]


def test_what_levers_lose_is_in_the_published_schema(client, server):
    described = httpx.get(f"{server.url}/openapi.json").json()
    for path, name in (("/v1/models", "Models"), ("/v1/models/{id}", "Model")):
        good = described["paths"][path]["get"]["responses"]["200"]
        schema = good["content"]["application/json"]["schema"]
        assert schema == {"$ref": f"#/components/schemas/{name}"}
    known = described["components"]["schemas"]
    assert {"kl", "same_top", "perplexity_ratio", "text"} <= set(known["Measured"]["properties"])
    assert client.models.retrieve("toy").farthing["levers"] == []
