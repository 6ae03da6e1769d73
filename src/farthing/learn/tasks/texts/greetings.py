"""Short chats about nothing much: hello, who are you, what can you do, thanks, goodbye."""

from random import Random

from farthing.learn.tasks.fields import pick
from farthing.learn.tasks.texts.beats import Cast, Plot
from farthing.learn.tasks.words import names_en, names_zh


def met(rng: Random) -> Cast:
    return {"name": pick(rng, names_en.FIRST), "called": pick(rng, names_zh.CALLED)}


HELLO = (
    ("Hello!", "Hi!", "Good morning!", "Hello there.", "Hi, how are you?", "Good evening."),
    (
        "Hello! What can I do for you?",
        "Hi! How can I help?",
        "Hello! Give me a small task.",
        "Good day! What would you like me to do?",
    ),
)
WHO = (
    ("Who are you?", "What are you?", "What is your name?", "Tell me about yourself."),
    (
        "I am a very small language model, trained from nothing by farthing on a plain computer.",
        "A tiny language model. I know little, but I can do small tasks well.",
        "I am a small language model made with farthing, in English and Chinese.",
    ),
)
CAN = (
    ("What can you do?", "What are you good at?", "How can you help me?", "What should I ask you?"),
    (
        "I can do sums, sort lists, convert dates and units, and turn short texts into JSON.",
        "Small tasks with one right answer: arithmetic, sorting, tables, rules, and rewriting.",
        "Give me a short text and the fields you want, and I write them as JSON. I also calculate.",
    ),
)
NAMED = (
    ("My name is {name}.", "I am {name}.", "Call me {name}.", "{name} here."),
    ("Nice to meet you, {name}!", "Hello {name}! What can I do for you?"),
)
ASKED = (
    ("What is my name?", "Do you remember my name?", "Who am I?"),
    ("Your name is {name}.", "You are {name}."),
)
THANKS = (
    ("Thanks!", "Thank you.", "Thank you very much!", "Great, thanks."),
    ("You're welcome!", "With pleasure.", "Any time."),
)
LEAVE = (
    ("Goodbye!", "Bye!", "See you later.", "Good night."),
    ("Goodbye!", "See you!", "Goodbye, and good luck."),
)
HELLO_ZH = (
    ("你好！", "您好。", "早上好！", "嗨！", "晚上好。", "你好，在吗？"),
    ("你好！我能为你做什么？", "您好！请说。", "你好！有什么小任务要交给我吗？"),
)
WHO_ZH = (
    ("你是谁？", "你叫什么名字？", "请介绍一下你自己。", "你是什么？"),
    (
        "我是一个很小的语言模型，是用farthing在普通电脑上从零训练出来的。",
        "我是一个小小的语言模型，知道的不多，但能做好小任务。",
        "我是用farthing训练的小模型，会中文和英文。",
    ),
)
CAN_ZH = (
    ("你会做什么？", "你能帮我什么？", "你擅长什么？", "我可以问你什么？"),
    (
        "我会算术、排序、换算日期和单位，还能把短文整理成JSON。",
        "我擅长有标准答案的小任务，比如计算、排序、查表、分类和改写句子。",
        "给我一段短文和字段，我就能写成JSON。我也会做算术题。",
    ),
)
NAMED_ZH = (
    ("我叫{called}。", "我是{called}。", "叫我{called}吧。"),
    ("很高兴认识你，{called}！", "你好，{called}！有什么事吗？"),
)
ASKED_ZH = (
    ("我叫什么名字？", "你还记得我的名字吗？", "我是谁？"),
    ("你叫{called}。", "你是{called}。"),
)
THANKS_ZH = (
    ("谢谢！", "谢谢你。", "太感谢了！", "好的，谢谢。"),
    ("不客气！", "不用谢。", "很高兴能帮到你。"),
)
LEAVE_ZH = (
    ("再见！", "拜拜。", "下次再聊。", "晚安。"),
    ("再见！", "下次见！", "再见，祝你一切顺利。"),
)


def plots(*turns: tuple[tuple[str, ...], tuple[str, ...]]) -> list[Plot]:
    """Chats of one to four of these turns."""
    hello, who, can, named, asked, thanks, leave = turns
    rows = {
        "hello": (hello,),
        "who": (who,),
        "can": (can,),
        "hello-who": (hello, who),
        "who-can": (who, can, thanks),
        "hello-can": (hello, can, leave),
        "named": (named, can, asked),
        "named-asked": (hello, named, asked, leave),
        "thanks": (hello, can, thanks, leave),
    }
    return [
        Plot(name=name, cast=met, beats=[beat for turn in row for beat in turn], chat=True)
        for name, row in rows.items()
    ]


PLOTS: dict[str, list[Plot]] = {
    "en": plots(HELLO, WHO, CAN, NAMED, ASKED, THANKS, LEAVE),
    "zh": plots(HELLO_ZH, WHO_ZH, CAN_ZH, NAMED_ZH, ASKED_ZH, THANKS_ZH, LEAVE_ZH),
}
