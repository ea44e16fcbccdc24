// What a loop kernel stands on. Before this stand `real` and the numbers of a plan: CLUSTER, ROWS, THREADS, UNIT,
// SHARED and VIRTUAL.
//
// A cluster of CLUSTER blocks owns ROWS rows of the batch, which nobody else touches, and walks through time with
// them. LANES threads of each block share a row. The blocks of a cluster share its columns: of every UNIT columns
// that stand side by side, UNITS belong to each. What a product reads, all of them hold in their shared memory.
// VIRTUAL: the threads of one block do what the blocks of a cluster would, on cards that have no clusters.
#define LANES (THREADS / ROWS)
#define UNITS (UNIT / CLUSTER)
#define OWN(width) ((width) / CLUSTER)                                              // columns of this block
#define COLUMN(i) (CLUSTER == 1 ? (i) : (i) / UNITS * UNIT + here.rank * UNITS + (i) % UNITS) // the i-th of them
#define NEVER (1 << 30)
#define TURNS (CLUSTER > 1 ? 2 : 1)

struct __align__(16) Four {
    real x, y, z, w;
};

#if CLUSTER > 1 && !VIRTUAL
#define KERNEL __cluster_dims__(CLUSTER, 1, 1) __launch_bounds__(THREADS, 1)
__device__ inline int rank_of_block() {
    int rank;
    asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return rank;
}
__device__ inline void together() {
    asm volatile("barrier.cluster.arrive.release;" ::: "memory");
    asm volatile("barrier.cluster.wait.acquire;" ::: "memory");
}
#else
#define KERNEL __launch_bounds__(THREADS * CLUSTER, 1)
__device__ inline int rank_of_block() { return threadIdx.x / THREADS; }
__device__ inline void together() { __syncthreads(); }
#endif

// Where a thread is: in block `rank` of its cluster, at row first + r, of which it has every LANES-th column.
struct Here {
    int rank, thread, r, lane, first, turn;
    real* next; // what is free of the block's shared memory

    __device__ Here(Four* shared) {
        rank = rank_of_block();
        thread = threadIdx.x % THREADS;
        r = thread / LANES, lane = thread % LANES, turn = 0;
#if CLUSTER > 1 && !VIRTUAL
        first = blockIdx.x / CLUSTER * ROWS;
        next = (real*)shared;
#else
        first = blockIdx.x * ROWS;
        next = (real*)shared + rank * SHARED;
#endif
    }
    __device__ real* take(int count) {
        real* taken = next;
        next += count;
        return taken;
    }
    // The same place in the shared memory of another block of the cluster.
    __device__ real* of(int other, real* mine) const {
#if CLUSTER > 1 && !VIRTUAL
        real* there;
        asm("mapa.u64 %0, %1, %2;" : "=l"(there) : "l"(mine), "r"(other));
        return there;
#else
        return mine + (other - rank) * SHARED;
#endif
    }
};

// The sum over the threads, and blocks, that share a row; all of them get it, always added in the same order.
struct RowSum {
    static constexpr int REALS = THREADS + CLUSTER * ROWS + 3 & ~3;
    real *scratch, *parts;

    __device__ RowSum(Here& here) {
        scratch = here.take(REALS);
        parts = scratch + THREADS;
    }
    __device__ real operator()(const Here& here, real x) {
        scratch[here.thread] = x;
        __syncthreads();
        int half = 1;
        while (2 * half < LANES) half *= 2;
        for (; LANES > 1 && half > 0; half /= 2) {
            if (here.r < ROWS && here.lane < half && here.lane + half < LANES)
                scratch[here.thread] += scratch[here.thread + half];
            __syncthreads();
        }
        if (here.r < ROWS) {
            real sum = scratch[here.r * LANES];
            for (int q = here.lane; q < CLUSTER; q += LANES) *here.of(q, parts + here.rank * ROWS + here.r) = sum;
        }
        together();
        x = real(0);
        if (here.r < ROWS)
            for (int q = 0; q < CLUSTER; q++) x += parts[q * ROWS + here.r];
        together();
        return x;
    }
};

// Rows of K columns times a matrix (K, N): this block's columns of it, for all of its rows at once.
// A thread has WIDE columns, of one of SLICES slices of K, in CHUNKS times four numbers. Weights stay where they
// fit: those of KEPT chunks in registers, of STORED in shared memory; the others come through the caches.
// `weights` has ROW numbers from one row to the next, and STEP from one column to the next.
template <int K, int N, int ROW, int STEP, int WIDE, int SLICES, int CHUNKS, int KEPT, int STORED>
struct Product {
    static constexpr int COLUMNS = N / CLUSTER, ACROSS = (COLUMNS + WIDE - 1) / WIDE;
    static constexpr int DEPTH = 4 * SLICES * CHUNKS, VECTORS = TURNS * ROWS * DEPTH;
    static constexpr int WEIGHTS = 4 * STORED * WIDE * ACROSS * SLICES, PARTS = SLICES * ROWS * COLUMNS + 3 & ~3;
    static constexpr int REALS = VECTORS + WEIGHTS + PARTS;
    static_assert(ACROSS * SLICES <= THREADS && DEPTH >= K, "a plan for another product");
    Four kept[KEPT > 0 ? KEPT : 1][WIDE];
    const real* weights;
    real *vectors, *parts;
    Four* stored;
    int across, slice;

    __device__ Product(Here& here, const real* matrix) {
        weights = matrix;
        vectors = here.take(VECTORS), stored = (Four*)here.take(WEIGHTS), parts = here.take(PARTS);
        across = here.thread % ACROSS, slice = here.thread / ACROSS;
        for (int i = here.thread; i < VECTORS; i += THREADS) vectors[i] = real(0);
        if (slice >= SLICES) return;
#pragma unroll
        for (int i = 0; i < KEPT; i++)
#pragma unroll
            for (int n = 0; n < WIDE; n++) kept[i][n] = four(here, i, n);
        for (int i = 0; i < STORED; i++)
            for (int n = 0; n < WIDE; n++) stored[place(i, n)] = four(here, KEPT + i, n);
    }
    __device__ int place(int i, int n) const { return ((i * WIDE + n) * SLICES + slice) * ACROSS + across; }
    __device__ Four four(const Here& here, int chunk, int n) const {
        const int k = 4 * (chunk * SLICES + slice), i = across + n * ACROSS;
        if (i >= COLUMNS) return Four{real(0), real(0), real(0), real(0)};
        const real* w = weights + (long long)k * ROW + (long long)COLUMN(i) * STEP;
        return Four{k < K ? w[0] : real(0), k + 1 < K ? w[ROW] : real(0), k + 2 < K ? w[2 * ROW] : real(0),
                    k + 3 < K ? w[3 * ROW] : real(0)};
    }
    // One column of this thread's row, for all blocks.
    __device__ void put(const Here& here, int k, real x) {
        real* mine = vectors + (here.turn * ROWS + here.r) * DEPTH + k;
        for (int q = 0; q < CLUSTER; q++) *here.of(q, mine) = x;
    }
    __device__ void add(real (&sum)[ROWS][WIDE], const real* x, const Four (&w)[WIDE]) const {
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            const Four v = *(const Four*)(x + r * DEPTH);
#pragma unroll
            for (int n = 0; n < WIDE; n++)
                sum[r][n] += v.x * w[n].x + v.y * w[n].y + v.z * w[n].z + v.w * w[n].w;
        }
    }
    __device__ void multiply(const Here& here) {
        if (slice < SLICES) {
            const real* x = vectors + here.turn * ROWS * DEPTH + 4 * slice;
            real sum[ROWS][WIDE] = {};
#pragma unroll
            for (int i = 0; i < KEPT; i++) add(sum, x + i * 4 * SLICES, kept[i]);
#pragma unroll 2
            for (int i = 0; i < STORED; i++) {
                Four w[WIDE];
#pragma unroll
                for (int n = 0; n < WIDE; n++) w[n] = stored[place(i, n)];
                add(sum, x + (KEPT + i) * 4 * SLICES, w);
            }
#pragma unroll 2 // more would need registers that weights have
            for (int i = KEPT + STORED; i < CHUNKS; i++) {
                Four w[WIDE];
#pragma unroll
                for (int n = 0; n < WIDE; n++) w[n] = four(here, i, n);
                add(sum, x + i * 4 * SLICES, w);
            }
#pragma unroll
            for (int r = 0; r < ROWS; r++)
#pragma unroll
                for (int n = 0; n < WIDE; n++)
                    if (across + n * ACROSS < COLUMNS) parts[(slice * ROWS + r) * COLUMNS + across + n * ACROSS] = sum[r][n];
        }
        __syncthreads();
    }
    // The i-th column of this block, of this thread's row.
    __device__ real sum(const Here& here, int i) const {
        real x = real(0);
        for (int s = 0; s < SLICES; s++) x += parts[(s * ROWS + here.r) * COLUMNS + i];
        return x;
    }
};
