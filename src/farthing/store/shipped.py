"""Models that come with farthing itself: each a Hugging Face folder inside the package.

A folder's name is the model's. They need no network: `pull` packs them from where they lie.
"""

from pathlib import Path

from farthing.store.names import NAME

SHELF = Path(__file__).parent.parent / "shipped"


def models() -> dict[str, Path]:
    """Folders by name; a folder without config.json is no model."""
    if not SHELF.is_dir():
        return {}
    found = {path.name: path for path in sorted(SHELF.iterdir()) if NAME.fullmatch(path.name)}
    return {name: path for name, path in found.items() if (path / "config.json").is_file()}
