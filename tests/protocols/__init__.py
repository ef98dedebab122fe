"""The studies that tests load, and a way to break one of them in a copy."""

import shutil
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
USPP = ROOT / "registry" / "protocols" / "uspp"
NEEDLE = ROOT / "tests" / "protocols" / "needle"


def broken_copy(tmp_path: Path, file: str, old: str, new: str) -> Path:
    """The small study in a folder of its own, with one text of one file replaced."""
    study = tmp_path / "needle"
    shutil.copytree(NEEDLE, study)
    path = study / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return study
