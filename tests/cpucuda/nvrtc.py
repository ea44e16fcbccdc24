"""Hand every kernel source that this process generated to NVIDIA's own compiler, which needs no GPU."""

from importlib import metadata

from . import kernels

ARCHITECTURES = ("sm_70", "sm_80", "sm_90", "sm_100")
DISTRIBUTION = "nvidia-cuda-nvrtc-cu12"


def nvrtc_installed() -> bool:
    """Whether NVIDIA's runtime compiler is there as a Python package."""
    try:
        metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return False
    return True


def check_generated() -> tuple[int, list[str]]:
    """How many different sources were compiled for each of `ARCHITECTURES`, and what NVRTC refused."""
    from cupy.cuda import compiler

    sources = list(dict.fromkeys(kernels.generated))
    failures = []
    for architecture in ARCHITECTURES:
        for source, options in sources:
            target = ("-ftz=true", f"-arch={architecture}", "--device-as-default-execution-space")
            try:
                compiler._NVRTCProgram(source, "kernel.cu", method="cubin").compile(options + target)
            except compiler.CompileException as error:
                failures.append(f"{architecture}: {error}")
    return len(sources), failures
