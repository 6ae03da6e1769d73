"""The steps of `farthing quantize`: text, sections, output; each is found done when it was."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from farthing import __version__
from farthing.cli import quantize_write
from farthing.cli.progress import Tell, stages
from farthing.cli.quantize_place import Place, clear, place_of
from farthing.cli.quantize_plan import Plan
from farthing.errors import InputError
from farthing.formats import packed
from farthing.quantize import check, run, text
from farthing.quantize.run import Progress
from farthing.quantize.text import Samples
from farthing.quantize.types import Outcome
from farthing.tokenizer import Tokenizer

MOST_SAMPLES = 4096


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it. `size` is of the output's weights, in bytes."""

    place: Place
    size: int
    samples: Samples
    outcomes: list[Outcome]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    plan: Plan
    place: Place
    text: Path | None
    samples: int
    length: int
    seed: int
    threads: int

    @classmethod
    def of(
        cls,
        plan: Plan,
        output: str | None,
        *,
        text: Path | None,
        samples: int,
        length: int,
        seed: int,
        threads: int,
    ) -> "Job":
        """Refuses what can be known to fail: nothing has been read or written yet."""
        place = place_of(output, plan.format)
        _numbers(samples=samples, length=length, seed=seed, threads=threads)
        if plan.needs_text and length > plan.context:
            raise InputError(f"--length is {length}; {plan.model} reads {plan.context} at most")
        if text is not None and not plan.needs_text:
            raise InputError(f"--text {text}: nothing in this recipe reads text; leave it out")
        return cls(
            plan=plan,
            place=place,
            text=text,
            samples=samples,
            length=length,
            seed=seed,
            threads=threads,
        )

    def run(self) -> Done:
        """Raises what its parts do; then, and after ^C, what is finished stays beside the output,
        and nothing there looks whole."""
        source, place = self.plan.source, self.place
        files = source.files()
        given = self._given(files)
        with stages() as tell:
            tell("hashing", 0, 0)
            asked = self._asked(given)
        with place.held(asked, self._room(given)), stages() as tell:
            samples = self._written(files, tell) if given is None else given
            heard = partial(section, tell)
            made = run.quantize(source, samples, self.plan.recipe, place.sections, heard)
            outcomes = list(made.outcomes)
            clear(place.whole)
            quantize_write.write(
                self.plan.format,
                place.whole,
                made,
                made.config,
                source=self._source(samples),
                files={**files, quantize_write.RECIPE: self.plan.recipe.toml()},
                progress=partial(tell, "writing the model"),
            )
            place.appear()
        size = quantize_write.weights(place.out)
        return Done(place, size, samples, outcomes)

    def _given(self, files: Mapping[str, str]) -> Samples | None:
        """The user's text; no samples where nothing reads any; None where the model writes them."""
        if not self.plan.needs_text:
            return []
        if self.text is None:
            return None
        with TemporaryDirectory() as folder:
            for name, held in files.items():
                (Path(folder) / name).write_text(held)
            tokenizer = Tokenizer.open(Path(folder))
        return text.samples_of(self.text, tokenizer, samples=self.samples, length=self.length)

    def _room(self, given: Samples | None) -> int:
        """Bytes: the sections, the output, and the model packed where it has to write."""
        packed_source = self.plan.before.bytes if given is None else 0
        return 2 * self.plan.after.bytes + packed_source

    def _written(self, files: Mapping[str, str], tell: Tell) -> Samples:
        kept = self.place.samples()
        if kept is not None:
            return kept
        packed_source, folder = self.place.packed_source, self.plan.path
        if not (folder / packed.WEIGHTS).is_file():
            folder = packed_source
            _pack(self.plan, folder, files, tell)
        else:
            tell("reading every weight", 0, 0)
            check.finite(self.plan.source)
        written = text.written_by(
            folder,
            samples=self.samples,
            length=self.length,
            seed=self.seed,
            threads=self.threads,
            told=partial(tell, "writing texts"),
        )
        self.place.keep_samples(written)
        clear(packed_source)
        return written

    def _asked(self, given: Samples | None) -> dict[str, str]:
        written = f"{self.samples} of {self.length}, seed {self.seed}"
        return {
            "model": self.plan.source.sha256,
            "recipe": self.plan.recipe.toml(),
            "text": written if given is None else text.digest(given),
            "format": self.plan.format,
            "farthing version": __version__,
        }

    def _source(self, samples: Samples) -> packed.Source:
        """Names what the output's numbers come from: all that they depend on."""
        plan = self.plan
        parts = (plan.source.sha256, plan.recipe.toml(), text.digest(samples), __version__)
        digest = sha256("\n".join(parts).encode()).hexdigest()
        return packed.Source(file=plan.source.name, sha256=digest, kind="quantized")


def _pack(plan: Plan, folder: Path, files: Mapping[str, str], tell: Tell) -> None:
    """The model as it is, to be run. Raises FormatError naming a weight that is not finite."""
    clear(folder)
    folder.mkdir()
    source = packed.Source(file=plan.source.name, sha256=plan.source.sha256, kind="source")
    packed.write(
        folder,
        plan.source.config,
        plan.source,
        source=source,
        files=files,
        progress=partial(tell, "packing, to write texts"),
    )


def section(tell: Tell, progress: Progress) -> None:
    tell("quantizing", progress.section, progress.sections, progress.what)


def _numbers(*, samples: int, length: int, seed: int, threads: int) -> None:
    for name, value, least, most in (
        ("samples", samples, 1, MOST_SAMPLES),
        ("length", length, 2, 1 << 24),
        ("seed", seed, 0, text.MOST_SEED),
        ("threads", threads, 0, 1 << 10),
    ):
        if not least <= value <= most:
            raise InputError(f"--{name} is {value}; it must be from {least} to {most}")
