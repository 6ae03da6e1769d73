"""How a card tells to make a model again."""

from farthing.learn.rebuilding import again, has_teacher, ordered
from farthing.learn.shortened import shortened


def test_a_command_comes_after_those_whose_results_it_reads():
    pack = "farthing learn data pack d/clean -o packed --tokenizer tok"
    clean = "farthing learn data filter d/prose -o d/clean --held-out d/held"
    held = "farthing learn data sample --output d/held"
    prose = "farthing learn data sample -o d/prose"
    assert ordered([pack, clean, prose, held, clean]) == [prose, held, clean, pack]


def test_commands_that_wait_for_one_another_stay_as_they_came():
    assert ordered(["a x -o y", "b y -o x"]) == ["a x -o y", "b y -o x"]


def test_what_a_teacher_said_is_not_promised_to_the_bit():
    def told(taught: bool) -> str:
        return "\n".join(again({}, taught, ["farthing learn pretrain r.toml -o run"]))

    assert "to the bit" not in told(True)
    assert "to the bit" in told(False)
    taught = {"card": {"teacher": None, "parents": [{"card": {"teacher": {"model": "m"}}}]}}
    assert has_teacher(taught)
    assert not has_teacher({"card": None})


def test_names_of_corpora_leave_out_the_folders_that_all_share():
    assert shortened(["../runs/m/a", "../runs/m/b"]) == {"../runs/m/a": "a", "../runs/m/b": "b"}
    assert shortened(["d/x/held", "d/y/held"]) == {"d/x/held": "x/held", "d/y/held": "y/held"}
    assert shortened(["../runs/held"]) == {"../runs/held": "held"}
    assert shortened(["/far/held", "held"]) == {"/far/held": "/far/held", "held": "held"}
    assert shortened([]) == {}
