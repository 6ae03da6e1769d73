"""Runs foreign jinja2 templates, bounded in reach, time and size. Knows no tokens.

jinja2's immutable sandbox bounds the reach. The rest is done on the parsed template, before it is
compiled: every loop and macro gets a step that counts, and every expression that makes a value
passes it through the budget.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace
from jinja2.visitor import NodeTransformer

from farthing.errors import FarthingError, FormatError, InputError
from farthing.tokenizer import filters
from farthing.tokenizer.budget import CURRENT, Budget, TooMuch

LONGEST_SOURCE = 256 << 10
# Names no template can write.
_TICK, _MADE, _CONCAT = "a tick", "a value made", "a concat"
_ADVICE = "put a sound one into the model's folder as chat_template.jinja"


class _Generation(Extension):
    """{% generation %} marks the assistant's words for training; here it is only a scope."""

    def __init__(self, environment: jinja2.Environment) -> None:
        super().__init__(environment)
        self.tags = {"generation"}

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body).set_lineno(line)


class _Namespace(Namespace):
    """Prints as a name: its values may hold it, or each other many times over."""

    def __repr__(self) -> str:
        return "<namespace>"


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset(["+", "*", "%", "**"])

    def __init__(self) -> None:
        extensions = [_Generation, "jinja2.ext.loopcontrols"]
        # Not optimized: the optimizer runs parts of the template when it is compiled.
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            optimized=False,
            extensions=extensions,
            finalize=lambda value: CURRENT.get().made(value),
        )
        own = {
            _TICK: lambda characters: CURRENT.get().tick(characters),
            _MADE: lambda value: CURRENT.get().made(value),
            _CONCAT: filters.concat,
        }
        self.filters = filters.allowed() | own
        self.globals = {
            "dict": dict,
            "namespace": _Namespace,
            "range": self.globals["range"],
            "raise_exception": filters.raise_exception,
            "strftime_now": filters.strftime_now,
        }

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        kind = next((kind for kind in filters.METHODS if isinstance(obj, kind)), None)
        if kind is not None:
            return attr in filters.METHODS[kind]
        builtin = type(obj).__module__ == "builtins" and not callable(obj)
        return not builtin and super().is_safe_attribute(obj, attr, value)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        return CURRENT.get().made(filters.binop(operator, left, right))

    def call(self, context: Context, obj: Any, *args: Any, **named: Any) -> Any:
        filters.method(getattr(obj, "__wrapped__", obj), args, named)
        return CURRENT.get().made(super().call(context, obj, *args, **named))


class _Counting(NodeTransformer):
    """Puts the budget into a parsed template."""

    def visit_For(self, node: nodes.For) -> nodes.Node:
        _count(node)
        self.generic_visit(node)
        if node.test is not None:
            node.test = nodes.And(_filter(nodes.Const(0), _TICK), node.test)
        return node

    def visit_Macro(self, node: nodes.Macro) -> nodes.Node:
        _count(node)
        return self.generic_visit(node)

    def visit_CallBlock(self, node: nodes.CallBlock) -> nodes.Node:
        _count(node)
        return self.generic_visit(node)

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        self.generic_visit(node)
        return _filter(_filter(nodes.Tuple(node.nodes, "load"), _CONCAT), _MADE)

    def visit_List(self, node: nodes.List) -> nodes.Node:
        return _filter(self.generic_visit(node), _MADE)

    def visit_Dict(self, node: nodes.Dict) -> nodes.Node:
        return _filter(self.generic_visit(node), _MADE)

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Node:
        self.generic_visit(node)
        return _filter(node, _MADE) if isinstance(node.arg, nodes.Slice) else node

    def visit_Tuple(self, node: nodes.Tuple) -> nodes.Node:
        self.generic_visit(node)
        return _filter(node, _MADE) if node.ctx == "load" else node


def _filter(value: nodes.Node, name: str) -> nodes.Filter:
    return nodes.Filter(value, name, [], [], None, None)


def _count(node: nodes.For | nodes.Macro | nodes.CallBlock) -> None:
    """A step at the head of the body, charged with the body's literal text."""
    literal = sum(len(data.data) for data in node.find_all(nodes.TemplateData))
    node.body.insert(0, nodes.ExprStmt(_filter(nodes.Const(literal), _TICK)))


class Program:
    """A compiled template."""

    def __init__(self, source: str) -> None:
        if len(source) > LONGEST_SOURCE:
            raise FormatError(
                f"the chat template has {len(source)} characters, at most {LONGEST_SOURCE} are"
                f" expected; {_ADVICE}"
            )
        with _budget(0), _faults(FormatError, "cannot be compiled"):
            environment = _Environment()
            tree = _Counting().visit(environment.parse(source))
            tree.set_environment(environment)
            code = environment.compile(tree)
            self._template = jinja2.Template.from_code(environment, code, environment.globals)

    def render(self, told: Mapping[str, Any]) -> str:
        """InputError where the template refuses the values or fails on them; FormatError where it
        reaches outside or does too much."""
        parts = []
        with (
            _budget(filters.size(dict(told))) as budget,
            _faults(InputError, "fails on these messages"),
        ):
            for part in self._template.generate(told):
                budget.tick(len(part))
                parts.append(part)
        return "".join(parts)


@contextmanager
def _budget(given: int) -> Iterator[Budget]:
    budget = Budget(given)
    token = CURRENT.set(budget)
    try:
        yield budget
    finally:
        CURRENT.reset(token)


@contextmanager
def _faults(other: type[FarthingError], says: str) -> Iterator[None]:
    """A template's faults as ours."""
    try:
        yield
    except filters.Refused as error:
        raise InputError(f"the chat template refuses these messages: {error}") from error
    except (TooMuch, SecurityError, MemoryError, RecursionError) as error:
        raise FormatError(f"the chat template is not fit to run: {error}; {_ADVICE}") from error
    except jinja2.TemplateSyntaxError as error:
        raise FormatError(
            f"the chat template is wrong in line {error.lineno}: {error.message}; {_ADVICE}"
        ) from error
    except Exception as error:  # foreign code: it may raise anything
        fault = f"{type(error).__name__}: {str(error)[:300]}"
        raise other(f"the chat template {says} ({fault})") from error
