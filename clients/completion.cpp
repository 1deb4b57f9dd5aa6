#include "clients/completion.hpp"

#include <fmt/format.h>

namespace ds::clients {
namespace {

std::string join(std::span<const std::string> words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : " ") + word;
  return text;
}

/// Descriptions are ours; they have quotes at most.
std::string quote(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

/// Also for zsh, by its bashcompinit.
std::string bash_function(std::span<const CompletedCommand> commands) {
  std::string names, cases;
  for (const auto& one : commands) {
    names += (names.empty() ? "" : " ") + one.name;
    auto words = one.options;
    words.insert(words.end(), one.words.begin(), one.words.end());
    cases += fmt::format("        {}) words={} ;;\n", one.name, quote(join(words)));
  }
  return fmt::format(R"(_ds_submit() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} command= words= i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${{COMP_WORDS[i]}} in
            --head | -o | --output) i=$((i + 1)) ;;
            --) return ;;
            -*) ;;
            *) command=${{COMP_WORDS[i]}}; break ;;
        esac
    done
    case $command in
        '') words={} ;;
{}    esac
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
)",
                     quote(names + " --head --output --help --version"), cases);
}

std::string fish_script(std::span<const CompletedCommand> commands) {
  std::string script, names;
  for (const auto& one : commands) names += (names.empty() ? "" : " ") + one.name;
  for (const auto& one : commands) {
    script += fmt::format("complete -c ds-submit -n 'not __fish_seen_subcommand_from {}' -f -a {} -d {}\n",
                          names, one.name, quote(one.description));
    const auto here = fmt::format("complete -c ds-submit -n '__fish_seen_subcommand_from {}'", one.name);
    for (const auto& option : one.options)
      script += fmt::format("{} {} {}\n", here, option.starts_with("--") ? "-l" : "-s",
                            option.substr(option.starts_with("--") ? 2 : 1));
    if (!one.words.empty()) script += fmt::format("{} -f -a {}\n", here, quote(join(one.words)));
  }
  return script;
}

}  // namespace

std::string completion_script(std::string_view shell, std::span<const CompletedCommand> commands) {
  // A file's name is completed where nothing of ours fits.
  const std::string complete = "complete -o default -F _ds_submit ds-submit\n";
  if (shell == "bash") return bash_function(commands) + complete;
  if (shell == "zsh")
    return "autoload -U +X bashcompinit && bashcompinit\n" + bash_function(commands) + complete;
  if (shell == "fish") return fish_script(commands);
  return {};
}

}  // namespace ds::clients
