// Lets g++ compile the CUDA C++ source of a kernel to run on the CPU device. Included before every kernel.
#pragma once
#include "cpucuda_atomics.h"
#include "cpucuda_math.h"

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <initializer_list>
#include <tuple>
#include <type_traits>
#include <utility>

#define __CUDACC_VER_MAJOR__ 12
#define __CUDACC_RTC__ 1 // CuPy's headers take their NVRTC branch

#define __global__
#define __device__
#define __host__
#define __constant__ static const
#define __shared__ static // blocks run one after another
#define __forceinline__ inline
#define __noinline__ __attribute__((noinline))
#define __restrict__ __restrict
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))

struct uint3 {
    unsigned x, y, z;
};
struct dim3 {
    unsigned x, y, z;
    dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

extern "C" {
extern uint3 cpucuda_threadIdx, cpucuda_blockIdx, cpucuda_blockDim, cpucuda_gridDim;
void cpucuda_barrier();
void* cpucuda_dynamic_shared();
}
#define threadIdx cpucuda_threadIdx
#define blockIdx cpucuda_blockIdx
#define blockDim cpucuda_blockDim
#define gridDim cpucuda_gridDim
#define warpSize 32

inline void __syncthreads() { cpucuda_barrier(); }
inline void __syncwarp(unsigned = 0xffffffffu) { cpucuda_barrier(); } // stronger than CUDA's
inline void __threadfence() {}                                        // threads run one at a time

namespace cpucuda {

template <class T>
using Value = std::remove_cv_t<std::remove_reference_t<T>>;

template <class... A, size_t... I>
void call(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
    kernel(*static_cast<Value<A>*>(arguments[I])...);
}

// Never freed: a graph may be launched until the process ends.
template <class... A, size_t... I>
void** pack(void (*)(A...), void** arguments, std::index_sequence<I...>) {
    auto* copies = new std::tuple<Value<A>...>(*static_cast<Value<A>*>(arguments[I])...);
    return new void*[sizeof...(A) + 1]{static_cast<void*>(&std::get<I>(*copies))..., nullptr};
}

template <class... A>
void call(void (*kernel)(A...), void** arguments) {
    call(kernel, arguments, std::index_sequence_for<A...>());
}

template <class... A>
void** pack(void (*kernel)(A...), void** arguments) {
    return pack(kernel, arguments, std::index_sequence_for<A...>());
}

} // namespace cpucuda

#define CPUCUDA_EXPORT(kernel, has_barriers)                                                                 \
    extern "C" void kernel##__run(void** arguments) { cpucuda::call(&kernel, arguments); }                   \
    extern "C" void** kernel##__pack(void** arguments) { return cpucuda::pack(&kernel, arguments); }         \
    extern "C" int kernel##__has_barriers;                                                                   \
    int kernel##__has_barriers = has_barriers;
