"""What a request used. Counts and nanoseconds; what that costs is the meter's business."""

import msgspec

CLASSES = ("fresh", "cached", "decode", "rejected")
"""Exclusive and complete: every token the engine works on belongs to one of them."""


class Usage(msgspec.Struct, kw_only=True, frozen=True):
    """`prompt_tokens` includes `cached_tokens`; `nanoseconds` follow CLASSES, in order."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    rejected_tokens: int = 0
    nanoseconds: tuple[int, int, int, int] = (0, 0, 0, 0)
