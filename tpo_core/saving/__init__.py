"""Write models to folders, whole or not at all, read them back bit by bit, and share them.

`config.py` says what a folder holds, `folder.py` replaces a folder in one step, `write.py` and
`read.py` do what they say, `card.py` writes the README, `hub.py` talks to the Hugging Face hub.
"""

from tpo_core.saving.hub import push
from tpo_core.saving.read import load
from tpo_core.saving.write import save

__all__ = ["load", "push", "save"]
