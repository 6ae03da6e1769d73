"""A row's documents know nothing of each other: packed is as alone."""

import pytest
import torch
from packed_rows import packed
from toy_models import (
    DOCUMENTS,
    FAMILIES,
    VOCABULARY,
    as_in_checkpoints,
    leaves,
    made,
    with_next_token,
)

from farthing.learn.batches import Batch, batch
from farthing.learn.losses import losses

BATCH = packed(DOCUMENTS, VOCABULARY)


def alone() -> list[Batch]:
    """Each document as a row of its own, followed by two tokens: its own, or another's."""
    found = []
    for row, lengths in enumerate(DOCUMENTS):
        known, start = torch.cat([BATCH.tokens[row, :1], BATCH.targets[row]]), 0
        for length in lengths:
            stop = min(start + length, 40)
            if stop > start:
                after = known[start : start + length][stop - start :]
                rest = torch.zeros(2 - len(after), dtype=torch.int64)
                ids = torch.cat([known[start:stop], after, rest])[None]
                other = torch.zeros_like(ids)
                other[0, len(ids[0]) - len(rest) :] = 1
                found.append(batch(ids, torch.ones_like(ids, dtype=torch.bool), other))
            start += length
    return found


@pytest.mark.parametrize("case", FAMILIES)
def test_losses_of_a_row_are_those_of_its_documents(case: str) -> None:
    config, theirs = made(case)
    state = theirs.state_dict()
    if config["model_type"] == "deepseek_v3":
        state = state | as_in_checkpoints(with_next_token(theirs).state_dict(), config)
    weights = leaves(state, config)
    with torch.no_grad():
        together = losses(config, weights, BATCH)
        each = [losses(config, weights, one) for one in alone()]
    assert together.count == sum(one.count for one in each)
    main = torch.stack([one.main for one in each]).sum()
    torch.testing.assert_close(together.main, main, rtol=1e-5, atol=0)
    if together.next_token is not None:
        further = [one.next_token for one in each if one.next_token is not None]
        expected = torch.stack(further).sum()
        torch.testing.assert_close(together.next_token, expected, rtol=1e-5, atol=0)
    for name, load in together.loads.items():
        if name.startswith(f"model.layers.{config['num_hidden_layers']}."):
            continue  # at its end a document's head is given another's token, and not learned
        assert torch.equal(load, torch.stack([one.loads[name] for one in each]).sum(0)), name


def test_what_is_not_learned_costs_nothing() -> None:
    """Prompts are read and not learned: only the answers' loss is counted."""
    config, theirs = made("V3, tied, scaled")
    weights = leaves(theirs.state_dict(), config)
    documents = torch.tensor([[0] * 14 + [1] * 8])
    ids = torch.randint(VOCABULARY, (1, 22), generator=torch.Generator().manual_seed(7))
    answers = torch.zeros_like(ids, dtype=torch.bool)
    answers[0, 9:14] = True
    everything = torch.ones_like(answers)
    with torch.no_grad():
        some = losses(config, weights, batch(ids, answers, documents))
        logits = theirs(ids[:, :14]).logits[0, 8:13]
        expected = torch.nn.functional.cross_entropy(logits, ids[0, 9:14], reduction="sum")
        whole = losses(config, weights, batch(ids, everything, documents))
    assert (some.count, whole.count) == (5, 13 + 6 + 0)
    torch.testing.assert_close(some.main, expected, rtol=1e-5, atol=0)
    assert whole.main > some.main
