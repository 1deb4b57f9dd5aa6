#include "actors/train/freed_memory.hpp"

#include <c10/core/CPUAllocator.h>
#include <c10/core/alignment.h>
#include <malloc.h>
#include <torch/csrc/api/include/torch/version.h>

#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace ds::train {
namespace {

/// Tensors of the processor, each within an unaligned block that is freed whole.
class WholeBlocks final : public c10::Allocator {
 public:
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 3)
  c10::DataPtr allocate(size_t bytes) override {
    return taken(bytes);
  }
  void copy_data(void* to, const void* from, std::size_t bytes) const override {
    std::memcpy(to, from, bytes);
  }
#else
  c10::DataPtr allocate(size_t bytes) const override {
    return taken(bytes);
  }
#endif
  c10::DeleterFnPtr raw_deleter() const override {
    return &give_back;
  }

 private:
  /// Before a tensor's bytes stands the address of its block: torch wants to free by the tensor's own.
  static constexpr std::size_t kExtra = c10::gAlignment + sizeof(void*);

  static c10::DataPtr taken(std::size_t bytes) {
    void* data = bytes == 0 ? nullptr : take(bytes);
    return {data, data, &give_back, c10::Device(c10::DeviceType::CPU)};
  }
  static void* take(std::size_t bytes) {
    void* block = bytes > SIZE_MAX - kExtra ? nullptr : std::malloc(bytes + kExtra);
    TORCH_CHECK(block != nullptr, "there is no memory for a tensor of ", bytes, " bytes");
    const auto least = reinterpret_cast<std::uintptr_t>(block) + sizeof(void*);
    void* data = reinterpret_cast<void*>((least + c10::gAlignment - 1) / c10::gAlignment * c10::gAlignment);
    static_cast<void**>(data)[-1] = block;
    return data;
  }
  static void give_back(void* data) {
    if (data != nullptr) std::free(static_cast<void**>(data)[-1]);
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
