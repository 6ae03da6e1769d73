"""The fixtures keep their word."""

from farthing import store
from farthing.config import home as farthing_home


def test_a_test_has_a_home_of_its_own(home):
    assert farthing_home() == home
    assert not list(home.iterdir())


def test_the_real_model_is_found_under_its_name(smollm2_home):
    found = store.find("smollm2-135m")
    assert found.problem is None
    assert found.folder.is_relative_to(smollm2_home)
    assert found.parameters > 134_000_000
