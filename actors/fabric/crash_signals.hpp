#pragma once

namespace ds::fabric {

/// A crash ends the process, at once. UCX, as soon as it is loaded, handles fatal signals by writing where
/// they came from, for which it needs memory: a crash inside the allocator then hangs for ever, and the other
/// threads go on sending signs of life. To be called before there are other threads.
void let_crashes_end_the_process();

}  // namespace ds::fabric
