"""Idea 3, by equality: whatever the company, the chunks or the threads, a token's logits are the
same bits, on every instruction set of this machine."""

from pathlib import Path

import numpy as np
import pytest
from toy_mixture import config as mixture
from toy_mixture import tensors
from toy_native import FORMS, config, folder, greedy, runner, step

FAMILIES = {
    "llama": config(tie_word_embeddings=True),
    "odd": config(num_attention_heads=5, num_key_value_heads=5, head_dim=24, hidden_size=72),
    "many-queries": config(num_attention_heads=14, num_key_value_heads=1),
    "mistral": config("mistral", sliding_window=100),
    "qwen2": config("qwen2"),
    "qwen3": config("qwen3", head_dim=32),
    "qwen3_moe": mixture("qwen3_moe"),
    "deepseek_v2": mixture("deepseek_v2"),
    "deepseek_v3": mixture("deepseek_v3"),
    "gpt_oss": mixture("gpt_oss"),
}
MIXTURES = ["qwen3_moe", "deepseek_v2", "deepseek_v3", "gpt_oss"]
SHORT = 200
"""Tokens of a text where one past 512 would only take longer."""
TOKENS = [int(t) for t in np.random.default_rng(7).integers(0, 211, 700)]


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    at = tmp_path_factory.mktemp("toys")
    return {n: folder(at / n, c, tensors(c, FORMS["int4-min"])) for n, c in FAMILIES.items()}


def in_chunks(r, size: int, tokens=TOKENS, sequence: int = 0) -> np.ndarray:
    return np.concatenate(
        [
            r.logits(step([(sequence, at, tokens[at : at + size])]))
            for at in range(0, len(tokens), size)
        ]
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_any_chunking_equals_the_whole(isa, folders, family):
    tokens = TOKENS[: SHORT if family in MIXTURES else None]
    r = runner(folders[family], max_step_tokens=700)
    whole = in_chunks(r, 700, tokens)
    for size in (64, 37, 9, 5):
        parts = in_chunks(r, size, tokens, sequence=1)
        np.testing.assert_array_equal(parts, whole, err_msg=str(size))


@pytest.mark.parametrize("family", ["llama", *MIXTURES])
@pytest.mark.parametrize("threads", [2, 3, 5])
def test_any_number_of_threads_gives_the_same_bits(isa, folders, threads, family):
    tokens = TOKENS[: SHORT if family in MIXTURES else None]
    one, many = (runner(folders[family], threads=n, max_step_tokens=700) for n in (1, threads))
    for size in (700, 40, 6):
        parts = (in_chunks(r, size, tokens) for r in (many, one))
        np.testing.assert_array_equal(*parts, err_msg=str(size))


@pytest.mark.parametrize("family", ["odd", *MIXTURES])
def test_one_token_at_a_time_equals_the_whole(isa, folders, family):
    r = runner(folders[family], threads=2)
    np.testing.assert_array_equal(in_chunks(r, 1, TOKENS[:90]), in_chunks(r, 90, TOKENS[:90]))


@pytest.mark.parametrize("family", ["llama", *MIXTURES])
def test_deep_decode_divided_among_threads_equals_prefill(isa, folders, family):
    """Past 512 positions a lone sequence's spans are shared out, and merged in order."""
    r = runner(folders[family], threads=3, max_step_tokens=700)
    whole = in_chunks(r, 700)
    in_chunks(r, 690, TOKENS[:690], sequence=1)
    alone = [r.logits(step([(1, at, TOKENS[at : at + 2])])) for at in range(690, 700, 2)]
    np.testing.assert_array_equal(np.concatenate(alone), whole[690:])


@pytest.mark.parametrize("family", ["qwen3", *MIXTURES])
@pytest.mark.parametrize("threads", [1, 2])
def test_company_changes_nothing(isa, folders, threads, family):
    """A batch of decodes at many depths beside a prefill, against each sequence alone."""
    r = runner(folders[family], threads=threads)
    lengths = [1, 3, 63, 64, 65, 130]
    alone = [in_chunks(r, 64, TOKENS[:n], sequence=9)[-1] for n in lengths]
    for s, n in enumerate(lengths):
        if n > 1:
            in_chunks(r, 64, TOKENS[: n - 1], sequence=s)
    pieces = [(s, n - 1, TOKENS[n - 1 : n]) for s, n in enumerate(lengths)]
    pieces.append((8, 0, TOKENS[100:150]))
    together = r.logits(step(pieces, rows=range(len(lengths))))
    np.testing.assert_array_equal(together, alone)


def test_a_seeded_choice_is_the_same_alone_and_in_company(isa, folders):
    r = runner(folders["llama"])
    how = {"temperature": 0.8, "top_p": 0.9, "top_k": 50, "seed": 5}
    alone = [
        r.run(step([(0, 0, [t, t + 1])], rows=[1], sampling=greedy(1, position=2, **how))).ids[0]
        for t in range(40)
    ]
    pieces = [(s % 8, 0, [t, t + 1]) for s, t in enumerate(range(40))]
    batched = []
    for at in range(0, 40, 8):
        rows = range(1, 16, 2)
        batch = step(pieces[at : at + 8], rows=rows, sampling=greedy(8, position=2, **how))
        batched.extend(r.run(batch).ids)
    assert batched == alone and len(set(batched)) > 3


@pytest.mark.parametrize("family", ["llama", "deepseek_v2"])
def test_pages_in_any_order_hold_the_same_sequence(isa, folders, family):
    r = runner(folders[family])
    plain = r.logits(step([(0, 0, TOKENS[:200])]))
    shuffled = step([(0, 0, TOKENS[:200])])
    shuffled.tables[0, :4] = [70, 3, 101, 9]
    shuffled.fresh = np.array([70, 3, 101, 9], np.int32)
    np.testing.assert_array_equal(r.logits(shuffled), plain)
