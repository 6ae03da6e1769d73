"""What a user may set, and nothing that can be worked out."""

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from farthing.errors import InputError


def home() -> Path:
    """Where models, ledger and settings live: FARTHING_HOME, else the user's data folder."""
    return Path(os.environ.get("FARTHING_HOME") or platformdirs.user_data_dir("farthing"))


def settings() -> Path:
    """The user's settings: a table for each verb's flags, and [machine] for the price of an hour.
    It need not exist."""
    return home() / "settings.toml"


def ledger() -> str:
    """Where bills are kept: FARTHING_LEDGER (a path or an SQLAlchemy URL), else beside the rest."""
    return os.environ.get("FARTHING_LEDGER") or str(home() / "ledger.db")


KV_BITS = (16, 8, 4)


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineConfig:
    threads: int = 0
    """Worker threads; 0 means one per core this process may use."""

    cache_bytes: int = 1 << 30
    """Memory for the KV cache. More of it holds more sequences at once."""

    max_step_tokens: int = 512
    """Tokens in one step. Larger answers long prompts sooner and delays the others."""

    max_sequences: int = 64
    """Sequences in one step."""

    max_context: int = 0
    """Longest prompt plus answer, in tokens; 0 means what the model was trained for."""

    prefix_cache: bool = True
    """Keep the pages of finished sequences, and start from them when a prompt begins alike."""

    kv_bits: int = 16
    """Bits of a number in the KV cache: 16 (bf16), 8 or 4. Fewer hold more context and lose a
    little: a lever, see formats/quality.py."""

    def __post_init__(self) -> None:
        if self.kv_bits not in KV_BITS:
            raise InputError(f"kv_bits is {self.kv_bits}; it must be one of {KV_BITS}")
        for name, least in (
            ("threads", 0),
            ("cache_bytes", 1 << 20),
            ("max_step_tokens", 1),
            ("max_sequences", 1),
            ("max_context", 0),
        ):
            if getattr(self, name) < least:
                raise InputError(f"{name} is {getattr(self, name)}; it must be at least {least}")
