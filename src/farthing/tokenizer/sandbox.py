"""Runs a foreign jinja2 template."""

from collections.abc import Mapping
from typing import Any

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from farthing.errors import FormatError, InputError


class Program:
    def __init__(self, template: jinja2.Template) -> None:
        self._template = template

    def render(self, told: Mapping[str, Any]) -> str:
        try:
            return self._template.render(told)
        except Exception as error:
            raise InputError(f"the chat template refuses these messages: {error}") from error


class Sandbox:
    def compile(self, source: str) -> Program:
        env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        try:
            return Program(env.from_string(source))
        except jinja2.TemplateError as error:
            raise FormatError(f"the chat template is not valid: {error}") from error
