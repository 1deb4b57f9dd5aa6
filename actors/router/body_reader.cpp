#include "actors/router/body_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "actors/router/request_parts.hpp"
#include "actors/serving/compression.hpp"
#include "actors/serving/route_bodies.hpp"

namespace ds::router {
namespace {

Error why(GivenUp given_up) {
  switch (given_up) {
    case GivenUp::late:
      return {ErrorCode::deadline_exceeded, "the request's timeout was over before its body was read", {}};
    case GivenUp::gone:
      return {ErrorCode::cancelled, "the client is gone", {}};
    case GivenUp::crowded_out:
      break;
  }
  return {ErrorCode::resource_exhausted, "too many large requests wait", {}};
}

}  // namespace

struct BodyReader::Reading {
  Order order;
  serving::ContentCoding coding = serving::ContentCoding::identity;
  std::optional<serving::Decompressor> unpacking;

  void give_up(GivenUp given_up) const {
    const Error error = why(given_up);
    order.refuse(error, serving::http_status(error.code));
  }
  /// Of an error of the body's own.
  void refuse(Work& work, const Error& error) const {
    if (work.claim()) order.refuse(error, body_status(error.code));
  }
};

void BodyReader::read(Order order) {
  const auto coding = serving::parse_content_encoding(header_of(*order.request, "content-encoding"));
  if (!coding) return order.refuse(coding.error(), body_status(coding.error().code));
  const auto reading = std::make_shared<Reading>();
  reading->order = std::move(order);
  reading->coding = *coding;
  const std::size_t bytes = reading->order.request->body.size();
  post(reading, bytes,
       *coding == serving::ContentCoding::identity ? &BodyReader::read_plain : &BodyReader::unpack_slice);
}

void BodyReader::post(const ReadingPtr& reading, std::size_t cost,
                      void (BodyReader::*step)(const ReadingPtr&, Work&)) {
  auto work = std::make_shared<Work>();
  work->turn = reading->order.turn;
  work->cost = cost;
  work->until = reading->order.until;
  work->client = reading->order.request->client;
  work->give_up = [reading](GivenUp given_up) { reading->give_up(given_up); };
  work->run = [this, reading, step](Work& own) {
    try {
      (this->*step)(reading, own);
    } catch (const std::exception& thrown) {
      const auto text = fmt::format("the body could not be read: {}", thrown.what());
      if (own.claim()) reading->order.refuse({ErrorCode::internal, text, {}}, 500);
    }
  };
  if (!pool_.post(std::move(work))) reading->give_up(GivenUp::crowded_out);
}

void BodyReader::read_plain(const ReadingPtr& reading, Work& work) {
  reading->order.read(to_buffer(std::move(reading->order.request->body)), work);
}

void BodyReader::unpack_slice(const ReadingPtr& reading, Work& work) {
  auto& unpacking = reading->unpacking.emplace(reading->order.request->body, reading->coding, max_bytes_);
  const auto is_whole = unpacking.go_on_to(kSliceBytes);
  if (!is_whole) return reading->refuse(work, is_whole.error());
  if (*is_whole) return reading->order.read(unpacking.take(), work);
  if (!work.claim()) return;  // the rest is work of its own
  post(reading, std::max(unpacking.expected_bytes(), kQuickBytes + 1), &BodyReader::unpack_rest);
}

void BodyReader::unpack_rest(const ReadingPtr& reading, Work& work) {
  auto& unpacking = *reading->unpacking;
  while (true) {
    if (const auto given_up = work.is_over(Work::Clock::now())) return work.end(*given_up);
    if (work.is_claimed) return;
    const auto is_whole = unpacking.go_on_to(unpacking.bytes() + kSliceBytes);
    if (!is_whole) return reading->refuse(work, is_whole.error());
    if (*is_whole) return reading->order.read(unpacking.take(), work);
  }
}

}  // namespace ds::router
