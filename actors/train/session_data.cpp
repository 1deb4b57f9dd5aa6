#include "actors/train/session_data.hpp"

#include <fmt/format.h>

#include <utility>

#include "storage/dataset/csv.hpp"

namespace ds::train {
namespace {

Result<storage::LabelledText> read(const scheduler::CsvSource& source) {
  return storage::read_labelled_text(source.path, source.text_column, source.label_column);
}

}  // namespace

Result<SessionData> load_session_data(const scheduler::JobSpec& spec) {
  const scheduler::DataSpec& data = spec.data;
  const Result<storage::LabelledText> training = read(data.train);
  if (!training) return tl::unexpected(training.error());
  std::vector<std::string> labels = distinct_labels(training->labels);
  if (labels.size() < 2) {
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("data.train: {} has {} label{} in column \"{}\", a classifier needs at least 2",
                    data.train.path, labels.size(), labels.size() == 1 ? "" : "s", data.train.label_column),
        "choose another label column, or a file whose rows have different labels");
  }
  const Vocabulary vocabulary = Vocabulary::of(training->texts, data.vocabulary);
  SessionData session;
  session.training = encode_rows(*training, vocabulary, labels, data.length);
  if (data.validate) {
    const Result<storage::LabelledText> validation = read(*data.validate);
    if (!validation) return tl::unexpected(validation.error());
    session.validation = encode_rows(*validation, vocabulary, labels, data.length);
    session.majority_accuracy = majority_accuracy(session.training, *session.validation);
  }
  session.description = {
      {vocabulary.size(), data.length, spec.model.width, static_cast<std::uint32_t>(labels.size()),
       spec.model.dropout},
      vocabulary.words(),
      std::move(labels),
      {training->sha256, data.train.text_column, data.train.label_column, data.vocabulary, data.length}};
  return session;
}

}  // namespace ds::train
