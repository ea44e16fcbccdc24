"""Exchange the C functions that CuPy's compiled modules import from one another.

Cython keeps them in a module's `__pyx_capi__` as capsules named by their C signature, and an importer checks
that name; so a capsule with our pointer and the very same name takes the original's place.
"""

import ctypes
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

from .errors import InstallError

# The functions of cupy_backends.cuda.api.{runtime,driver} that device/*.cpp replaces (rt_*, dr_*), by their
# signature in CuPy 14. A CuPy that has changed one is refused, as calling ours would corrupt the stack.
RUNTIME = {
    "PyObject *(int)": "deviceSynchronize memGetInfo",
    "PyObject *(int, int)": "getDeviceProperties setDevice",
    "PyObject *(intptr_t, int)": "eventDestroy eventQuery eventSynchronize free freeHost graphDestroy"
    " graphExecDestroy streamDestroy streamQuery streamSynchronize",
    "PyObject *(intptr_t, int, options)": "streamBeginCapture",
    "PyObject *(intptr_t, int, size_t, int)": "memset",
    "PyObject *(intptr_t, int, size_t, intptr_t, int)": "memsetAsync",
    "PyObject *(intptr_t, intptr_t, int)": "eventRecord freeAsync graphLaunch graphUpload",
    "PyObject *(intptr_t, intptr_t, int, options)": "streamWaitEvent",
    "PyObject *(intptr_t, intptr_t, size_t, int, int)": "memcpy",
    "PyObject *(intptr_t, intptr_t, size_t, int, intptr_t, int)": "memcpyAsync",
    "PyObject *(void)": "_ensure_context",
    "float (intptr_t, intptr_t, int)": "eventElapsedTime",
    "int (int)": "getDevice getDeviceCount",
    "int (int, int, int)": "deviceGetAttribute",
    "int (intptr_t, int)": "pointerGetMemoryType streamGetPriority streamIsCapturing",
    "intptr_t (int)": "eventCreate streamCreate",
    "intptr_t (intptr_t, int)": "graphInstantiate streamEndCapture",
    "intptr_t (size_t, int)": "malloc",
    "intptr_t (size_t, intptr_t, int)": "mallocAsync",
    "intptr_t (size_t, unsigned int, int)": "hostAlloc",
    "intptr_t (unsigned int, int)": "eventCreateWithFlags streamCreateWithFlags",
    "intptr_t (unsigned int, int, int)": "streamCreateWithPriority",
    "object (intptr_t, int)": "pointerGetAttributes",
    "unsigned int (intptr_t, int)": "streamGetFlags",
}
DRIVER = {
    "PyObject *(intptr_t, int)": "moduleUnload",
    "PyObject *(intptr_t, unsigned int, unsigned int, unsigned int, unsigned int, unsigned int, unsigned int,"
    " unsigned int, intptr_t, intptr_t, int)": "launchCooperativeKernel",
    "PyObject *(intptr_t, unsigned int, unsigned int, unsigned int, unsigned int, unsigned int, unsigned int,"
    " unsigned int, intptr_t, intptr_t, intptr_t, int)": "launchKernel",
    "PyObject *(intptr_t, int, int, int)": "funcSetAttribute",
    "int (int)": "ctxGetDevice",
    "int (int, intptr_t, int)": "funcGetAttribute",
    "int (intptr_t, int, size_t, int)": "occupancyMaxActiveBlocksPerMultiprocessor",
    "intptr_t (PyObject *, int)": "moduleLoadData",
    "intptr_t (int)": "ctxGetCurrent",
    "intptr_t (intptr_t, PyObject *, int)": "moduleGetFunction moduleGetGlobal",
}

_TYPES: dict[str, Any] = {
    "PyObject *": ctypes.py_object,
    "float": ctypes.c_float,
    "int": ctypes.c_int,
    "intptr_t": ctypes.c_ssize_t,
    "object": ctypes.py_object,
    "options": ctypes.c_void_p,
    "size_t": ctypes.c_size_t,
    "unsigned int": ctypes.c_uint,
}
_capsule_name = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object)(("PyCapsule_GetName", ctypes.pythonapi))
_capsule_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)(
    ("PyCapsule_GetPointer", ctypes.pythonapi)
)
_new_capsule = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)(
    ("PyCapsule_New", ctypes.pythonapi)
)


def replace(module: ModuleType, library: ctypes.PyDLL, prefix: str, table: dict[str, str]) -> None:
    """Put `library`'s `prefix`+name in the place of each function of `table`, in C and in Python."""
    for signature, names in table.items():
        for name in names.split():
            capsule = module.__pyx_capi__.get(name)
            found = None if capsule is None else _signature(capsule)
            if found != signature:
                raise InstallError(
                    f"cpucuda replaces {module.__name__}.{name}, declared {signature!r}, but this CuPy"
                    f" declares {found!r}: use the CuPy that cpucuda's README names, or adapt capi.py."
                )
            address = _address(library, prefix + name.lstrip("_"))
            module.__pyx_capi__[name] = _new_capsule(address, _capsule_name(capsule), None)
            if not name.startswith("_"):
                setattr(module, name, _python_function(name, address, signature))


def address_of(module: ModuleType, name: str) -> int:
    """Where the module's own C function lies."""
    capsule = module.__pyx_capi__[name]
    return int(_capsule_pointer(capsule, _capsule_name(capsule)))


def _address(library: ctypes.PyDLL, name: str) -> int:
    return ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0


def _signature(capsule: object) -> str:
    """A capsule's signature with the names that Cython makes up taken out."""
    text = ctypes.string_at(_capsule_name(capsule)).decode()
    text = text.replace("int __pyx_skip_dispatch", "int")
    text = re.sub(r"struct __pyx_opt_args_\w+ \*__pyx_optional_args", "options", text)
    return re.sub(r"struct __pyx_obj_\w+ \*", "object ", text)


def _python_function(name: str, address: int, signature: str) -> Callable[..., Any]:
    """The Python function of the same name; arguments that only Cython passes are zero."""
    result, arguments = signature.rstrip(")").split("(")
    types = [_TYPES[argument] for argument in arguments.split(", ")]
    given = len(types) - 1 - ("options" in arguments)
    function = ctypes.PYFUNCTYPE(_TYPES[result.strip()], *types)(address)

    def call(*values: Any, **optional: Any) -> Any:
        return function(*values[:given], *([0] * (len(types) - given)))

    call.__name__ = name
    return call
