// Runs a kernel's threads one at a time, as fibers if they meet at barriers.
#include "device.h"

#include <ucontext.h>

#include <algorithm>
#include <numeric>
#include <random>

extern "C" uint3 cpucuda_threadIdx, cpucuda_blockIdx, cpucuda_blockDim, cpucuda_gridDim;
uint3 cpucuda_threadIdx, cpucuda_blockIdx, cpucuda_blockDim, cpucuda_gridDim;

namespace cpucuda {

enum Order { forward, reverse, shuffled };
static Order order = forward;
static unsigned order_seed = 1;

constexpr size_t stack_bytes = 64 * 1024;
constexpr char shared_fill = static_cast<char>(0xFF); // dynamic shared memory starts as NaN

struct Fiber {
    ucontext_t context;
    std::vector<char> stack = std::vector<char>(stack_bytes);
    bool done;
};
static std::vector<Fiber> fibers; // kept between launches
static Fiber* current = nullptr;
static ucontext_t scheduler;
static const Kernel* running;
static void** running_arguments;
static std::vector<char> dynamic_shared;

static void fiber_main() {
    running->run(running_arguments);
    current->done = true;
    swapcontext(&current->context, &scheduler);
}

static uint3 unravel(size_t index, uint3 shape) {
    size_t plane = static_cast<size_t>(shape.x) * shape.y;
    return uint3{static_cast<unsigned>(index % shape.x), static_cast<unsigned>(index / shape.x % shape.y),
                 static_cast<unsigned>(index / plane)};
}

static std::vector<size_t> in_order(uint3 shape, std::mt19937& random) {
    std::vector<size_t> indices(static_cast<size_t>(shape.x) * shape.y * shape.z);
    std::iota(indices.begin(), indices.end(), 0);
    if (order == reverse) std::reverse(indices.begin(), indices.end());
    if (order == shuffled) std::shuffle(indices.begin(), indices.end(), random);
    return indices;
}

// Every thread runs up to its next barrier before any thread passes it.
static void run_with_barriers(const std::vector<size_t>& threads, uint3 block) {
    for (size_t i = fibers.size(); i < threads.size(); i++)
        fibers.emplace_back();
    for (size_t thread : threads) {
        Fiber& fiber = fibers[thread];
        fiber.done = false;
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.data();
        fiber.context.uc_stack.ss_size = stack_bytes;
        fiber.context.uc_link = &scheduler;
        makecontext(&fiber.context, fiber_main, 0);
    }
    for (bool waiting = true; waiting;) {
        waiting = false;
        for (size_t thread : threads) {
            current = &fibers[thread];
            if (current->done) continue;
            cpucuda_threadIdx = unravel(thread, block);
            swapcontext(&scheduler, &current->context);
            waiting |= !current->done;
        }
    }
    current = nullptr;
}

void run_kernel(const Kernel& kernel, void** arguments, uint3 grid, uint3 block, unsigned shared_bytes) {
    cpucuda_gridDim = grid;
    cpucuda_blockDim = block;
    running = &kernel;
    running_arguments = arguments;
    std::mt19937 random(order_seed++);
    const std::vector<size_t> threads = in_order(block, random);
    for (size_t index : in_order(grid, random)) {
        cpucuda_blockIdx = unravel(index, grid);
        dynamic_shared.assign(shared_bytes, shared_fill);
        if (kernel.has_barriers) {
            run_with_barriers(threads, block);
            continue;
        }
        for (size_t thread : threads) {
            cpucuda_threadIdx = unravel(thread, block);
            kernel.run(arguments);
        }
    }
}

} // namespace cpucuda

using namespace cpucuda;

extern "C" {

void cpucuda_set_order(int new_order, unsigned seed) {
    order = static_cast<Order>(new_order);
    order_seed = seed;
}

// The thread index is set again when the fiber resumes.
void cpucuda_barrier() {
    if (current) swapcontext(&current->context, &scheduler);
}

void* cpucuda_dynamic_shared() { return dynamic_shared.data(); }
}
