#include "clients/commands.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "clients/api_client.hpp"
#include "clients/audit.hpp"
#include "clients/download.hpp"
#include "clients/failure.hpp"
#include "clients/follow.hpp"
#include "clients/follow_report.hpp"
#include "clients/guarantees.hpp"
#include "clients/interrupt.hpp"
#include "clients/job_format.hpp"
#include "clients/job_submission.hpp"
#include "clients/job_view.hpp"
#include "clients/json_fields.hpp"
#include "clients/predict.hpp"
#include "clients/printable.hpp"
#include "clients/time_text.hpp"
#include "clients/wall_clock.hpp"
#include "clients/yaml_text.hpp"

namespace ds::clients {
namespace {

using nlohmann::json;

/// Asks one question and shows the answer, as it came or for a person.
template <class Format>
ExitCode show(const CommandContext& context, const std::string& path, const Format& format) {
  ApiClient api(find_head(context.head));
  const json answer = api.get(path);
  context.json ? write_document(context, answer) : write_out(format(answer));
  return ExitCode::done;
}

/// A whole number of at most nine digits.
std::optional<std::uint32_t> parse_count(const std::string& text) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.size() > 9) return std::nullopt;
  return value;
}

/// Of one with a deadline that was paused or resumed: whether that is promised still, or again.
void tell_of_promise(const json& answer, const CommandContext& context) {
  const std::string id = printable_line(text_at(answer, "id"));
  const auto renewed = answer.find("promise_renewed");
  if (renewed != answer.end() && *renewed == true) {
    if (context.json) return;
    return write_out(fmt::format("its deadline {} is promised again: it starts by {} for certain\n",
                                 format_time(integer_at(answer, "deadline_ms")),
                                 format_time(integer_at(answer, "starts_by_ms"))));
  }
  std::string lost = text_at(answer, "promise_refused");
  if (lost.empty()) lost = text_at(answer, "promise_given_up");
  if (!lost.empty()) write_err(fmt::format("warning: {}: {}\n", id, printable_line(lost)));
}

/// Asks for a change of a job and shows the job.
ExitCode ask_for_change(const CommandContext& context, const std::string& job, const std::string& verb,
                        const json& body) {
  ApiClient api(find_head(context.head));
  const json answer = api.post(job_path(job, "/" + verb), body);
  if (context.json) {
    write_document(context, answer);
  } else {
    write_out(printable_line(text_at(answer, "name") + " " + text_at(answer, "id") + ": " +
                             text_at(answer, "state")) +
              "\n");
  }
  if (verb == "pause" || verb == "resume") tell_of_promise(answer, context);
  return ExitCode::done;
}

/// With what the command line says beside it.
JobFile complete(JobFile file, const CommandContext& context) {
  file.tenant = context.tenant;
  file.overrides = context.overrides;
  return file;
}

JobFile read_for(const CommandContext& context, const std::string& path) {
  return complete(read_job_file(path), context);
}

/// Nodes may come, so the job is accepted all the same.
void warn_if_never(const json& submitted) {
  const std::string why = printable_line(text_at(submitted, "never_fits"));
  if (!why.empty())
    write_err(fmt::format("warning: as things are {} can never start: it {}\n",
                          printable_line(text_at(submitted, "id")), why));
}

ExitCode run_job_file(const CommandContext& context, const JobFile& job_file) {
  ApiClient api(find_head(context.head));
  set_interrupt_message("\ninterrupted while submitting; ds-submit list shows whether the job got through\n");
  const json submitted = submit_job(api, job_file);
  const std::string id = printable_line(text_at(submitted, "id"));
  set_interrupt_message(fmt::format("\ninterrupted; the job goes on\n{}", ways_back(id)));
  write_err(fmt::format("submitted {} as {}; Ctrl-C leaves it running\n{}",
                        printable_line(text_at(submitted, "name")), id, ways_back(id)));
  warn_if_never(submitted);
  try {
    const json job = follow_job(api, id, context.terminal, context.patience);
    set_interrupt_message("");
    const bool is_command = text_at(job, "kind") == "command";
    if (context.json) {
      write_document(context, job);
    } else {
      // Standard output is what the program printed, and nothing else.
      is_command ? write_err(format_outcome(job)) : write_out(format_outcome(job));
    }
    return exit_code_for_state(text_at(job, "state"));
  } catch (Failure& failure) {
    if (failure.exit_code == ExitCode::no_server) {
      failure.hint =
          fmt::format("the job goes on without us; when the head is back: ds-submit status {}", id);
    }
    throw;
  }
}

}  // namespace

void write_document(const CommandContext& context, const json& document) {
  write_out(context.yaml ? to_yaml(document)
                         : document.dump(2, ' ', false, json::error_handler_t::replace) + "\n");
}

ExitCode run_job(const CommandContext& context, const std::string& file) {
  return run_job_file(context, read_for(context, file));
}

ExitCode run_command(const CommandContext& context, const std::vector<std::string>& arguments) {
  return run_job_file(context, complete(make_command_job(arguments), context));
}

ExitCode submit_job_file(const CommandContext& context, const std::string& file) {
  const JobFile job_file = read_for(context, file);
  ApiClient api(find_head(context.head));
  set_interrupt_message("\ninterrupted while submitting; ds-submit list shows whether the job got through\n");
  const json submitted = submit_job(api, job_file);
  const std::string id = printable_line(text_at(submitted, "id"));
  if (context.json) {
    write_document(context, submitted);
  } else {
    write_out(id + "\n");
    write_err(fmt::format("submitted {}\n{}", printable_line(text_at(submitted, "name")), ways_back(id)));
  }
  warn_if_never(submitted);
  return ExitCode::done;
}

ExitCode plan_job_file(const CommandContext& context, const std::string& file) {
  const JobFile job_file = read_for(context, file);
  ApiClient api(find_head(context.head));
  const json plan = plan_job(api, job_file);
  context.json ? write_document(context, plan) : write_out(format_plan(plan, context.terminal.colour_out));
  if (text_at(plan, "outcome") != "never") return ExitCode::done;
  const auto& reasons = array_at(plan, "reasons");
  const bool is_quota = !reasons.empty() && text_at(reasons.front(), "code") == "quota_tenant";
  return is_quota ? ExitCode::quota : ExitCode::unplaceable;
}

ExitCode list_jobs(const CommandContext& context, const JobFilter& filter) {
  const std::string path = path_of_jobs(filter);
  json jobs = ApiClient(find_head(context.head)).get_list(path);
  if (jobs.is_array()) {  // each page is in order, and the pages are not
    std::stable_sort(jobs.begin(), jobs.end(), [](const json& a, const json& b) {
      return integer_at(a, "submitted_ms") < integer_at(b, "submitted_ms");
    });
  }
  if (context.json) {
    write_document(context, jobs);
  } else if (jobs.empty() && !filter.takes_all()) {
    write_out("no job has all that was asked for; ds-submit list shows those there are\n");
  } else {
    write_out(format_jobs(jobs, read_wall_clock_ms(), context.terminal.colour_out));
  }
  return ExitCode::done;
}

ExitCode show_job(const CommandContext& context, const std::string& job) {
  return show(context, job_path(job), [&](const json& answer) {
    return format_job(answer, read_wall_clock_ms(), context.terminal.colour_out);
  });
}

ExitCode show_logs(const CommandContext& context, const std::string& job, bool follow) {
  if (follow && context.json) {
    throw Failure(ExitCode::usage, "usage", "a log that is followed is text, not one JSON document",
                  "leave -f or -o json out");
  }
  const std::string path = job_path(job, "/logs");
  ApiClient api(find_head(context.head));
  if (!context.json) {
    copy_logs(api, job, follow, context.terminal, context.patience);
    return ExitCode::done;
  }
  json whole;
  std::string text;
  std::int64_t offset = 0;
  for (;;) {
    whole = api.get(fmt::format("{}?offset={}", path, offset));
    text += text_at(whole, "text");
    const std::int64_t next = integer_at(whole, "next", offset);
    if (next <= offset) break;
    offset = next;
  }
  whole["offset"] = 0;
  whole["text"] = std::move(text);
  write_document(context, whole);
  return ExitCode::done;
}

ExitCode change_job(const CommandContext& context, const std::string& job, const std::string& verb) {
  return ask_for_change(context, job, verb, json::object());
}

ExitCode set_priority(const CommandContext& context, const std::string& job, const std::string& value) {
  const auto number = parse_count(value);
  return ask_for_change(context, job, "priority", {{"priority", number ? json(*number) : json(value)}});
}

ExitCode scale_job(const CommandContext& context, const std::string& job, const std::string& workers) {
  const std::size_t colon = workers.find(':');
  const auto min = parse_count(workers.substr(0, colon));
  const auto max = colon == std::string::npos ? min : parse_count(workers.substr(colon + 1));
  if (!min || !max) {
    throw Failure(ExitCode::usage, "usage",
                  "expected MIN:MAX or a number of workers, got " + printable_line(workers),
                  "such as 2 or 1:4");
  }
  return ask_for_change(context, job, "scale", {{"min", *min}, {"max", *max}});
}

ExitCode change_node(const CommandContext& context, const std::string& node, const std::string& verb) {
  if (node.empty())
    throw Failure(ExitCode::usage, "usage", "the node's name is empty", "ds-submit nodes shows them");
  ApiClient api(find_head(context.head));
  const json answer = api.post("/api/v1/nodes/" + encode_segment(node) + "/" + verb, json::object());
  if (context.json) {
    write_document(context, answer);
  } else {
    write_out(printable_line(text_at(answer, "id") + ": " + text_at(answer, "state")) + "\n");
  }
  return ExitCode::done;
}

ExitCode list_nodes(const CommandContext& context) {
  return show(context, "/api/v1/nodes",
              [&](const json& nodes) { return format_nodes(nodes, context.terminal.colour_out); });
}

ExitCode show_tenants(const CommandContext& context, const std::string& apply) {
  std::optional<JobFile> file;
  if (!apply.empty()) file = read_tenants_file(apply);
  ApiClient api(find_head(context.head));
  const json tenants = file ? apply_tenants(api, *file) : api.get("/api/v1/tenants");
  const std::string note = format_guarantees(tenants);
  if (file) {
    write_err(printable_line("applied " + file->shown) + "\n" + format_removed(tenants));
    if (!note.empty()) write_err("warning: " + note);
  }
  context.json
      ? write_document(context, tenants)
      : write_out(format_tenants(tenants, context.terminal.colour_out) + (file ? std::string() : note));
  return ExitCode::done;
}

ExitCode list_checkpoints(const CommandContext& context, const std::string& job) {
  return show(context, job_path(job, "/checkpoints"),
              [&](const json& answer) { return format_checkpoints(answer, context.terminal.colour_out); });
}

ExitCode explain_wait(const CommandContext& context, const std::string& job) {
  return show(context, job_path(job, "/why"),
              [&](const json& answer) { return format_why(answer, context.terminal.colour_out); });
}

ExitCode export_job(const CommandContext& context, const std::string& job, const std::string& format,
                    std::uint64_t step, const std::string& file) {
  std::string path = job_path(job, "/export?format=" + encode_segment(format));
  if (step != 0) path += fmt::format("&step={}", step);
  ApiClient api(find_head(context.head));
  const std::uint64_t bytes = download_to_file(api, path, file);
  if (context.json) {
    write_document(context, {{"file", file}, {"format", format}, {"bytes", bytes}});
  } else {
    write_err(
        fmt::format("wrote {} ({}, {})\n", file, format, format_bytes(static_cast<std::int64_t>(bytes))));
  }
  return ExitCode::done;
}

ExitCode audit_job(const CommandContext& context, const std::string& job, const std::string& given) {
  std::string folder = given;
  if (folder.empty()) {
    ApiClient api(find_head(context.head));
    folder = text_at(api.get(job_path(job)), "audit");
  }
  if (folder.empty()) {
    throw Failure(ExitCode::conflict, "conflict", fmt::format("{} is not audited", printable_line(job)),
                  "put audit: true into its job file before it is submitted");
  }
  const Audit audit = read_audit(folder);
  if (context.json) {
    json document{{"job", audit.job}, {"steps", audit.steps}, {"good", audit.is_good()}};
    document["faults"] = audit.faults;
    document["epochs"] = json::array();
    for (const auto& [number, epoch] : audit.epochs) {
      document["epochs"].push_back({{"epoch", number},
                                    {"first_step", epoch.first_step},
                                    {"last_step", epoch.last_step},
                                    {"whole", epoch.whole},
                                    {"once", epoch.once},
                                    {"missing", epoch.missing},
                                    {"twice", epoch.twice}});
    }
    write_document(context, document);
  } else {
    write_out(format_audit(audit, context.terminal.colour_out));
  }
  return audit.is_good() ? ExitCode::done : ExitCode::unexpected;
}

ExitCode predict(const CommandContext& context, const std::string& model,
                 const std::vector<std::string>& texts, const std::vector<std::string>& tensors) {
  ApiClient api(find_head(context.head));
  const auto at = model.find('@');
  std::string path = "/v2/models/" + encode_segment(model.substr(0, at));
  if (at != std::string::npos) path += "/versions/" + encode_segment(model.substr(at + 1));
  std::map<std::string, std::string> headers;
  if (const auto& tenant = context.tenant.of_request(); !tenant.empty()) headers.emplace("DS-Tenant", tenant);
  const json answer =
      api.post(path + "/infer", make_request(api.get(path), texts, tensors), headers, kLongAnswerTime);
  context.json ? write_document(context, answer)
               : write_out(format_prediction(answer, context.terminal.colour_out));
  return ExitCode::done;
}

ExitCode explain(const CommandContext& context, const std::string& field) {
  const json explanation = explain_field(json::parse(job_format_text()).at("fields"), field);
  context.json ? write_document(context, explanation) : write_out(format_explanation(explanation));
  return ExitCode::done;
}

ExitCode show_schema(const CommandContext& context) {
  write_document(context, json::parse(job_format_text()).at("schema"));
  return ExitCode::done;
}

ExitCode show_version(const CommandContext& context) {
  context.json ? write_document(context, {{"version", DS_VERSION}}) : write_out("ds-submit " DS_VERSION "\n");
  return ExitCode::done;
}

}  // namespace ds::clients
