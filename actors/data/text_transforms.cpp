#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "actors/data/byte_pairs.hpp"
#include "actors/data/transform.hpp"
#include "actors/data/vocabulary.hpp"

namespace ds::data {
namespace {

constexpr std::array<std::string_view, 1> kTextField{"text"};

class TokenizeText final : public Transform {
 public:
  TokenizeText(const scheduler::Tokenize& spec, std::string field, const Learnt& learnt, std::size_t most)
      : name_(std::move(field)), most_(most) {
    if (spec.method == "byte_pair")
      pairs_.emplace(learnt.vocabulary, learnt.merges);
    else
      words_.emplace(learnt.vocabulary, learnt.ngrams);
  }

  Result<void> plan(std::vector<FieldPlan>& fields) override {
    const auto found = find_field(fields, name_, kTextField, Form::text);
    if (!found) return tl::unexpected(found.error());
    field_ = *found;
    fields[field_].form = Form::whole;
    fields[field_].shape = {kAnyExtent};
    return {};
  }

  Result<void> apply(Sample& sample, const RandomStream*) const override {
    Value& value = sample.fields[field_];
    if (words_)
      words_->encode(value.text, most_, value.whole);
    else
      pairs_->encode(value.text, most_, value.whole);
    value.form = Form::whole;
    value.shape.assign(1, static_cast<std::int64_t>(value.whole.size()));
    return {};
  }

 private:
  std::string name_;
  std::size_t most_;
  std::optional<Vocabulary> words_;
  std::optional<BytePairs> pairs_;
  std::size_t field_ = 0;
};

class PadTokens final : public Transform {
 public:
  PadTokens(std::uint32_t length, std::string field) : name_(std::move(field)), length_(length) {}

  Result<void> plan(std::vector<FieldPlan>& fields) override {
    const auto found = find_field(fields, name_, kTextField, Form::whole);
    if (!found) return tl::unexpected(found.error());
    field_ = *found;
    if (fields[field_].shape.size() != 1)
      return fail(ErrorCode::invalid_argument,
                  fmt::format("the field \"{}\" is no sequence of tokens", fields[field_].name));
    fields[field_].shape = {length_};
    return {};
  }

  Result<void> apply(Sample& sample, const RandomStream*) const override {
    Value& value = sample.fields[field_];
    value.whole.resize(length_, Vocabulary::kPadding);
    value.shape.assign(1, length_);
    return {};
  }

 private:
  std::string name_;
  std::uint32_t length_;
  std::size_t field_ = 0;
};

}  // namespace

std::shared_ptr<Transform> make_tokenize(const scheduler::Tokenize& spec, const std::string& field,
                                         const Learnt& learnt, std::size_t most_tokens) {
  return std::make_shared<TokenizeText>(spec, field, learnt, most_tokens);
}

std::shared_ptr<Transform> make_pad_sequences(const scheduler::PadSequences& spec, const std::string& field) {
  return std::make_shared<PadTokens>(spec.length, field);
}

}  // namespace ds::data
