#include "actors/parameters/payload_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <utility>

#include "kernels/compression.hpp"

namespace ds::parameters {
namespace {

tl::unexpected<Error> refuse(std::string problem) {
  return fail(ErrorCode::invalid_argument, std::move(problem));
}

/// Of the forms whose length follows from the number of elements.
kernels::Compression compression_of(Form form) {
  return form == Form::dense      ? kernels::Compression::none
         : form == Form::float16  ? kernels::Compression::float16
         : form == Form::bfloat16 ? kernels::Compression::bfloat16
                                  : kernels::Compression::int8;
}

std::uint32_t load_place(const std::byte* from) {
  std::uint32_t place = 0;
  std::memcpy(&place, from, sizeof place);
  return place;
}

void copy_values(float* to, const std::byte* from, std::size_t count) {
  if (count != 0) std::memcpy(to, from, count * sizeof(float));
}

}  // namespace

PayloadReader::PayloadReader(const Payload& payload, std::uint64_t elements)
    : form_(payload.form), runs_(payload.runs), bytes_(payload.bytes), elements_(elements) {}

Result<PayloadReader> PayloadReader::open(const Payload& payload, std::uint64_t elements) {
  const PayloadReader reader(payload, elements);
  const Result<void> fits = reader.check();
  if (!fits) return tl::unexpected(fits.error());
  return reader;
}

Result<void> PayloadReader::check() const {
  if (form_ > Form::top_k)
    return refuse(fmt::format("there is no form {} of a vector", static_cast<int>(form_)));
  if (form_ == Form::runs) return check_runs();
  if (!runs_.empty()) return refuse("only a vector in runs has runs");
  if (form_ == Form::top_k) return check_kept();
  const std::size_t wanted = kernels::encoded_bytes(compression_of(form_), elements_);
  if (bytes_.size() == wanted) return {};
  return refuse(
      fmt::format("a vector of {} elements has {} bytes where {} belong", elements_, bytes_.size(), wanted));
}

Result<void> PayloadReader::check_runs() const {
  std::uint64_t end = 0, values = 0;
  for (const Run& run : runs_) {
    if (run.count == 0 || run.first < end || run.first > elements_ || run.count > elements_ - run.first)
      return refuse(
          fmt::format("a run of {} elements from {} on is empty, begins before the end of the one "
                      "before it, or ends behind the {} elements of the vector",
                      run.count, run.first, elements_));
    end = run.first + run.count;
    values += run.count;
  }
  if (bytes_.size() == values * sizeof(float)) return {};
  return refuse(fmt::format("runs of {} elements have {} bytes", values, bytes_.size()));
}

Result<void> PayloadReader::check_kept() const {
  const std::byte* const bytes = bytes_.bytes().data();
  const std::uint32_t kept = bytes_.size() < sizeof(std::uint32_t) ? 0 : load_place(bytes);
  if (kept > elements_ ||
      bytes_.size() != kernels::encoded_bytes(kernels::Compression::top_k, elements_, kept))
    return refuse(fmt::format("{} bytes are not the largest elements of a vector", bytes_.size()));
  std::uint64_t least = 0;
  for (std::size_t i = 1; i <= kept; ++i) {
    const std::uint64_t place = load_place(bytes + i * sizeof(std::uint32_t));
    if (place < least || place >= elements_)
      return refuse(fmt::format("the largest elements of a vector of {} do not come in order", elements_));
    least = place + 1;
  }
  return {};
}

const float* PayloadReader::read(std::uint64_t first, std::size_t count, float* scratch) {
  switch (form_) {
    case Form::dense:
      return read_dense(first, count, scratch);
    case Form::runs:
      return read_runs(first, count, scratch);
    case Form::top_k:
      return read_kept(first, count, scratch);
    default:
      return read_encoded(first, count, scratch);
  }
}

/// In a message, numbers may begin anywhere.
const float* PayloadReader::read_dense(std::uint64_t first, std::size_t count, float* scratch) const {
  const std::byte* const from = bytes_.bytes().data() + first * sizeof(float);
  if (reinterpret_cast<std::uintptr_t>(from) % alignof(float) == 0)
    return reinterpret_cast<const float*>(from);
  copy_values(scratch, from, count);
  return scratch;
}

const float* PayloadReader::read_runs(std::uint64_t first, std::size_t count, float* scratch) {
  const auto end_of = [](const Run& run) { return run.first + run.count; };
  while (next_ < runs_.size() && end_of(runs_[next_]) <= first) values_before_ += runs_[next_++].count;
  const std::uint64_t last = first + count;
  if (next_ == runs_.size() || runs_[next_].first >= last) return nullptr;
  std::fill_n(scratch, count, 0.0F);
  std::uint64_t values = values_before_;
  for (std::size_t i = next_; i < runs_.size() && runs_[i].first < last; ++i) {
    const std::uint64_t begin = std::max(runs_[i].first, first), end = std::min(end_of(runs_[i]), last);
    copy_values(scratch + (begin - first),
                bytes_.bytes().data() + (values + begin - runs_[i].first) * sizeof(float), end - begin);
    values += runs_[i].count;
  }
  return scratch;
}

const float* PayloadReader::read_kept(std::uint64_t first, std::size_t count, float* scratch) {
  const std::byte* const bytes = bytes_.bytes().data();
  const std::size_t kept = load_place(bytes);
  const std::byte* const places = bytes + sizeof(std::uint32_t);
  const std::byte* const values = places + kept * sizeof(std::uint32_t);
  const auto is_before = [&](std::uint64_t end) {
    return next_ < kept && load_place(places + next_ * sizeof(std::uint32_t)) < end;
  };
  while (is_before(first)) ++next_;
  if (!is_before(first + count)) return nullptr;
  std::fill_n(scratch, count, 0.0F);
  for (; is_before(first + count); ++next_)
    copy_values(scratch + (load_place(places + next_ * sizeof(std::uint32_t)) - first),
                values + next_ * sizeof(float), 1);
  return scratch;
}

/// A stretch of whole blocks is an encoding of its own.
const float* PayloadReader::read_encoded(std::uint64_t first, std::size_t count, float* scratch) const {
  const kernels::Compression compression = compression_of(form_);
  const auto part = bytes_.bytes().subspan(kernels::encoded_bytes(compression, first),
                                           kernels::encoded_bytes(compression, count));
  const bool decoded = kernels::decode(compression, part, std::span(scratch, count));
  if (!decoded) std::fill_n(scratch, count, 0.0F);  // never: `open` has looked at the length
  return scratch;
}

Result<void> write_over(const Payload& payload, std::span<float> to) {
  if (payload.form != Form::dense && payload.form != Form::runs)
    return refuse("parameters come dense or in runs");
  const Result<PayloadReader> fits = PayloadReader::open(payload, to.size());
  if (!fits) return tl::unexpected(fits.error());
  const std::byte* from = payload.bytes.bytes().data();
  if (payload.form == Form::dense) {
    copy_values(to.data(), from, to.size());
    return {};
  }
  for (const Run& run : payload.runs) {
    copy_values(to.data() + run.first, from, run.count);
    from += run.count * sizeof(float);
  }
  return {};
}

}  // namespace ds::parameters
