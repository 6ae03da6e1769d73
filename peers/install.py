"""Makes .peers/venv: llama.cpp built for this machine, OpenVINO GenAI, and nothing of ours.

Quantizers that are compared on request have venvs of their own, which see our torch.

Standard library only, so that any Python runs it. What is already there is left alone.
"""

import os
import site
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent / ".peers"
PYTHON = ROOT / "venv" / "bin" / "python"

LLAMA = "llama-cpp-python==0.3.36"
OPENVINO = ("openvino-genai==2026.4.1.0", "openvino-tokenizers==2026.4.1.0")
# The sdist builds llama.cpp itself. NATIVE takes every instruction set of this machine; curl,
# examples and the multimodal part are not what is measured.
FLAGS = "-DGGML_NATIVE=ON -DCMAKE_BUILD_TYPE=Release -DLLAMA_CURL=OFF -DLLAVA_BUILD=OFF"

QUANTIZERS = {
    "auto-round": (
        ("auto-round==0.16.1", "accelerate"),
        ("datasets", "py-cpuinfo", "psutil"),
    ),
    "llmcompressor": (
        (
            "llmcompressor==0.14.0.1",
            "accelerate",
            "auto-round==0.15.1",
            "compressed-tensors==0.19.0",
        ),
        ("datasets", "loguru", "nvidia-ml-py", "pillow", "py-cpuinfo", "psutil"),
    ),
}
"""What is installed without what it asks for (another torch, another transformers), and with."""


def main() -> int:
    llama()
    if not has("openvino_genai"):
        pip("install", *OPENVINO)
    return 0


def llama() -> None:
    """llama.cpp alone."""
    if not PYTHON.exists():
        ROOT.mkdir(exist_ok=True)
        venv.create(ROOT / "venv", with_pip=True)
    if not has("llama_cpp"):
        pip("install", str(built(LLAMA)))


def has(module: str) -> bool:
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    return subprocess.run([PYTHON, "-c", code], check=False).returncode == 0


def built(package: str) -> Path:
    """The wheel of a package, built here. Never pip's cached one: flags are not in its name, so it
    may be another machine's."""
    wheels = ROOT / "wheels"
    found = list(wheels.glob("llama_cpp_python-*.whl"))
    if not found:
        flags = ("--no-deps", "--no-cache-dir", "--no-binary", "llama-cpp-python")
        pip("wheel", *flags, "--wheel-dir", str(wheels), package)
        (ROOT / "flags.txt").write_text(f"CMAKE_ARGS={FLAGS}\n")
        found = list(wheels.glob("llama_cpp_python-*.whl"))
    return found[0]


def other(name: str) -> Path:
    """The Python of a quantizer's venv, made if it is not there: some hundred megabytes."""
    folder = ROOT / f"venv-{name}"
    python = folder / "bin" / "python"
    if not (folder / "made").exists():
        venv.create(folder, with_pip=True, clear=True)
        bare, whole = QUANTIZERS[name]
        packages = next((folder / "lib").glob("python*/site-packages"))
        (packages / "shared.pth").write_text("\n".join(site.getsitepackages()))
        pip("install", "--no-deps", *bare, python=python)
        pip("install", *whole, python=python)
        (folder / "made").touch()
    return python


def pip(verb: str, *rest: str, python: Path = PYTHON) -> None:
    print(f"peers: pip {verb} {' '.join(rest)}", file=sys.stderr, flush=True)
    environment = os.environ | {"CMAKE_ARGS": FLAGS}
    subprocess.run([python, "-m", "pip", verb, "-q", *rest], check=True, env=environment)


if __name__ == "__main__":
    sys.exit(main())
