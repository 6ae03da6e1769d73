"""Typed access to a GGUF file's metadata, with errors that name the key."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from farthing.errors import FormatError

CLASSES = {
    "llama": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "qwen2moe": "Qwen2MoeForCausalLM",
    "qwen3moe": "Qwen3MoeForCausalLM",
    "olmoe": "OlmoeForCausalLM",
    "deepseek": "DeepseekForCausalLM",
    "deepseek2": "DeepseekV3ForCausalLM",
    "glm4moe": "Glm4MoeForCausalLM",
    "gpt-oss": "GptOssForCausalLM",
    "granitemoe": "GraniteMoeForCausalLM",
}
"""Architectures that are read, and what Hugging Face calls them, unless their keys say more."""
MOST_REAL = 1e30
_KINDS: dict[Any, str] = {
    str: "a text",
    int: "a whole number",
    (int, float): "a number",
    bool: "true or false",
}


class Keys:
    """Typed access to `<architecture>.<key>`, and errors that name it."""

    def __init__(self, where: str, metadata: Mapping[str, Any]) -> None:
        self.where, self.metadata = where, metadata
        self.architecture = self._of_type("general.architecture", str)
        if self.architecture not in CLASSES:
            raise FormatError(
                f"{where}: architecture {self.architecture[:80]!r} is not known;"
                f" known are {', '.join(CLASSES)}"
            )

    def __contains__(self, key: str) -> bool:
        return f"{self.architecture}.{key}" in self.metadata

    def text(self, key: str, default: str) -> str:
        return str(self._of_type(f"{self.architecture}.{key}", str, default))

    def flag(self, key: str, default: bool) -> bool:
        return bool(self._of_type(f"{self.architecture}.{key}", bool, default))

    def whole(
        self, key: str, default: int | None = None, *, least: int = 0, most: int = 1 << 31
    ) -> int:
        value = self._of_type(f"{self.architecture}.{key}", int, default)
        if isinstance(value, bool) or not 0 <= value < most:
            raise self.refusal(key, f"{value!r}")
        if value < least:
            raise self.refusal(key, f"{value}; at least {least} expected")
        return int(value)

    def real(self, key: str, default: float | None = None) -> float:
        """A finite number. One stored as fp32 gives what its shortest decimal says: 1e-05."""
        value = self._of_type(f"{self.architecture}.{key}", (int, float), default)
        if isinstance(value, bool) or not abs(value) < MOST_REAL:
            raise self.refusal(key, f"{value!r:.80}")
        narrow = np.float32(value)
        return float(str(narrow)) if float(narrow) == value else float(value)

    def positive(self, key: str, default: float | None = None) -> float:
        value = self.real(key, default)
        if value <= 0:
            raise self.refusal(key, f"{value:g}, not positive")
        return value

    def factor(self, key: str) -> float:
        """A number that something is multiplied by; zero or absent means one."""
        return self.real(key, 0.0) or 1.0

    def refusal(self, key: str, found: str) -> FormatError:
        return FormatError(f"{self.where}: {self.architecture}.{key} is {found}")

    def _of_type(self, key: str, kind: Any, default: Any = None) -> Any:
        value = self.metadata.get(key, default)
        if isinstance(value, list) and value and value.count(value[0]) == len(value):
            value = value[0]  # one number a layer, all equal
        if not isinstance(value, kind):
            shown = "missing" if value is None else f"{value!r:.80}"
            raise FormatError(f"{self.where}: {key} is {shown}; {_KINDS[kind]} expected")
        return value
