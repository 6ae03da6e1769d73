"""What is wrong with a recipe that no field shows by itself."""

from typing import TYPE_CHECKING

from farthing.errors import FormatError, InputError
from farthing.learn import model_fields

if TYPE_CHECKING:
    from farthing.learn.recipe import Recipe


def check(recipe: "Recipe") -> None:
    """Raises InputError for what no field shows by itself, the model's shape included."""
    batch, length = recipe.batch, recipe.data.length
    for name, value, unit, of in (
        ("batch.together", batch.together, length, "data.length"),
        ("batch.tokens", batch.tokens, batch.together, "batch.together"),
    ):
        if value < unit or value % unit:
            raise InputError(f"{name} is {value}; expected a multiple of {of} = {unit}")
    if recipe.schedule.warmup > recipe.steps:
        raise InputError(
            f"schedule.warmup is {recipe.schedule.warmup} steps, and {recipe.tokens} tokens make"
            f" {recipe.steps}; expected fewer, or more tokens"
        )
    paths = [source.path for source in recipe.data.held_out]
    if len(set(paths)) < len(paths):
        raise InputError("data.held_out names a corpus twice; expected each once")
    _check_teacher(recipe)
    try:
        model_fields.check(recipe.model, next_token=recipe.next_token is not None, length=length)
    except FormatError as error:
        raise InputError("[model] " + str(error).replace("config.json: ", "")) from None


def _check_teacher(recipe: "Recipe") -> None:
    teacher = recipe.teacher
    kept = [source.path for source in recipe.data.train if source.logits is not None]
    if any(source.logits is not None for source in recipe.data.held_out):
        raise InputError("data.held_out has logits; only data.train is learned from a teacher")
    if teacher is None:
        if kept:
            raise InputError(f"{kept[0]} has logits, and there is no [teacher] to say what of them")
        return
    if teacher.model is not None and kept:
        raise InputError(f"teacher.model is asked, and {kept[0]} has logits: expected one of both")
    if teacher.model is None and len(kept) < len(recipe.data.train):
        raise InputError(
            "[teacher] has no model, and not all of data.train has logits; make them with"
            " `farthing learn data logits`"
        )
    if teacher.model is None and teacher.divergence == "reverse":
        raise InputError(
            "teacher.divergence is reverse, which needs all of a teacher's probabilities: name a"
            " teacher.model, or take forward"
        )
