#include "scheduler/spec/served_source.hpp"

#include "scheduler/spec/identifier.hpp"
#include "scheduler/spec/scalars.hpp"
#include "scheduler/spec/utf8.hpp"

namespace ds::scheduler {
namespace {

using Parsed = std::variant<ServedSource, SourceFault>;

/// Of `NAME@WHICH` both parts; without `@` the second is empty.
struct NameAndWhich {
  std::string_view name, which;
  bool has_which = false;
};

NameAndWhich split(std::string_view text) {
  const auto at = text.find('@');
  if (at == std::string_view::npos) return {text, {}, false};
  return {text.substr(0, at), text.substr(at + 1), true};
}

Parsed parse_checkpoint(std::string_view text, ServedSource source) {
  const char* hint = "such as ckpt:intents@best, ckpt:intents@newest or ckpt:intents@1200";
  const auto [name, which, has_which] = split(text);
  source.kind = ServedSource::Kind::checkpoint;
  source.job = name;
  if (!is_identifier(name)) return SourceFault{"expected a job's name or id, got " + to_quoted(name), hint};
  if (!has_which || which == "best") return source;
  source.is_best = false;
  if (which == "newest") return source;
  const auto step = parse_whole(which);
  if (step.fault != NumberFault::none || step.value == 0)
    return SourceFault{"expected best, newest or a step, got " + to_quoted(which), hint};
  source.step = step.value;
  return source;
}

Parsed parse_registered(std::string_view text, ServedSource source) {
  const char* hint = "such as registry:intents@prod or registry:intents@3";
  const auto [name, which, has_which] = split(text);
  source.kind = ServedSource::Kind::registry;
  source.model = name;
  source.reference = which;
  if (!is_identifier(name)) return SourceFault{"expected a model's name, got " + to_quoted(name), hint};
  if (has_which && !is_identifier(which))
    return SourceFault{"expected a tag or a version's number, got " + to_quoted(which), hint};
  return source;
}

}  // namespace

Parsed parse_served_source(std::string_view text) {
  ServedSource source;
  source.text = text;
  if (text.starts_with("ckpt:")) return parse_checkpoint(text.substr(5), std::move(source));
  if (text.starts_with("registry:")) return parse_registered(text.substr(9), std::move(source));
  if (text.starts_with("file:") && text.size() > 5) {
    source.path = text.substr(5);
    return source;
  }
  return SourceFault{
      "expected ckpt:JOB, registry:NAME or file:PATH, got " + to_quoted(text),
      "such as ckpt:intents@best, registry:intents@prod, or file:model.pt for a TorchScript file"};
}

}  // namespace ds::scheduler
