#include "scheduler/spec/source_format.hpp"

#include <algorithm>
#include <array>

namespace ds::scheduler {
namespace {

constexpr auto kFormats = std::to_array<SourceFormat>({
    {.name = "csv", .has_columns = true, .has_header = true},
    {.name = "tsv", .has_columns = true, .has_header = true},
    {.name = "jsonl", .has_columns = true},
    {.name = "text", .has_labels = true},
    {.name = "idx", .has_labels = true},
    {.name = "image_folder"},
    {.name = "npy", .has_labels = true},
    {.name = "npz", .has_columns = true},
    {.name = "nifti", .has_labels = true},
    {.name = "raw", .has_labels = true, .is_raw = true},
});

struct Ending {
  std::string_view text;
  std::string_view format;
};
constexpr auto kEndings = std::to_array<Ending>({
    {".csv", "csv"},
    {".tsv", "tsv"},
    {".tab", "tsv"},
    {".jsonl", "jsonl"},
    {".ndjson", "jsonl"},
    {".txt", "text"},
    {"-ubyte", "idx"},  // as MNIST's files are called: train-images-idx3-ubyte
    {".idx", "idx"},
    {".npy", "npy"},
    {".npz", "npz"},
    {".nii", "nifti"},
    {".raw", "raw"},
    {"/", "image_folder"},
});

}  // namespace

const SourceFormat* find_source_format(std::string_view name) {
  const auto* found = std::find_if(kFormats.begin(), kFormats.end(),
                                   [&](const SourceFormat& format) { return format.name == name; });
  return found == kFormats.end() ? nullptr : found;
}

std::string_view format_of_name(std::string_view path) {
  for (const std::string_view packed : {".gz", ".zst"}) {
    if (path.ends_with(packed)) path.remove_suffix(packed.size());
  }
  for (const Ending& ending : kEndings) {
    if (path.ends_with(ending.text)) return ending.format;
  }
  return {};
}

}  // namespace ds::scheduler
