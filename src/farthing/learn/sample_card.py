"""The card of what a teacher wrote, from what is on disk: made whenever sampling ends or stops."""

from hashlib import sha256
from typing import Any

from farthing.learn import card, documents
from farthing.learn.answers import Answers
from farthing.learn.card import Card, Cost, Tally
from farthing.learn.sample_job import Job
from farthing.learn.seeds import Prompts

MADE_BY = "farthing learn data sample"


def write(
    job: Job,
    answers: Answers,
    model: str,
    licence: str | None,
    made_by: str = MADE_BY,
    *,
    prompts: Prompts | None = None,
) -> Card:
    """Reads every document again: hashes and counts are of the files as they lie there. `prompts`
    are those that were asked, where they are not the job's own."""
    tally, asked = Tally(), list[tuple[str, bytes]]()
    for one in tally.over(one for path in answers.parts() for one in documents.read(path)):
        question = documents.encode((one.messages or ())[:-1])
        asked.append((one.id or "", sha256(question).digest()))
    digest = sha256(b"".join(hashed for _, hashed in sorted(asked)))
    names = ("answers", "temperature", "top_p", "max_tokens", "system")
    made = tally.card(
        name=job.folder.name,
        made_by=made_by,
        files=[documents.shard_of(path) for path in answers.parts()],
        licence=licence,
        teacher={"model": model, "licence": licence or "not stated"},
        prompts=(prompts or job.prompts).about
        | {"asked_sha256": digest.hexdigest(), "different": len({h for _, h in asked})},
        settings={name: getattr(job, name) for name in names} | answered(answers),
        cost=cost(answers),
    )
    card.write(job.folder, made)
    return made


def answered(answers: Answers) -> dict[str, Any]:
    totals = answers.totals
    ends = {f"ended by {reason}": count for reason, count in sorted(totals.finish.items())}
    return ends | {"empty answers": totals.empty, "questions refused": totals.refused}


def cost(answers: Answers) -> Cost:
    totals = answers.totals
    return Cost(
        nanodollars=totals.nanodollars,
        unpriced=totals.unpriced,
        seconds=round(totals.seconds, 3),
        requests=totals.requests,
        prompt_tokens=totals.prompt_tokens,
        cached_tokens=totals.cached_tokens,
        completion_tokens=totals.completion_tokens,
    )
