"""What becomes of conda's packages in an image, which knows pip and apt.

Most are called the same on PyPI. The tables name the others: those with another name,
those that Debian has, and those that cannot come along, with the reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ds01.images.requirements import words

# Called otherwise on PyPI.
PIP: dict[str, str] = {
    "brotlipy": "brotli",
    "dask-core": "dask",
    "keras-gpu": "keras",
    "matplotlib-base": "matplotlib",
    "msgpack-python": "msgpack",
    "opencv": "opencv-python-headless",
    "psycopg2": "psycopg2-binary",
    "py-opencv": "opencv-python-headless",
    "py-xgboost": "xgboost",
    "py-xgboost-gpu": "xgboost",
    "pyqt": "pyqt5",
    "pytables": "tables",
    "python-graphviz": "graphviz",
    "python-lmdb": "lmdb",
    "python-levenshtein": "levenshtein",
    "pytorch": "torch",
    "pytorch-cpu": "torch",
    "pytorch-gpu": "torch",
    "seaborn-base": "seaborn",
    "tensorflow-base": "tensorflow",
    "tensorflow-gpu": "tensorflow",
    "xgboost-gpu": "xgboost",
}

# Programs and libraries that Debian has.
APT: dict[str, tuple[str, ...]] = {
    "boost": ("libboost-all-dev",),
    "compilers": ("build-essential",),
    "cxx-compiler": ("g++",),
    "c-compiler": ("gcc",),
    "curl": ("curl",),
    "ffmpeg": ("ffmpeg",),
    "gcc": ("gcc",),
    "gcc-linux-64": ("gcc",),
    "gxx": ("g++",),
    "gxx-linux-64": ("g++",),
    "gfortran": ("gfortran",),
    "fortran-compiler": ("gfortran",),
    "git": ("git",),
    "git-lfs": ("git-lfs",),
    "graphviz": ("graphviz",),
    "hdf5": ("libhdf5-dev",),
    "htop": ("htop",),
    "imagemagick": ("imagemagick",),
    "jq": ("jq",),
    "libsndfile": ("libsndfile1",),
    "make": ("make",),
    "nodejs": ("nodejs",),
    "openjdk": ("default-jdk-headless",),
    "openmpi": ("openmpi-bin", "libopenmpi-dev"),
    "openslide": ("libopenslide0",),
    "pandoc": ("pandoc",),
    "pkg-config": ("pkg-config",),
    "poppler": ("poppler-utils",),
    "portaudio": ("libportaudio2",),
    "rsync": ("rsync",),
    "sox": ("sox",),
    "tesseract": ("tesseract-ocr",),
    "tmux": ("tmux",),
    "unzip": ("unzip",),
    "wget": ("wget",),
    "zip": ("zip",),
}

# What cannot come along, by name and by the beginning of the name, and why.
_BASE = "comes with the base image"
_PIP_BRINGS = "is brought by the Python packages that need it"
_R = "R's packages are not installed with pip"
REFUSED: dict[str, str] = {
    "python": "the base image's Python is used",
    "pip": _BASE,
    "setuptools": _BASE,
    "wheel": _BASE,
    "cudatoolkit": _BASE,
    "cudnn": _BASE,
    "cuda": _BASE,
    "pytorch-cuda": _BASE,
    "pytorch-mutex": _BASE,
    "cpuonly": _BASE,
    "nccl": _BASE,
    "mkl": _PIP_BRINGS,
    "blas": _PIP_BRINGS,
    "libblas": _PIP_BRINGS,
    "liblapack": _PIP_BRINGS,
    "openblas": _PIP_BRINGS,
    "libopenblas": _PIP_BRINGS,
    "intel-openmp": _PIP_BRINGS,
    "libgcc": _BASE,
    "libstdcxx": _BASE,
    "ld_impl_linux-64": _BASE,
    "_libgcc_mutex": _BASE,
    "_openmp_mutex": _BASE,
    "ca-certificates": _BASE,
    "openssl": _BASE,
    "ncurses": _BASE,
    "readline": _BASE,
    "sqlite": _BASE,
    "tk": _BASE,
    "xz": _BASE,
    "zlib": _BASE,
    "r-base": "R is not among what an image installs with pip",
    "conda": "there is no conda in the image",
    "mamba": "there is no conda in the image",
}
_BEGINNINGS: dict[str, str] = {
    "cuda-": _BASE,
    "r-": _R,
    "bioconductor-": _R,
    "mkl-": _PIP_BRINGS,
    "libcu": _BASE,
    "libnv": _BASE,
    "blas-": _PIP_BRINGS,
}

_SPEC = re.compile(
    r"(?:(?P<channel>[A-Za-z0-9_./:-]+)::)?(?P<name>[A-Za-z0-9_][A-Za-z0-9_.-]*)"
    r"\s*(?P<rest>.*)",
    re.ASCII,
)
_BRACKET = re.compile(r"(?P<rest>[^\[]*)\[(?P<inner>[^\]]*)\]")
_EXACT = re.compile(
    r"(==?)?\s*([A-Za-z0-9_.*!+]+)(?:\s*=\s*([A-Za-z0-9_.*]+))?", re.ASCII
)
_RANGE = re.compile(r"\s*(?:(>=|<=|!=|~=|==|>|<)\s*)([A-Za-z0-9_.*!+]+)\s*", re.ASCII)


@dataclass(frozen=True)
class Translated:
    """What one of conda's packages becomes: a requirement, Debian packages, a note."""

    word: str | None = None
    apt: tuple[str, ...] = ()
    note: str | None = None


def translate(spec: str) -> Translated:
    """Return what a line of `dependencies` becomes; raises ValueError."""
    matched = _SPEC.fullmatch(spec.strip())
    if not matched:
        raise ValueError(f"'{spec}' is not a package of conda")
    name, rest = matched["name"].lower(), matched["rest"].strip()
    reason = refusal(name)
    if reason:
        return Translated(note=f"'{spec}' is left out: {reason}")
    if name in APT:
        note = f"'{spec}' becomes the Debian package {' and '.join(APT[name])}"
        return Translated(apt=APT[name], note=note)
    plain = words.normal_name(name)
    pip = PIP.get(plain, plain)
    versions, dropped = _versions(spec, rest)
    notes = []
    if pip != plain:
        notes.append(f"'{spec}' is called {pip} on PyPI")
    if dropped:
        place = "" if notes else f"'{spec}': "
        notes.append(f"{place}{dropped} is conda's own, and left out")
    return Translated(pip + versions, note="; ".join(notes) or None)


def refusal(name: str) -> str | None:
    """Return why a package of conda cannot come along, or None."""
    begun = (why for start, why in _BEGINNINGS.items() if name.startswith(start))
    return REFUSED.get(name) or next(begun, None)


def _versions(spec: str, rest: str) -> tuple[str, str]:
    """Return pip's version words, and what of conda's has no counterpart.

    conda's `=1.2` is every 1.2.x, `==1.2` just that; `|` has no counterpart in pip.
    """
    dropped = ""
    bracket = _BRACKET.fullmatch(rest)
    if bracket:
        rest, inner = bracket["rest"].strip(), bracket["inner"]
        named = re.search(r"version\s*=\s*['\"]?([^'\",]+(?:,[^'\"]+)?)['\"]?", inner)
        keys = set(re.findall(r"(?:^|,)\s*(\w+)\s*=", inner))
        dropped = "" if keys == {"version"} else f"[{inner}]"
        rest = rest or (named[1] if named else "")
    if not rest or rest == "*":
        return "", dropped
    if "|" in rest:
        raise ValueError(f"'{spec}': pip has no 'or' of versions, choose one")
    exact = _EXACT.fullmatch(rest)
    if exact:
        equals, version, build = exact[1], exact[2], exact[3]
        dropped = f"the build '{build}'" if build else dropped
        fuzzy = equals == "=" and not build
        if version.endswith("*"):
            version = version.rstrip("*").rstrip(".") + ".*"
        elif fuzzy:
            version += ".*"
        return f"=={version}", dropped
    parts = [_RANGE.fullmatch(each) for each in rest.split(",")]
    if not all(parts):
        raise ValueError(f"'{spec}': '{rest}' are no versions that pip knows")
    return ",".join(f"{part[1]}{part[2]}" for part in parts if part), dropped
