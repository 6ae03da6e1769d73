"""The adapter for EleutherAI's harness: its settings, its pairs, and the harness itself."""

import json
import math
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from told_answers import Told

from farthing.config import EngineConfig
from farthing.errors import InputError, NotFound
from farthing.evaluate import lm_eval_hook, lm_eval_model
from farthing.evaluate.lm_eval_model import Adapter, sampling
from farthing.evaluate.tasks import made, native, run
from farthing.evaluate.tasks.types import Pair, Sample
from farthing.tokenizer import Tokenizer

TASKS = {
    "choices": """
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_choice: choices
doc_to_target: answer
metric_list: [{metric: acc}, {metric: acc_bytes}]
""",
    "written": """
output_type: generate_until
doc_to_text: "{{question}}"
doc_to_target: "{{answer_text}}"
generation_kwargs: {until: ["\\n"], max_gen_toks: 8, do_sample: false}
filter_list:
  - name: word
    filter: [{function: regex, regex_pattern: "^\\\\s*(\\\\w+)"}, {function: take_first}]
metric_list: [{metric: exact_match}]
""",
    "rolling": """
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{question}}"
metric_list: [{metric: bits_per_byte}]
""",
}


class Hook:
    def __init__(self) -> None:
        self.kept: list[tuple[str, object, object]] = []

    def add_partial(self, kind: str, asked: object, found: object) -> None:
        self.kept.append((kind, asked, found))


@pytest.fixture
def adapter(smollm2: Path) -> Adapter:
    """Without the harness, and with a model that answers as told."""
    made = Adapter.__new__(Adapter)
    made.answers = Told(Tokenizer.open(smollm2), answer=lambda prompt, sample: f"{prompt}!")
    made.prefix, made._templated, made.cache_hook = 0, False, Hook()
    return made


def asked(*args: object) -> SimpleNamespace:
    return SimpleNamespace(args=args)


def test_settings_become_a_sample():
    assert sampling({"until": ["\n"], "max_gen_toks": 8, "do_sample": False}) == Sample(
        max_tokens=8, stop=("\n",)
    )
    assert sampling({"until": "a"}) == Sample(max_tokens=256, stop=("a",))
    assert sampling({"do_sample": False, "temperature": 0.7}).temperature == 0
    assert sampling({"do_sample": True}).temperature == 1
    assert sampling({"temperature": 0.7, "max_new_tokens": 5, "seed": 3}) == Sample(
        max_tokens=5, temperature=0.7, seed=3
    )
    with pytest.raises(InputError, match="'top_p': farthing's adapter knows"):
        sampling({"top_p": 0.9})


def test_spaces_at_a_contexts_end_belong_to_the_continuation(adapter: Adapter):
    encode = adapter.answers.tokenizer.encode
    assert adapter._pair("The sky is ", "blue") == Pair(encode("The sky is"), encode(" blue"))
    assert adapter._pair("The sky is", " blue") == Pair(encode("The sky is"), encode(" blue"))
    assert adapter._pair("", "blue") == Pair([0], encode("blue"))
    assert adapter._pair(" ", "blue") == Pair([0], encode(" blue"))
    with pytest.raises(InputError, match="empty"):
        adapter._pair("The sky is", "")


def test_answers_come_back_in_order_and_are_kept(adapter: Adapter):
    one, other = {"max_gen_toks": 3}, {"max_gen_toks": 4, "until": ["x"]}
    requests = [asked("a", one), asked("b", other), asked("c", one)]
    assert adapter.generate_until(requests, disable_tqdm=True) == ["a!", "b!", "c!"]
    assert [kept[2] for kept in adapter.cache_hook.kept] == ["a!", "b!", "c!"]


def test_a_chat_is_the_models_template(adapter: Adapter):
    text = adapter.apply_chat_template([{"role": "user", "content": "Hi"}])
    assert text.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")
    assert "im_start" in (adapter.chat_template(True) or "")
    assert adapter.chat_template(False) is None
    with pytest.raises(InputError, match="tool_use"):
        adapter.chat_template("tool_use")


def test_without_the_harness_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "lm_eval.models", None)
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    with pytest.raises(NotFound, match="pip install lm_eval"):
        lm_eval_model.register()


def test_python_starts_in_peace_without_the_harness_or_without_us(tmp_path: Path):
    path = lm_eval_hook.install(tmp_path)
    assert path.name == "farthing_lm_eval.pth"
    start = f"import site; site.addsitedir({str(tmp_path)!r}); import sys"
    look = "print([type(f).__name__ for f in sys.meta_path].count('Finder'))"
    heavy = "print('numpy' in sys.modules)"
    for more, seen in (([], "1\nFalse\n"), (["-I", "-S"], "0\nFalse\n")):
        command = [sys.executable, *more, "-c", f"{start}; {look}; {heavy}"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert (done.stdout, done.stderr) == (seen, "")


@pytest.mark.needs("lm_eval")
def test_the_harness_knows_us_by_name_once_installed(tmp_path: Path):
    lm_eval_hook.install(tmp_path)
    start = f"import site; site.addsitedir({str(tmp_path)!r})"
    ask = "from lm_eval.api.registry import get_model; m = get_model('farthing'); import lm_eval"
    show = "print(m.__name__, issubclass(m, lm_eval.api.model.LM), get_model('dummy').__name__)"
    command = [sys.executable, "-c", f"{start}; {ask}; {show}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "Farthing True DummyLM\n", done.stderr[-2000:]


@pytest.mark.needs("lm_eval")
def test_the_harness_scores_as_we_do(smollm2_home: Path, smollm2: Path, tmp_path: Path):
    choices, answers = made.choices(0, 24), made.answers(0, 24)
    with (tmp_path / "items.jsonl").open("w") as file:
        for item, other in zip(choices.items, answers.items, strict=True):
            held = {"question": item.question, "choices": item.choices, "answer": item.answer}
            file.write(json.dumps({**held, "answer_text": other.answer}) + "\n")
    for name, text in TASKS.items():
        data = f"dataset_kwargs: {{data_files: {{test: {tmp_path / 'items.jsonl'}}}}}"
        head = f"task: farthing_{name}\ndataset_path: json\n{data}\ntest_split: test"
        (tmp_path / f"{name}.yaml").write_text(head + text)
    command = [sys.executable, "-m", "farthing.evaluate.lm_eval_model", "run"]
    command += ["--model", "farthing", "--model_args", "model=smollm2-135m,max_length=1024"]
    command += ["--tasks", ",".join(f"farthing_{name}" for name in TASKS)]
    command += ["--include_path", str(tmp_path), "--output_path", str(tmp_path / "out.json")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (written,) = tmp_path.glob("out*.json")
    found = json.loads(written.read_text())["results"]
    model = native.open(smollm2, EngineConfig(max_context=1024))
    plain, by_bytes, exact = run(model, [choices, answers])
    assert found["farthing_choices"]["acc,none"] == plain.share.mean
    assert found["farthing_choices"]["acc_bytes,none"] == by_bytes.share.mean
    assert found["farthing_written"]["exact_match,word"] == exact.share.mean
    bits = _bits_a_byte(model, [item.question for item in choices.items])
    assert found["farthing_rolling"]["bits_per_byte,none"] == pytest.approx(bits, rel=1e-6)


def _bits_a_byte(model: native.Native, texts: list[str]) -> float:
    encode = model.tokenizer.encode
    start = encode("<|im_start|>")
    found = model.loglikelihoods([Pair(start, encode(t)) for t in texts], lambda done: None)
    return -sum(one.sum for one in found) / sum(len(t.encode()) for t in texts) / math.log(2)
