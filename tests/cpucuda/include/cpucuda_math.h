// CUDA's mathematics at global scope, with its float overloads, and its intrinsics.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

using std::abs, std::fabs, std::fmod, std::remainder, std::fma, std::fmax, std::fmin, std::modf;
using std::acos, std::asin, std::atan, std::atan2, std::cos, std::sin, std::tan;
using std::acosh, std::asinh, std::atanh, std::cosh, std::sinh, std::tanh;
using std::cbrt, std::hypot, std::pow, std::sqrt;
using std::ceil, std::floor, std::nearbyint, std::rint, std::round, std::trunc;
using std::copysign, std::frexp, std::ldexp, std::nextafter;
using std::erf, std::erfc, std::lgamma, std::tgamma;
using std::exp, std::exp2, std::expm1, std::log, std::log10, std::log1p, std::log2;
using std::isfinite, std::isinf, std::isnan, std::signbit;

template <class T, class U>
inline std::common_type_t<T, U> min(T a, U b) {
    return std::min<std::common_type_t<T, U>>(a, b);
}
template <class T, class U>
inline std::common_type_t<T, U> max(T a, U b) {
    return std::max<std::common_type_t<T, U>>(a, b);
}

inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }
inline float rsqrt(float x) { return 1.0f / std::sqrt(x); }
inline float rsqrtf(float x) { return rsqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __logf(float x) { return std::log(x); }
inline float __fdividef(float a, float b) { return a / b; }

inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x ? __builtin_clz(x) : 32; }
inline unsigned __umulhi(unsigned a, unsigned b) {
    return static_cast<unsigned>((static_cast<unsigned long long>(a) * b) >> 32);
}

template <class T>
inline T __ldg(const T* pointer) {
    return *pointer;
}

namespace cpucuda {
template <class To, class From>
inline To bits(From value) {
    static_assert(sizeof(To) == sizeof(From), "sizes differ");
    To result;
    std::memcpy(&result, &value, sizeof(To));
    return result;
}
} // namespace cpucuda

inline float __int_as_float(int x) { return cpucuda::bits<float>(x); }
inline int __float_as_int(float x) { return cpucuda::bits<int>(x); }
inline float __uint_as_float(unsigned x) { return cpucuda::bits<float>(x); }
inline unsigned __float_as_uint(float x) { return cpucuda::bits<unsigned>(x); }
inline double __longlong_as_double(long long x) { return cpucuda::bits<double>(x); }
inline long long __double_as_longlong(double x) { return cpucuda::bits<long long>(x); }
