"""Words that tasks and texts are made of, written for farthing: no list from elsewhere."""


def words(text: str) -> list[str]:
    """Between spaces and ends of lines."""
    return text.split()


def phrases(text: str) -> list[str]:
    """Between bars, which may end lines."""
    return [one.strip() for one in text.replace("\n", " ").split("|") if one.strip()]
