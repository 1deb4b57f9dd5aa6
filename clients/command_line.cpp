#include "clients/command_line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "clients/command_parser.hpp"
#include "clients/failure.hpp"
#include "clients/output.hpp"
#include "clients/printable.hpp"
#include "clients/suggestion.hpp"

namespace ds::clients {
namespace {

std::string in_environment(const char* variable) {
  const char* value = std::getenv(variable);
  return value == nullptr ? "" : value;
}

/// `ds-submit [options] -- PROGRAM ARGUMENTS`: cuts what follows `--` off. A subcommand has its own `--`.
std::optional<std::vector<std::string>> take_program(const CommandParser& line, int& argc, char** argv) {
  char** const end = argv + argc;
  char** const dashes =
      std::find_if(argv + 1, end, [](const char* word) { return std::string_view(word) == "--"; });
  if (dashes == end || line.names_subcommand({argv + 1, dashes})) return std::nullopt;
  argc = static_cast<int>(dashes - argv);
  return std::vector<std::string>(dashes + 1, end);
}

bool is_document(std::string_view format) {
  return format == "json" || format == "yaml";
}

/// What follows `-o` may not have been parsed when the error is about the command line itself.
bool asks_for_document(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    std::string_view argument = argv[i];
    if (argument == "-o" || argument == "--output") {
      if (i + 1 < argc && is_document(argv[i + 1])) return true;
      continue;
    }
    for (const std::string_view option : {"--output=", "-o=", "-o"}) {
      if (!argument.starts_with(option)) continue;
      argument.remove_prefix(option.size());
      if (is_document(argument)) return true;
      break;
    }
  }
  return false;
}

Failure to_failure(const CLI::ParseError& error, const CLI::App& app) {
  const auto chosen = app.get_subcommands();
  const CLI::App& here = chosen.empty() ? app : *chosen.front();
  const std::string help =
      "ds-submit " + (chosen.empty() ? std::string() : here.get_name() + " ") + "--help shows what there is";
  const auto extra = app.remaining(true);
  if (error.get_exit_code() != static_cast<int>(CLI::ExitCodes::ExtrasError) || extra.empty()) {
    return {ExitCode::usage, "usage", error.what(), help};
  }
  const std::string word = extra.front().substr(0, extra.front().find('='));
  if (word.starts_with('-')) {
    const std::string nearest = nearest_word(word, option_names(here));
    return {ExitCode::usage, "usage", fmt::format("unknown option '{}'", word),
            nearest.empty() ? help : fmt::format("did you mean {}?", nearest)};
  }
  if (!chosen.empty()) {
    return {ExitCode::usage, "usage", fmt::format("{} does not take '{}'", here.get_name(), word), help};
  }
  std::vector<std::string> names;
  for (const auto* subcommand : app.get_subcommands([](const CLI::App*) { return true; }))
    names.push_back(subcommand->get_name());
  const std::string nearest = nearest_word(word, names);
  return {ExitCode::usage, "usage", fmt::format("unknown command '{}'", word),
          nearest.empty() ? help : fmt::format("did you mean ds-submit {}?", nearest)};
}

void show_failure(const Failure& failure, bool json) {
  if (json) {
    nlohmann::json error{{"code", failure.code}, {"message", failure.message}, {"hint", failure.hint}};
    if (!failure.details.empty()) error["details"] = failure.details;
    write_err(
        nlohmann::json{{"error", error}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) +
        "\n");
    return;
  }
  if (!failure.rendered.empty()) return write_err(failure.rendered);
  std::string text = "ds-submit: " + failure.message;
  while (text.ends_with('\n')) text.pop_back();
  text += "\n";
  if (!failure.hint.empty()) text += "  hint: " + failure.hint + "\n";
  write_err(text);
}

ExitCode run_parsed(const CommandParser& line, bool json,
                    const std::optional<std::vector<std::string>>& program) {
  const Command* command = line.chosen();
  if (command == nullptr && !program) {
    throw Failure(ExitCode::usage, "usage", "no command given",
                  "ds-submit --help lists them; ds-submit run -f job.yaml runs a job");
  }
  // The program's own options stand before `--`, so before a command too, where this one would mean nothing.
  if (command != nullptr && !line.arguments().tenant.empty() && !line.takes_tenant()) {
    throw Failure(ExitCode::usage, "usage", "this command does not take --tenant",
                  "run, submit, plan, list and predict do, and ds-submit -- PROGRAM");
  }
  if (command != nullptr && !line.arguments().of_program.empty()) {
    throw Failure(ExitCode::usage, "usage", "--set stands before a command",
                  "run, submit and plan take it behind them; before -- it is for ds-submit -- PROGRAM");
  }
  const auto& overrides = program ? line.arguments().of_program : line.arguments().overrides;
  for (const auto& one : overrides) {
    if (one.find('=') != std::string::npos && !find_invalid_utf8(one)) continue;
    throw Failure(ExitCode::usage, "usage",
                  fmt::format("--set: expected PATH=VALUE, got '{}'", printable_line(one)),
                  "such as --set optimizer.lr=1e-3");
  }
  CommandContext context;
  context.head = line.arguments().head;
  context.json = json;
  context.yaml = line.arguments().format == "yaml";
  context.terminal = look_at_terminal();
  context.tenant = {line.arguments().tenant, in_environment("DS_TENANT")};
  context.overrides = overrides;
  context.patience = std::chrono::seconds(line.arguments().patience_s);
  return program ? run_command(context, *program) : (*command)(context);
}

}  // namespace

int run_command_line(int argc, char** argv) {
  bool json = false;
  try {
    CommandParser line;
    const auto program = take_program(line, argc, argv);
    json = asks_for_document(argc, argv);
    try {
      line.app().parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      if (error.get_exit_code() != 0) throw to_failure(error, line.app());
      const bool version = dynamic_cast<const CLI::CallForVersion*>(&error) != nullptr;
      write_out(version ? std::string(error.what()) + "\n" : line.app().help());
      return 0;
    }
    json = is_document(line.arguments().format);
    return static_cast<int>(run_parsed(line, json, program));
  } catch (const Failure& failure) {
    show_failure(failure, json);
    return static_cast<int>(failure.exit_code);
  } catch (const std::exception& error) {
    show_failure(Failure(ExitCode::unexpected, "internal", error.what()), json);
    return static_cast<int>(ExitCode::unexpected);
  }
}

}  // namespace ds::clients
