#pragma once

#include <cstdint>
#include <random>
#include <string>

namespace ds::tests {

/// The two files of an IDX set.
struct IdxFiles {
  std::string images, labels;
};

/// `rows` images of 12x12 with a bright bar, whose place (of three) is the class.
inline IdxFiles bar_images(std::uint32_t rows, std::uint32_t seed) {
  std::mt19937 generator(seed);
  const auto number = [](std::uint32_t value) {
    std::string bytes;
    for (const int shift : {24, 16, 8, 0}) bytes += static_cast<char>(value >> shift);
    return bytes;
  };
  IdxFiles files{number(2051) + number(rows) + number(12) + number(12), number(2049) + number(rows)};
  for (std::uint32_t row = 0; row < rows; ++row) {
    const std::uint32_t bar = generator() % 3;
    files.labels += static_cast<char>(bar);
    for (std::uint32_t i = 0; i < 144; ++i)
      files.images += static_cast<char>(generator() % 64 + (i / 12 / 4 == bar ? 150 : 0));
  }
  return files;
}

/// A Python script that writes a module for these images, with batch norm and dropout, to its argument.
inline constexpr const char* kExportModule = R"(
import sys, torch
torch.manual_seed(5)
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = torch.nn.Conv2d(1, 4, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(4)
        self.dropout = torch.nn.Dropout(0.2)
        self.output = torch.nn.Linear(4 * 36, 3)
    def forward(self, image):
        x = torch.relu(self.norm(self.convolution(image)))
        x = torch.nn.functional.max_pool2d(x, 2)
        return self.output(self.dropout(x.flatten(1)))
torch.jit.script(Net()).save(sys.argv[1])
)";

}  // namespace ds::tests
