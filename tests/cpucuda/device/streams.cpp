// Streams, events and graphs. Work is done when it is submitted, so there is nothing to wait for.
#include "device.h"

#include <chrono>

using namespace cpucuda;

static intptr_t last_stream = 0x1000;

// The null stream and the per-thread default stream's legacy alias cannot be captured.
static bool is_default_stream(intptr_t stream) { return stream == 0 || stream == 1; }

static Graph* graph_at(intptr_t handle) { return reinterpret_cast<Graph*>(handle); }

using Moment = std::chrono::steady_clock::time_point;
static Moment* moment_at(intptr_t event) { return reinterpret_cast<Moment*>(event); }

extern "C" {

intptr_t rt_streamCreate(int) { return last_stream += 16; }
intptr_t rt_streamCreateWithFlags(unsigned, int) { return last_stream += 16; }
intptr_t rt_streamCreateWithPriority(unsigned, int, int) { return last_stream += 16; }
PyObject* rt_streamDestroy(intptr_t, int) { return none(); }
PyObject* rt_streamQuery(intptr_t, int) { return PyLong_FromLong(0); }
int rt_streamGetPriority(intptr_t, int) { return 0; }
unsigned rt_streamGetFlags(intptr_t, int) { return 1; } // non-blocking

PyObject* rt_streamSynchronize(intptr_t stream, int) {
    count("sync", "stream");
    return is_capturing(stream) ? runtime_error(capture_unsupported) : none();
}

PyObject* rt_deviceSynchronize(int) {
    count("sync", "device");
    return is_any_capturing() ? runtime_error(capture_unsupported) : none();
}

PyObject* rt_streamWaitEvent(intptr_t, intptr_t, int, void*) {
    count("wait_event");
    return none();
}

intptr_t rt_eventCreate(int) { return reinterpret_cast<intptr_t>(new Moment); }
intptr_t rt_eventCreateWithFlags(unsigned, int) { return rt_eventCreate(0); }
PyObject* rt_eventQuery(intptr_t, int) { return PyLong_FromLong(0); }

PyObject* rt_eventDestroy(intptr_t event, int) {
    delete moment_at(event);
    return none();
}

PyObject* rt_eventRecord(intptr_t event, intptr_t, int) {
    *moment_at(event) = std::chrono::steady_clock::now();
    return none();
}

PyObject* rt_eventSynchronize(intptr_t, int) {
    count("sync", "event");
    return is_any_capturing() ? runtime_error(capture_unsupported) : none();
}

float rt_eventElapsedTime(intptr_t start, intptr_t end, int) {
    return std::chrono::duration<float, std::milli>(*moment_at(end) - *moment_at(start)).count();
}

PyObject* rt_streamBeginCapture(intptr_t stream, int, void*) {
    if (is_default_stream(stream)) return runtime_error(capture_unsupported);
    count("capture");
    begin_capture(stream);
    return none();
}

int rt_streamIsCapturing(intptr_t stream, int) { return is_capturing(stream); }

intptr_t rt_streamEndCapture(intptr_t stream, int) {
    Graph* graph = end_capture(stream);
    if (!graph) runtime_error(capture_invalidated);
    return reinterpret_cast<intptr_t>(graph);
}

intptr_t rt_graphInstantiate(intptr_t graph, int) {
    count("graph_instantiate");
    return reinterpret_cast<intptr_t>(new Graph(*graph_at(graph)));
}

PyObject* rt_graphDestroy(intptr_t graph, int) {
    delete graph_at(graph);
    return none();
}

PyObject* rt_graphExecDestroy(intptr_t graph, int) { return rt_graphDestroy(graph, 0); }
PyObject* rt_graphUpload(intptr_t, intptr_t, int) { return none(); }

PyObject* rt_graphLaunch(intptr_t graph, intptr_t, int) {
    count("graph_launch");
    for (auto& operation : graph_at(graph)->operations)
        operation();
    return none();
}
}
