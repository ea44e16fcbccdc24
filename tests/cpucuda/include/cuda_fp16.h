// The part of CUDA's half precision that CuPy's headers use.
#pragma once
#include <cstring>

struct __half_raw {
    unsigned short x;
};

struct half {
    _Float16 v;
    half() {}
    half(float x) : v(static_cast<_Float16>(x)) {}
    half(const __half_raw& raw) { std::memcpy(&v, &raw.x, sizeof v); }
    explicit half(bool x) : half(static_cast<float>(x)) {}
    explicit half(int x) : v(static_cast<_Float16>(x)) {}
    explicit half(unsigned x) : v(static_cast<_Float16>(x)) {}
    explicit half(long long x) : v(static_cast<_Float16>(x)) {}
    explicit half(unsigned long long x) : v(static_cast<_Float16>(x)) {}
    explicit half(double x) : v(static_cast<_Float16>(x)) {}
    operator float() const { return static_cast<float>(v); }
    operator __half_raw() const {
        __half_raw raw;
        std::memcpy(&raw.x, &v, sizeof v);
        return raw;
    }
};
using __half = half;

inline unsigned short __half_as_ushort(const half& h) { return static_cast<__half_raw>(h).x; }
inline half __ushort_as_half(unsigned short bits) { return half(__half_raw{bits}); }
inline half __float2half(float x) { return half(x); }
inline half __float2half_rn(float x) { return half(x); }
inline float __half2float(half h) { return static_cast<float>(h); }
