// The part of cuBLAS's public C interface that CuPy's matmul, dot and cublas.gemm call: column-major, summed
// in double. Every other entry point is a stub that returns "not supported" (device.py).
#include "device.h"

using namespace cpucuda;

struct Blas {
    intptr_t stream;
};
using Handle = Blas*;

constexpr int success = 0, not_supported = 15; // cublasStatus_t
constexpr int real_float = 0, real_double = 1; // cudaDataType

template <class T>
struct Matrix {
    T* data;
    int leading; // dimension
    bool transposed = false;
    T& operator()(int row, int column) const {
        return transposed ? data[column + static_cast<size_t>(row) * leading]
                          : data[row + static_cast<size_t>(column) * leading];
    }
};

struct Shape {
    int m, n, k;
};

template <class T>
static void gemm(Shape shape, double alpha, Matrix<const T> a, Matrix<const T> b, double beta, Matrix<T> c) {
    for (int column = 0; column < shape.n; column++)
        for (int row = 0; row < shape.m; row++) {
            double sum = 0;
            for (int l = 0; l < shape.k; l++)
                sum += static_cast<double>(a(row, l)) * b(l, column);
            T& out = c(row, column);
            out = static_cast<T>(alpha * sum + (beta == 0 ? 0.0 : beta * out)); // beta 0: c may be NaN
        }
}

template <class T>
static int gemm_strided(Handle handle, const char* name, bool ta, bool tb, Shape shape, const void* alpha,
                        const void* a, int lda, long long stride_a, const void* b, int ldb,
                        long long stride_b, const void* beta, void* c, int ldc, long long stride_c,
                        int batch) {
    count("gemm", name);
    const double scale = *static_cast<const T*>(alpha), keep = *static_cast<const T*>(beta);
    submit(handle->stream, [=] {
        for (int i = 0; i < batch; i++)
            gemm<T>(shape, scale, {static_cast<const T*>(a) + i * stride_a, lda, ta},
                    {static_cast<const T*>(b) + i * stride_b, ldb, tb}, keep,
                    {static_cast<T*>(c) + i * stride_c, ldc});
    });
    return success;
}

template <class T>
static int gemm_pointers(Handle handle, const char* name, bool ta, bool tb, Shape shape, const T* alpha,
                         const T* const* a, int lda, const T* const* b, int ldb, const T* beta, T* const* c,
                         int ldc, int batch) {
    count("gemm", name);
    const double scale = *alpha, keep = *beta;
    submit(handle->stream, [=] {
        for (int i = 0; i < batch; i++)
            gemm<T>(shape, scale, {a[i], lda, ta}, {b[i], ldb, tb}, keep, {c[i], ldc});
    });
    return success;
}

template <class T>
static int dot(Handle handle, const char* name, int n, const T* x, int step_x, const T* y, int step_y,
               T* result) {
    count("gemm", name);
    submit(handle->stream, [=] {
        double sum = 0;
        for (ptrdiff_t i = 0; i < n; i++)
            sum += static_cast<double>(x[i * step_x]) * y[i * step_y];
        *result = static_cast<T>(sum);
    });
    return success;
}

extern "C" {

int cublasCreate_v2(Handle* handle) {
    *handle = new Blas{0};
    return success;
}

int cublasDestroy_v2(Handle handle) {
    delete handle;
    return success;
}

int cublasSetStream_v2(Handle handle, intptr_t stream) {
    handle->stream = stream;
    return success;
}

int cublasGetStream_v2(Handle handle, intptr_t* stream) {
    *stream = handle->stream;
    return success;
}

int cublasGetVersion_v2(Handle, int* version) {
    *version = 120900;
    return success;
}

int cublasGetPointerMode_v2(Handle, int* mode) {
    *mode = 0; // host
    return success;
}

int cublasGetMathMode(Handle, int* mode) {
    *mode = 0; // default
    return success;
}

int cublasSetPointerMode_v2(Handle, int) { return success; }
int cublasSetMathMode(Handle, int) { return success; }
int cublasSetWorkspace_v2(Handle, void*, size_t) { return success; }
const char* cublasGetStatusString(int) { return "cpucuda"; }

int cublasSgemm_v2(Handle handle, int ta, int tb, int m, int n, int k, const float* alpha, const float* a,
                   int lda, const float* b, int ldb, const float* beta, float* c, int ldc) {
    return gemm_strided<float>(handle, "sgemm", ta, tb, {m, n, k}, alpha, a, lda, 0, b, ldb, 0, beta, c, ldc,
                               0, 1);
}

int cublasDgemm_v2(Handle handle, int ta, int tb, int m, int n, int k, const double* alpha, const double* a,
                   int lda, const double* b, int ldb, const double* beta, double* c, int ldc) {
    return gemm_strided<double>(handle, "dgemm", ta, tb, {m, n, k}, alpha, a, lda, 0, b, ldb, 0, beta, c, ldc,
                                0, 1);
}

int cublasGemmStridedBatchedEx(Handle handle, int ta, int tb, int m, int n, int k, const void* alpha,
                               const void* a, int type_a, int lda, long long stride_a, const void* b,
                               int type_b, int ldb, long long stride_b, const void* beta, void* c, int type_c,
                               int ldc, long long stride_c, int batch, int, int) {
    if (type_a != type_b || type_a != type_c) return not_supported;
    if (type_a == real_float)
        return gemm_strided<float>(handle, "sgemm", ta, tb, {m, n, k}, alpha, a, lda, stride_a, b, ldb,
                                   stride_b, beta, c, ldc, stride_c, batch);
    if (type_a == real_double)
        return gemm_strided<double>(handle, "dgemm", ta, tb, {m, n, k}, alpha, a, lda, stride_a, b, ldb,
                                    stride_b, beta, c, ldc, stride_c, batch);
    return not_supported;
}

int cublasGemmEx(Handle handle, int ta, int tb, int m, int n, int k, const void* alpha, const void* a,
                 int type_a, int lda, const void* b, int type_b, int ldb, const void* beta, void* c,
                 int type_c, int ldc, int compute_type, int algorithm) {
    return cublasGemmStridedBatchedEx(handle, ta, tb, m, n, k, alpha, a, type_a, lda, 0, b, type_b, ldb, 0,
                                      beta, c, type_c, ldc, 0, 1, compute_type, algorithm);
}

int cublasSgemmEx(Handle handle, int ta, int tb, int m, int n, int k, const float* alpha, const void* a,
                  int type_a, int lda, const void* b, int type_b, int ldb, const float* beta, void* c,
                  int type_c, int ldc) {
    return cublasGemmEx(handle, ta, tb, m, n, k, alpha, a, type_a, lda, b, type_b, ldb, beta, c, type_c, ldc,
                        0, 0);
}

int cublasSgemmBatched(Handle handle, int ta, int tb, int m, int n, int k, const float* alpha,
                       const float* const* a, int lda, const float* const* b, int ldb, const float* beta,
                       float* const* c, int ldc, int batch) {
    return gemm_pointers(handle, "sgemm", ta, tb, {m, n, k}, alpha, a, lda, b, ldb, beta, c, ldc, batch);
}

int cublasDgemmBatched(Handle handle, int ta, int tb, int m, int n, int k, const double* alpha,
                       const double* const* a, int lda, const double* const* b, int ldb, const double* beta,
                       double* const* c, int ldc, int batch) {
    return gemm_pointers(handle, "dgemm", ta, tb, {m, n, k}, alpha, a, lda, b, ldb, beta, c, ldc, batch);
}

int cublasSdot_v2(Handle handle, int n, const float* x, int step_x, const float* y, int step_y,
                  float* result) {
    return dot(handle, "sdot", n, x, step_x, y, step_y, result);
}

int cublasDdot_v2(Handle handle, int n, const double* x, int step_x, const double* y, int step_y,
                  double* result) {
    return dot(handle, "ddot", n, x, step_x, y, step_y, result);
}
}
