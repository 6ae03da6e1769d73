"""How the numbers of a KV cache are rounded at each setting of its bits, and what that takes.

The native side has the same table in native/program.cpp; tests hold the two together.
"""

from dataclasses import dataclass

EARLY = 5 / 8
"""Of the layers, the first, whose values keep 5 bits at the setting of 4: rounding them costs more
than rounding later ones, and all keys and values together are still 68 % smaller than in bf16."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Codes of so many bits, and an fp16 scale for each group of a head's numbers; with a minimum,
    that too. bf16 has 16 bits and no group."""

    bits: int
    group: int
    minimum: bool

    def bytes(self, width: int) -> int:
        """Of one head of one token."""
        if not self.group:
            return width * self.bits // 8
        groups = -(-width // self.group)
        return width * self.bits // 8 + groups * (4 if self.minimum else 2)


BF16 = Grid(16, 0, False)
INT8 = Grid(8, 32, False)
INT5 = Grid(5, 64, False)
INT4 = Grid(4, 64, True)
LATENT4 = Grid(4, 32, True)


def grids(kv_bits: int, layer: int, layers: int) -> tuple[Grid, Grid]:
    """Of a layer's keys and values. Keys keep 5 bits at the setting of 4: softmax makes much of
    them."""
    if kv_bits == 4:
        return INT5, INT5 if layer < int(layers * EARLY) else INT4
    return (BF16, BF16) if kv_bits == 16 else (INT8, INT8)


def latent_grid(kv_bits: int) -> Grid:
    return {16: BF16, 8: INT8, 4: LATENT4}[kv_bits]
