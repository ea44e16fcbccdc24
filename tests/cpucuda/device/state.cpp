// Counters, errors and stream capture.
#include "device.h"

#include <map>

namespace cpucuda {

using CheckStatus = PyObject* (*)(int status, int skip_dispatch);

static CheckStatus runtime_check = nullptr;
static std::map<std::string, long> counters;
static std::vector<std::string> events;
static bool recording = false;
static std::map<intptr_t, Graph*> captures;

PyObject* none() {
    Py_INCREF(Py_None);
    return Py_None;
}

PyObject* runtime_error(int status) { return runtime_check(status, 0); }

void count(const char* event, const std::string& detail) {
    counters[event]++;
    if (recording) events.push_back(detail.empty() ? event : event + (":" + detail));
}

void begin_capture(intptr_t stream) { captures[stream] = new Graph; }

Graph* end_capture(intptr_t stream) {
    auto found = captures.find(stream);
    if (found == captures.end()) return nullptr;
    Graph* graph = found->second;
    captures.erase(found);
    return graph;
}

bool is_capturing(intptr_t stream) { return captures.count(stream) != 0; }
bool is_any_capturing() { return !captures.empty(); }

void submit(intptr_t stream, std::function<void()> operation) {
    auto found = captures.find(stream);
    if (found == captures.end())
        operation();
    else
        found->second->operations.push_back(std::move(operation));
}

} // namespace cpucuda

using namespace cpucuda;

extern "C" {

void cpucuda_set_check(void* function) { runtime_check = reinterpret_cast<CheckStatus>(function); }

PyObject* cpucuda_counters() {
    PyObject* result = PyDict_New();
    for (auto& [event, times] : counters) {
        PyObject* value = PyLong_FromLong(times);
        PyDict_SetItemString(result, event.c_str(), value);
        Py_DECREF(value);
    }
    return result;
}

void cpucuda_record(int on) {
    recording = on;
    events.clear();
}

PyObject* cpucuda_events() {
    PyObject* result = PyList_New(0);
    for (auto& event : events) {
        PyObject* value = PyUnicode_FromString(event.c_str());
        PyList_Append(result, value);
        Py_DECREF(value);
    }
    return result;
}
}
