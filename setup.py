"""Compiles the ops in custom_ops/ against the TensorFlow that is installed."""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import setuptools
from setuptools.command.build_ext import build_ext

OLDEST_SETUPTOOLS = 77
if int(setuptools.__version__.split(".")[0]) < OLDEST_SETUPTOOLS:
    sys.exit(
        f"tf_patches needs setuptools {OLDEST_SETUPTOOLS} or newer to build, but "
        f"{setuptools.__version__} is installed. Run: "
        f'pip install "setuptools>={OLDEST_SETUPTOOLS}"'
    )

from setuptools.command.bdist_wheel import bdist_wheel  # noqa: E402 (not in older ones)

ROOT = Path(__file__).resolve().parent
SOURCES = Path("custom_ops")
LIBRARY_FOLDERS = {"tf_patches._ops": ["geometry", "kernels", "tensorflow"]}
BUILD_INFO = Path("tf_patches", "_build_info.json")
FLAGS = ["-O3", "-fPIC", "-Wall", "-Wextra"]


def tensorflow_distribution():
    """The distribution that provides `tensorflow`: there are several names."""
    names = importlib.metadata.packages_distributions().get("tensorflow", [])
    if not names:
        return None
    return importlib.metadata.distribution(names[0])


def tensorflow_requirement():
    distribution = tensorflow_distribution()
    if distribution is None:
        return "tensorflow"
    name, version = distribution.metadata["Name"], distribution.version
    if "dev" in version:
        return f"{name}=={version}"
    return f"{name}=={'.'.join(version.split('.')[:2])}.*"


def find_compiler():
    candidates = [os.environ.get("CXX"), "g++", "clang++", "c++"]
    for candidate in filter(None, candidates):
        if shutil.which(candidate.split()[0]):
            return candidate.split()
    sys.exit(
        "tf_patches needs a C++17 compiler, but found no g++, clang++ or c++. "
        "Install one (on Debian or Ubuntu: apt-get install g++) or name one "
        "in the environment variable CXX."
    )


def import_tensorflow():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import tensorflow
    except ImportError as error:
        sys.exit(
            f"tf_patches compiles against TensorFlow, which cannot be imported "
            f"here ({error}). Run: pip install tensorflow"
        )
    return tensorflow


class BuildLibraries(build_ext):
    """Builds libraries that TensorFlow loads, which are no Python modules."""

    def get_ext_filename(self, fullname):
        return os.path.join(*fullname.split(".")) + ".so"

    def build_extensions(self):
        tensorflow = import_tensorflow()
        self._compiler = find_compiler()
        self._compile_flags = FLAGS + [
            # TensorFlow's headers are not ours to warn about.
            flag.replace("-I", "-isystem", 1)
            for flag in tensorflow.sysconfig.get_compile_flags()
        ]
        self._link_flags = tensorflow.sysconfig.get_link_flags()
        super().build_extensions()
        self._write_build_info(tensorflow.__version__)

    def build_extension(self, ext):
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(self._compile, ext.sources))
        library = Path(self.get_ext_fullpath(ext.name))
        library.parent.mkdir(parents=True, exist_ok=True)
        self._run(["-shared", "-o", str(library), *objects, *self._link_flags])

    def _compile(self, source):
        result = Path(self.build_temp, source).with_suffix(".o")
        result.parent.mkdir(parents=True, exist_ok=True)
        self._run(
            ["-c", source, "-o", str(result), f"-I{SOURCES}", *self._compile_flags]
        )
        return str(result)

    def _run(self, arguments):
        command = self._compiler + arguments
        print(" ".join(command), flush=True)
        if subprocess.call(command, cwd=ROOT) != 0:
            sys.exit(
                f"tf_patches did not compile; the failing command: {' '.join(command)}"
            )

    def _write_build_info(self, tensorflow_version):
        compiler = subprocess.check_output([*self._compiler, "--version"], text=True)
        info = {
            "tensorflow": tensorflow_version,
            "distribution": tensorflow_distribution().metadata["Name"],
            "compiler": compiler.splitlines()[0],
            "flags": [f for f in self._compile_flags if not f.startswith("-isystem")],
        }
        path = Path(self.build_lib, BUILD_INFO)
        path.write_text(json.dumps(info, indent=2) + "\n", encoding="utf-8")

    def copy_extensions_to_source(self):
        super().copy_extensions_to_source()
        shutil.copyfile(Path(self.build_lib, BUILD_INFO), ROOT / BUILD_INFO)


class PlatformWheel(bdist_wheel):
    """A wheel for every Python of this platform: the libraries use none of it."""

    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


def extension(name, folders):
    sources = [p for f in folders for p in sorted((ROOT / SOURCES / f).glob("*.cc"))]
    headers = sorted((ROOT / SOURCES).glob("*/*.h"))
    return setuptools.Extension(
        name,
        [str(p.relative_to(ROOT)) for p in sources],
        depends=[str(p.relative_to(ROOT)) for p in headers],
    )


setuptools.setup(
    ext_modules=[extension(*item) for item in LIBRARY_FOLDERS.items()],
    install_requires=["numpy", tensorflow_requirement()],
    cmdclass={"build_ext": BuildLibraries, "bdist_wheel": PlatformWheel},
)
