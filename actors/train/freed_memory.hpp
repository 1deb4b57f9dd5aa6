#pragma once

namespace ds::train {

/// Lets the process keep what it frees, for the next time. A step, or a batch of requests, frees and takes
/// the same large blocks again and again (a convolution's unfolded input, a layer's output); the C library
/// gives each back to the system at once and then pays a page fault for every 4 KiB of the next, which took
/// up to half of the processor time. All threads share one heap afterwards, so that what one frees another
/// can take; the process stays as large as it once was. Tensors are aligned by us from then on: the C library
/// cuts a few bytes off an aligned block's edge and keeps up to seven such edges a thread, between which a
/// freed block is too small for the next of its size. To be called once, before there are other threads.
/// Nothing happens where the C library is not glibc.
void keep_freed_memory();

}  // namespace ds::train
