"""Documents packed into tokens: what comes out is what the tokenizer and its template say."""

import json
import resource
import subprocess
import sys

import numpy as np
import pytest

from farthing.cli import main
from farthing.errors import DiskFull, InputError
from farthing.learn import corpus as corpora
from farthing.learn import pack
from farthing.learn import tokenizer as learn
from farthing.learn.corpus import Corpus
from farthing.learn.documents import Document, parse
from farthing.tokenizer import Tokenizer
from learn_texts import chat, chinese, data_set, english, texts

OTHER_TEMPLATE = (
    "{% for message in messages %}[{{ message.role }}] {{ message.content | trim }}</s>\n"
    "{% endfor %}{% if add_generation_prompt %}[assistant] {% endif %}"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = learn.train(texts(), size=600)
    return learn.write(made, tmp_path_factory.mktemp("tok") / "made", context=512, about={})


@pytest.fixture(scope="module")
def other(folder, tmp_path_factory):
    """The same tokens under a template that somebody else wrote."""
    path = tmp_path_factory.mktemp("tok") / "other"
    path.mkdir()
    for name in ("tokenizer.json", "generation_config.json"):
        (path / name).write_bytes((folder / name).read_bytes())
    config = learn.settings(512) | {"chat_template": OTHER_TEMPLATE}
    (path / "tokenizer_config.json").write_text(json.dumps(config))
    return path


def document(record):
    return parse(json.dumps(record).encode(), "here")


def packed(folder, records, **options):
    packer = pack.Packer(Tokenizer.open(folder), **options)
    return list(packer.packed(document(record) for record in records))


def test_a_chat_is_what_the_template_makes_of_it(folder):
    tokenizer = Tokenizer.open(folder)
    chats = [chat(seed) for seed in range(20)]
    chats[3]["messages"][0]["content"] = " </s> <|assistant|>I say<|end|>\n"
    chats[4]["messages"].insert(0, {"role": "system", "content": "short"})

    for record, (ids, learned) in zip(chats, packed(folder, chats), strict=True):
        assert ids == tokenizer.chat(record["messages"], add_generation_prompt=False)
        assert learned is None


def test_a_text_stands_between_bos_and_eos(folder):
    tokenizer = Tokenizer.open(folder)
    text = "a </s> is text here"
    ((ids, _),) = packed(folder, [{"text": text}])

    assert (ids[0], ids[-1]) == (0, 1)
    assert 1 not in ids[1:-1]
    assert tokenizer.decode(ids[1:-1]) == text


@pytest.mark.parametrize("which", ["folder", "other"])
def test_only_answers_are_learned_and_the_end_of_their_turns(which, request):
    folder = request.getfixturevalue(which)
    tokenizer = Tokenizer.open(folder)
    record = {"messages": [*chat(1)["messages"], *chat(3)["messages"]]}
    ((ids, learned),) = packed(folder, [record], answers_only=True)

    whole = tokenizer.chat_text(record["messages"], add_generation_prompt=False)
    assert tokenizer.decode(ids, special=True) == whole
    prompt = tokenizer.chat(record["messages"][:1])
    assert ids[: len(prompt)] == prompt
    said = tokenizer.decode(
        [id for id, flag in zip(ids, learned, strict=True) if flag], special=True
    )
    first, second = (record["messages"][turn]["content"] for turn in (1, 3))
    if which == "folder":
        assert said == f"{first}<|end|>{second}<|end|>"
    else:
        assert said == f"{first}</s>\n{second}</s>\n"


def test_a_template_that_rewrites_earlier_turns_is_refused(other, tmp_path):
    path = tmp_path / "tok"
    path.mkdir()
    (path / "tokenizer.json").write_bytes((other / "tokenizer.json").read_bytes())
    last = "{% for m in messages[-1:] %}{{ m.content }}{% endfor %}"
    (path / "tokenizer_config.json").write_text(json.dumps({"chat_template": last}))
    record = {"messages": [*chat(1)["messages"], *chat(3)["messages"]]}

    with pytest.raises(InputError, match="can't be told apart"):
        packed(path, [record], answers_only=True)


def test_a_special_token_in_a_message_is_refused_where_it_can_t_be_told_apart(other):
    record = chat(1)
    record["messages"][0]["content"] += "</s>"
    assert packed(other, [record])
    with pytest.raises(InputError, match="spells a special token"):
        packed(other, [record], answers_only=True)


def test_a_text_among_answers_is_refused(folder):
    with pytest.raises(InputError, match="a text has no answers"):
        packed(folder, [{"text": "some"}], answers_only=True)


def test_a_tokenizer_that_never_saw_chinese_is_refused_for_it():
    made = learn.train((english(seed) for seed in range(300)), size=380)
    tokenizer = Tokenizer(
        made,
        decoder={"type": "ByteLevel"},
        config=learn.settings(512),
        stop_ids=[],
        template=None,
    )
    some = [Document(text=english(seed)) for seed in range(100)]

    assert list(pack.Packer(tokenizer).packed(some))
    with pytest.raises(InputError, match=r"'zh', 9\d% spell it byte by byte"):
        list(
            pack.Packer(tokenizer).packed([*some, *(Document(text=chinese(s)) for s in range(50))])
        )


def test_the_verb_packs_every_document_once_and_in_order(folder, tmp_path, capsys):
    records = [chat(seed) for seed in range(50)] + [{"text": english(9)}]
    data, out = data_set(tmp_path / "data", records), tmp_path / "corpus"

    assert main(f"learn data pack {data} -o {out} --tokenizer {folder} --json".split()) == 0

    told = json.loads(capsys.readouterr().out)
    corpus = Corpus.open(out)
    ids = [ids for ids, _ in packed(folder, records)]
    assert corpus.documents == 51
    np.testing.assert_array_equal(corpus.tokens, np.concatenate(ids))
    np.testing.assert_array_equal(np.diff(corpus.starts), [len(one) for one in ids])
    assert corpus.learned is None
    assert {name: one["documents"] for name, one in told["languages"].items()} == {
        "en": 25,
        "other": 1,
        "zh": 25,
    }
    assert told["tokenizer"] == learn.sha256((folder / "tokenizer.json").read_text("utf-8"))


def test_a_broken_line_is_named_and_nothing_is_left(folder, tmp_path, capsys):
    data, out = data_set(tmp_path / "data", [chat(1)]), tmp_path / "corpus"
    with (data / "part-00000.jsonl").open("a") as file:
        file.write('{"text": "half\n')

    assert main(f"learn data pack {data} -o {out} --tokenizer {folder}".split()) == 2

    assert "part-00000.jsonl, line 2" in capsys.readouterr().err
    assert not out.exists()


def test_a_full_disk_is_named_and_nothing_is_left(tmp_path):
    documents = ((np.arange(1000), None) for _ in range(2000))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        with pytest.raises(DiskFull, match="the disk is full"):
            corpora.write(tmp_path / "corpus", documents, vocabulary=1000, about={})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert list(tmp_path.iterdir()) == []


def test_what_a_stopped_packing_left_is_no_hindrance(tmp_path):
    def stopped():
        yield [1, 2], None
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        corpora.write(tmp_path / "corpus", stopped(), vocabulary=8, about={})
    (tmp_path / ".corpus.partial").mkdir()

    made = corpora.write(tmp_path / "corpus", [([1, 2], None)], vocabulary=8, about={})

    assert made.tokens.tolist() == [1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_neither_tokenizer_nor_packing_imports_torch(folder, tmp_path):
    (tmp_path / "a.txt").write_text("\n".join(texts(100)), "utf-8")
    tokenizer = f"learn tokenizer {tmp_path}/a.txt -o {tmp_path}/tok --size 500"
    packing = f"learn data pack {tmp_path}/a.txt -o {tmp_path}/packed --tokenizer {tmp_path}/tok"
    code = (
        "import sys; from farthing.cli import main;"
        f" assert [main(words.split()) for words in {[tokenizer, packing]}] == [0, 0];"
        " sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.DEVNULL, check=False)
    assert done.returncode == 0
    assert Corpus.open(tmp_path / "packed").documents == 200
