"""A run in its folder (place.py): begun or taken up, stepped, looked at, saved, and stopped."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from farthing import machine
from farthing.errors import DiskFull, InputError
from farthing.learn import checkpoint, distil, evaluation, facts, live, place, run, work
from farthing.learn.blame import guilty, pieces
from farthing.learn.checkpoint import Checkpoint
from farthing.learn.corpus import Corpus
from farthing.learn.journal import Journal, Line
from farthing.learn.place import BLAME, FACTS, LOG, RECIPE, claimed
from farthing.learn.plan import Plan
from farthing.learn.recipe import Recipe
from farthing.learn.run import NotFinite, Run, Told, imbalances

RETRY = 60.0
"""Seconds until a checkpoint that found no room is tried again."""

Tell = Callable[[Line], None]
Note = Callable[[str], None]
Make = Callable[[Recipe, Sequence[Corpus]], Run]


@contextmanager
def opened(
    path: Path,
    folder: Path,
    *,
    resume: bool = False,
    start: Path | None = None,
    threads: int = 0,
    make: Make = Run,
) -> Iterator["Training"]:
    """A run of a recipe in its folder, which is nobody else's inside.

    `start`: a new run takes its weights, moments and step from this checkpoint, of whatever recipe
    with the same model. Raises InputError if the folder holds a run and `resume` is not given, if
    the run's recipe or data is another, or if another process has it; and as Plan.read does.
    """
    plan = Plan.read(path)
    with claimed(folder, resume=resume):
        yield Training(plan, folder, start=start, threads=threads, make=make)


class Training:
    """It stands at `run.done` steps. `notes` are what its user should know of that."""

    def __init__(
        self, plan: Plan, folder: Path, *, start: Path | None, threads: int, make: Make = Run
    ) -> None:
        self.plan, self.recipe, self.folder = plan, plan.recipe, folder
        self.notes: list[str] = []
        checkpoint.clean(folder)
        found = checkpoint.saved(folder)
        if found and start:
            raise InputError(
                f"{folder} is at {found[-1].name}, and only a new run begins with another's"
                " weights; leave out --start, or choose another folder"
            )
        state = checkpoint.load(found[-1]) if found else None
        before = state.run if state else {}
        threads = threads or before.get("threads") or machine.cores().usable
        run.prepare(threads)
        self.run = make(self.recipe, plan.train)
        self._before, self._began = float(before.get("elapsed", 0.0)), perf_counter()
        self.surroundings = facts.surroundings(threads, plan.train)
        if self.recipe.teacher is not None:
            teaching = distil.teaching(self.recipe, plan.folder, plan.train, self.run.rows)
            self.run.objective = teaching.objective
            self.surroundings["data"] += teaching.told
        if state:
            self.notes += facts.compared(self.surroundings, before)
            self.run.resume(state)
            self.surroundings["started"] = before.get("started")
        elif start:
            self._take(start)
        self.facts = facts.measured(self.recipe, self.run.rows, self.surroundings, folder / FACTS)
        self.facts["looks"] = facts.looks(self.recipe, plan.held_out)
        place.write(folder / RECIPE, plan.text)
        self.facts |= {"processes": self.run.processes, "machines": self.run.machines}
        self._keep_facts()
        self.journal, elapsed = Journal.open(folder / LOG, self.run.done)
        self._before = max(elapsed, self._before)
        self._began = self._saved = perf_counter()

    @property
    def elapsed(self) -> float:
        """Seconds of all sessions, those of steps that a kill undid included."""
        return self._before + perf_counter() - self._began

    def go(self, stop: Callable[[], bool], tell: Tell, note: Note) -> bool:
        """To the end, or until `stop` says so after a step; saved either way. Returns whether the
        end was reached.

        Raises InputError if a loss is no number, DiskFull if the last state can't be saved.
        """
        steps = self.recipe.steps
        while self.run.done < steps and not stop():
            line = self._step()
            if error := self.journal.write(line):
                note(
                    f"log.jsonl can't be written ({error.strerror}); it is tried again at each step"
                )
            tell(line)
            if self.run.done < steps:
                self._save_if_due(note)
        if self.run.done:
            self._look_at_peak()
            self.save()
        return self.run.done == steps

    def save(self) -> Path:
        state = self.run.state()
        extra = {**self.surroundings, "elapsed": self.elapsed}
        state = Checkpoint(state.step, state.tensors, {**state.run, **extra})
        return checkpoint.save(self.folder, state, keep=self.recipe.save.keep)

    def _take(self, start: Path) -> None:
        state = checkpoint.load(start)
        if state.step >= self.recipe.steps:
            raise InputError(
                f"{start} is at step {state.step}, and the recipe ends at step {self.recipe.steps};"
                " give the recipe more tokens, or start from an earlier checkpoint"
            )
        self.run.take(state)
        self.surroundings["started"] = {"step": state.step, "recipe": state.run.get("recipe")}
        self.save()  # at once: a run killed before its first checkpoint would begin at random
        self.notes.append(f"started from {start}: its weights, moments and step, on this recipe")

    def _step(self) -> Line:
        began = process_time()
        try:
            told = self.run.step()
        except NotFinite as error:
            raise self._blamed(error) from error
        line = self._line(told) | {"cpu": round(process_time() - began, 4)}
        at = self.recipe.evaluate.steps
        if self.plan.held_out and (told.step % at == 0 or told.step == self.recipe.steps):
            line["held_out"] = self.evaluate()
        return line | {"elapsed": round(self.elapsed, 3)}

    def evaluate(self) -> dict[str, Any]:
        weights, look = self.run.weights(), self.recipe.evaluate
        return {
            name: asdict(
                evaluation.held_out(
                    self.recipe.model,
                    weights,
                    corpus,
                    length=self.recipe.data.length,
                    tokens=look.tokens,
                    together=self.recipe.batch.together,
                    whole=self.recipe.data.whole,
                )
            )
            for name, corpus in self.plan.held_out.items()
        }

    def _line(self, told: Told) -> Line:
        return {
            "step": told.step,
            "tokens": told.step * told.tokens,
            "loss": told.loss,
            "next_token": told.next_token,
            "sequence": told.sequence,
            "norm": told.norm,
            "rate": told.rate,
            "seconds": round(told.seconds, 4),
            "share": round(live.share(self.facts, told.tokens / told.seconds), 4),
            "imbalance": {layer: round(x, 4) for layer, x in imbalances(told.loads).items()},
        }

    def _save_if_due(self, note: Note) -> None:
        if perf_counter() - self._saved < self.recipe.save.minutes * 60:
            return
        self._saved = perf_counter()
        try:
            self._look_at_peak()
            self.save()
        except DiskFull as error:
            note(f"{error}; the run goes on and tries again in a minute")
            self._saved += RETRY - self.recipe.save.minutes * 60

    def _look_at_peak(self) -> None:
        """Others may have been at work when it was measured: a limit is the most that was seen."""
        peak = work.peak(seconds=0.2)
        if peak > self.facts["peak"]:
            self.facts["peak"] = peak
            self._keep_facts()

    def _keep_facts(self) -> None:
        place.write(self.folder / FACTS, json.dumps(self.facts, indent=1).encode())

    def _blamed(self, error: NotFinite) -> InputError:
        """Not saved: the weights may be what is wrong."""
        rows = self.run.rows
        bad = guilty(self.recipe.model, self.run.weights(), rows, error.rows)
        found = [piece for row in bad for piece in pieces(rows, row)]
        names = [source.path for source in self.recipe.data.train]
        told = [asdict(p) | {"corpus": names[p.corpus]} for p in found]
        path = self.folder / BLAME
        record = {"step": error.step, "what": error.what, "pieces": told}
        place.write(path, json.dumps(record).encode())
        first = ", ".join(f"{names[p.corpus]}:{p.document}" for p in found[:4])
        kept = checkpoint.saved(self.folder)
        good = f"{kept[-1]} is the last good checkpoint" if kept else "no checkpoint was made yet"
        return InputError(
            f"{error.what} of step {error.step} is no number; the run stopped before it changed a"
            f" weight, and {good}. Its batch is rows {error.rows.start} to {error.rows.stop - 1};"
            f" to look at: {len(found)} documents in {len(bad)} rows, first {first} (all in"
            f" {path}). A lower rate, a longer warm-up or other data may help"
        )
