"""Each entrance takes some thousand inputs that the fuzzer makes up; counted, not timed. More: see run.py."""

import subprocess
import sys
from pathlib import Path

import pytest

from targets import TARGETS

RUN = Path(__file__).with_name("run.py")
HANG_SECONDS = 60
MEMORY_MB = 2048
MAX_LENGTH = 8192


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_comes_in_is_taken_or_refused_with_a_reason(name, tmp_path):
    limits = [f"-timeout={HANG_SECONDS}", f"-rss_limit_mb={MEMORY_MB}", f"-max_len={MAX_LENGTH}", "-len_control=0"]
    command = [sys.executable, RUN, name, f"-runs={TARGETS[name].runs}", "-seed=1", *limits]
    done = subprocess.run(
        [*map(str, command), f"-artifact_prefix={tmp_path}/"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    found = [path.read_bytes() for path in tmp_path.glob("*-*")]
    assert done.returncode == 0, f"{name}: this input:\n{found}\ngave:\n{done.stdout}{done.stderr[-5000:]}"
    assert f"Done {TARGETS[name].runs} runs" in done.stderr
