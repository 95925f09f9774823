"""Compiles the ops in custom_ops/ against the TensorFlow that is installed."""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
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
BUILD_INFO = Path("tf_patches", "_build_info.json")
# Without NDEBUG the checks inside TensorFlow's headers would run too. A product and
# a sum made one (contracted), where a processor can, would round otherwise.
FLAGS = ["-O3", "-DNDEBUG", "-ffp-contract=off", "-fPIC", "-Wall", "-Wextra"]
# Two copies of the package in a process share nothing: the libraries hide what
# they are made of, the C++ library's templates too.
FLAGS += ["-fvisibility=hidden", "-fvisibility-inlines-hidden"]
LINK_FLAGS = [f"-Wl,--version-script={SOURCES / 'exports.map'}"]


@dataclass(frozen=True)
class Library:
    sources: list[str]  # patterns
    # Beside what TensorFlow asks for; these folders lie in that of its headers.
    header_folders: list[str] = field(default_factory=list)
    link_flags: list[str] = field(default_factory=list)
    optional: bool = False


LIBRARIES = {
    "tf_patches._ops": Library(
        ["geometry/*.cc", "kernels/*.cc", "memory/*.cc", "tensorflow/*.cc"]
    ),
    "tf_patches._slides": Library(["slides/*.cc"]),
    # Optional, as XLA's headers change from one TensorFlow to the next.
    "tf_patches._xla": Library(
        ["geometry/*.cc", "kernels/*.cc", "xla/*.cc"],
        header_folders=["external/highwayhash", "external/farmhash_archive/src"],
        link_flags=["-l:libtensorflow_cc.so.2", "-Wl,-z,defs"],
        optional=True,
    ),
}


class BuildError(Exception):
    """Says in one sentence what failed; `command` did."""

    def __init__(self, sentence, command):
        super().__init__(sentence)
        self.command = command


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
        self._tensorflow = tensorflow.__version__
        self._compiler = find_compiler()
        self._headers = tensorflow.sysconfig.get_include()
        # TensorFlow's headers are not ours to warn about.
        self._compile_flags = FLAGS + [
            flag.replace("-I", "-isystem", 1)
            for flag in tensorflow.sysconfig.get_compile_flags()
        ]
        self._link_flags = tensorflow.sysconfig.get_link_flags()
        self._compiled = set()
        self._unbuilt = {}
        super().build_extensions()
        self._write_build_info()

    def build_extension(self, ext):
        library = LIBRARIES[ext.name]
        path = Path(self.get_ext_fullpath(ext.name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        try:
            self._build(library, ext.sources, path)
        except BuildError as error:
            if not library.optional:
                sys.exit(
                    f"tf_patches did not compile; the failing command: {error.command}"
                )
            self._unbuilt[ext.name] = str(error)
            print(f"WARNING: {ext.name} is left out: {error}", file=sys.stderr)

    def _build(self, library, sources, path):
        headers = [f"-isystem{self._headers}/{f}" for f in library.header_folders]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            objects = list(pool.map(lambda s: self._compile(s, headers), sources))
        flags = [*LINK_FLAGS, *self._link_flags, *library.link_flags]
        self._run(["-shared", "-o", str(path), *objects, *flags], "linked")

    def _compile(self, source, headers):
        result = Path(self.build_temp, source).with_suffix(".o")
        if source in self._compiled:  # for another library
            return str(result)
        result.parent.mkdir(parents=True, exist_ok=True)
        flags = [f"-I{SOURCES}", *self._compile_flags, *headers]
        self._run(["-c", source, "-o", str(result), *flags], "compiled")
        self._compiled.add(source)
        return str(result)

    def _run(self, arguments, verb):
        command = self._compiler + arguments
        print(" ".join(command), flush=True)
        done = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        print(done.stderr, end="", file=sys.stderr, flush=True)
        if done.returncode != 0:
            errors = [line for line in done.stderr.splitlines() if "error:" in line]
            cause = errors[0] if errors else f"exit status {done.returncode}"
            raise BuildError(
                f"it cannot be {verb} with TensorFlow {self._tensorflow} ({cause}).",
                " ".join(command),
            )

    def _write_build_info(self):
        compiler = subprocess.check_output([*self._compiler, "--version"], text=True)
        info = {
            "tensorflow": self._tensorflow,
            "distribution": tensorflow_distribution().metadata["Name"],
            "compiler": compiler.splitlines()[0],
            "flags": [f for f in self._compile_flags if not f.startswith("-isystem")],
            "xla": self._unbuilt.get("tf_patches._xla", "built"),
        }
        path = Path(self.build_lib, BUILD_INFO)
        path.write_text(json.dumps(info, indent=2) + "\n", encoding="utf-8")

    def copy_extensions_to_source(self):
        for ext in self.extensions:  # setuptools leaves what was not built now
            (ROOT / self.get_ext_filename(ext.name)).unlink(missing_ok=True)
        super().copy_extensions_to_source()
        shutil.copyfile(Path(self.build_lib, BUILD_INFO), ROOT / BUILD_INFO)


class PlatformWheel(bdist_wheel):
    """A wheel for every Python of this platform: the libraries use none of it."""

    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


def extension(name, library):
    folder = ROOT / SOURCES
    sources = [path for s in library.sources for path in sorted(folder.glob(s))]
    headers = sorted(folder.glob("*/*.h"))
    return setuptools.Extension(
        name,
        [str(path.relative_to(ROOT)) for path in sources],
        depends=[str(path.relative_to(ROOT)) for path in headers],
        optional=library.optional,
    )


setuptools.setup(
    ext_modules=[extension(*item) for item in LIBRARIES.items()],
    install_requires=["numpy", tensorflow_requirement()],
    cmdclass={"build_ext": BuildLibraries, "bdist_wheel": PlatformWheel},
)
