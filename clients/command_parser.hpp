#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "clients/commands.hpp"
#include "clients/completion.hpp"

namespace ds::clients {

/// Everything the command line can say; filled in by the parser.
struct Arguments {
  std::string head;
  std::string format = "table";
  std::string file;
  std::string tenants;
  std::string kind, shell;
  std::string job;
  std::string node;
  std::string value;
  std::string model, from, tag, tenant;
  std::vector<std::string> overrides;   ///< of a job file
  std::vector<std::string> of_program;  ///< the same of `-- PROGRAM`
  std::vector<std::string> texts, tensors;
  UsageOptions usage;  ///< its tenant is `tenant`
  std::string field;
  JobFilter filter;  ///< its tenant is `tenant`
  std::string export_format = "torchscript";
  std::string export_file;
  std::string audit_folder;
  std::string wanted = "done";
  std::string timeout;
  std::uint64_t export_step = 0;
  ShapeOptions shape;
  int patience_s = 60;
  bool follow = false;
  bool purge = false;
};

using Command = std::function<ExitCode(const CommandContext&)>;

/// The parser with its subcommands, and what to call for the one that was given.
class CommandParser {
 public:
  CommandParser();
  CommandParser(const CommandParser&) = delete;

  CLI::App& app() { return app_; }

  /// Whether some word of `words` is one of the subcommands.
  bool names_subcommand(const std::vector<std::string>& words) const;

  bool takes_tenant() const;  ///< the one that was given
  const Arguments& arguments() const { return arguments_; }
  const Command* chosen() const;  ///< null: no subcommand was given

 private:
  void add_shared(CLI::App& app, bool output);
  CLI::App* add(const std::string& name, const std::string& description, Command command, bool output = true);
  CLI::App* add_for_job(const std::string& name, const std::string& description, Command command,
                        bool output = true);
  void add_change(const std::string& verb, const std::string& description);
  CLI::App* add_for_node(const std::string& verb, const std::string& description);
  void add_tenant(CLI::App& app, const std::string& whose);
  /// What a job file is read with.
  void add_job_file(CLI::App* subcommand);
  static void add_overrides(CLI::App& app, std::vector<std::string>& overrides, const std::string& meaning);
  void add_patience(CLI::App* subcommand);
  void add_cluster_commands();
  void add_job_commands();
  void add_model_commands();
  void add_own_commands();
  std::vector<CompletedCommand> completed_commands() const;

  Arguments arguments_;
  CLI::App app_{"ds-submit: run training jobs, and any program, on a ds cluster", "ds-submit"};
  std::vector<std::pair<CLI::App*, Command>> commands_;
};

/// With their dashes.
std::vector<std::string> option_names(const CLI::App& app);

}  // namespace ds::clients
