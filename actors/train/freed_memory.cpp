#include "actors/train/freed_memory.hpp"

#include <malloc.h>

namespace ds::train {

void keep_freed_memory() {
#ifdef __GLIBC__
  mallopt(M_ARENA_MAX, 1);        // another thread's arena cannot hold blocks of more than 64 MiB
  mallopt(M_MMAP_MAX, 0);         // else those above 32 MiB always go back
  mallopt(M_TRIM_THRESHOLD, -1);  // never
#endif
}

}  // namespace ds::train
