#pragma once

#include <cstring>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "actors/train/model.hpp"

namespace ds::train {

inline data::FieldShape numbers(const std::string& name, std::vector<std::int64_t> shape) {
  return {name, data::Element::float32, std::move(shape)};
}
inline data::FieldShape wholes(const std::string& name, std::vector<std::int64_t> shape) {
  return {name, data::Element::int64, std::move(shape)};
}

/// A request for a zoo model with cross entropy.
inline ModelRequest request_for(const std::string& zoo, data::FieldShape input, data::FieldShape label,
                                std::uint32_t classes) {
  ModelRequest request;
  request.model.zoo = zoo;
  request.loss = {scheduler::LossTerm{}};
  request.vocabulary = input.element == data::Element::int64 ? 50 : 0;
  request.fields = {std::move(input), std::move(label)};
  request.classes = classes;
  request.seed = 7;
  return request;
}

template <class T>
data::HostTensor to_tensor(data::Element element, std::vector<std::int64_t> shape,
                           const std::vector<T>& values) {
  return {element, std::move(shape), Buffer::copy_of(std::as_bytes(std::span(values)))};
}

/// Random rows that fit a request: numbers in [-1, 1), tokens with padding at the end, labels of all classes.
inline data::Batch make_rows(const ModelRequest& request, std::uint64_t rows, unsigned seed = 1) {
  std::mt19937 random(seed);
  data::Batch batch;
  batch.rows = rows;
  for (const data::FieldShape& field : request.fields) {
    std::vector<std::int64_t> shape{static_cast<std::int64_t>(rows)};
    shape.insert(shape.end(), field.shape.begin(), field.shape.end());
    std::size_t count = 1;
    for (const std::int64_t length : shape) count *= static_cast<std::size_t>(length);
    if (field.element == data::Element::float32) {
      std::vector<float> values(count);
      for (float& value : values) value = static_cast<float>(random() % 2000) / 1000 - 1;
      batch.fields.emplace_back(field.name, to_tensor(field.element, shape, values));
    } else if (field.element == data::Element::int64) {
      std::vector<std::int64_t> values(count);
      const std::size_t of_row = rows == 0 ? 1 : count / rows;
      for (std::size_t row = 0; row < rows; ++row) {
        const std::size_t length = 1 + random() % of_row;
        for (std::size_t i = 0; i < of_row; ++i) {
          std::int64_t& value = values[row * of_row + i];
          if (field.name == "label") {
            value = static_cast<std::int64_t>(random() % request.classes);
          } else {
            value = i < length ? static_cast<std::int64_t>(1 + random() % (request.vocabulary - 1)) : 0;
          }
        }
      }
      batch.fields.emplace_back(field.name, to_tensor(field.element, shape, values));
    } else {
      std::vector<std::uint8_t> values(count);
      for (std::uint8_t& value : values)
        value = static_cast<std::uint8_t>(random() % (field.name == "label" ? request.classes : 256));
      batch.fields.emplace_back(field.name, to_tensor(field.element, shape, values));
    }
  }
  return batch;
}

/// Rows `first` to before `last` of a batch.
inline data::Batch part_of_rows(const data::Batch& batch, std::uint64_t first, std::uint64_t last) {
  data::Batch part;
  part.rows = last - first;
  for (const auto& [name, tensor] : batch.fields) {
    data::HostTensor cut = tensor;
    cut.shape[0] = static_cast<std::int64_t>(part.rows);
    const std::size_t of_row = tensor.bytes.size() / batch.rows;
    cut.bytes = Buffer::copy_of(tensor.bytes.bytes().subspan(first * of_row, part.rows * of_row));
    part.fields.emplace_back(name, std::move(cut));
  }
  return part;
}

}  // namespace ds::train
