#include "actors/train/freed_memory.hpp"

#include <c10/core/CPUAllocator.h>
#include <malloc.h>

#include <cstdint>
#include <cstdlib>

namespace ds::train {
namespace {

/// Tensors of the processor, each within an unaligned block that is freed whole.
class WholeBlocks final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) const override {
    const c10::Device device(c10::DeviceType::CPU);
    if (bytes == 0) return {nullptr, nullptr, &free, device};
    void* block = bytes > SIZE_MAX - c10::gAlignment ? nullptr : std::malloc(bytes + c10::gAlignment);
    TORCH_CHECK(block != nullptr, "there is no memory for a tensor of ", bytes, " bytes");
    const auto address = reinterpret_cast<std::uintptr_t>(block);
    const auto aligned = (address + c10::gAlignment - 1) / c10::gAlignment * c10::gAlignment;
    return {static_cast<char*>(block) + (aligned - address), block, &free, device};
  }
};

}  // namespace

void keep_freed_memory() {
#ifdef __GLIBC__
  mallopt(M_ARENA_MAX, 1);        // another thread's arena cannot hold blocks of more than 64 MiB
  mallopt(M_MMAP_MAX, 0);         // else those above 32 MiB always go back
  mallopt(M_TRIM_THRESHOLD, -1);  // never
  static WholeBlocks blocks;
  c10::SetCPUAllocator(&blocks, 1);  // a higher priority than torch's own
#endif
}

}  // namespace ds::train
