// Atomics, which need no locks where threads run one at a time. As in CUDA, each returns the old value and
// exists only for the types that CUDA has it for.
#pragma once

namespace cpucuda {
template <class T>
inline T exchange(T* target, T value) {
    T old = *target;
    *target = value;
    return old;
}
} // namespace cpucuda

#define CPUCUDA_ATOMIC(name, T, new_value)                                                                   \
    inline T name(T* target, T value) { return cpucuda::exchange<T>(target, new_value); }
#define CPUCUDA_ATOMIC_ADD(T)                                                                                \
    CPUCUDA_ATOMIC(atomicAdd, T, *target + value)                                                            \
    CPUCUDA_ATOMIC(atomicExch, T, value)
#define CPUCUDA_ATOMIC_ORDER(T)                                                                              \
    CPUCUDA_ATOMIC(atomicMax, T, value > *target ? value : *target)                                          \
    CPUCUDA_ATOMIC(atomicMin, T, value < *target ? value : *target)
#define CPUCUDA_ATOMIC_CAS(T)                                                                                \
    inline T atomicCAS(T* target, T expected, T value) {                                                     \
        return cpucuda::exchange<T>(target, *target == expected ? value : *target);                          \
    }

CPUCUDA_ATOMIC_ADD(int)
CPUCUDA_ATOMIC_ADD(unsigned)
CPUCUDA_ATOMIC_ADD(unsigned long long)
CPUCUDA_ATOMIC_ADD(float)
CPUCUDA_ATOMIC_ADD(double)
CPUCUDA_ATOMIC_ORDER(int)
CPUCUDA_ATOMIC_ORDER(unsigned)
CPUCUDA_ATOMIC_ORDER(long long)
CPUCUDA_ATOMIC_ORDER(unsigned long long)
CPUCUDA_ATOMIC_CAS(int)
CPUCUDA_ATOMIC_CAS(unsigned)
CPUCUDA_ATOMIC_CAS(unsigned long long)
