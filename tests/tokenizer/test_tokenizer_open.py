"""A folder's files make a tokenizer, or an error that says which file and why."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from tokenizers import AddedToken, decoders, models, normalizers, pre_tokenizers

from farthing.errors import FormatError, InputError, NotFound
from farthing.tokenizer import Tokenizer, gguf

CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture
def folder(tmp_path: Path, smol_metadata: dict[str, Any]) -> Path:
    for name, text in gguf.files(smol_metadata).items():
        (tmp_path / name).write_text(text)
    return tmp_path


def change(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_a_missing_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"tokenizer\.json is missing"):
        Tokenizer.open(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("tokenizer.json", "{", "is not JSON"),
        ("tokenizer.json", "[" * 100_000, "is not JSON"),
        ("tokenizer.json", "[]", "holds a list"),
        ("tokenizer.json", "{}", "not a tokenizer the library reads"),
        ("tokenizer_config.json", "3", "holds a int"),
        ("generation_config.json", '{"eos_token_id": "x"}', "expected an integer"),
        ("chat_template.jinja", "{% if %}", "wrong in line 1"),
    ],
)
def test_a_wrong_file_is_named(folder: Path, name: str, text: str, says: str) -> None:
    (folder / name).write_text(text)
    with pytest.raises(FormatError, match=says):
        Tokenizer.open(folder)


def test_bytes_that_are_no_text_are_named(folder: Path) -> None:
    (folder / "tokenizer.json").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(FormatError, match="not UTF-8 at byte 7"):
        Tokenizer.open(folder)


def test_an_unknown_decoder_is_refused(folder: Path) -> None:
    change(
        folder / "tokenizer.json", decoder={"type": "WordPiece", "prefix": "##", "cleanup": True}
    )
    with pytest.raises(FormatError, match="known are ByteLevel"):
        Tokenizer.open(folder)


def test_all_stop_ids_are_found(folder: Path) -> None:
    change(folder / "generation_config.json", eos_token_id=[0, 4, 10**9])
    assert Tokenizer.open(folder).stop_ids == [0, 2, 4]


def test_special_tokens_may_be_objects(folder: Path) -> None:
    (folder / "generation_config.json").unlink()
    change(folder / "tokenizer_config.json", eos_token={"content": "<|endoftext|>"})
    assert Tokenizer.open(folder).stop_ids == [0]


def test_truncation_in_the_file_never_cuts_a_prompt(folder: Path) -> None:
    cut = {"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0}
    change(folder / "tokenizer.json", truncation=cut)
    assert len(Tokenizer.open(folder).encode("one two three four")) == 4


def test_without_a_template_a_chat_says_what_to_do(folder: Path) -> None:
    shutil.rmtree(folder / "nothing", ignore_errors=True)
    change(folder / "tokenizer_config.json", chat_template=None)
    with pytest.raises(InputError, match=r"chat_template\.jinja"):
        Tokenizer.open(folder).chat([{"role": "user", "content": "hi"}])


def test_half_a_surrogate_is_refused(folder: Path) -> None:
    with pytest.raises(InputError, match="Unicode"):
        Tokenizer.open(folder).encode("a\ud800")


def test_the_files_template_is_used(folder: Path) -> None:
    (folder / "chat_template.jinja").write_text(CHATML)
    tokenizer = Tokenizer.open(folder)
    wanted = "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.chat_text([{"role": "user", "content": "hi"}]) == wanted
    assert tokenizer.chat([{"role": "user", "content": "hi"}]) == tokenizer.encode(wanted)


@pytest.fixture
def sentencepiece(tmp_path: Path) -> Path:
    """A vocabulary of the Llama 2 kind: ▁ for a space, and a token for each byte."""
    tokens = ["<unk>", "<s>", "</s>", *[f"<0x{byte:02X}>" for byte in range(256)]]
    tokens += ["▁", "h", "i", "▁h", "▁hi", "o"]
    inner = tokenizers.Tokenizer(
        models.BPE(
            vocab={token: id for id, token in enumerate(tokens)},
            merges=[("▁", "h"), ("▁h", "i")],
            unk_token="<unk>",
            fuse_unk=True,
            byte_fallback=True,
        )
    )
    inner.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    steps = [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    inner.decoder = decoders.Sequence([*steps, decoders.Strip(" ", 1, 0)])
    inner.add_special_tokens([AddedToken(token, normalized=False) for token in tokens[:3]])
    inner.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


@pytest.mark.parametrize("sample", ["hi", " hi", "hi hi 你😀o", "ho\nho", ""])
def test_a_sentencepiece_vocabulary_reads_back(sentencepiece: Path, sample: str) -> None:
    tokenizer = Tokenizer.open(sentencepiece)
    theirs = tokenizers.Tokenizer.from_file(str(sentencepiece / "tokenizer.json"))
    ids = tokenizer.encode(sample)
    assert ids == theirs.encode(sample).ids
    assert tokenizer.decode(ids) == theirs.decode(ids) == sample
    text = tokenizer.stream()
    assert "".join([*[text.push([id]) for id in ids], text.finish()]) == sample


def test_an_answer_keeps_the_space_before_its_first_word(sentencepiece: Path) -> None:
    tokenizer = Tokenizer.open(sentencepiece)
    assert tokenizer.stream(continues=True).push(tokenizer.encode("hi")) == " hi"


def test_a_byte_level_pre_tokenizer_alone_is_enough(folder: Path) -> None:
    """What older files hold: the split is inside ByteLevel."""
    plain = pre_tokenizers.ByteLevel(add_prefix_space=False)
    change(folder / "tokenizer.json", pre_tokenizer=json.loads(plain.__getstate__()))
    assert Tokenizer.open(folder).decode(Tokenizer.open(folder).encode("a 你")) == "a 你"
