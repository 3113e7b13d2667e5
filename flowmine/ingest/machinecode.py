"""`kernel` as code of this machine: kept in a file of the user's cache, so that numba is needed but once.

Numba takes seconds to compile it, and half a second and 100 MB to load what it compiled. The bare code is loaded by
LLVM, which comes with numba, in a twentieth of that. The file is `flowmine/kernel-….o` in `$XDG_CACHE_HOME` or `~/.cache`;
its name tells of which kernel it was made, for which processor, by which LLVM. What another user owns or could have
written to is not run, and neither is what is not whole.
"""

import ctypes
import hashlib
import logging
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm

from flowmine.outputs import write_whole

__all__ = ["Code", "Function", "kept", "made"]

_log = logging.getLogger(__name__)
_TYPES = {"a": ctypes.c_void_p, "p": ctypes.c_int64}
"""An address, and a plain number."""
_DIGEST = hashlib.sha256().digest_size


@dataclass(frozen=True, slots=True)
class Function:
    """A function of `kernel`, called with the addresses of arrays in place of these; returns what the kernel returns."""

    name: str
    count: int
    """How many arguments it takes."""
    call: Callable[..., int]
    engine: Any
    """Has the code in memory, for as long as it is there itself."""

    def __call__(self, *given: int) -> int:
        """Raise TypeError for too few or too many arguments, RuntimeError where the kernel raised, which it never does."""
        if len(given) != self.count:
            raise TypeError(f"{self.name} takes {self.count} arguments, not {len(given)}")
        answer, raised = ctypes.c_int64(), ctypes.c_void_p()
        if self.call(ctypes.byref(answer), ctypes.byref(raised), *given):
            raise RuntimeError(f"{self.name} failed")
        return answer.value


class Code:
    """`kernel.cut` and `kernel.first_seen` in the memory of this process."""

    def __init__(self, code: bytes) -> None:
        """Load an object file."""
        engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), _machine())
        engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
        self.cut = _function(engine, "cut", "appaaaaaaaa")
        self.first_seen = _function(engine, "first_seen", "aaaappp")


def _function(engine: Any, name: str, arguments: str) -> Function:
    """Return a function with arguments of some types."""
    prototype = ctypes.CFUNCTYPE(ctypes.c_int32, *(_TYPES[letter] for letter in "aa" + arguments))
    return Function(name, len(arguments), prototype(engine.get_function_address(name)), engine)


@cache
def kept() -> Code | None:
    """Return the code if it was kept; None where it was not."""
    path = _place()
    code = _read(path)
    if code is None:
        return None
    _log.debug("%s: loaded", path)
    return Code(code)


def made() -> Code:
    """Return the code; where it was not kept, compile and keep it.

    Raise ImportError without numba, OSError where there is no place to keep it, and what numba raises.
    """
    if kept() is None:
        path = _place()
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        write_whole(path, b"", mode=0o600)  # before seconds are spent in vain
        if _content(path) is None:
            raise OSError(f"{path}: what is written there is not this user's alone")
        code = _compiled()
        write_whole(path, hashlib.sha256(code).digest() + code, mode=0o600)
        kept.cache_clear()
    found = kept()
    if found is None:
        raise OSError(f"{_place()}: what was written there cannot be read")
    return found


def _compiled() -> bytes:
    """Return the object file that numba and LLVM make."""
    from flowmine.ingest.kernel import compiled

    _log.info("compiling, once on this machine: it takes some seconds")
    module = llvm.parse_assembly("")
    for name, text in compiled().items():
        part = llvm.parse_assembly(text)
        (function,) = (
            each
            for each in part.functions
            if not each.is_declaration and each.linkage == llvm.Linkage.external
        )
        function.name = name
        module.link_in(part)
    return bytes(_machine().emit_object(module))


def _machine() -> Any:
    """Return what makes code; an engine takes it for its own."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=_features(),
        opt=3,
        reloc="pic",
        codemodel="jitdefault",
        jit=True,
    )


def _features() -> str:
    try:
        return str(llvm.get_host_cpu_features().flatten())
    except RuntimeError:  # LLVM does not tell them of this processor
        return ""


def _place() -> Path:
    """Return where the code for this machine is kept."""
    home = files("flowmine").joinpath("ingest")
    text = b"".join(home.joinpath(name).read_bytes() for name in ("kernel.py", "kernelwords.py"))
    about = "\0".join(
        (llvmlite.__version__, llvm.get_default_triple(), llvm.get_host_cpu_name(), _features())
    )
    name = hashlib.sha256(text + about.encode()).hexdigest()[:32]
    folder = Path(os.environ.get("XDG_CACHE_HOME", ""))
    caches = folder if folder.is_absolute() else Path.home() / ".cache"
    return caches / "flowmine" / f"kernel-{name}.o"


def _read(path: Path) -> bytes | None:
    """Return the code in a file, if it is there, is of this user alone, and is whole."""
    data = _content(path) or b""
    code = data[_DIGEST:]
    return code if code and hashlib.sha256(code).digest() == data[:_DIGEST] else None


def _content(path: Path) -> bytes | None:
    """Return what a file holds that nobody but this user can have written."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o022:
            return None
        return file.read()
