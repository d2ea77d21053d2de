from __future__ import annotations

import subprocess
import sys

import pytest

from mfprefect import quality


def test_every_public_name_is_there() -> None:
    for name in quality.__all__:
        assert getattr(quality, name) is not None
        assert name in dir(quality)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = quality.nothing


@pytest.mark.parametrize("access", ["", "; mfprefect.quality.Gate", "; mfprefect.quality.METRICS"])
def test_importing_is_cheap(access: str) -> None:
    heavy = ["pandas", "sklearn", "scipy", "pandera", "pyarrow"]
    code = (
        f"import sys, mfprefect.quality{access}\n"
        "from mfprefect.quality import checks, gates, importance, summary\n"
        "from mfprefect.quality.metrics import binary, curve\n"
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
