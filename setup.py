"""The compiled part of hubel.convolve. Optional: without a compiler Hubel installs all the same, and convolves more slowly."""

from glob import glob

from setuptools import Extension, setup

native = "src/hubel/convolve/native/"
setup(
    ext_modules=[
        Extension(
            "hubel.convolve._compiled",
            [native + "native.c"],
            depends=sorted(glob(native + "*.h")),
            extra_compile_args=["-std=gnu11", "-O3", "-fno-math-errno"],
            libraries=["m", "pthread"],
            optional=True,
        )
    ]
)
