#pragma once

#include <functional>

namespace ds::fabric {

/// Whether this is a transport's progress thread.
bool is_progress_thread();
/// There only: calls `action` once what has come is delivered, when nothing is locked any more.
void after_this_round(std::function<void()> action);

}  // namespace ds::fabric
