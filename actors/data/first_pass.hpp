#pragma once

#include <cstdint>
#include <vector>

#include "actors/data/label_rules.hpp"
#include "actors/data/source.hpp"
#include "actors/data/word_counts.hpp"
#include "storage/result.hpp"

namespace ds::data {

/// What one look at every record teaches.
struct FirstPass {
  LabelCounts labels;
  WordCounts words;
  std::vector<std::uint64_t> bad;  ///< records that can't be read, in order
};

struct FirstPassPlan {
  bool has_label = false;                ///< the last field is one, and counted
  std::vector<std::size_t> text_fields;  ///< whose words are counted
  scheduler::Tolerance on_bad_record;
  std::uint32_t threads = 1;
  std::uint32_t ngrams = 1;                     ///< as `WordCounts`
  std::size_t most_words = WordCounts::kUsual;  ///< as `WordCounts`
};

/// Whether the error is one record's, so that others can be read without it.
bool is_bad_record(const Error& error);

/// Reads all records, `threads` ranges at a time; the result does not depend on their number. Fails with the
/// first record's error when that is no tolerated one.
Result<FirstPass> take_first_pass(const Source& source, const FirstPassPlan& plan);

/// `error` of more bad records than `most`.
Error too_many_bad_records(std::uint64_t most, const Error& error);

}  // namespace ds::data
