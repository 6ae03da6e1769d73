"""The models on this machine: where they lie, what they are called, fetching and removing them.

Knows files and the network; knows nothing of running a model.
"""

from farthing.store.pulling import Pulled as Pulled
from farthing.store.pulling import pull as pull
from farthing.store.shelf import Model as Model
from farthing.store.shelf import find as find
from farthing.store.shelf import models as models
from farthing.store.shelf import remove as remove
from farthing.store.shelf import unfinished as unfinished
