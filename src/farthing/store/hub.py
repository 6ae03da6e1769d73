"""Models on the Hugging Face hub: which files of a repository are fetched, and fetching them.

Only weights that can't run code, and texts; never a repository's Python.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farthing.errors import FarthingError, FormatError, InputError, NotFound
from farthing.formats.hf import INDEX, TEMPLATE, TOKENIZER
from farthing.store.digest import joined
from farthing.store.space import need
from farthing.store.watch import Early, Progress, watch

CONFIG = "config.json"
TEXTS = (CONFIG, "generation_config.json", *TOKENIZER, TEMPLATE, INDEX)
REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """One revision of a repository and the files that make the model."""

    name: str
    revision: str
    files: dict[str, int]
    """Name -> bytes."""
    sha256: str | None
    """Of the weights, as the hub states it; None if it doesn't."""

    @property
    def gguf(self) -> str | None:
        return next((name for name in self.files if name.endswith(".gguf")), None)

    @property
    def label(self) -> str:
        return self.gguf or f"{self.name}@{self.revision[:12]}"

    def fetch(self, folder: Path, progress: Progress, early: Early) -> Path:
        """Download into `folder`; what an earlier try brought is not fetched again."""
        from huggingface_hub import hf_hub_download
        from huggingface_hub.utils.tqdm import disable_progress_bars

        total = sum(self.files.values())
        need(folder, 2 * total, f"{self.name}, downloaded and packed,")
        disable_progress_bars()
        self._forget(folder)
        with watch(folder, f"downloading {self.name}", total, progress), _plain_errors(self.name):
            for file in self.files:
                hf_hub_download(self.name, file, revision=self.revision, local_dir=folder)
                if file == CONFIG:
                    early(folder)
        return folder / self.gguf if self.gguf else folder

    def _forget(self, folder: Path) -> None:
        """Delete what an earlier try brought and this one has no use for."""
        for path in [*folder.glob("*"), *folder.rglob("*.incomplete")]:
            if path.is_file() and path.name not in self.files:
                path.unlink()


def look(name: str, file: str | None) -> Repository:
    """Ask the hub what the repository holds, and choose. `file` names a GGUF file.

    Raises NotFound, InputError with the choices if there are several, FormatError for pickles.
    """
    from huggingface_hub import HfApi

    if not REPOSITORY.fullmatch(name):
        raise InputError(f"{name[:200]!r} is no repository; ORG/NAME or ORG/NAME:file expected")
    with _plain_errors(name):
        info = HfApi().model_info(name, files_metadata=True)
    held = {item.rfilename: item for item in info.siblings or []}
    chosen = choose(name, list(held), file)
    return Repository(
        name=name,
        revision=info.sha or "main",
        files={item: held[item].size or 0 for item in chosen},
        sha256=_stated([held[item] for item in chosen]),
    )


def choose(name: str, held: list[str], file: str | None) -> list[str]:
    """The files to fetch out of those a repository holds."""
    gguf = sorted(item for item in held if item.endswith(".gguf"))
    if file is not None:
        if file in gguf:
            return [file, *_beside(file, held)]
        raise NotFound(f"{name} has no GGUF file {file!r}; {_listed(gguf)}")
    weights = sorted(item for item in held if item.endswith(".safetensors") and "/" not in item)
    if weights and CONFIG in held:
        return [item for item in TEXTS if item in held] + _one_set(weights, held)
    if len(gguf) == 1:
        return [*gguf, *_beside(gguf[0], held)]
    if gguf:
        raise InputError(f"{name}: which file? `farthing pull {name}:FILE`; {_listed(gguf)}")
    if any(item.endswith((".bin", ".pt", ".pth", ".ckpt")) for item in held):
        raise FormatError(
            f"{name} has its weights only as pickles, which can run any code and are never opened;"
            " look for a safetensors or GGUF version of the model"
        )
    raise FormatError(f"{name} holds neither safetensors with a config.json nor a GGUF file")


def _beside(file: str, held: list[str]) -> list[str]:
    """The tokenizer beside a GGUF file, for vocabularies that can't be built from it."""
    if "/" in file:
        return []
    return [name for name in held if name in (*TOKENIZER, TEMPLATE)]


def _one_set(weights: list[str], held: list[str]) -> list[str]:
    """Some repositories hold the weights twice: as one file, and in parts with an index."""
    parts = [item for item in weights if re.fullmatch(r"model-\d+-of-\d+\.safetensors", item)]
    if parts and INDEX in held:
        return parts
    return ["model.safetensors"] if "model.safetensors" in weights else weights


def _listed(files: list[str]) -> str:
    return f"it has {', '.join(files[:20])}" if files else "it has none"


def _stated(files: list[Any]) -> str | None:
    """The hash of the weights, from the hub's own records."""
    weights = sorted(
        (item.rfilename, getattr(item.lfs, "sha256", None))
        for item in files
        if item.rfilename.endswith((".gguf", ".safetensors"))
    )
    digests = [digest for _, digest in weights if digest]
    return joined(digests) if digests and len(digests) == len(weights) else None


@contextmanager
def _plain_errors(name: str) -> Iterator[None]:
    """The hub library's errors in our words: what failed, and what to do."""
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError as error:
        raise FarthingError(
            f"{name} is gated: accept its terms on huggingface.co, then log in (`hf auth login`)"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise NotFound(
            f"the hub has no repository {name}, or it is private (`hf auth login`)"
        ) from error
    except errors.HfHubHTTPError as error:
        raise FarthingError(f"the hub answered for {name}: {str(error)[:500]}") from error
    except (errors.LocalEntryNotFoundError, errors.HTTPError, ConnectionError) as error:
        raise FarthingError(
            f"the hub could not be reached for {name} ({str(error)[:300]}); check the network,"
            " and pull again: what has arrived is kept"
        ) from error
