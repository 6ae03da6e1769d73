"""Text and chats to ids, ids to text. Knows the checkpoint's files; no model, engine or HTTP."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tokenizers

from farthing.errors import FormatError, InputError
from farthing.tokenizer import files, pieces, special
from farthing.tokenizer.stream import TextStream
from farthing.tokenizer.template import ChatTemplate, from_config


class Tokenizer:
    """One model's tokenizer. Safe to share between threads: nothing changes after `open`.

    Special tokens written in a prompt are parsed, as in vLLM and transformers: completions need
    it. In `chat` the messages are data: a special token inside one is read as plain text, so that
    a user cannot end their turn and begin the system's. The template's own are parsed.
    """

    def __init__(
        self,
        inner: tokenizers.Tokenizer,
        *,
        decoder: Mapping[str, Any] | None,
        config: Mapping[str, Any],
        stop_ids: Sequence[int],
        template: ChatTemplate | None,
    ) -> None:
        inner.no_padding()
        inner.no_truncation()
        self._inner = inner
        vocabulary = inner.get_vocab(with_added_tokens=True)
        added = inner.get_added_tokens_decoder()
        self._pieces, self.strips_first_space = pieces.table(decoder, vocabulary, added.keys())
        self._special = {id: token.content for id, token in added.items() if token.special}
        self._shown = list(self._pieces)
        for id in self._special:
            self._pieces[id] = b""
        self._names = special.names(config)
        self._add_bos = config.get("add_bos_token") is True
        self.stop_ids = sorted(set(stop_ids) & set(range(len(self._pieces))))
        self.template = template

    @classmethod
    def open(cls, folder: Path) -> "Tokenizer":
        """From tokenizer.json, tokenizer_config.json, chat_template.jinja and
        generation_config.json; the first is needed. NotFound, FormatError."""
        path = folder / "tokenizer.json"
        source = files.needed(path)
        decoder = files.parse(path, source).get("decoder")
        config = files.object(folder / "tokenizer_config.json")
        inner = _load(path, source)
        return cls(
            inner,
            decoder=decoder,
            config=config,
            stop_ids=special.stop_ids(folder, config, inner.token_to_id),
            template=from_config(config, files.text(folder / "chat_template.jinja")),
        )

    @property
    def vocabulary(self) -> int:
        """One more than the highest id. The model's own table may be longer (padding)."""
        return len(self._pieces)

    def encode(
        self, text: str, *, add_special: bool = False, parse_special: bool = True
    ) -> list[int]:
        """Ids of a text. `add_special` adds what the model wants around a text (a BOS, say);
        without `parse_special`, special tokens in it are plain text."""
        parts = [text] if parse_special else special.split(text, self._special.values())
        ids = self._encode(parts[0], add_special)
        for part in parts[1:]:
            ids += self._encode(part, False)
        bos = self.special_id("bos_token")
        if add_special and self._add_bos and bos is not None and ids[:1] != [bos]:
            ids.insert(0, bos)
        return ids

    def _encode(self, text: str, add_special: bool) -> list[int]:
        try:
            # A batch of one: `encode` keeps the GIL, and a long prompt in another thread would
            # hold up every stream of a server.
            return self._inner.encode_batch_fast([text], add_special_tokens=add_special)[0].ids
        except TypeError as error:  # what the library says of a str it cannot turn into UTF-8
            raise InputError(
                "the text holds half of a surrogate pair; send valid Unicode"
            ) from error

    def encode_many(self, texts: Sequence[str]) -> list[list[int]]:
        """Ids of each text by itself, special tokens in it read as plain text; on all cores."""
        try:
            found = self._inner.encode_batch_fast(list(texts), add_special_tokens=False)
        except TypeError as error:
            raise InputError("a text holds half of a surrogate pair; give valid Unicode") from error
        ids = [one.ids for one in found]
        tokens = list(self._special.values())
        for i, text in enumerate(texts):
            if any(token in text for token in tokens):
                ids[i] = self.encode(text, parse_special=False)
        return ids

    def special_id(self, name: str) -> int | None:
        """The id of bos_token, eos_token or pad_token; None if this tokenizer has none."""
        return self._inner.token_to_id(self._names.get(name, ""))

    def decode(self, ids: Iterable[int], *, special: bool = False) -> str:
        """Text of the ids; special tokens are left out unless `special`."""
        stream = self.stream(special=special)
        return stream.push(ids) + stream.finish()

    def stream(
        self, stop: Sequence[str] = (), *, special: bool = False, continues: bool = False
    ) -> TextStream:
        return TextStream(self, stop, special=special, continues=continues)

    def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
        **variables: Any,
    ) -> list[int]:
        """Ids of a conversation, by the checkpoint's template. InputError if the template refuses
        the messages or there is none; `variables` are the template's own (enable_thinking ...)."""
        text, marks = self._render(messages, tools, add_generation_prompt, variables)
        ids = []
        for part in special.cut(text, marks):
            ids += self._encode(part, False)
        return ids

    def chat_text(self, messages: Sequence[Mapping[str, Any]], **options: Any) -> str:
        """The rendered conversation, for a person to read."""
        tools = options.pop("tools", None)
        prompt = options.pop("add_generation_prompt", True)
        text, marks = self._render(messages, tools, prompt, options)
        return "".join(special.cut(text, marks))

    def _render(
        self,
        messages: Sequence[Mapping[str, Any]],
        tools: Sequence[Mapping[str, Any]] | None,
        add_generation_prompt: bool,
        variables: Mapping[str, Any],
    ) -> tuple[str, str]:
        if self.template is None:
            raise InputError(
                "this model has no chat template: put one into its folder as chat_template.jinja,"
                " or send a plain prompt to completions"
            )
        told = {**variables, "messages": special.flat(messages), "tools": tools}
        told, mark = special.guard(told, self._special.values())
        ours = {"documents": None, **self._names, "add_generation_prompt": add_generation_prompt}
        return self.template.render(ours | told), mark

    def piece(self, id: int, *, special: bool = False) -> bytes:
        """The bytes an id adds to a text. Ids beyond the vocabulary (a padded table) add none."""
        table = self._shown if special else self._pieces
        return table[id] if 0 <= id < len(table) else b""

    def token_bytes(self, id: int) -> bytes:
        """The token's own bytes, special or not: for logprobs."""
        return self.piece(id, special=True)

    def token_text(self, id: int) -> str:
        """The token by itself; a part of a character shows as U+FFFD."""
        return self.token_bytes(id).decode(errors="replace")


def _load(path: Path, source: str) -> tokenizers.Tokenizer:
    try:
        return tokenizers.Tokenizer.from_str(source)
    except Exception as error:  # the library raises nothing more specific
        raise FormatError(f"{path} is not a tokenizer the library reads: {error}") from error
