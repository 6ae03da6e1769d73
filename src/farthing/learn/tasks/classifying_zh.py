"""Questions of rules, in Chinese."""

from functools import partial

from farthing.learn.tasks.classifying import (
    LABELS_ZH,
    TOPICS_ZH,
    band_rule,
    kind_rule,
    limit_rule,
    list_rule,
    named_rule,
    parity_rule,
    told_zh,
    word_rule,
)
from farthing.learn.tasks.types import Family, crossed
from farthing.learn.tasks.words import names_zh, things_zh

_family = partial(Family, kind="classify", language="zh")

_WORD_ZH = (
    "如果文本中有“{first}”，回答{a}；有“{second}”，回答{b}；否则回答{other}。\n文本：{text}",
    "规则：{first}→{a}；{second}→{b}；其他→{other}\n文本：{text}\n标签：",
    "给消息分类：提到{first}的写{a}，提到{second}的写{b}，都没有的写{other}。\n{text}",
    "{text}\n\n含有{first}写{a}，含有{second}写{b}，其余写{other}。",
    "含“{second}”的归{b}，含“{first}”的归{a}，别的归{other}。这条归哪类？\n{text}",
)

FAMILIES: list[Family] = [
    _family(
        name="word",
        draw=word_rule(TOPICS_ZH, LABELS_ZH, things_zh.KINDS["文具"] + things_zh.KINDS["衣服"]),
        train=_WORD_ZH,
        test=(
            "文本提到“{first}”就写{a}，提到“{second}”就写{b}，都没有就写{other}。\n文本：{text}",
            "{text}\n\n规则：有{first}答{a}，有{second}答{b}，否则答{other}。",
        ),
        share=4,
    ),
    _family(
        name="limit",
        draw=limit_rule(LABELS_ZH),
        train=crossed(
            (
                "{text}不低于{limit}为{a}，低于{limit}为{b}。{text}：{value}",
                "如果{text}大于或等于{limit}，回答{a}，否则回答{b}。现在{text}是{value}。",
                "规则：{text}≥{limit}→{a}，其他→{b}。{text}={value}",
                "{text}{limit}以上（含{limit}）写{a}，不到{limit}写{b}。{text}为{value}：",
            ),
            ("分数", "年龄", "重量", "数量", "温度"),
        ),
        test=crossed(
            (
                "{text}是{value}。{text}达到{limit}写{a}，低于{limit}写{b}。",
                "规则：{text}不低于{limit}是{a}，否则是{b}。{text}：{value}",
            ),
            ("分数", "年龄", "温度"),
        ),
        share=3,
    ),
    _family(
        name="band",
        draw=band_rule(LABELS_ZH),
        train=(
            "小于{low}为{a}，{low}到{high}（不含）为{b}，{high}及以上为{c}。数值：{value}",
            "如果这个数小于{low}，写{a}；小于{high}，写{b}；否则写{c}。这个数是{value}。",
            "规则：x<{low}→{a}；{low}≤x<{high}→{b}；x≥{high}→{c}。x={value}",
        ),
        test=("数值是{value}。低于{low}写{a}，{low}以上但不到{high}写{b}，达到{high}写{c}。",),
        share=3,
    ),
    _family(
        name="parity",
        draw=parity_rule(LABELS_ZH),
        train=(
            "偶数回答{a}，奇数回答{b}。数字：{value}",
            "如果是偶数写{a}，是奇数写{b}：{value}",
            "规则：偶数→{a}，奇数→{b}。{value}→",
            "{value}\n偶数为{a}，奇数为{b}，它是哪一种？",
        ),
        test=("{value}是偶数就答{a}，是奇数就答{b}。",),
        share=2,
    ),
    _family(
        name="kind",
        draw=kind_rule(things_zh.KINDS, LABELS_ZH),
        train=(
            "属于{first}回答{a}，属于{second}回答{b}，其他回答{other}。词语：{word}",
            "规则：{first}→{a}；{second}→{b}；其他→{other}。{word}→",
            "{word}\n是{first}写{a}，是{second}写{b}，都不是写{other}。",
            "分类标准：{a}={first}，{b}={second}，{other}=其他。{word}属于：",
        ),
        test=("{word}是{first}就写{a}，是{second}就写{b}，否则写{other}。",),
        share=3,
    ),
    _family(
        name="list",
        draw=list_rule(
            [word for found in things_zh.KINDS.values() for word in found if len(word) > 1],
            LABELS_ZH,
            "、",
        ),
        train=(
            "列表：{items}\n如果{word}在列表中，回答{a}，否则回答{b}。",
            "{items}\n有{word}写{a}，没有写{b}。",
            "规则：在列表里→{a}，不在→{b}。列表：{items}。词：{word}",
        ),
        test=("{word}在下面的列表里就写{a}，不在就写{b}：{items}",),
        share=3,
    ),
    _family(
        name="named",
        draw=named_rule(told_zh, LABELS_ZH, names_zh.CALLED),
        train=(
            "说的是{first}就答{a}，是{second}就答{b}，是别人就答{other}。\n{text}",
            "{first}属于{a}，{second}属于{b}，其他人属于{other}。这句话里的人属于哪类？{text}",
            "规则：{first}→{a}；{second}→{b}；其他人→{other}\n{text}\n标签：",
        ),
        test=("{text}\n如果是{first}写{a}，是{second}写{b}，不是他们写{other}。",),
        share=2,
    ),
]
