#include "actors/train/session_data.hpp"

#include <fmt/format.h>

#include <utility>
#include <variant>

#include "storage/dataset/csv.hpp"

namespace ds::train {
namespace {

Result<void> refuse(const char* field, const std::string& problem) {
  return fail(ErrorCode::invalid_argument, fmt::format("{}: {}", field, problem));
}

/// The column of `field` in a CSV file with a header; empty when it is no such source.
std::string column_of(const scheduler::SourceSpec& source, const char* field) {
  if (source.format != "csv" || !source.header || source.paths.size() != 1 || source.columns.size() != 2)
    return {};
  for (const scheduler::FieldColumns& columns : source.columns)
    if (columns.field == field && columns.columns.size() == 1) return columns.columns.front();
  return {};
}

Result<void> read_source(const scheduler::SourceSpec& source, const char* field, std::string& path,
                         std::string& text, std::string& label) {
  text = column_of(source, "text");
  label = column_of(source, "label");
  if (text.empty() || label.empty())
    return refuse(field, "must be one CSV file with a header and a column for text and one for label");
  if (source.records != scheduler::RecordRange{}) return refuse(field, "must have no records");
  path = source.paths.front();
  return {};
}

Result<void> read_transforms(const scheduler::DataSpec& data, TextJob& job) {
  for (const scheduler::TransformSpec& transform : data.transforms) {
    if (const auto* tokenize = std::get_if<scheduler::Tokenize>(&transform.what)) {
      if (tokenize->method != "word") return refuse("data.transforms.tokenize.method", "must be word");
      job.vocabulary = tokenize->vocabulary;
    } else if (const auto* pad = std::get_if<scheduler::PadSequences>(&transform.what)) {
      job.length = pad->length;
    } else {
      return refuse("data.transforms", "must be tokenize and pad_sequences");
    }
  }
  return {};
}

}  // namespace

Result<TextJob> to_text_job(const scheduler::JobSpec& spec) {
  TextJob job;
  Result<void> read =
      read_source(spec.data.train, "data.train", job.train, job.text_column, job.label_column);
  if (read && spec.data.validate) {
    read = read_source(*spec.data.validate, "data.validate", job.validate, job.validate_text_column,
                       job.validate_label_column);
  }
  if (read) read = read_transforms(spec.data, job);
  if (!read) return tl::unexpected(read.error());
  const auto setting = [&](const char* name, double value) {
    const auto found = spec.model.settings.find(name);
    return found == spec.model.settings.end() || found->second.empty() ? value : found->second.front();
  };
  job.width = static_cast<std::uint32_t>(setting("width", job.width));
  job.dropout = setting("dropout", job.dropout);
  return job;
}

Result<SessionData> load_session_data(const scheduler::JobSpec& spec) {
  const Result<TextJob> job = to_text_job(spec);
  if (!job) return tl::unexpected(job.error());
  const Result<storage::LabelledText> training =
      storage::read_labelled_text(job->train, job->text_column, job->label_column);
  if (!training) return tl::unexpected(training.error());
  std::vector<std::string> labels = distinct_labels(training->labels);
  if (labels.size() < 2) {
    return fail(ErrorCode::invalid_argument,
                fmt::format("data.train: {} has {} label{} in column \"{}\", a classifier needs at least 2",
                            job->train, labels.size(), labels.size() == 1 ? "" : "s", job->label_column),
                "choose another label column, or a file whose rows have different labels");
  }
  const Vocabulary vocabulary = Vocabulary::of(training->texts, job->vocabulary);
  SessionData session;
  session.training = encode_rows(*training, vocabulary, labels, job->length);
  if (!job->validate.empty()) {
    const Result<storage::LabelledText> validation =
        storage::read_labelled_text(job->validate, job->validate_text_column, job->validate_label_column);
    if (!validation) return tl::unexpected(validation.error());
    session.validation = encode_rows(*validation, vocabulary, labels, job->length);
    session.majority_accuracy = majority_accuracy(session.training, *session.validation);
  }
  session.description = {
      {vocabulary.size(), job->length, job->width, static_cast<std::uint32_t>(labels.size()), job->dropout},
      vocabulary.words(),
      std::move(labels),
      {training->sha256, job->text_column, job->label_column, job->vocabulary, job->length}};
  return session;
}

}  // namespace ds::train
