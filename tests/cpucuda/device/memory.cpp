// Allocation, copies and pointer queries.
#include "device.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>

using namespace cpucuda;

using Blocks = std::map<intptr_t, size_t>; // address -> bytes

enum Copy { host_to_host, host_to_device, device_to_host, device_to_device, either };
static const char* const copy_names[] = {"copy_h2h", "copy_h2d", "copy_d2h", "copy_d2d"};

constexpr size_t alignment = 512;      // CUDA's
constexpr size_t guard_alignment = 16; // enough for the widest vector type, so overruns are caught early
constexpr size_t page = 4096;
constexpr int fresh_byte = 0xFF; // floating-point numbers made of it are NaN

static Blocks device_blocks, host_blocks;
static bool guarded = false;
static PyObject* pointer_attributes = nullptr;

static size_t round_up(size_t n, size_t unit) { return (n + unit - 1) / unit * unit; }

static bool contains(const Blocks& blocks, intptr_t pointer) {
    auto after = blocks.upper_bound(pointer);
    if (after == blocks.begin()) return false;
    auto [start, bytes] = *std::prev(after);
    return pointer < start + static_cast<intptr_t>(std::max<size_t>(1, bytes));
}

// The block ends (up to its alignment) at a page that must not be touched, and another lies before it.
static char* guarded_allocate(size_t bytes) {
    size_t body = round_up(bytes, page);
    void* map = mmap(nullptr, body + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) return nullptr;
    char* first = static_cast<char*>(map) + page;
    if (body) mprotect(first, body, PROT_READ | PROT_WRITE);
    return first + body - round_up(bytes, guard_alignment);
}

static void guarded_free(char* pointer, size_t bytes) {
    size_t body = round_up(bytes, page);
    char* first = pointer + round_up(bytes, guard_alignment) - body;
    munmap(first - page, body + 2 * page);
}

static void* aligned_allocate(size_t bytes) {
    return std::aligned_alloc(alignment, std::max(alignment, round_up(bytes, alignment)));
}

static bool is_valid_copy(intptr_t target, intptr_t source, int kind) {
    bool to_device = contains(device_blocks, target), from_device = contains(device_blocks, source);
    int actual = to_device ? (from_device ? device_to_device : host_to_device)
                           : (from_device ? device_to_host : host_to_host);
    if (kind != either && kind != actual) return false;
    count(copy_names[actual]);
    return true;
}

extern "C" {

void cpucuda_set_guard(int on) { guarded = on; }

void cpucuda_set_pointer_attributes(PyObject* type) {
    Py_INCREF(type);
    pointer_attributes = type;
}

intptr_t rt_malloc(size_t bytes, int) {
    count("malloc");
    void* pointer = guarded ? guarded_allocate(bytes) : aligned_allocate(bytes);
    if (!pointer) {
        PyErr_SetString(PyExc_MemoryError, "cpucuda: out of host memory");
        return 0;
    }
    std::memset(pointer, fresh_byte, bytes);
    device_blocks[reinterpret_cast<intptr_t>(pointer)] = bytes;
    return reinterpret_cast<intptr_t>(pointer);
}

PyObject* rt_free(intptr_t address, int) {
    count("free");
    auto block = device_blocks.find(address);
    if (block == device_blocks.end()) return address ? runtime_error(invalid_value) : none();
    if (guarded)
        guarded_free(reinterpret_cast<char*>(address), block->second);
    else
        std::free(reinterpret_cast<void*>(address));
    device_blocks.erase(block);
    return none();
}

intptr_t rt_mallocAsync(size_t bytes, intptr_t, int) { return rt_malloc(bytes, 0); }
PyObject* rt_freeAsync(intptr_t address, intptr_t, int) { return rt_free(address, 0); }

intptr_t rt_hostAlloc(size_t bytes, unsigned, int) {
    count("host_alloc");
    auto address = reinterpret_cast<intptr_t>(aligned_allocate(bytes));
    host_blocks[address] = bytes;
    return address;
}

PyObject* rt_freeHost(intptr_t address, int) {
    host_blocks.erase(address);
    std::free(reinterpret_cast<void*>(address));
    return none();
}

PyObject* rt_memcpy(intptr_t target, intptr_t source, size_t bytes, int kind, int) {
    if (!is_valid_copy(target, source, kind)) return runtime_error(invalid_value);
    count("sync", "memcpy");
    if (is_any_capturing()) return runtime_error(capture_implicit);
    std::memmove(reinterpret_cast<void*>(target), reinterpret_cast<void*>(source), bytes);
    return none();
}

PyObject* rt_memcpyAsync(intptr_t target, intptr_t source, size_t bytes, int kind, intptr_t stream, int) {
    if (!is_valid_copy(target, source, kind)) return runtime_error(invalid_value);
    bool on_device = contains(device_blocks, target) && contains(device_blocks, source);
    if (is_capturing(stream) && !on_device) return runtime_error(capture_unsupported);
    submit(stream,
           [=] { std::memmove(reinterpret_cast<void*>(target), reinterpret_cast<void*>(source), bytes); });
    return none();
}

PyObject* rt_memset(intptr_t target, int value, size_t bytes, int) {
    count("memset");
    if (is_any_capturing()) return runtime_error(capture_implicit);
    std::memset(reinterpret_cast<void*>(target), value, bytes);
    return none();
}

PyObject* rt_memsetAsync(intptr_t target, int value, size_t bytes, intptr_t stream, int) {
    count("memset");
    submit(stream, [=] { std::memset(reinterpret_cast<void*>(target), value, bytes); });
    return none();
}

// cudaMemoryType: 0 unregistered, 1 host, 2 device.
int rt_pointerGetMemoryType(intptr_t pointer, int) {
    if (contains(device_blocks, pointer)) return 2;
    return contains(host_blocks, pointer) ? 1 : 0;
}

PyObject* rt_pointerGetAttributes(intptr_t pointer, int) {
    int type = rt_pointerGetMemoryType(pointer, 0);
    int device = type == 2 ? 0 : -2;
    Py_ssize_t device_pointer = type == 2 ? pointer : 0;
    Py_ssize_t host_pointer = type == 1 ? pointer : 0;
    return PyObject_CallFunction(pointer_attributes, "inni", device, device_pointer, host_pointer, type);
}

PyObject* rt_memGetInfo(int) {
    constexpr Py_ssize_t bytes = Py_ssize_t{8} << 30;
    return Py_BuildValue("(nn)", bytes, bytes);
}
}
