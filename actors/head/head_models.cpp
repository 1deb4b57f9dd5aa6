// The registry of models: versions are added, tags move.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <new>

#include "actors/head/head_actor.hpp"
#include "actors/head/model_requests.hpp"
#include "actors/head/model_views.hpp"
#include "scheduler/spec/identifier.hpp"
#include "scheduler/spec/served_source.hpp"
#include "storage/codec/sha256.hpp"
#include "storage/files/whole_file.hpp"

namespace ds::head {
namespace {

using namespace scheduler;

/// Of a file that is taken over.
constexpr std::uint64_t kMostModelFileBytes = std::uint64_t{1} << 30;

gateway::HttpResponse fault_response(ErrorCode code, const ModelFault& fault) {
  return error_response({code, fault.message, fault.hint});
}

gateway::HttpResponse removed_meanwhile(const std::string& model) {
  return error_response({ErrorCode::conflict,
                         fmt::format("model {} was removed meanwhile, or a part of it", model),
                         "ds-submit models shows what there is"});
}

/// What a TorchScript file, a zip archive, begins with.
constexpr std::string_view kZipStart("PK\003\004", 4);

Result<std::string> read_model_file(const std::string& path, std::uint64_t limit) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (error) {
    return fail(ErrorCode::not_found, fmt::format("{}: {}", path, error.message()),
                "the head reads the file, so it has to be there on the head's machine");
  }
  if (!std::filesystem::is_regular_file(path, error) || size == 0)
    return fail(ErrorCode::invalid_argument, fmt::format("{} is no file with anything in it", path));
  if (size > limit)
    return fail(
        ErrorCode::invalid_argument,
        fmt::format("{} has {} bytes, and {} are the most that a model's file may have", path, size, limit));
  try {
    auto content = storage::read_file(path, limit);
    if (content && !content->starts_with(kZipStart))
      return fail(ErrorCode::invalid_argument, fmt::format("{} is no TorchScript file", path),
                  "torch.jit.script(module).save(FILE) makes such a file");
    return content;
  } catch (const std::bad_alloc&) {
    return fail(ErrorCode::unavailable,
                fmt::format("the head has no memory for the {} bytes of {}", size, path), "try again");
  }
}

}  // namespace

/// What a client wants to be registered.
struct Head::Registration {
  std::string model, tag;
  ServedSource source;
  gateway::Respond respond;
  std::shared_ptr<const void> turn = {};  ///< of a file: one is in work at a time, with all its bytes
};

void Head::answer_models(const gateway::HttpRequest& request, const std::vector<std::string>& route,
                         const gateway::Respond& respond) {
  const bool is_change = route.size() == 3;
  static constexpr std::array<std::string_view, 4> kChanges{"versions", "promote", "rollback", "remove"};
  if (is_change && std::ranges::find(kChanges, route[2]) == kChanges.end())
    return respond(error_response({ErrorCode::not_found, fmt::format("there is no {}", request.path), {}}));
  if (request.method != (is_change ? "POST" : "GET"))
    return respond(wrong_method(is_change ? "POST" : "GET"));
  if (route.size() == 1) {
    return when_durable([this, respond] {
      auto list = nlohmann::json::array();
      for (const auto& [name, model] : ledger_.registry().models()) list.push_back(model_view(model, false));
      respond(json_response(list));
    });
  }
  const std::string& name = route[1];
  if (!is_change) {
    const auto found = ledger_.registry().resolve(name, "newest");
    if (const auto* fault = std::get_if<ModelFault>(&found))
      return respond(fault_response(ErrorCode::not_found, *fault));
    return answer_with_model(name, respond);
  }
  const auto body = parse_body(request.body);
  if (!body) return respond(error_response(body.error()));
  if (route[2] == "versions") return register_version(name, *body, respond);
  if (route[2] == "promote") return promote(name, *body, respond);
  if (route[2] == "remove") return remove_model(name, *body, respond);
  roll_back(name, *body, respond);
}

void Head::answer_with_model(const std::string& name, const gateway::Respond& respond) {
  when_durable([this, name, respond] {
    const auto* model = ledger_.registry().find(name);
    respond(model == nullptr ? removed_meanwhile(name) : json_response(model_view(*model, true)));
  });
}

// ---- versions -----------------------------------------------------------------------------------

void Head::register_version(const std::string& name, const nlohmann::json& body,
                            const gateway::Respond& respond) {
  const auto asked = read_version_request(body);
  if (!asked) return respond(error_response(asked.error()));
  auto parsed = parse_served_source(asked->from);
  if (const auto* fault = std::get_if<SourceFault>(&parsed))
    return respond(error_response({ErrorCode::invalid_argument, "from: " + fault->message, fault->hint}));
  Registration wanted{name, asked->tag, std::get<ServedSource>(std::move(parsed)), respond};
  if (!is_identifier(name)) {
    return respond(error_response({ErrorCode::invalid_argument, "the model's name is none",
                                   "1 to 63 of a-z, 0-9, '.', '_' and '-', a letter or a digit first"}));
  }
  if (!wanted.tag.empty() && !is_tag(wanted.tag))
    return respond(fault_response(ErrorCode::invalid_argument, explain_tag(wanted.tag)));
  if (const auto room = parts_.journal->check_room(); !room) return respond(error_response(room.error()));
  switch (wanted.source.kind) {
    case ServedSource::Kind::checkpoint:
      return register_checkpoint(wanted);
    case ServedSource::Kind::file:
      return register_file(wanted);
    case ServedSource::Kind::registry:
      break;
  }
  respond(error_response({ErrorCode::invalid_argument, "from: a version comes from a checkpoint or a file",
                          "ds-submit promote NAME@VERSION TAG gives a version another tag"}));
}

void Head::register_checkpoint(const Registration& wanted) {
  const auto job = find_training_job(wanted.source.job, ledger_);
  if (const auto* fault = std::get_if<ModelFault>(&job))
    return wanted.respond(fault_response(ErrorCode::not_found, *fault));
  const auto id = std::get<std::string>(job);
  find_checkpoint(id, wanted.source, [wanted, id](Head& head, const Result<storage::CheckpointEntry>& found) {
    if (!found) return wanted.respond(error_response(found.error()));
    ModelVersion version{
        .source = id, .step = found->step, .from = fmt::format("ckpt:{}@{}", id, found->step)};
    for (const auto& [metric, value] : found->metrics) {
      if (std::isfinite(value)) version.metrics[metric] = value;
    }
    head.add_version(wanted, std::move(version));
  });
}

/// Its content is copied into the checkpoint store, so that no version can change or vanish with the file.
void Head::register_file(const Registration& wanted) {
  const auto& path = wanted.source.path;
  if (path.empty() || path.front() != '/')
    return wanted.respond(
        error_response({ErrorCode::invalid_argument, "from: the path is not absolute", {}}));
  const Error busy{ErrorCode::unavailable, "the head is busy with other files", "try again"};
  if (!file_in_work_.expired()) return wanted.respond(error_response(busy));
  auto mine = wanted;
  mine.turn = std::make_shared<const int>(0);
  file_in_work_ = mine.turn;
  const auto self = caf::actor_cast<caf::actor>(this);
  // Not among what submissions wait for: it may take as long as its disk likes.
  const bool queued = parts_.file_thread->post(
      [self, mine, path, limit = std::min(kMostModelFileBytes, parts_.max_state_bytes)] {
        auto content = read_model_file(path, limit);
        const auto digest = content ? storage::to_hex(storage::sha256(*content)) : std::string();
        const auto shared = std::make_shared<const Result<std::string>>(std::move(content));
        caf::anon_send(self,
                       Run{[mine, shared, digest](Head& head) { head.keep_file(mine, shared, digest); }});
      });
  if (!queued) wanted.respond(error_response(busy));
}

void Head::keep_file(const Registration& wanted, const std::shared_ptr<const Result<std::string>>& content,
                     const std::string& digest) {
  if (!*content) return wanted.respond(error_response(content->error()));
  next_file_ = std::max(next_file_, ledger_.registry().next_file());
  ModelVersion version{.source = std::string(kModelFiles),
                       .step = next_file_++,
                       .from = "file:" + wanted.source.path,
                       .digest = digest};
  if (ledger_.registry().find_same(wanted.model, version) != nullptr)
    return add_version(wanted, std::move(version));
  if (const auto full = ledger_.registry().check_room(wanted.model, wanted.tag))
    return wanted.respond(fault_response(ErrorCode::conflict, *full));
  const auto self = caf::actor_cast<caf::actor>(this);
  const bool queued = parts_.checkpoint_thread->post(
      [self, store = parts_.checkpoints, wanted, content, version, time_ms = now_ms()] {
        const storage::CheckpointEntry entry{version.step, (*content)->size(), time_ms, {}};
        const storage::NamedBytes bytes{"file", std::as_bytes(std::span(**content))};
        const auto saved = store->save(version.source, entry, version.from, std::span(&bytes, 1));
        if (!saved) return wanted.respond(error_response(saved.error()));
        caf::anon_send(self, Run{[wanted, version](Head& head) { head.add_version(wanted, version); }});
      });
  if (!queued)
    wanted.respond(
        error_response({ErrorCode::unavailable, "the head is busy with checkpoints", "try again"}));
}

void Head::drop_needless_files() {
  has_needless_files_ = false;
  // Only one file is in work at a time: what the ledger doesn't know now it never will.
  auto steps = ledger_.registry().steps_of(kModelFiles);
  // The next head may know of what this one has removed a moment ago.
  for (const auto& [removal, files] : files_not_yet_gone_)
    steps.insert(steps.end(), files.begin(), files.end());
  parts_.checkpoint_thread->post([store = parts_.checkpoints, steps = std::move(steps)] {
    const storage::Retention known{0, 0, {}, true, steps, true};
    if (const auto dropped = store->prune(std::string(kModelFiles), known); !dropped)
      spdlog::warn("files that are no versions are not removed: {}", dropped.error().message);
  });
}

/// The same again is the version that there is.
void Head::add_version(const Registration& wanted, ModelVersion version) {
  const auto& registry = ledger_.registry();
  const auto* same = registry.find_same(wanted.model, version);
  const auto* known = registry.find(wanted.model);
  const bool needs_tag = known != nullptr && !wanted.tag.empty() && known->tagged(wanted.tag) == 0 &&
                         known->tags.size() >= ModelRegistry::kMostTags;
  if (const auto full = registry.check_room(wanted.model, wanted.tag);
      full && (same == nullptr || needs_tag)) {
    wanted.respond(fault_response(ErrorCode::conflict, *full));
    return version.is_file() ? drop_needless_files() : void();
  }
  const auto* model = registry.find(wanted.model);
  version.number = same != nullptr ? same->number : model == nullptr ? 1 : model->last + 1;
  const auto number = version.number;
  std::vector<Event> events;
  if (same == nullptr) {
    spdlog::info("model {} has version {}: {}", wanted.model, number, version.from);
    events.push_back(event("user", "registered", ModelVersionAdded{wanted.model, std::move(version)}));
  }
  ServedLines before;
  if (!wanted.tag.empty()) {
    before = lines_of_followers(wanted.model, wanted.tag);
    events.push_back(event("user", "registered", ModelTagged{wanted.model, wanted.tag, number}));
  }
  commit(std::move(events), [this, wanted, number, is_new = same == nullptr] {
    const auto* now = ledger_.registry().find(wanted.model);
    const auto* added = now == nullptr ? nullptr : now->find(number);
    if (added == nullptr) return wanted.respond(removed_meanwhile(wanted.model));
    wanted.respond(json_response(version_view(*now, *added), is_new ? 201 : 200));
  });
  on_tag_moved(before);
  // Now no file is in work but this one, which is a version.
  if (wanted.source.kind == ServedSource::Kind::file && has_needless_files_) drop_needless_files();
}

/// Its file goes once that is durable; the checkpoint of a job when that job's are next looked through.
void Head::remove_model(const std::string& name, const nlohmann::json& body,
                        const gateway::Respond& respond) {
  const auto asked = read_remove_request(body);
  if (!asked) return respond(error_response(asked.error()));
  const auto& registry = ledger_.registry();
  const auto found = registry.resolve(name, asked->version == 0 ? "newest" : std::to_string(asked->version));
  if (const auto* fault = std::get_if<ModelFault>(&found))
    return respond(fault_response(ErrorCode::not_found, *fault));
  if (const auto kept = registry.check_removal(name, asked->version))
    return respond(fault_response(ErrorCode::conflict, *kept));
  const auto what = asked->version == 0 ? fmt::format("model {}", name)
                                        : fmt::format("version {} of model {}", asked->version, name);
  if (const auto jobs = ledger_.servers_of(name, asked->version); !jobs.empty()) {
    return respond(error_response(
        {ErrorCode::conflict, fmt::format("job {} serves {}, or may go back to it", jobs.front(), what),
         fmt::format(
             "ds-submit cancel {} ends it; a version that has taken another's place is tried for two minutes",
             jobs.front())}));
  }
  if (const auto room = parts_.journal->check_room(); !room) return respond(error_response(room.error()));
  spdlog::info("{} is removed", what);
  const auto removal = ++removals_;
  files_not_yet_gone_.emplace(removal, registry.steps_of(kModelFiles));
  commit({event("user", "removed", ModelRemoved{name, asked->version})},
         [this, respond, name, removal, version = asked->version] {
           files_not_yet_gone_.erase(removal);
           has_needless_files_ = true;
           if (file_in_work_.expired()) drop_needless_files();
           nlohmann::json answer{{"model", name}};
           if (version != 0) answer["version"] = version;
           respond(json_response(answer));
         });
}

// ---- tags ---------------------------------------------------------------------------------------

void Head::promote(const std::string& name, const nlohmann::json& body, const gateway::Respond& respond) {
  const auto asked = read_promote_request(body);
  if (!asked) return respond(error_response(asked.error()));
  const auto& [tag, to] = *asked;
  if (!is_tag(tag)) return respond(fault_response(ErrorCode::invalid_argument, explain_tag(tag)));
  const auto found = ledger_.registry().resolve(name, to.empty() ? "newest" : to);
  if (const auto* fault = std::get_if<ModelFault>(&found))
    return respond(fault_response(ErrorCode::not_found, *fault));
  const auto& [model, version, from_tag] = std::get<ModelRegistry::Found>(found);
  const bool is_new = model->tagged(tag) == 0;
  if (is_new && model->tags.size() >= ModelRegistry::kMostTags)
    return respond(fault_response(ErrorCode::conflict, *ledger_.registry().check_room(name, tag)));
  move_tag({name, tag, version->number, false}, "promoted", respond);
}

void Head::roll_back(const std::string& name, const nlohmann::json& body, const gateway::Respond& respond) {
  const auto asked = read_rollback_request(body);
  if (!asked) return respond(error_response(asked.error()));
  const auto& tag = asked->tag;
  if (!is_tag(tag)) return respond(fault_response(ErrorCode::invalid_argument, explain_tag(tag)));
  const auto now = ledger_.registry().resolve(name, tag);
  if (const auto* fault = std::get_if<ModelFault>(&now))
    return respond(fault_response(ErrorCode::not_found, *fault));
  const auto former = ledger_.registry().find_former(name, tag);
  if (const auto* fault = std::get_if<ModelFault>(&former))
    return respond(fault_response(ErrorCode::conflict, *fault));
  const auto& found = std::get<ModelRegistry::Found>(former);
  if (const auto late = check_from(*asked, name, found.model->tagged(tag)); !late)
    return respond(error_response(late.error()));
  move_tag({name, tag, found.version->number, true}, "rolled back", respond);
}

/// Whoever serves what the tag points at follows. Asking for what is so already is no error.
void Head::move_tag(ModelTagged moved, const std::string& why, const gateway::Respond& respond) {
  if (const auto room = parts_.journal->check_room(); !room) return respond(error_response(room.error()));
  const auto before = lines_of_followers(moved.model, moved.tag);
  const auto name = moved.model;
  spdlog::info("model {}: {} is version {} ({})", name, moved.tag, moved.version, why);
  commit({event("user", why, std::move(moved))});
  on_tag_moved(before);
  answer_with_model(name, respond);
}

}  // namespace ds::head
