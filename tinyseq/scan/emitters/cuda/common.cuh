
// The sum over the threads of a block; all of them get it.
__device__ inline real block_sum(real x, real* scratch) {
    scratch[threadIdx.x] = x;
    __syncthreads();
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        if (threadIdx.x < half) scratch[threadIdx.x] += scratch[threadIdx.x + half];
        __syncthreads();
    }
    x = scratch[0];
    __syncthreads();
    return x;
}

__device__ inline real larger(real a, real b) { return b > a || b != b ? b : a; }
__device__ inline real smaller(real a, real b) { return b < a || b != b ? b : a; }
