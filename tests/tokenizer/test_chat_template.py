"""Chat templates render as transformers renders them, and say what is wrong with them."""

from typing import Any

import pytest
from transformers.utils.chat_template_utils import render_jinja_template

from farthing.errors import FormatError, InputError
from farthing.tokenizer.template import ChatTemplate, from_config

TOOL = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "It's <b>the</b> weather & more",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}
CALL = {
    "id": "c1",
    "type": "function",
    "function": {"name": "weather", "arguments": {"city": "巴黎"}},
}
CHATS: list[list[dict[str, Any]]] = [
    [{"role": "user", "content": "hi"}],
    [
        {"role": "system", "content": " Be good.\n"},
        {"role": "user", "content": "你好 <b>&</b>"},
        {"role": "assistant", "content": "<think>\nhm\n</think>\n\nyes"},
        {"role": "user", "content": "and?"},
    ],
    [
        {"role": "user", "content": "w?"},
        {"role": "assistant", "content": "", "tool_calls": [CALL]},
        {"role": "tool", "content": "3", "tool_call_id": "c1"},
    ],
]
# Each holds what the published templates use: whitespace control, namespaces, tojson, macros,
# slices, loop variables, filters by name, `generation`, break and continue.
TEMPLATES = {
    "chatml": """
{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- for tool in tools %}
        {{- "\\n" }}{{- tool | tojson }}
    {%- endfor %}
    {{- tools | tojson(indent=2, sort_keys=True) }}<|im_end|>
{%- endif %}
{% for message in messages %}
    {%- if (message.role == 'user') or (message.role == 'system' and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == 'assistant' %}
        {% generation %}
        {%- set content = message.content.split('</think>')[-1].lstrip('\\n') %}
        {{- '<|im_start|>assistant\\n' ~ content }}
        {%- endgeneration %}
        {%- for call in message.tool_calls or [] %}
            {{- '<tool_call>{"name": "' ~ call.function.name ~ '", "arguments": ' }}
            {{- call.function.arguments | tojson }}
        {%- endfor %}
    {%- endif %}
{%- endfor %}
{% if add_generation_prompt %}
<|im_start|>assistant
{% endif %}
""",
    "namespaces": """{{ bos_token }}{% set ns = namespace(last=-1, text='', all=[]) %}
{%- for m in messages[::-1] if m.role == 'user' and loop is defined %}
    {%- if m.content is string and not m.content.startswith('<') %}{% set ns.last = loop.index0 %}
    {%- break %}{% endif %}
{%- endfor %}
{%- for m in messages %}
    {%- if m['role'] == 'tool' %}{% continue %}{% endif %}
    {%- set ns.text = ns.text ~ m.content | trim ~ '|' %}{% set ns.all = ns.all + [m.role] %}
{%- endfor %}
{{ ns.last }} {{ ns.text }} {{ ns.all | join(', ') }} {{ messages | map(attribute='role') | list }}
{{ messages | selectattr('role', 'equalto', 'user') | list | length }} {{ [3, 1, 2] | sort }}
{{ '%s and %05.1f' % ('x', 2.5) }} {{ 'a-b'.replace('-', '+') | upper }}
{{ {'b': 1}.items() | list }}
{{ none is none }} {{ undefined_name is defined }} {{ "x" * 3 }} {{ 7 // 2 + 2 ** 3 }}
{{ [1] * 2 }}
""",
    "macros": """{% macro block(role, text='none') -%}
[{{ role }}] {{ text }}{% if caller %}{{ caller() }}{% endif %}
{%- endmacro %}
{% for m in messages %}{{ block(m.role, m.content) }}
{% if m.tool_calls is defined %}{% for c in m.tool_calls %}{{ c.function | tojson }}{% endfor %}
{% endif %}{% else %}nothing{% endfor %}{% call block('x') %}called{% endcall %}
{% filter upper %}shout{% endfilter %}{% set block_text %}kept {{ 1 }}{% endset %}{{ block_text }}
{% if messages|length > 1 and messages[1].role == 'user' %}{{ messages[1:3] | tojson }}{% endif %}
""",
}


def told(messages: list[dict[str, Any]], tools: Any = None) -> dict[str, Any]:
    return {
        "messages": messages,
        "tools": tools,
        "documents": None,
        "add_generation_prompt": True,
        "bos_token": "<s>",
    }


@pytest.mark.parametrize("tools", [None, [TOOL]], ids=["plain", "tools"])
@pytest.mark.parametrize("chat", range(len(CHATS)))
@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_renders_as_in_transformers(name: str, chat: int, tools: Any) -> None:
    given = told(CHATS[chat], tools)
    conversation, rest = [given.pop("messages")], given
    wanted, _ = render_jinja_template(conversation, chat_template=TEMPLATES[name], **rest)
    assert ChatTemplate(TEMPLATES[name]).render(told(CHATS[chat], tools)) == wanted[0]


def test_a_template_may_refuse_the_messages() -> None:
    template = ChatTemplate("{{ raise_exception('roles must alternate') }}")
    with pytest.raises(InputError, match="refuses these messages: roles must alternate"):
        template.render(told(CHATS[0]))


def test_a_fault_in_mid_rendering_is_the_inputs() -> None:
    with pytest.raises(InputError, match="fails on these messages"):
        ChatTemplate("{{ messages[0].content + 1 }}").render(told(CHATS[0]))


def test_a_wrong_template_is_refused_when_opened() -> None:
    with pytest.raises(FormatError, match="wrong in line 2"):
        ChatTemplate("\n{% for %}")
    with pytest.raises(FormatError, match=r"No filter named 'center'.*chat_template\.jinja"):
        ChatTemplate("{{ 'a' | center(1000000000) }}")
    with pytest.raises(FormatError, match="at most"):
        ChatTemplate(" " * (1 << 20))


def test_named_templates_are_chosen_by_tools() -> None:
    named = [{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "tools"}]
    template = from_config({"chat_template": named}, None)
    assert template is not None
    assert template.render(told(CHATS[0])) == "plain"
    assert template.render(told(CHATS[0], [TOOL])) == "tools"


def test_the_file_goes_before_the_config() -> None:
    template = from_config({"chat_template": "config"}, "file")
    assert template is not None and template.render({}) == "file"
    assert from_config({}, None) is None


@pytest.mark.parametrize("given", [3, [], ["a"], [{"name": "x"}], [{"name": "x", "template": "t"}]])
def test_a_template_of_another_shape_is_refused(given: Any) -> None:
    with pytest.raises(FormatError, match="chat_template"):
        from_config({"chat_template": given}, None)


def test_a_long_conversation_is_not_too_much() -> None:
    chat = [{"role": "user", "content": "word " * 200}] * 2000
    text = ChatTemplate(TEMPLATES["chatml"]).render(told(chat))
    assert len(text) > 2_000_000


def test_a_long_conversation_may_be_gathered() -> None:
    chat = [{"role": "user", "content": "word " * 20}] * 300
    assert ChatTemplate(TEMPLATES["namespaces"]).render(told(chat)).count("word") == 6000
