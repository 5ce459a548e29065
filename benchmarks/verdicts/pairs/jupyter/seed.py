"""Write notebooks and texts to serve."""

import json
from pathlib import Path

Path("cookie.secret").write_text("one secret: cookies of one instance are good in all")
home = Path("files")
(home / "old").mkdir(parents=True)
for number in range(1, 7):
    cell = {
        "cell_type": "code",
        "execution_count": None,
        "metadata": {},
        "outputs": [],
        "source": f"print({number})",
    }
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 2}
    (home / f"n{number}.ipynb").write_text(json.dumps(notebook))
    (home / f"t{number}.txt").write_text(f"text {number}\n" * 5)
    (home / "old" / f"o{number}.txt").write_text("old")
