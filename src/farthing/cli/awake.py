"""What one token of a packed model needs: its parameters, its bytes, its place in the cache.

Read off the notes of the model's page. Matrices alone: vectors are a thousandth of the bytes.
"""

from dataclasses import dataclass
from pathlib import Path

from farthing import models
from farthing.formats import packed
from farthing.ops.products import parameters, product_of
from farthing.ops.record import Recording
from farthing.ops.work import Work


@dataclass(frozen=True, kw_only=True, slots=True)
class Awake:
    parameters: int
    active: int
    """All but the experts that a token does not go to. The embedding counts whole, as Qwen counts;
    DeepSeek and OpenAI leave it out."""

    always_bytes: int
    """Of matrices that every step reads, whatever its tokens."""

    expert_bytes: int
    """Of all experts that routers choose from."""

    chosen_bytes: int
    """Of those that one token goes to."""

    context_bytes: int
    """What the cache takes for one token of context."""

    max_context: int

    @property
    def token_bytes(self) -> int:
        """Weights read by one decode step of one sequence."""
        return self.always_bytes + self.chosen_bytes


def awake(folder: Path, kv_bits: int = 16) -> Awake:
    """Of a packed folder; reads its header and no weights. FormatError if no page takes it."""
    checkpoint = packed.open(folder)
    model = models.load(checkpoint.config, checkpoint.tensors)
    recording = Recording(model.shape.layers)
    model.forward(recording, recording)
    return of(recording, model.shape.max_context, kv_bits)


def of(recording: Recording, max_context: int, kv_bits: int = 16) -> Awake:
    """Of the notes of a page that was run on packed tensors."""
    counts = parameters(recording)
    products = [product for note in recording.notes if (product := product_of(note))]
    first = Work(recording, kv_bits).of(tokens=[1], contexts=[0], rows=1)
    return Awake(
        parameters=counts.total,
        active=counts.active,
        always_bytes=sum(product.bytes for product in products),
        expert_bytes=sum(product.experts * product.expert_bytes for product in products),
        chosen_bytes=sum(product.top_k * product.expert_bytes for product in products),
        context_bytes=sum(op.bytes for op in first if op.name == "attention"),
        max_context=max_context,
    )
