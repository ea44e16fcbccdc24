// What the parts of the CPU device share.
//
// Functions named rt_X and dr_X stand in for X of cupy_backends.cuda.api.runtime and .driver; the trailing
// int of most of them is Cython's "skip dispatch" argument. Functions named cpucuda_X are called from Python
// or from compiled kernels.
#pragma once
#include <Python.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

struct uint3 {
    unsigned x, y, z;
};

namespace cpucuda {

// cudaError_t: CuPy turns the numbers into its own exceptions.
constexpr int invalid_value = 1;
constexpr int invalid_device = 101;
constexpr int capture_unsupported = 900;
constexpr int capture_invalidated = 901;
constexpr int capture_implicit = 906;

PyObject* none();
PyObject* runtime_error(int status);

void count(const char* event, const std::string& detail = "");

// Work is done at once, unless its stream is being captured: then it is kept for graph launches.
struct Graph {
    std::vector<std::function<void()>> operations;
};
void begin_capture(intptr_t stream);
Graph* end_capture(intptr_t stream); // nullptr if the stream was not being captured
bool is_capturing(intptr_t stream);
bool is_any_capturing();
void submit(intptr_t stream, std::function<void()> operation);

// A kernel as CPUCUDA_EXPORT (cpucuda_shim.h) leaves it in its shared object.
struct Kernel {
    std::string name;
    void (*run)(void** arguments);    // one thread
    void** (*pack)(void** arguments); // a copy of the arguments, for graphs
    bool has_barriers;
    unsigned max_shared_bytes; // dynamic; more than the default must be asked for
};
void run_kernel(const Kernel& kernel, void** arguments, uint3 grid, uint3 block, unsigned shared_bytes);

} // namespace cpucuda
