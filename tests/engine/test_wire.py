"""Frames survive any cutting, and what is not a frame is refused before it takes memory."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing import errors
from farthing.engine.types import Cancel, Events, Finished, Request, Token
from farthing.engine.wire import KNOWN, MAX_FRAME, Ask, Frames, Ping, Stop, Tell, error, frame
from farthing.errors import ContextTooLong, EngineDied, FarthingError
from farthing.usage import Usage

ASKS = [Request(id="a", tokens=[1, 2], max_tokens=3), Cancel(id="b", keep=4), Ping(), Stop()]


@given(st.lists(st.integers(1, 50), max_size=40))
def test_messages_arrive_whole_however_they_are_cut(cuts):
    data = frame(ASKS) + frame(ASKS[:1]) + frame(ASKS[2:])
    frames, bodies = Frames(), []
    for cut in [*cuts, len(data)]:
        bodies += frames.feed(data[:cut])
        data = data[cut:]
    decoded = [msgspec.msgpack.decode(body, type=list[Ask]) for body in bodies]
    assert decoded == [ASKS, ASKS[:1], ASKS[2:]]


def test_events_are_the_same_on_the_other_side():
    usage = Usage(prompt_tokens=3, nanoseconds=(1, 2, 3, 4))
    events = Events(
        tokens=[Token("a", 5, -0.5, [(5, -0.5)]), Token("b", 6)],
        finished=[Finished("a", "stop", usage)],
    )
    (body,) = Frames().feed(frame(events))
    assert msgspec.msgpack.decode(body, type=Tell) == events


def test_a_frame_too_large_is_refused_by_its_length_alone():
    with pytest.raises(EngineDied, match="at most"):
        Frames().feed((MAX_FRAME + 1).to_bytes(4, "little"))


def test_errors_are_raised_again_as_what_they_were():
    again = error("ContextTooLong", str(ContextTooLong(10, 5)))
    assert isinstance(again, ContextTooLong) and str(again) == str(ContextTooLong(10, 5))
    assert type(error("NoSuch", "hm")) is FarthingError
    assert set(KNOWN) >= {"Busy", "InputError", "FormatError"}
    assert all(issubclass(kind, errors.FarthingError) for kind in KNOWN.values())
