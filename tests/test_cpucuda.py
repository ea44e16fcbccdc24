"""The CPU device under CuPy, against NumPy and against kernels that are wrong on purpose."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cpucuda import cache, capi, device, recording, thread_order
from cpucuda.errors import CompilationError, InstallError

TESTS = Path(__file__).parent
pytestmark = pytest.mark.usefixtures("counts")  # these tests are about the CPU device only

SUM_BY_BLOCK = r"""
extern "C" __global__ void sum_by_block(const float* x, float* out, int n) {
    extern __shared__ float part[];
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    part[threadIdx.x] = i < n ? x[i] : 0.0f;
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        BARRIER
        if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
    }
    if (threadIdx.x == 0) out[blockIdx.x] = part[0];
}
"""
DOUBLE = r"""
extern "C" __global__ void twice(const float* x, float* y, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    CHECK y[i] = 2 * x[i];
}
"""
EXPRESSIONS = {
    "ufuncs": lambda xp, a: xp.tanh(a) * 2.0 - xp.exp(-a * a),
    "broadcast": lambda xp, a: a + a[:, :1] * a[0],
    "strided": lambda xp, a: a[::-1, ::2].T * 1.5,
    "where": lambda xp, a: xp.where(a > 0, a, 0.1 * a),
    "take": lambda xp, a: xp.take(a, xp.asarray([2, 0, 2]), axis=0),
    "concatenate": lambda xp, a: xp.concatenate([a, a[:2]], axis=0),
    "integers": lambda xp, a: xp.floor(a * 8).astype("i4") // 3,
    "halves": lambda xp, a: a.astype("f2") + a.astype("f2"),
    "complex": lambda xp, a: a * 1j + 2,
    "sum": lambda xp, a: a.sum(axis=0, keepdims=True),
    "sum of all": lambda xp, a: a.sum(),
    "mean": lambda xp, a: a.mean(axis=1),
    "max": lambda xp, a: a.max(axis=-1),
    "argmax": lambda xp, a: a.argmax(axis=1),
    "cumsum": lambda xp, a: xp.cumsum(a, axis=1),
    "matmul": lambda xp, a: a @ a.T,
    "batched matmul": lambda xp, a: xp.stack([a, 2 * a]) @ a.T,
    "dot": lambda xp, a: a[0].dot(a[1]),
    "einsum": lambda xp, a: xp.einsum("ij,kj->ik", a, a),
}


def run_python(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(TESTS), **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def sum_by_block(cupy, x, threads=32, barrier="__syncthreads();"):
    kernel = cupy.RawKernel(SUM_BY_BLOCK.replace("BARRIER", barrier), "sum_by_block")
    blocks = -(-x.size // threads)
    out = cupy.empty(blocks, x.dtype)
    kernel((blocks,), (threads,), (x, out, np.int32(x.size)), shared_mem=4 * threads)
    return out


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("name", EXPRESSIONS)
def test_cupy_equals_numpy(cupy, rng, name, dtype):
    a = rng.standard_normal((5, 7)).astype(dtype)
    got, want = EXPRESSIONS[name](cupy, cupy.asarray(a)), EXPRESSIONS[name](np, a)
    assert (got.shape, got.dtype) == (np.shape(want), want.dtype)
    rtol = 1e-13 if dtype == "f8" and want.dtype != np.float16 else 1e-5
    np.testing.assert_allclose(got.get(), want, rtol=rtol, atol=rtol)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_gemm_adds_onto_its_output(cupy, rng, dtype):
    from cupy import cublas

    a, b, c = (rng.standard_normal(shape).astype(dtype) for shape in ((3, 4), (5, 4), (3, 5)))
    out = cupy.asarray(c)
    cublas.gemm("N", "T", cupy.asarray(a), cupy.asarray(b), out=out, alpha=0.5, beta=2.0)
    np.testing.assert_allclose(out.get(), 0.5 * a @ b.T + 2 * c, rtol=1e-5)


def test_cublas_beyond_real_products_is_refused(cupy):
    from cupy import cublas

    x = cupy.ones((2, 2), "c8")
    with pytest.raises(cupy.cuda.cublas.CUBLASError, match="NOT_SUPPORTED"):
        x @ x
    with pytest.raises(cupy.cuda.cublas.CUBLASError, match="NOT_SUPPORTED"):
        cublas.gemv("N", 1.0, x.real.copy(), x.real[0].copy(), 0.0, x.real[0].copy())


def test_kernels_of_every_kind_in_every_order(cupy, rng, schedule):
    x = rng.standard_normal((6, 50)).astype("f4")
    xs = cupy.asarray(x)
    by_block = np.append(x.ravel(), np.zeros(20, "f4")).reshape(-1, 32).sum(1)
    np.testing.assert_allclose(sum_by_block(cupy, xs.ravel()).get(), by_block, atol=1e-5)

    axpy = cupy.ElementwiseKernel("T a, T x, T y", "T z", "z = a * x + y", "axpy")
    np.testing.assert_allclose(axpy(np.float32(2), xs, xs[:1]).get(), 2 * x + x[:1], rtol=1e-6)
    row_norm = cupy.ReductionKernel("T x", "T y", "x * x", "a + b", "y = sqrt(a)", "0", "row_norm")
    np.testing.assert_allclose(row_norm(xs, axis=1).get(), np.linalg.norm(x, axis=1), rtol=1e-6)

    @cupy.fuse
    def fused(a, b):
        return cupy.tanh(a) * b + 1

    np.testing.assert_allclose(fused(xs, xs).get(), np.tanh(x) * x + 1, rtol=1e-5)

    count = cupy.zeros(4, "f4")
    cupy.add.at(count, cupy.asarray([1, 3, 1, 1]), cupy.float32(1))
    assert count.get().tolist() == [0, 3, 0, 1]


def test_a_missing_barrier_depends_on_the_order(cupy, rng):
    x = cupy.asarray(rng.standard_normal(64).astype("f4"))

    def results(barrier):
        found = set()
        for order in ("fwd", "rev", "rand"):
            with thread_order(order):
                found.add(tuple(sum_by_block(cupy, x, barrier=barrier).get().tolist()))
        return found

    assert len(results("__syncthreads();")) == 1
    assert len(results("")) > 1


def test_shuffled_orders_repeat_with_their_seed(cupy):
    ticket = r"""extern "C" __global__ void ticket(int* next, int* order) {
        order[blockIdx.x * blockDim.x + threadIdx.x] = atomicAdd(next, 1); }"""
    kernel = cupy.RawKernel(ticket, "ticket")

    def order(mode, seed):
        out = cupy.empty(12, "i4")
        with thread_order(mode, seed):
            kernel((3,), (4,), (cupy.zeros(1, "i4"), out))
        return out.get().tolist()

    assert order("fwd", 1) == list(range(12))
    assert order("rev", 1) == list(range(12))[::-1]
    assert order("rand", 1) == order("rand", 1) != order("rand", 2)
    with (
        pytest.raises(ValueError, match="expected one of fwd, rev, rand, got 'random'"),
        thread_order("random"),
    ):
        pass


def test_counts(cupy, counts):
    x = cupy.ones((4, 4), "f4")
    with counts() as outer, counts() as seen:
        y = (x * 2.0) @ x
        y.get()
        y.get()
        x.set(np.zeros((4, 4), "f4"))
        y[:] = x
    kinds = ("launch", "gemm", "copy_h2d", "copy_d2h", "copy_d2d", "sync")
    assert [seen[kind] for kind in kinds] == [1, 1, 1, 2, 1, 2]
    assert outer == seen
    with counts() as nothing:
        x.reshape(2, 8).T  # noqa: B018
    assert not nothing


def test_recording_names_kernels(cupy):
    x = cupy.ones(4, "f4")
    with recording() as events:
        cupy.tanh(x, out=x)
        cupy.cuda.get_current_stream().synchronize()
    assert events == ["launch:cupy_tanh__float32_float32", "sync:stream"]


def test_a_graph_replays_on_new_data(cupy, counts):
    x, y = cupy.ones(3, "f4"), cupy.zeros(3, "f4")
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        cupy.multiply(x, 3.0, out=y)
        stream.begin_capture()
        cupy.multiply(x, 3.0, out=y)
        y += x
        graph = stream.end_capture()
        x.fill(2)
        assert y.get().tolist() == [3, 3, 3]
        with counts() as seen:
            graph.launch(stream)
    assert y.get().tolist() == [8, 8, 8]
    assert seen == {"graph_launch": 1}


def test_cupy_refuses_cublas_in_a_capture(cupy):
    x = cupy.ones((2, 2), "f4")
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        stream.begin_capture()
        with pytest.raises(NotImplementedError, match="during stream capture"):
            x @ x
        stream.end_capture()


def test_launch_limits(cupy):
    kernel = cupy.RawKernel(DOUBLE.replace("CHECK", "if (i < n)"), "twice")
    x = cupy.ones(4, "f4")
    with pytest.raises(RuntimeError, match=r"INVALID_VALUE: kernel twice .* block \(2048, 1, 1\)"):
        kernel((1,), (2048,), (x, x, np.int32(4)))
    with pytest.raises(RuntimeError, match=r"NOT_FOUND: no extern \"C\" kernel thrice"):
        cupy.RawModule(code=DOUBLE.replace("CHECK", "")).get_function("thrice")


@pytest.mark.parametrize(("check", "signal_number"), [("if (i < n)", 0), ("", signal.SIGSEGV)])
def test_guard_page_catches_a_missing_bounds_check(check, signal_number):
    done = run_python(
        f"""if True:
        import cpucuda
        cpucuda.install()
        import cupy, numpy as np
        assert cupy.isnan(cupy.empty(100, "f4")).all()  # fresh memory
        x = cupy.ones(100, "f4"); y = cupy.empty_like(x)
        cupy.RawKernel({DOUBLE.replace("CHECK", check)!r}, "twice")((1,), (128,), (x, y, np.int32(100)))
        print(float(y.sum()))""",
        CPUCUDA_GUARD="1",
    )
    assert done.returncode == -signal_number, done.stderr
    assert done.stdout.strip() == ("" if signal_number else "200.0")


def test_precompiled_device_code_is_refused(cupy):
    x = cupy.asarray([3.0, 1.0, 2.0])
    for function in (cupy.sort, cupy.unique, cupy.median):
        with pytest.raises(NotImplementedError, match=r"cannot emulate cupy\.\w*sort: it is device code"):
            function(x)
    for name in ("default_rng", "Generator", "XORWOW", "Philox4x3210", "MRG32k3a"):
        with pytest.raises(NotImplementedError, match=f"cannot emulate cupy.random.{name}"):
            getattr(cupy.random, name)(0)


def test_what_kernels_cannot_use_is_refused(cupy):
    template = "template<class T> __global__ void fill(T* x) { *x = 1; }"
    with pytest.raises(NotImplementedError, match="name_expressions"):
        cupy.RawModule(code=template, name_expressions=["fill<int>"]).get_function("fill<int>")
    shuffle = DOUBLE.replace("CHECK", "__shfl_down_sync(0xffffffff, n, 1);")
    with pytest.raises(cupy.cuda.compiler.CompileException, match="__shfl_down_sync"):
        cupy.RawKernel(shuffle, "twice").compile()


def test_a_cupy_with_other_signatures_is_refused(cupy):
    from cupy_backends.cuda.api import runtime

    with pytest.raises(
        InstallError, match=r"runtime.getDevice, declared 'int \(float\)'.* declares 'int \(int\)'"
    ):
        capi.replace(runtime, device.library, "rt_", {"int (float)": "getDevice"})


def test_install_comes_before_cupy():
    done = run_python("import cupy, cpucuda; cpucuda.install()")
    assert "InstallError: cpucuda.install() must run before the first `import cupy`." in done.stderr


def test_processes_share_the_cache(tmp_path):
    program = """if True:
        import ctypes
        from cpucuda import cache
        path = cache.build("four.so", {"four.cpp": 'extern "C" int four() { return 4; }'}, [])
        print(ctypes.CDLL(str(path)).four())"""
    command = [sys.executable, "-c", program]
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "CPUCUDA_CACHE": str(tmp_path / "new")}
    running = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    assert [process.communicate(timeout=60)[0] for process in running] == ["4\n"] * 4
    assert os.listdir(tmp_path / "new") == ["four.so"]


def test_a_failed_build_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("CPUCUDA_CACHE", str(tmp_path))
    with pytest.raises(CompilationError, match=r"g\+\+ .*\n.*wrong.cpp"):
        cache.build("wrong.so", {"wrong.cpp": "int f() { return; }"}, [])
    assert not list(tmp_path.iterdir())


def test_cache_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("CPUCUDA_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.folder() == tmp_path / "tinyseq-cpucuda"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache.folder() == tmp_path / ".cache" / "tinyseq-cpucuda"
