"""A byte-level BPE of a chosen size on one's own texts, English and Chinese, for training.

Digits stand one by one, so that numbers of one length have tokens of one length. All 256 bytes are
tokens: no text is out of reach, and nothing is normalised, so that ids go back to the same bytes.
"""

import hashlib
import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken, decoders, models, pre_tokenizers, processors, trainers

from farthing.errors import InputError
from farthing.store.space import clear_when_full

BOS, EOS, END = "<s>", "</s>", "<|end|>"
ROLES = {"system": "<|system|>", "user": "<|user|>", "assistant": "<|assistant|>"}
SPECIAL = (BOS, EOS, *ROLES.values(), END)
LEAST = 256 + len(SPECIAL)
LONGEST = 18
"""Bytes of a token: six Chinese characters. Longer ones are phrases of the data's templates."""

TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message.role not in ['system', 'user', 'assistant'] %}"
    "{{ raise_exception('roles are system, user and assistant') }}{% endif %}"
    "{{ '<|' + message.role + '|>' + message.content + '<|end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
"""A content stands between special tokens, so its ids are those of the content by itself."""


def train(texts: Iterable[str], *, size: int) -> tokenizers.Tokenizer:
    """A tokenizer of `size` tokens: the special ones first, then the bytes, then the merges.

    The same texts in the same order give the same tokenizer. Raises InputError if the size has no
    room for the bytes, or the texts do not have so many parts that come twice.
    """
    if size < LEAST:
        raise InputError(
            f"a vocabulary of {size}; the bytes and special tokens alone are {LEAST}, expected more"
        )
    made = _empty()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=2,
        special_tokens=[AddedToken(text, special=True, normalized=False) for text in SPECIAL],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        max_token_length=LONGEST,
        show_progress=False,
    )
    made.train_from_iterator(texts, trainer)
    found = made.get_vocab_size()
    if found != size:
        raise InputError(
            f"the texts give {found} tokens (parts that come twice), and {size} are asked for;"
            " give more text, or ask for fewer"
        )
    bos = made.token_to_id(BOS)
    made.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A {BOS} $B", special_tokens=[(BOS, bos)]
    )
    return made


def _empty() -> tokenizers.Tokenizer:
    made = tokenizers.Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True),
        ]
    )
    made.decoder = decoders.ByteLevel()
    return made


def settings(context: int) -> dict[str, Any]:
    """tokenizer_config.json: what transformers and farthing open it by."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": EOS,
        "add_bos_token": True,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": context,
        "chat_template": TEMPLATE,
    }


def generation(tokenizer: tokenizers.Tokenizer) -> dict[str, Any]:
    """generation_config.json: an answer ends with its turn, or with the document."""
    bos, eos, end = (tokenizer.token_to_id(text) for text in (BOS, EOS, END))
    return {"bos_token_id": bos, "eos_token_id": [eos, end], "pad_token_id": eos}


def write(
    tokenizer: tokenizers.Tokenizer, folder: Path, *, context: int, about: dict[str, Any]
) -> Path:
    """A new folder that farthing and transformers open: whole, or not there.

    `about` says what it was made from. Raises InputError if the folder exists, DiskFull.
    """
    vacant(folder)
    source = tokenizer.to_str(pretty=True)
    told = {"size": tokenizer.get_vocab_size(), "sha256": sha256(source)} | about
    files = {
        "tokenizer.json": source,
        "tokenizer_config.json": json.dumps(settings(context), indent=2),
        "generation_config.json": json.dumps(generation(tokenizer), indent=2),
        "about.json": json.dumps(told, indent=2, ensure_ascii=False),
    }
    draft = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    try:
        with clear_when_full(f"writing {folder}", draft):
            for name, text in files.items():
                (draft / name).write_text(text, "utf-8")
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def vacant(folder: Path) -> None:
    """Raises InputError if there is something: nothing is ever overwritten."""
    if folder.exists():
        raise InputError(f"{folder} exists; remove it, or choose another folder")


def sha256(source: str) -> str:
    """Of a tokenizer.json's text: what a corpus names its tokenizer by."""
    return hashlib.sha256(source.encode()).hexdigest()
