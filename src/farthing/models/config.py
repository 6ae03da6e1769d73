"""config.json of a dense decoder, read and checked. Every field comes from outside.

What the pages cannot do is refused here by name, never ignored.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from farthing.errors import FormatError
from farthing.models.types import Shape
from farthing.ops.rotation import Rotation, rotation_from_hf

LARGEST = 1 << 24
"""No size in a config may be above this: far more than any model has, and small enough to add."""

MOST = {"num_hidden_layers": 4096}
"""What is counted one by one before any tensor is looked for."""

LAYER_TYPES = ("full_attention", "sliding_attention")


@dataclass(frozen=True, kw_only=True, slots=True)
class Dense:
    """A decoder of equal blocks: attention, then a gated MLP."""

    shape: Shape
    width: int
    inner: int
    norm_eps: float
    tied: bool
    rotation: Rotation = field(repr=False)

    @classmethod
    def from_hf(
        cls, hf: Mapping[str, Any], windows: tuple[int, ...], head_dim: int | None = None
    ) -> Self:
        """`windows` by layer; `head_dim` is the family's, where the config gives none."""
        if hf.get("hidden_act", "silu") != "silu":
            raise FormatError(f"config.json: hidden_act is {hf['hidden_act']!r}; known: silu")
        shape = _shape(hf, windows, head_dim)
        return cls(
            shape=shape,
            width=whole(hf, "hidden_size"),
            inner=whole(hf, "intermediate_size"),
            norm_eps=number(hf, "rms_norm_eps", 1e-6),
            tied=flag(hf, "tie_word_embeddings"),
            rotation=rotation_from_hf(hf, shape.head_dim),
        )


def _shape(hf: Mapping[str, Any], windows: tuple[int, ...], head_dim: int | None) -> Shape:
    heads = whole(hf, "num_attention_heads")
    kv_heads = whole(hf, "num_key_value_heads", heads)
    if heads % kv_heads:
        raise FormatError(
            f"config.json: {heads} attention heads do not share {kv_heads} key-value heads evenly"
        )
    d = whole(hf, "head_dim", head_dim or whole(hf, "hidden_size") // heads)
    if d % 8:
        raise FormatError(f"config.json: heads are {d} wide; expected a multiple of 8")
    return Shape(
        layers=whole(hf, "num_hidden_layers"),
        heads=heads,
        kv_heads=kv_heads,
        head_dim=d,
        vocabulary=whole(hf, "vocab_size"),
        max_context=whole(hf, "max_position_embeddings"),
        windows=windows,
    )


def windows_of_layers(hf: Mapping[str, Any]) -> tuple[int, ...]:
    """The windows of a config with use_sliding_window, max_window_layers and layer_types (Qwen).

    Layers from max_window_layers on slide, unless layer_types says which do.
    """
    layers, window = whole(hf, "num_hidden_layers"), window_in_use(hf)
    kinds = hf.get("layer_types")
    if kinds is None:
        first = whole(hf, "max_window_layers", 28, least=0)
        return tuple(window if i >= first else 0 for i in range(layers))
    if not isinstance(kinds, list) or len(kinds) != layers:
        raise FormatError(f"config.json: layer_types is not a list of {layers} kinds, one a layer")
    if unknown := [kind for kind in kinds if kind not in LAYER_TYPES]:
        raise FormatError(
            f"config.json: layer type {unknown[0]!r} is not known; known: {', '.join(LAYER_TYPES)}"
        )
    if not window and "sliding_attention" in kinds:
        raise FormatError(
            "config.json: layer_types has sliding_attention, but no sliding_window is in use;"
            " set use_sliding_window and sliding_window, or correct layer_types"
        )
    return tuple(window if kind == "sliding_attention" else 0 for kind in kinds)


def window_in_use(hf: Mapping[str, Any]) -> int:
    """Qwen's sliding_window where use_sliding_window asks for it; 0 where nothing slides."""
    if not flag(hf, "use_sliding_window") or hf.get("sliding_window", 4096) is None:
        return 0
    return whole(hf, "sliding_window", 4096)


def filled(hf: Mapping[str, Any], **defaults: Any) -> dict[str, Any]:
    """The config with a family's own defaults where it has nothing, or null."""
    return defaults | {name: value for name, value in hf.items() if value is not None}


def whole(hf: Mapping[str, Any], name: str, default: int | None = None, *, least: int = 1) -> int:
    """A whole number from `least` to the most a config may say. Null counts as absent.

    Raises FormatError otherwise.
    """
    value, most = hf.get(name), MOST.get(name, LARGEST)
    value = default if value is None else value
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise FormatError(
            f"config.json: {name} is {value!r}; expected a whole number from {least} to {most}"
        )
    return value


def flag(hf: Mapping[str, Any], name: str, default: bool = False) -> bool:
    value = hf.get(name)
    if value not in (None, True, False):
        raise FormatError(f"config.json: {name} is {value!r}; expected true or false")
    return default if value is None else bool(value)


def number(hf: Mapping[str, Any], name: str, default: float | None = None) -> float:
    """A positive number. Null counts as absent; FormatError otherwise."""
    value = hf.get(name)
    value = default if value is None else value
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= LARGEST:
        raise FormatError(
            f"config.json: {name} is {value!r}; expected a positive number, at most {LARGEST}"
        )
    return float(value)
