// CuPy's complex numbers ask for Thrust's namespace macros only.
#pragma once
#define THRUST_NAMESPACE_BEGIN namespace thrust {
#define THRUST_NAMESPACE_END }
