#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "actors/data/sample.hpp"
#include "storage/dataset/array_file.hpp"
#include "storage/result.hpp"

namespace ds::data {

/// A field whose samples lie one behind the other in array files. Immutable; any thread.
class ArrayField {
 public:
  struct Part {
    std::shared_ptr<const storage::DataFile> file;
    storage::ArrayLayout layout;
    std::uint64_t first = 0;  ///< number of its first sample
  };

  /// `name` empty: `image` or `features`, whichever the shape looks like. All parts must agree in shape.
  static Result<ArrayField> make(std::string name, std::vector<Part> parts);

  const FieldPlan& plan() const { return plan_; }
  std::uint64_t size() const { return size_; }
  const std::vector<Part>& parts() const { return parts_; }
  std::size_t part_of(std::uint64_t record) const;
  std::string place_of(std::uint64_t record) const;
  Result<void> read(std::uint64_t record, storage::FilePin& pin, Value& value) const;

 private:
  enum class Order { as_it_is, channels_last };

  Result<void> plan_shape();

  FieldPlan plan_;
  std::vector<Part> parts_;
  std::uint64_t size_ = 0;
  std::size_t count_ = 1;  // numbers of a sample
  Order order_ = Order::as_it_is;
  bool scales_ = false;  // bytes of an image: 255 means 1
};

}  // namespace ds::data
