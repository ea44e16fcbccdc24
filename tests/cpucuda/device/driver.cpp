// The device's properties, and modules and launches of compiled kernels.
#include "device.h"

#include <dlfcn.h>

#include <cstring>
#include <map>

using namespace cpucuda;

constexpr char image_prefix[] = "CPUCUDA:"; // + path of a shared object, in place of a cubin
constexpr unsigned max_threads = 1024, max_block_z = 64, max_grid_yz = 65535, max_shared_bytes = 48 * 1024,
                   optin_shared_bytes = 163 * 1024;

// cudaDeviceAttr -> value, those of an sm_80; every other attribute is 1.
static const std::map<int, int> attributes = {
    {1, max_threads},      // MaxThreadsPerBlock
    {5, 2147483647},       // MaxGridDimX
    {8, max_shared_bytes}, // MaxSharedMemoryPerBlock
    {10, 32},              // WarpSize
    {16, 108},             // MultiProcessorCount
    {39, 2048},            // MaxThreadsPerMultiProcessor
    {75, 8},               // ComputeCapabilityMajor
    {76, 0},               // ComputeCapabilityMinor
    {81, 164 * 1024},      // MaxSharedMemoryPerMultiprocessor
    {97, optin_shared_bytes}, // MaxSharedMemoryPerBlockOptin
};

template <class T>
static T symbol(intptr_t module, const std::string& name) {
    return reinterpret_cast<T>(dlsym(reinterpret_cast<void*>(module), name.c_str()));
}

extern "C" {

PyObject* rt_ensure_context() { return none(); }
int rt_getDevice(int) { return 0; }
int rt_getDeviceCount(int) { return 1; }
PyObject* rt_setDevice(int device, int) { return device ? runtime_error(invalid_device) : none(); }

int rt_deviceGetAttribute(int attribute, int, int) {
    auto found = attributes.find(attribute);
    return found == attributes.end() ? 1 : found->second;
}

PyObject* rt_getDeviceProperties(int, int) {
    return Py_BuildValue("{s:y,s:i,s:i,s:i,s:i,s:i,s:n,s:i}", "name", "cpucuda (CPU)", "major", 8, "minor", 0,
                         "multiProcessorCount", 108, "warpSize", 32, "maxThreadsPerBlock", max_threads,
                         "totalGlobalMem", Py_ssize_t{8} << 30, "sharedMemPerBlock", max_shared_bytes);
}

intptr_t dr_ctxGetCurrent(int) { return 1; }
int dr_ctxGetDevice(int) { return 0; }
int dr_occupancyMaxActiveBlocksPerMultiprocessor(intptr_t, int, size_t, int) { return 2; }

int dr_funcGetAttribute(int attribute, intptr_t, int) {
    return attribute == 0 ? max_threads : 0; // 0: CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK
}

PyObject* dr_funcSetAttribute(intptr_t function, int attribute, int value, int) {
    constexpr int max_dynamic_shared_bytes = 8;
    if (attribute != max_dynamic_shared_bytes || value < 0 || value > int(optin_shared_bytes)) {
        PyErr_Format(PyExc_RuntimeError, "CUDA_ERROR_INVALID_VALUE: function attribute %d = %d", attribute, value);
        return nullptr;
    }
    reinterpret_cast<Kernel*>(function)->max_shared_bytes = value;
    return none();
}

intptr_t dr_moduleLoadData(PyObject* image, int) {
    char* text;
    Py_ssize_t length;
    if (PyBytes_AsStringAndSize(image, &text, &length)) return 0;
    const std::string bytes(text, length);
    const size_t skip = std::strlen(image_prefix);
    if (bytes.compare(0, skip, image_prefix)) {
        PyErr_SetString(PyExc_RuntimeError, "cpucuda can only load kernels that it compiled itself");
        return 0;
    }
    void* module = dlopen(bytes.c_str() + skip, RTLD_NOW | RTLD_LOCAL);
    if (!module) PyErr_Format(PyExc_RuntimeError, "cpucuda cannot load a kernel: %s", dlerror());
    return reinterpret_cast<intptr_t>(module);
}

PyObject* dr_moduleUnload(intptr_t, int) { return none(); } // a captured graph may still hold its kernels

intptr_t dr_moduleGetFunction(intptr_t module, PyObject* name, int) {
    const std::string base = PyUnicode_AsUTF8(name);
    auto run = symbol<void (*)(void**)>(module, base + "__run");
    if (!run) {
        PyErr_Format(PyExc_RuntimeError, "CUDA_ERROR_NOT_FOUND: no extern \"C\" kernel %U in the source",
                     name);
        return 0;
    }
    auto pack = symbol<void** (*)(void**)>(module, base + "__pack");
    bool has_barriers = *symbol<int*>(module, base + "__has_barriers");
    return reinterpret_cast<intptr_t>(new Kernel{base, run, pack, has_barriers, max_shared_bytes});
}

intptr_t dr_moduleGetGlobal(intptr_t module, PyObject* name, int) {
    auto address = symbol<intptr_t>(module, PyUnicode_AsUTF8(name));
    if (!address) PyErr_Format(PyExc_RuntimeError, "CUDA_ERROR_NOT_FOUND: no global %U in the source", name);
    return address;
}

PyObject* dr_launchKernel(intptr_t function, unsigned grid_x, unsigned grid_y, unsigned grid_z,
                          unsigned block_x, unsigned block_y, unsigned block_z, unsigned shared_bytes,
                          intptr_t stream, intptr_t parameters, intptr_t, int) {
    const Kernel* kernel = reinterpret_cast<Kernel*>(function);
    const uint3 grid{grid_x, grid_y, grid_z}, block{block_x, block_y, block_z};
    const size_t threads = static_cast<size_t>(block_x) * block_y * block_z;
    const bool is_empty = !grid_x || !grid_y || !grid_z || !threads;
    const bool is_too_large = threads > max_threads || block_z > max_block_z || grid_y > max_grid_yz ||
                              grid_z > max_grid_yz || shared_bytes > kernel->max_shared_bytes;
    if (is_empty || is_too_large) {
        PyErr_Format(
            PyExc_RuntimeError,
            "CUDA_ERROR_INVALID_VALUE: kernel %s launched with grid (%u, %u, %u), block (%u, %u, %u) and "
            "%u bytes of shared memory",
            kernel->name.c_str(), grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes);
        return nullptr;
    }
    count("launch", kernel->name);
    void** arguments = reinterpret_cast<void**>(parameters);
    if (is_capturing(stream)) arguments = kernel->pack(arguments); // the caller's do not outlive this call
    submit(stream, [=] { run_kernel(*kernel, arguments, grid, block, shared_bytes); });
    return none();
}

PyObject* dr_launchCooperativeKernel(intptr_t, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,
                                     unsigned, intptr_t, intptr_t, int) {
    PyErr_SetString(PyExc_NotImplementedError, "cpucuda cannot emulate a cooperative launch");
    return nullptr;
}
}
