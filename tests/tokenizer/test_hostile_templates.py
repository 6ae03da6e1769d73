"""A template from anywhere reaches nothing, ends soon and stays small."""

import json
import subprocess
import sys
import threading

import pytest

from farthing.errors import FarthingError, FormatError, InputError
from farthing.tokenizer.template import ChatTemplate


def grow(step: str, times: int = 99) -> str:
    """Sets ns.x anew, many times over."""
    return (
        "{% set ns = namespace(x='ab') %}"
        f"{{% for i in range({times}) %}}{{% set ns.x = {step} %}}{{% endfor %}}{{{{ ns.x }}}}"
    )


def many(body: str, times: int = 99999) -> str:
    return f"{{% for i in range({times}) %}}{body}{{% endfor %}}"


LARGE = "{% set x = 'b' * 4000000 %}"
HOSTILE = {
    "nested loops": many(many("")),
    "a loop's condition": many("{% for j in range(99999) if false %}{% endfor %}"),
    "long lists": many("{{ range(99999) | list | length }}"),
    "much text": many(many("x" * 9999)),
    "a set block": "{% set x %}" + many("a" * 99999) + "{% endset %}",
    "a search": LARGE + many("{{ 'a' in x }}"),
    "a search in a condition": LARGE + "{% for i in range(99999) if 'a' in x %}{% endfor %}",
    "slices dropped": LARGE + many("{{ x[1:] | length }}"),
    "slices held": LARGE
    + "{% macro f(n) %}{% set y = x[n:] %}{{ f(n + 1) }}{{ y | length }}{% endmacro %}{{ f(1) }}",
    "one long ~": LARGE + "{{ x ~ " + "~ ".join(["x"] * 9999) + " }}",
    "recursion": "{% macro f() %}{{ f() }}{{ f() }}{% endmacro %}{{ f() }}",
    "a recursive loop": "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "doubling by macro": "{% macro f(x) %}{{ x }}{{ x }}{% endmacro %}" + grow("f(ns.x)"),
    "depth": grow("[ns.x]", 9999),
    "doubling by ~": grow("ns.x ~ ns.x"),
    "doubling by +": grow("ns.x + ns.x"),
    "doubling by %": grow("'%s%s' % (ns.x, ns.x)"),
    "doubling by format": grow("'{0}{0}'.format(ns.x)"),
    "doubling by replace": grow("ns.x.replace('a', ns.x)"),
    "doubling by the filter": grow("ns.x | replace('a', ns.x)"),
    "doubling by join": grow("ns.x.join([ns.x, ns.x])"),
    "doubling by join's filter": grow("[ns.x, ns.x] | join(ns.x)"),
    "doubling in depth": grow("[ns.x, ns.x]"),
    "doubling in depth by dict": grow("dict(a=ns.x, b=ns.x).values()"),
    "doubling by tojson": grow("ns.x | tojson | tojson ~ ns.x"),
    "squares": grow("(ns.x | length if ns.x is string else ns.x) ** 2"),
    "a range": "{{ range(10 ** 9) | list }}",
    "times": "{{ 'a' * 10 ** 9 }}",
    "times, turned": "{{ 10 ** 9 * 'a' }}",
    "times a list": "{{ ['a'] * 10 ** 9 }}",
    "a width": "{{ '%1000000000d' % 1 }}",
    "a width given": "{{ '%*d' % (1000000000, 1) }}",
    "a filter's width": "{{ '%1000000000d' | format(1) }}",
    "format's width": "{{ '{:1000000000}'.format(1) }}",
    "format's width given": "{{ '{:{}}'.format(1, 1000000000) }}",
    "indent": "{{ 'a\nb' | indent(10 ** 9) }}",
    "tojson's indent": "{{ [[1]] | tojson(indent=10 ** 9) }}",
    "center": "{{ 'a'.center(10 ** 9) }}",
    "zfill": "{{ 'a'.zfill(10 ** 9) }}",
    "bytes": "{{ (1).to_bytes(10 ** 9) }}",
    "a power": "{{ 2 ** (10 ** 7) }}",
    "round": "{{ 1.5 | round(10 ** 9, 'ceil') }}",
    "sum of lists": "{{ ([[1]] * 90000) | sum(start=[]) }}",
    "strip": "{{ ('b' * 1000000).strip('a' * 1000000 ~ 'b') }}",
    "a long path": "{{ (['a'] * 99999) | map(attribute='0.' * 99999 ~ '0') | list }}",
    "brackets": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "blocks": "{% for a in [1] %}" * 40 + "{% endfor %}" * 40,
    "a number": "{{ " + "9" * 100000 + " }}",
    "classes": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "globals": "{{ namespace.__init__.__globals__ }}",
    "an undefined's globals": "{{ cycler.__init__.__globals__ }}",
    "classes by format": "{{ '{0.__class__.__mro__}'.format(1) }}",
    "changing what is given": "{{ messages.append(1) }}",
    "including": "{% include '/etc/passwd' %}",
    "importing": "{% import 'os' as os %}",
    "extending": "{% extends 'x' %}",
    "a clock's width": "{{ strftime_now('%1000000000Y') }}",
}


def run(source: str) -> None:
    ChatTemplate(source).render({"messages": [{"role": "user", "content": "hi"}]})


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_template_is_refused(name: str) -> None:
    with pytest.raises((FormatError, InputError)):
        run(HOSTILE[name])


PROOF = """
import json, resource, sys
from pathlib import Path
from farthing.errors import FarthingError
from farthing.tokenizer.template import ChatTemplate

held = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + (300 << 20),) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (100, 100))
found = {}
for name, source in json.load(sys.stdin).items():
    found[name] = "nothing"
    try:
        ChatTemplate(source).render({"messages": []})
    except FarthingError as error:
        found[name] = repr(error.__cause__)
print(json.dumps(found))
"""


def test_hostile_templates_take_little_memory_and_time() -> None:
    """All of them in one process that may take 300 MB of address space more than it starts with,
    and less than two seconds of a core for each on average."""
    done = subprocess.run(
        [sys.executable, "-c", PROOF],
        input=json.dumps(HOSTILE),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert not [name for name, says in found.items() if says == "nothing"]
    assert not [name for name, says in found.items() if "MemoryError" in says]


def test_two_threads_have_two_budgets() -> None:
    """A hostile rendering in one thread takes nothing from a good one in another."""
    good, bad = (
        ChatTemplate("{% for i in range(9) %}{{ i }}{% endfor %}"),
        ChatTemplate(many(many(""))),
    )
    faults: list[FarthingError] = []

    def spin() -> None:
        try:
            bad.render({})
        except FarthingError as error:
            faults.append(error)

    thread = threading.Thread(target=spin)
    thread.start()
    texts = {good.render({}) for _ in range(50)}
    thread.join()
    assert texts == {"012345678"} and len(faults) == 1


def test_namespaces_in_namespaces_print_short() -> None:
    """Printed with its values, this one would have 2 ** 99 of them."""
    assert ChatTemplate(grow("namespace(a=ns.x, b=ns.x)")).render({}) == "<namespace>"


def test_nothing_outside_is_reached() -> None:
    """What the sandbox would hand out is empty or refused: never an object of Python's own."""
    for source in ("{{ raise_exception.__globals__ }}", "{{ '' | attr('__class__') }}"):
        assert ChatTemplate(source).render({}) == ""
