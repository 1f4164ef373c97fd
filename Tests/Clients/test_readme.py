"""What the README tells a newcomer to type works as it stands there."""

import os
import re
import shlex
import signal
import subprocess
import time

import pytest

from conftest import ROOT

README = (ROOT / "README.md").read_text()
MAKE_SECONDS = 1500
COMMAND_SECONDS = 120


def test_every_command_of_the_terminal_works(tmp_path):
    data = tmp_path / "data"
    lines = re.findall(r"^\$ (\.build/release/heptad .*)$", README, re.M)
    assert len(lines) >= 3
    said = {}
    for line in lines:
        _, *words = shlex.split(line)
        done = subprocess.run(
            [binary(), *words, "--data", data, "--models", models()], cwd=ROOT, text=True,
            capture_output=True, timeout=COMMAND_SECONDS)
        assert done.returncode == 0, done.stderr
        said[words[0]] = done.stdout
    # The answers have what the README promises of them.
    assert "[1]" in said["ask"] and "trace" in said["ask"] and "free" in said["ask"]
    for name in ("SmolLM2-135M-Instruct.Q4_1", "all-MiniLM-L6-v2"):
        assert name in said["models"]


def test_the_python_program_works(server, capsys):
    program = re.search(r"```python\n(.*?)```", README, re.S).group(1)
    made = subprocess.run(
        [binary(), "key", "create", "laptop", "--data", server.data], text=True,
        capture_output=True, timeout=COMMAND_SECONDS)
    assert made.returncode == 0, made.stderr
    program = program.replace("http://127.0.0.1:8080", server.address)
    names = {}
    exec(program.replace("hp_…", made.stdout.strip()), names)
    assert names["answer"].choices[0].message.content


def test_the_yaml_is_a_good_configuration(tmp_path):
    (tmp_path / "heptad.yaml").write_text(re.search(r"```yaml\n(.*?)```", README, re.S).group(1))
    done = subprocess.run(
        [binary(), "config", "check", "--config", tmp_path / "heptad.yaml"], text=True,
        capture_output=True, timeout=COMMAND_SECONDS,
        env={**os.environ, "OPENAI_API_KEY": "sk-test"})
    assert done.returncode == 0, done.stderr
    assert "good" in done.stdout


@pytest.mark.skipif(not os.environ.get("HEPTAD_TEST_MAKE"), reason="make test sets HEPTAD_TEST_MAKE")
def test_make_run_ends_in_the_banner(tmp_path):
    environment = {**os.environ, "HEPTAD_GATEWAY_PORT": "0"}
    process = subprocess.Popen(
        ["make", "run", f"DATA={tmp_path}/data", f"MODELS={models()}"], cwd=ROOT,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment,
        start_new_session=True)
    try:
        said, deadline = [], time.monotonic() + MAKE_SECONDS
        for line in process.stdout:
            said.append(line)
            if "/#/setup/" in line or time.monotonic() > deadline:
                break
        text = "".join(said)
        assert re.search(r"address +http://127\.0\.0\.1:\d+", text), text
        assert "SmolLM2-135M-Instruct.Q4_1 (default)" in text and "/#/setup/" in text, text
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(30)


def binary():
    return ROOT / os.environ.get("HEPTAD_BINARY", ".build/debug/heptad")


def models():
    return ROOT / os.environ.get("HEPTAD_MODELS", "models")
