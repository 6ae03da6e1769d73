"""Distillation: a student meets its teacher, asked or kept, and forgets nothing when it stops."""

import json

import numpy as np
import pytest
import torch
from packed_rows import packed
from taught import DENSE_STUDENT, corpus, taught, teacher
from tuned_models import VOCABULARY, source

from farthing.cli import main
from farthing.errors import InputError
from farthing.learn import base, divergence, engine_logits, recipe, training
from farthing.learn.cross_entropy import Logits
from farthing.learn.distil import Online, teaching
from farthing.learn.engine_logits import Settings
from farthing.learn.journal import lines
from farthing.learn.losses import losses
from farthing.learn.plan import Plan
from farthing.learn.run import Run


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("FARTHING_HOME", str(tmp_path / "home"))


@pytest.fixture
def model(tmp_path):
    """The teacher on the shelf; beside the recipes: its source, and a corpus."""
    packed_model = teacher(tmp_path / "teacher")
    corpus(tmp_path / "train", packed_model, count=40)
    return packed_model


def run_of(path):
    """A Run whose objective is the recipe's teacher."""
    plan = Plan.read(path)
    made = Run(plan.recipe, plan.train)
    if plan.recipe.teacher:
        found = teaching(plan.recipe, plan.folder, plan.train, made.rows)
        made.objective = found.objective
    return made


def quiet(*words):
    pass


def moved(path):
    """What a step adds to the weights, as one vector."""
    run = run_of(path)
    before = {name: w.detach().clone() for name, w in run.parameters.weights().items()}
    run.step()
    after = run.parameters.weights()
    return torch.cat([(after[name] - w).detach().flatten() for name, w in before.items()])


@pytest.mark.parametrize("family", ["llama", "qwen3_moe"])
def test_a_teacher_that_is_asked_says_what_transformers_says(family, tmp_path):
    theirs = source(tmp_path / "model", family)
    found = base.read(tmp_path / "model", torch.float32)
    batch = packed([[24]], VOCABULARY)

    logits = Online(found.config, found.weights).logits(batch)

    with torch.no_grad():
        expected = theirs(batch.tokens).logits[0]
    torch.testing.assert_close(logits.x @ logits.weight.T, expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("kind", ["forward", "reverse"])
def test_a_student_comes_near_its_teacher(kind, model, tmp_path):
    asked = {"model": "teacher", "divergence": kind}
    run = run_of(taught(tmp_path, steps=24, teacher=asked, optimizer={"rate": 0.02}))
    batch = run.rows.take(0, 48)

    def apart():
        with torch.no_grad():
            weights, objective = run.weights(), run.objective(batch)
            return float(losses(run.recipe.model, weights, batch, objective=objective).main)

    before = apart()
    for _ in range(24):
        run.step()

    assert apart() < 0.8 * before


def test_the_command_distils_and_says_where_the_curves_are(model, tmp_path, capsys):
    path = taught(tmp_path, steps=3, teacher={"model": "teacher"})
    assert main(["learn", "distil", str(path), "-o", str(tmp_path / "run"), "--threads", "1"]) == 0
    assert "report.html" in capsys.readouterr().err
    assert len(list(lines(tmp_path / "run" / "log.jsonl"))) == 3


def test_the_loss_is_the_divergence_of_the_tokens_that_are_learned(model, tmp_path):
    corpus(tmp_path / "chats", model, answers_only=True, count=40)
    changed = {"model": "teacher", "temperature": 2.0, "weight": 0.25}
    path = taught(tmp_path, data={"train": [{"path": "chats"}]}, teacher=changed)
    run = run_of(path)
    batch = run.rows.take(0, 4)
    learned = batch.learned[:, :-1].flatten()
    assert 0 < learned.sum() < len(learned)
    found = base.read(model, torch.float32)
    theirs = Online(found.config, found.weights).logits(batch)
    student = Logits(torch.randn(len(learned), 8), torch.randn(VOCABULARY, 8))
    z, t = student.x @ student.weight.T, theirs.x @ theirs.weight.T
    targets = batch.targets[:, :-1].flatten()
    log_q, log_p = torch.log_softmax(z / 2, -1), torch.log_softmax(t / 2, -1)
    apart = (log_p.exp() * (log_p - log_q)).sum(-1)
    text = torch.nn.functional.cross_entropy(z, targets, reduction="none")
    expected = (0.75 * text + 0.25 * 4 * apart)[learned].sum()

    torch.testing.assert_close(run.objective(batch)(student, targets, learned), expected)


def test_kept_logits_move_a_student_as_the_teacher_itself_does(model, tmp_path):
    """All but one token kept: what differs is that the engine computes in int8."""
    settings = Settings(top=VOCABULARY - 1, draws=1)
    engine_logits.write(tmp_path / "train", model, tmp_path / "kept", settings, threads=1)
    common = {
        "model": DENSE_STUDENT,
        "data": {"length": 512},
        "batch": {"tokens": 4096, "together": 1024},
        "schedule": {"warmup": 0},
    }
    online = run_of(taught(tmp_path, **common, teacher={"model": "teacher"}))
    data = {"length": 512, "train": [{"path": "train", "logits": "kept"}]}
    run = run_of(taught(tmp_path, **common | {"data": data}, teacher={}))
    rows = run.rows.take(0, 8)
    targets, learned = rows.targets[:, :-1].flatten(), rows.learned[:, :-1].flatten()
    # the engine saw the beginnings of documents that a row's start cuts off
    learned &= _whole(run, rows)
    student, head = torch.randn(len(targets), 8), 0.3 * torch.randn(VOCABULARY, 8)
    grads = []
    for one in (online, run):
        x = student.clone().requires_grad_()
        one.objective(rows)(Logits(x, head), targets, learned).backward()
        grads.append(x.grad.flatten())

    assert learned.any()
    assert float(torch.cosine_similarity(*grads, dim=0)) > 0.995


def _whole(run, batch):
    """Which tokens are of documents that begin in their row."""
    starts = torch.tensor(run.rows.corpora[0].starts)
    found = []
    for row, positions in zip(batch.rows.tolist(), batch.positions, strict=True):
        places = torch.from_numpy(run.rows.places(row)[1])
        first = starts[torch.searchsorted(starts, places, right=True) - 1]
        found.append(places - first == positions)
    return torch.cat(found)


def test_no_weight_on_the_teacher_is_pretraining(model, tmp_path):
    plain = moved(taught(tmp_path, model=DENSE_STUDENT, optimizer={"matrices": "adamw"}))
    path = taught(
        tmp_path,
        model=DENSE_STUDENT,
        optimizer={"matrices": "adamw"},
        teacher={"model": "teacher", "weight": 0.0},
    )
    distilled = moved(path)

    assert float(torch.cosine_similarity(plain, distilled, dim=0)) > 0.999


@pytest.mark.parametrize("kept", [False, True])
def test_stopped_and_resumed_is_never_stopped_to_the_bit(kept, model, tmp_path):
    changed: dict[str, object] = {"teacher": {"model": "teacher"}}
    if kept:
        engine_logits.write(tmp_path / "train", model, tmp_path / "kept", Settings(), threads=1)
        data = {"train": [{"path": "train", "logits": "kept"}]}
        changed = {"teacher": {"weight": 0.5}, "data": data}
    path = taught(tmp_path, steps=6, **changed)

    with training.opened(path, tmp_path / "whole", threads=1) as whole:
        assert whole.go(lambda: False, quiet, quiet)
        expected = whole.run.parameters.weights()
    stop = iter([False, False, True])
    with training.opened(path, tmp_path / "part", threads=1) as part:
        assert not part.go(lambda: next(stop), quiet, quiet)
    with training.opened(path, tmp_path / "part", resume=True, threads=1) as again:
        assert again.run.done == 2
        assert again.go(lambda: False, quiet, quiet)
        found = again.run.parameters.weights()

    assert all(torch.equal(found[name], w) for name, w in expected.items())


def test_a_run_goes_on_with_its_own_teacher_alone(model, tmp_path):
    path = taught(tmp_path, steps=6, teacher={"model": "teacher"})
    stop = iter([False, False, True])
    with training.opened(path, tmp_path / "run", threads=1) as part:
        part.go(lambda: next(stop), quiet, quiet)
    teacher(tmp_path / "other", "qwen3_moe")
    path = taught(tmp_path, steps=6, teacher={"model": "other"})

    with (
        pytest.raises(InputError, match="or the teacher is another"),
        training.opened(path, tmp_path / "run", resume=True, threads=1),
    ):
        pass


def test_another_vocabulary_is_refused(model, tmp_path):
    path = taught(tmp_path, model=DENSE_STUDENT | {"vocab_size": 300}, teacher={"model": "teacher"})
    with pytest.raises(InputError, match="has 259 tokens, and the model 300"):
        run_of(path)


def test_a_corpus_of_another_tokenizer_is_refused(model, tmp_path):
    about = json.loads((tmp_path / "train" / "corpus.json").read_text())
    (tmp_path / "train" / "corpus.json").write_text(json.dumps(about | {"tokenizer": "other"}))
    with pytest.raises(InputError, match="packed with another tokenizer than the teacher's"):
        run_of(taught(tmp_path, teacher={"model": "teacher"}))


def test_kept_logits_of_another_corpus_are_refused(model, tmp_path):
    engine_logits.write(tmp_path / "train", model, tmp_path / "kept", Settings(), threads=1)
    corpus(tmp_path / "other", model, count=7)
    data = {"train": [{"path": "other", "logits": "kept"}]}
    with pytest.raises(InputError, match="made for corpus"):
        run_of(taught(tmp_path, teacher={}, data=data))


KEPT = {"train": [{"path": "train", "logits": "kept"}]}


@pytest.mark.parametrize(
    "changed, said",
    [
        ({"data": KEPT}, "there is no \\[teacher\\]"),
        ({"teacher": {}}, "has no model, and not all of data.train has logits"),
        ({"teacher": {"model": "x"}, "data": KEPT}, "expected one of both"),
        ({"teacher": {"divergence": "reverse"}, "data": KEPT}, "needs all of a teacher's"),
        ({"teacher": {"divergence": "sideways"}, "data": KEPT}, "sideways"),
        ({"teacher": {"temperature": 0.0}, "data": KEPT}, "temperature"),
        ({"teacher": {"weight": 1.5}, "data": KEPT}, "weight"),
        ({"teacher": {"modle": "x"}}, "unknown field 'modle' in \\[teacher\\]; known: model"),
        ({"data": {"held_out": [{"path": "held", "logits": "kept"}]}}, "held_out has logits"),
    ],
)
def test_recipes_that_make_no_sense_are_named(changed, said, tmp_path):
    with pytest.raises(InputError, match=said):
        recipe.read(taught(tmp_path, **changed))


def test_a_recipe_without_a_teacher_is_no_distillation(tmp_path, capsys):
    path = taught(tmp_path)
    assert main(["learn", "distil", str(path), "-o", str(tmp_path / "run")]) == 2
    assert "has no [teacher]" in capsys.readouterr().err


def test_a_student_that_equals_its_teacher_is_at_the_teachers_entropy():
    """Kept losses are cross-entropies."""
    shares = torch.tensor([[0.5, 0.25, 0.25]])
    z = torch.full((1, 5), -1e3)
    z[0, :3] = shares.log()
    loss = divergence.over(Logits(z, torch.eye(5)), divergence.kept(torch.arange(3)[None], shares))

    assert float(loss) == pytest.approx(1.5 * np.log(2), abs=1e-5)
