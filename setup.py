"""Compiles the ops in custom_ops/ against the TensorFlow that is installed."""

import importlib.metadata
import json
import os
import shlex
import shutil
import sys
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
sys.path.insert(0, str(ROOT))  # which a build backend leaves out

from compiling import BuildError, Compiler, Unit  # noqa: E402 (found by now)

SOURCES = Path("custom_ops")
OBJECTS = ROOT / "build" / "objects"
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
    folders: list[str]
    link_flags: list[str] = field(default_factory=list)
    needs: str = "."  # of TensorFlow's headers
    optional: bool = False


LIBRARIES = {
    "tf_patches._ops": Library(["geometry", "kernels", "memory", "tensorflow"]),
    "tf_patches._slides": Library(["slides"]),
    # Optional, as XLA's headers change from one TensorFlow to the next.
    "tf_patches._xla": Library(
        ["geometry", "kernels", "ffi", "xla"],
        link_flags=["-l:libtensorflow_cc.so.2", "-Wl,-z,defs"],
        needs="xla/ffi/api/ffi.h",
        optional=True,
    ),
}
# Folders that see TensorFlow's headers, and which folders of those. Each is compiled as
# one, since a compiler reads the headers for longer than all that is ours.
HEADERS = {
    "xla": (".", "external/highwayhash", "external/farmhash_archive/src"),
    "tensorflow": (".",),
    "slides": (".",),
    "ffi": (".",),
}


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
    for command in map(shlex.split, filter(None, candidates)):
        if shutil.which(command[0]):
            return command
    sys.exit(
        "tf_patches needs a C++17 compiler, but found no g++, clang++ or c++. "
        "Install one (on Debian or Ubuntu: apt-get install g++) or name one "
        "in the environment variable CXX."
    )


def flags_of_user(name):
    return shlex.split(os.environ.get(name, ""))


def count_jobs():
    given = os.environ.get("MAX_JOBS")
    if given is None:
        return len(os.sched_getaffinity(0))
    if given.isdecimal() and int(given) > 0:
        return int(given)
    sys.exit(f"MAX_JOBS must be a number of compilers, 1 or more, but is {given!r}.")


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

    user_options = [*build_ext.user_options, ("objects=", None, "folder of objects")]

    def initialize_options(self):
        super().initialize_options()
        self.objects = str(OBJECTS)

    def get_ext_filename(self, fullname):
        return os.path.join(*fullname.split(".")) + ".so"

    def build_extensions(self):
        jobs = count_jobs()
        tensorflow = import_tensorflow()
        self._tensorflow = tensorflow.__version__
        self._compiler = Compiler(
            command=find_compiler(),
            flags=[*FLAGS, *own_flags(tensorflow), *flags_of_user("CXXFLAGS")],
            folder=str(SOURCES),
            headers=os.path.realpath(tensorflow.sysconfig.get_include()),
            headers_version=f"TensorFlow {self._tensorflow}",
            objects=Path(self.objects),
        )
        self._link_flags = tensorflow.sysconfig.get_link_flags()
        self._unbuilt = {}
        folders = {
            folder
            for library in LIBRARIES.values()
            for folder in library.folders
            if self._has_headers_for(library)
        }
        # What takes longest is first.
        order = sorted(folders, key=[*HEADERS, *sorted(folders)].index)
        units = [unit for folder in order for unit in units_of(folder)]
        self._objects = self._compiler.compile_all(units, jobs)
        super().build_extensions()
        self._write_build_info()

    def build_extension(self, ext):
        library = LIBRARIES[ext.name]
        path = Path(self.get_ext_fullpath(ext.name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        try:
            self._link(library, path)
        except BuildError as error:
            if not library.optional:
                sys.exit(
                    f"tf_patches did not compile; the failing command: {error.command}"
                )
            self._unbuilt[ext.name] = str(error)
            print(f"WARNING: {ext.name} is left out: {error}", file=sys.stderr)

    def _has_headers_for(self, library):
        return Path(self._compiler.headers, library.needs).exists()

    def _link(self, library, path):
        if not self._has_headers_for(library):
            raise BuildError(
                f"TensorFlow {self._tensorflow} has no {library.needs}, which comes "
                "with TensorFlow 2.20 and newer."
            )
        objects = []
        for unit in (unit for folder in library.folders for unit in units_of(folder)):
            result = self._objects[unit]
            if isinstance(result, BuildError):
                raise result
            objects.append(str(result))
        flags = [*LINK_FLAGS, *self._link_flags, *library.link_flags]
        flags += flags_of_user("LDFLAGS")
        self._compiler.run(["-shared", "-o", str(path), *objects, *flags], "linked")

    def _write_build_info(self):
        info = {
            "tensorflow": self._tensorflow,
            "distribution": tensorflow_distribution().metadata["Name"],
            "compiler": self._compiler.version(),
            "flags": self._compiler.flags,
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


def own_flags(tensorflow):
    """What TensorFlow asks for, except the folder of its headers."""
    flags = tensorflow.sysconfig.get_compile_flags()
    return [flag for flag in flags if not flag.startswith("-I")]


def sources_in(folder, ending="cc"):
    paths = sorted(Path(ROOT, SOURCES, folder).glob(f"*.{ending}"))
    return [str(path.relative_to(ROOT)) for path in paths]


def units_of(folder):
    sources = sources_in(folder)
    if folder in HEADERS:
        return [Unit(tuple(sources), HEADERS[folder])]
    return [Unit((source,)) for source in sources]


def extension(name, library):
    return setuptools.Extension(
        name,
        [source for folder in library.folders for source in sources_in(folder)],
        depends=sources_in("*", "h"),
        optional=library.optional,
    )


setuptools.setup(
    ext_modules=[extension(*item) for item in LIBRARIES.items()],
    install_requires=["numpy", tensorflow_requirement()],
    cmdclass={"build_ext": BuildLibraries, "bdist_wheel": PlatformWheel},
)
