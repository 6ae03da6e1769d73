"""Long texts are encoded beside the event loop, not in it."""

import asyncio
from types import SimpleNamespace

from toy_model import write_toy

from farthing.server.state import SHORT, State
from farthing.tokenizer import Tokenizer


def test_the_loop_goes_on_while_a_long_prompt_is_encoded(tmp_path):
    """Were the GIL held meanwhile, it would turn a few times at most."""
    tokenizer = Tokenizer.open(write_toy(tmp_path / "toy").folder)
    text = "to be encoded " * 30_000
    state = SimpleNamespace(workers=None)

    async def turns() -> int:
        work = asyncio.ensure_future(State.work(state, len(text), lambda: tokenizer.encode(text)))
        count = 0
        while not work.done():
            await asyncio.sleep(0)
            count += 1
        assert len(await work) == len(text)
        return count

    assert asyncio.run(turns()) > 100


def test_a_short_text_is_encoded_where_it_is():
    state = SimpleNamespace(workers=None)
    assert asyncio.run(State.work(state, SHORT, lambda: 5)) == 5
