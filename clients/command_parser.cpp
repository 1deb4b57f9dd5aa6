#include "clients/command_parser.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>

#include "clients/job_format.hpp"
#include "clients/job_template.hpp"
#include "clients/output.hpp"
#include "clients/suggestion.hpp"
#include "clients/time_text.hpp"

namespace ds::clients {
namespace {

constexpr const char* kJobTenant = "whose job it is, whatever the file says";

/// Takes one of `words`, and suggests the nearest for another.
CLI::Validator one_of(const std::vector<std::string>& words) {
  const auto check = [words](std::string& given) {
    if (std::find(words.begin(), words.end(), given) != words.end()) return std::string();
    std::string list;
    for (const auto& word : words) list += (list.empty() ? "" : ", ") + word;
    const std::string nearest = nearest_word(given, words);
    return fmt::format("expected one of {}, got '{}'{}", list, given,
                       nearest.empty() ? "" : "; did you mean " + nearest + "?");
  };
  return {check, "", ""};
}

CLI::Validator a_duration() {
  const auto check = [](const std::string& given) {
    return parse_duration(given) ? std::string()
                                 : "expected a duration such as 90s, 15m or 1h30m, got '" + given + "'";
  };
  return {check, "", ""};
}

const std::vector<std::string> kKinds{"train", "serve", "command"}, kShells{"bash", "zsh", "fish"},
    kStates{"QUEUED", "STARTING",  "RUNNING", "RESIZING", "PREEMPTED",
            "PAUSED", "SUCCEEDED", "FAILED",  "CANCELLED"};

}  // namespace

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const auto* option : app.get_options()) {
    for (const auto& name : option->get_lnames()) names.push_back("--" + name);
    for (const auto& name : option->get_snames()) names.push_back("-" + name);
  }
  return names;
}

CommandParser::CommandParser() {
  app_.require_subcommand(0, 1);
  add_shared(app_, true);
  add_tenant(app_, "whose job the program is");
  add_overrides(app_, arguments_.of_program, "a field of the program's job, such as resources.gpu=1");
  app_.set_version_flag("--version", [] { return std::string("ds-submit " DS_VERSION); });
  app_.footer(
      "Exit codes: 0 done (and the job succeeded, where it was waited for), 1 unexpected, 2 usage, 3 job "
      "file\n"
      "invalid, 4 not found, 5 not allowed, 6 refused by a quota, 7 cannot be placed, 8 timed out, 9 no "
      "head,\n"
      "10 conflict, 100 job failed, 101 not finished, 103 job cancelled, 130 interrupted (the job goes "
      "on).\n"
      "ds-submit [--head ...] -- PROGRAM ARGUMENTS runs a program of yours once on the cluster, in this\n"
      "directory, prints what it prints, and ends with 0 or 100.\n"
      "The head is --head, else DS_HEAD, else the cluster that ds-submit up started. A job is its "
      "--tenant's, else the\n"
      "one's that its file names, else DS_TENANT's.");
  add_cluster_commands();
  add_job_commands();
  add_model_commands();
  add_own_commands();
}

bool CommandParser::names_subcommand(const std::vector<std::string>& words) const {
  return std::ranges::any_of(commands_, [&](const auto& command) {
    return std::ranges::find(words, command.first->get_name()) != words.end();
  });
}

bool CommandParser::takes_tenant() const {
  const auto chosen = app_.get_subcommands();
  return !chosen.empty() && chosen.front()->get_option_no_throw("--tenant") != nullptr;
}

const Command* CommandParser::chosen() const {
  for (const auto& [subcommand, command] : commands_) {
    if (subcommand->parsed()) return &command;
  }
  return nullptr;
}

void CommandParser::add_shared(CLI::App& app, bool output) {
  app.add_option("--head", arguments_.head, "address of the head, HOST:PORT")->option_text("HOST:PORT");
  const auto formats = one_of({"table", "json", "yaml"});
  if (output)
    app.add_option("-o,--output", arguments_.format, "table, json or yaml")
        ->check(formats)
        ->option_text("FORMAT");
}

CLI::App* CommandParser::add(const std::string& name, const std::string& description, Command command,
                             bool output) {
  CLI::App* subcommand = app_.add_subcommand(name, description);
  add_shared(*subcommand, output);
  commands_.emplace_back(subcommand, std::move(command));
  return subcommand;
}

CLI::App* CommandParser::add_for_job(const std::string& name, const std::string& description, Command command,
                                     bool output) {
  CLI::App* subcommand = add(name, description, std::move(command), output);
  subcommand->add_option("JOB", arguments_.job, "the job's id or name")->required();
  return subcommand;
}

void CommandParser::add_change(const std::string& verb, const std::string& description) {
  add_for_job(verb, description,
              [this, verb](const auto& context) { return change_job(context, arguments_.job, verb); });
}

CLI::App* CommandParser::add_for_node(const std::string& verb, const std::string& description) {
  auto* subcommand = add(verb, description, [this, verb](const auto& context) {
    return change_node(context, arguments_.node, verb);
  });
  subcommand->add_option("NODE", arguments_.node, "the node's name")->required();
  return subcommand;
}

void CommandParser::add_tenant(CLI::App& app, const std::string& whose) {
  app.add_option("--tenant", arguments_.tenant, whose + " (DS_TENANT)")->option_text("NAME");
}

void CommandParser::add_overrides(CLI::App& app, std::vector<std::string>& overrides,
                                  const std::string& meaning) {
  app.add_option("--set", overrides, meaning + "; again for several")
      ->allow_extra_args(false)
      ->option_text("PATH=VALUE");
}

void CommandParser::add_job_file(CLI::App* subcommand) {
  subcommand->add_option("-f,--file", arguments_.file, "job file; - reads standard input")
      ->required()
      ->option_text("FILE");
  add_overrides(*subcommand, arguments_.overrides,
                "a field that is other than the file says, such as optimizer.lr=1e-3");
  add_tenant(*subcommand, kJobTenant);
}

void CommandParser::add_patience(CLI::App* subcommand) {
  subcommand
      ->add_option("--patience", arguments_.patience_s, "seconds that the head may be away while following")
      ->check(CLI::Range(0, 86400))
      ->option_text("SECONDS");
}

void CommandParser::add_cluster_commands() {
  auto* up =
      add("up", "start a cluster on this machine, or what of it is not running",
          [this](const auto& context) { return bring_up(context, arguments_.shape, arguments_.tenants); });
  up->add_option("--nodes", arguments_.shape.nodes, "how many nodes (as before, else 2)")
      ->check(CLI::Range(1, 64))
      ->option_text("N");
  up->add_option("--slots", arguments_.shape.slots, "slots a node offers (as before, else 2)")
      ->check(CLI::Range(1, 1024))
      ->option_text("N");
  up->add_option("--gpus", arguments_.shape.gpus,
                 "GPUs that node-1 offers, such as H200:4, 0, or auto: those that the driver finds (as "
                 "before, else auto); the others offer none")
      ->option_text("KIND:N");
  up->add_option("--port", arguments_.shape.port,
                 "the head's port on 127.0.0.1; 0 takes any free one (as before, else 0)")
      ->check(CLI::Range(0, 65535))
      ->option_text("N");
  up->add_option("--tenants", arguments_.tenants,
                 "file that says what each tenant may use; remembered (an empty one is forgotten)")
      ->option_text("FILE");
  auto* down = add("down", "stop the cluster of this machine; jobs and checkpoints are kept",
                   [this](const auto& context) { return take_down(context, arguments_.purge); });
  down->add_flag("--purge", arguments_.purge, "remove jobs and checkpoints too");
  add("nodes", "list the nodes", list_nodes);
  add_for_node("drain", "let workers leave a node, with their work, and start nothing new there");
  add_for_node("cordon", "start nothing new on a node; what runs there goes on to its end");
  add_for_node("undrain", "let a node take workers again, after a drain, a cordon or a quarantine");
  add("tenants", "list the tenants' queues: what they may use and use; or change what they may use",
      [this](const auto& context) { return show_tenants(context, arguments_.tenants); })
      ->add_option("--apply", arguments_.tenants,
                   "file that says what each tenant may use from now on; - reads standard input")
      ->option_text("FILE");
  auto* usage = add("usage", "say what tenants and jobs have used: slots, GPUs and memory, times hours",
                    [this](const auto& context) {
                      UsageOptions options = arguments_.usage;
                      options.tenant = arguments_.tenant;
                      return show_usage(context, options);
                    });
  usage->add_option("--tenant", arguments_.tenant, "only what this tenant has used")->option_text("NAME");
  usage
      ->add_option(
          "--since", arguments_.usage.since,
          "from the beginning of that day on (UTC): a day, or how long ago it was, such as 7d or 24h")
      ->option_text("DAY|DURATION");
  usage->add_flag("--jobs", arguments_.usage.jobs,
                  "by job, those that are still known; of each all it has used");
  add("doctor", "look at what commonly goes wrong here and at the head, and say what to do", examine);
}

void CommandParser::add_job_commands() {
  auto* run = add("run", "submit a job file and follow the job to its end",
                  [this](const auto& context) { return run_job(context, arguments_.file); });
  add_job_file(run);
  add_patience(run);
  auto* submit = add("submit", "submit a job file and print the job's id",
                     [this](const auto& context) { return submit_job_file(context, arguments_.file); });
  add_job_file(submit);
  auto* plan = add("plan", "say what would become of a job if it were submitted now; nothing is submitted",
                   [this](const auto& context) { return plan_job_file(context, arguments_.file); });
  add_job_file(plan);
  auto* list = add("list", "list the jobs", [this](const auto& context) {
    JobFilter filter = arguments_.filter;
    filter.tenant = arguments_.tenant;
    return list_jobs(context, filter);
  });
  list->add_option("--label", arguments_.filter.labels, "only jobs with this label; again for several")
      ->allow_extra_args(false)
      ->option_text("KEY=VALUE");
  list->add_option("--state", arguments_.filter.states, "only jobs in this state; several with commas")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->check(one_of(kStates))
      ->option_text("STATE[,STATE]");
  list->add_option("--tenant", arguments_.tenant, "only jobs of this tenant")->option_text("NAME");
  list->add_flag("--active", arguments_.filter.active, "only jobs that have not ended");
  add_for_job("status", "show one job",
              [this](const auto& context) { return show_job(context, arguments_.job); });
  auto* logs = add_for_job("logs", "print a job's log", [this](const auto& context) {
    return show_logs(context, arguments_.job, arguments_.follow);
  });
  logs->add_flag("-f,--follow", arguments_.follow, "go on until the job has ended");
  add_patience(logs);
  auto* events =
      add("events", "say what happened to a job and why, or lately in the cluster",
          [this](const auto& context) { return show_events(context, arguments_.job, arguments_.follow); });
  events->add_option("JOB", arguments_.job, "the job's id or name; without it all that happened lately");
  events->add_flag("-f,--follow", arguments_.follow, "go on (until the job has ended)");
  add_patience(events);
  add("metrics", "show what is measured of a job: losses, speeds, requests and latencies; or of all",
      [this](const auto& context) { return show_metrics(context, arguments_.job); })
      ->add_option("JOB", arguments_.job, "the job's id or name; without it all jobs and the head's samples");
  std::vector<std::string> states_or_done{"done"};
  states_or_done.insert(states_or_done.end(), kStates.begin(), kStates.end());
  auto* wait =
      add_for_job("wait", "wait until a job has ended, or is in some state", [this](const auto& context) {
        return wait_for_job(context, arguments_.job, arguments_.wanted, parse_duration(arguments_.timeout));
      });
  wait->add_option("--for", arguments_.wanted,
                   "a state, or done (the default): SUCCEEDED, FAILED or CANCELLED")
      ->check(one_of(states_or_done))
      ->option_text("STATE");
  wait->add_option("--timeout", arguments_.timeout, "give up after so long, such as 90s, 15m or 2h")
      ->check(a_duration())
      ->option_text("DURATION");
  add_patience(wait);
  add_change("cancel", "stop a job for good");
  add_change("pause", "stop a job for a while; its state is saved and its slots are free for others");
  add_change("resume", "let a paused job go on from where it stopped");
  add_change("retry", "try a job that failed or was cancelled again, from its newest checkpoint");
  add_for_job("priority", "make a job more or less urgent",
              [this](const auto& context) { return set_priority(context, arguments_.job, arguments_.value); })
      ->add_option("VALUE", arguments_.value,
                   "low, normal, high, critical or a number; larger is more urgent")
      ->required();
  add_for_job("scale", "change with how many workers a job runs",
              [this](const auto& context) { return scale_job(context, arguments_.job, arguments_.value); })
      ->add_option("MIN:MAX", arguments_.value, "or one number for both; at most workers.max of its file")
      ->required();
  add_for_job("checkpoints", "list a job's checkpoints",
              [this](const auto& context) { return list_checkpoints(context, arguments_.job); });
  add_for_job("why", "say what keeps a job waiting",
              [this](const auto& context) { return explain_wait(context, arguments_.job); });
  auto* audit = add_for_job(
      "audit", "check that each sample was taken once an epoch (audit: true)",
      [this](const auto& context) { return audit_job(context, arguments_.job, arguments_.audit_folder); });
  audit
      ->add_option("--folder", arguments_.audit_folder,
                   "where the workers' records lie (audit-JOB beside the job file); no head is asked then")
      ->option_text("FOLDER");
  auto* exporting = add_for_job(
      "export", "write a job's trained model to a file",
      [this](const auto& context) {
        return export_job(context, arguments_.job, arguments_.export_format, arguments_.export_step,
                          arguments_.export_file);
      },
      false);
  exporting
      ->add_option("--format", arguments_.export_format,
                   "torchscript (when not given), state_dict or safetensors")
      ->check(one_of({"torchscript", "state_dict", "safetensors"}))
      ->option_text("FORMAT");
  exporting
      ->add_option("--step", arguments_.export_step,
                   "of which checkpoint (the newest); ds-submit checkpoints lists them")
      ->check(CLI::Range(std::uint64_t{1}, std::numeric_limits<std::uint64_t>::max()))
      ->option_text("N");
  exporting->add_option("-o", arguments_.export_file, "the file to write")->required()->option_text("FILE");
}

void CommandParser::add_model_commands() {
  add("models", "list the models of the registry, or one with its versions and tags",
      [this](const auto& context) { return show_models(context, arguments_.model); })
      ->add_option("NAME", arguments_.model, "a model; without it all");
  auto* registering =
      add("register", "add a version to a model of the registry", [this](const auto& context) {
        return register_model(context, arguments_.model, arguments_.from, arguments_.tag);
      });
  registering->add_option("NAME", arguments_.model, "the model; the first version makes it")->required();
  registering
      ->add_option("FROM", arguments_.from,
                   "ckpt:JOB@best, ckpt:JOB@STEP, or file:PATH of a TorchScript file, which is copied")
      ->required();
  registering->add_option("--tag", arguments_.tag, "a tag that points at it from now on")->option_text("TAG");
  add("unregister", "remove a version, or a model, that nobody serves from the registry",
      [this](const auto& context) { return unregister_model(context, arguments_.model); })
      ->add_option("MODEL", arguments_.model, "NAME@VERSION, or NAME with all its versions and tags")
      ->required();
  auto* promoting =
      add("promote", "let a tag point at a version; what serves the tag follows",
          [this](const auto& context) { return promote_model(context, arguments_.model, arguments_.tag); });
  promoting->add_option("MODEL", arguments_.model, "NAME@VERSION, NAME@TAG, or NAME for its newest version")
      ->required();
  promoting->add_option("TAG", arguments_.tag, "such as prod")->required();
  auto* back = add("rollback", "let a tag point at the version before; what serves the tag follows",
                   [this](const auto& context) {
                     return roll_model_back(context, arguments_.model, arguments_.tag, arguments_.from);
                   });
  back->add_option("NAME", arguments_.model, "the model")->required();
  back->add_option("TAG", arguments_.tag, "such as prod")->required();
  back->add_option("--from", arguments_.from,
                   "the version it points at: asking again, where no answer came, then goes back once")
      ->option_text("VERSION");
  auto* predicting = add("predict", "ask a model that is served", [this](const auto& context) {
    return predict(context, arguments_.model, arguments_.texts, arguments_.tensors);
  });
  predicting->add_option("MODEL", arguments_.model, "the serve job's name; NAME@VERSION asks that version")
      ->required();
  predicting->add_option("TEXT", arguments_.texts, "a row each, for a model that takes texts");
  predicting->add_option("--input", arguments_.tensors, "an input as NAME=JSON, such as x='[[0.5, 1.5]]'")
      ->option_text("NAME=JSON");
  add_tenant(*predicting, "whose share of the model's places it takes");
}

void CommandParser::add_own_commands() {
  add("version", "print the version", show_version);
  add("explain", "say what a field of a job file means, and which values it may have",
      [this](const auto& context) { return explain(context, arguments_.field); })
      ->add_option("FIELD", arguments_.field, "such as optimizer.lr; without it the fields at the root");
  add("schema", "print the format of job files as JSON Schema, for editors", show_schema);
  add(
      "init", "print a job file to begin with; ds-submit init train > job.yaml",
      [this](const auto&) {
        write_out(job_template(arguments_.kind));
        return ExitCode::done;
      },
      false)
      ->add_option("KIND", arguments_.kind, "train, serve or command")
      ->required()
      ->check(one_of(kKinds));
  add(
      "completion", "print what a shell completes; source <(ds-submit completion bash)",
      [this](const auto&) {
        write_out(completion_script(arguments_.shell, completed_commands()));
        return ExitCode::done;
      },
      false)
      ->add_option("SHELL", arguments_.shell, "bash, zsh or fish")
      ->required()
      ->check(one_of(kShells));
}

std::vector<CompletedCommand> CommandParser::completed_commands() const {
  std::vector<CompletedCommand> completed;
  for (const auto& [subcommand, command] : commands_) {
    const std::string name = subcommand->get_name();
    completed.push_back({name, subcommand->get_description(), option_names(*subcommand), {}});
    if (name == "init") completed.back().words = kKinds;
    if (name == "explain")
      completed.back().words = field_names(nlohmann::json::parse(job_format_text()).at("fields"));
    if (name == "completion") completed.back().words = kShells;
  }
  return completed;
}

}  // namespace ds::clients
