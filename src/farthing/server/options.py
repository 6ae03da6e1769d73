"""What the owner of a server may set."""

from dataclasses import dataclass, field
from pathlib import Path

from farthing.config import EngineConfig
from farthing.engine.client import NATIVE
from farthing.errors import InputError
from farthing.evaluate.levers import Verdict
from farthing.meter.rate import MachinePrice
from farthing.store import Model


@dataclass(frozen=True, kw_only=True)
class Options:
    model: Model
    ledger: Path | str
    host: str = "127.0.0.1"
    port: int = 8000
    names: tuple[str, ...] = ()
    """More names that clients may call the model by."""
    api_key_file: Path | None = None
    origins: tuple[str, ...] = ()
    """Origins whose pages may call this server, as `https://example.org`."""
    max_answers: int = 256
    """Answers in flight, running or waiting; one more is refused with 503."""
    max_answers_per_key: int = 0
    """The same for one API key, refused with 429; 0 means no limit of its own."""
    grace_seconds: float = 3.0
    """How long answers may go on when the server is told to end."""
    patience_seconds: float = 60.0
    """How long a client may leave a stream unread before it is cut off."""
    measure: bool = True
    """Measure decode and prefill for a second after the start."""
    engine: EngineConfig = field(default_factory=EngineConfig)
    levers: tuple[Verdict, ...] = ()
    """What the model was measured to lose, as evaluate/levers.py judges it."""
    price: MachinePrice = field(default_factory=MachinePrice)
    factory: str = NATIVE
    """Makes the engine's runner, as "module:function"."""

    def __post_init__(self) -> None:
        for name, least, most in (
            ("port", 0, 65535),
            ("max_answers", 1, 4096),
            ("max_answers_per_key", 0, 4096),
            ("grace_seconds", 0, 3600),
            ("patience_seconds", 1, 3600),
        ):
            value = getattr(self, name)
            if not least <= value <= most:
                raise InputError(f"{name} is {value}; it must be from {least} to {most}")
        for origin in self.origins:
            if "://" not in origin or origin.endswith("/"):
                raise InputError(f"origin {origin!r}; like https://example.org was expected")
