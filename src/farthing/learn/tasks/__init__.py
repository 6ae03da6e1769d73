"""Tasks whose answers a program knows, in English and Chinese; and texts made by grammar.

for sample in samples(("arithmetic", "extract"), ("en", "zh"), count=1000, seed=7): ...
check(sample, "42")

A template is of the training split or of the test split, never of both.
"""

from farthing.learn.tasks.checking import check
from farthing.learn.tasks.choosing import FAMILIES, KINDS, LANGUAGES, samples
from farthing.learn.tasks.types import Family, Sample, Split

__all__ = ["FAMILIES", "KINDS", "LANGUAGES", "Family", "Sample", "Split", "check", "samples"]
