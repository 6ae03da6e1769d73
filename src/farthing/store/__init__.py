"""The models on this machine: where they lie, what they are called, fetching and removing them.

Knows files and the network; knows nothing of running a model.
"""

from farthing.store.models import Model as Model
from farthing.store.models import find as find
from farthing.store.models import models as models
from farthing.store.models import remove as remove
from farthing.store.pull import Pulled as Pulled
from farthing.store.pull import pull as pull
