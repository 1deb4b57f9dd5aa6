#pragma once

#include <cstdint>
#include <string>

#include "actors/serving/json_reader.hpp"
#include "actors/serving/tensor.hpp"
#include "storage/result.hpp"

namespace ds::serving {

/// Reads `data` of a tensor, nested or flat or (as Triton does) a single value, row-major; how it is nested
/// is not compared with the shape, only the number of values is.
///
/// Whole numbers without fraction or exponent are values of integer tensors if they are in range (`1.0` is
/// refused, as by Triton); any number is one of a float tensor, rounded to the nearest, unless it overflows.
/// `-0` keeps its sign. BOOL wants `true` or `false`. FP16 and BF16 have no JSON form. Takes memory for as
/// many elements as the text that is left can hold, at most. False: `reader.error()` says why, and names
/// `tensor`.
bool read_tensor_data(JsonReader& reader, Tensor& tensor);

/// Appends `tensor`'s elements as a flat JSON array.
///
/// Floats in the shortest form that reads back as the same bits; `NaN`, `Infinity` and `-Infinity` as Triton
/// writes them and the JSON parsers of its clients (RapidJSON with that flag, Python's) read them, because a
/// model that answers NaN is better seen than refused; other NaNs than the usual one come back as that one.
/// Errors: `invalid_argument` (FP16, BF16; BYTES that are no UTF-8: ask for binary), `internal` (bytes and
/// shape disagree).
Result<void> append_tensor_data(std::string& out, const Tensor& tensor);

/// What is wrong with the tensor's bytes for its shape and datatype; empty: nothing.
std::string find_fault(const Tensor& tensor);

}  // namespace ds::serving
