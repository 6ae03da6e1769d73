"""NumPy's products are told what they do not find out."""

import os

import pytest

from farthing.cli import blas

CPU = "processor\t: 0\nvendor_id\t: {}\nflags\t\t: fpu {}\n\nprocessor\t: 1\n"
AVX512 = "avx512f avx512bw avx512dq avx512vl avx512_bf16"


@pytest.mark.parametrize(
    ("vendor", "flags", "unknown"),
    [
        ("AuthenticAMD", AVX512, True),
        ("AuthenticAMD", "avx2", False),
        ("GenuineIntel", AVX512, False),
    ],
)
def test_wide_kernels_are_for_processors_that_have_them(tmp_path, vendor, flags, unknown):
    path = tmp_path / "cpuinfo"
    path.write_text(CPU.format(vendor, flags))
    assert blas._unknown(path) is unknown
    assert not blas._unknown(tmp_path / "none")


def test_a_users_own_setting_stands(monkeypatch):
    monkeypatch.setenv(blas.KERNELS, "HASWELL")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "7")
    blas.prepare()
    assert (os.environ[blas.KERNELS], os.environ["OPENBLAS_NUM_THREADS"]) == ("HASWELL", "7")
    blas.prepare(threads=1)
    assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
