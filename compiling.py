"""Compiles C++ sources into objects that are named by what went into them.

So an object is found again wherever the same sources are compiled in the same way: by
the next build, for the wheel, and in another copy of the sources.
"""

import hashlib
import os
import re
import shlex
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent
_INCLUDE = re.compile(r'^#include "(.+)"$', re.MULTILINE)


class BuildError(Exception):
    """Says in one sentence what failed: `command`, if there is any."""

    def __init__(self, sentence, command=""):
        super().__init__(sentence)
        self.command = command


@dataclass(frozen=True)
class Unit:
    """Sources that are compiled as one, into one object."""

    sources: tuple[str, ...]
    headers: tuple[str, ...] = ()  # folders of other headers, in that of Compiler

    def __str__(self):
        *others, last = self.sources
        return f"{Path(last).parent}/*.cc" if others else last


@dataclass(frozen=True)
class Compiler:
    """A compiler, with what all units have in common."""

    command: list[str]
    flags: list[str]
    folder: str  # of our headers
    headers: str  # the folder of headers that are not ours
    headers_version: str  # which stands for what they contain
    objects: Path

    def compile_all(self, units, jobs):
        """Compiles what is not there yet; returns each unit's object, or BuildError."""
        results = {unit: self.objects / f"{self._key(unit)}.o" for unit in units}
        missing = [unit for unit in units if not results[unit].exists()]
        if not missing:
            return results
        self.objects.mkdir(parents=True, exist_ok=True)
        _say(
            f"Compiling {len(missing)} of {len(units)} units with {self.command[0]}, "
            f"{jobs} at a time."
        )
        with ThreadPoolExecutor(jobs) as pool:
            begun = time.monotonic()
            futures = {
                pool.submit(self._compile, unit, results[unit]): unit
                for unit in missing
            }
            for done, future in enumerate(as_completed(futures), 1):
                unit = futures[future]
                if error := future.exception():
                    results[unit] = error
                seconds = time.monotonic() - begun
                _say(f"[{done}/{len(missing)}] {unit}, after {seconds:.0f} s")
        return results

    def run(self, arguments, verb):
        """Runs the compiler, which says what it warns of; BuildError if it fails."""
        command = [*self.command, *arguments]
        done = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
        if done.stderr:
            print(done.stderr, end="", file=sys.stderr, flush=True)
        if done.returncode != 0:
            errors = [line for line in done.stderr.splitlines() if "error:" in line]
            cause = errors[0] if errors else f"exit status {done.returncode}"
            raise BuildError(
                f"it cannot be {verb} with {self.headers_version} ({cause}).",
                shlex.join(command),
            )

    def version(self):
        command = [*self.command, "--version"]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        return done.stdout.partition("\n")[0]

    def _compile(self, unit, result):
        *others, last = unit.sources
        before = [word for source in others for word in ("-include", source)]
        # Under its own name once it is whole, as a build may be interrupted.
        part = result.with_suffix(f".{os.getpid()}")
        flags = [*self.flags, f"-I{self.folder}"]
        if unit.headers:
            # Not ours to warn about, and to be found in any place.
            flags += [f"-isystem{Path(self.headers, name)}" for name in unit.headers]
            flags.append(f"-ffile-prefix-map={self.headers}=include")
        self.run(["-c", last, *before, "-o", str(part), *flags], "compiled")
        part.replace(result)

    def _key(self, unit):
        parts = [self.version(), *self.command, *self.flags]
        if unit.headers:
            parts += [self.headers_version, *unit.headers]
        key = hashlib.sha256()
        for part in [*parts, *self._contents(unit.sources)]:
            key.update(part.encode() + b"\0")
        return key.hexdigest()

    def _contents(self, sources):
        """Names and texts of the sources, and of our headers that they include."""
        seen = set()
        waiting = list(reversed(sources))
        while waiting:
            name = waiting.pop()
            if name in seen or not (ROOT / name).is_file():
                continue
            seen.add(name)
            text = (ROOT / name).read_text(encoding="utf-8")
            yield from (name, text)
            waiting += [f"{self.folder}/{header}" for header in _INCLUDE.findall(text)]


def _say(sentence):
    print(sentence, flush=True)
