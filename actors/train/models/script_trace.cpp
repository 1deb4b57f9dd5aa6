#include "actors/train/models/script_trace.hpp"

#include <cctype>
#include <sstream>
#include <string_view>

namespace ds::train {
namespace {

bool is_path(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.';
}

/// The characters of a dotted name at the beginning of `text`.
std::string_view path_at(std::string_view text) {
  std::size_t length = 0;
  while (length < text.size() && is_path(text[length])) ++length;
  return text.substr(0, length);
}

/// The layer that a line of the trace calls: `(conv1).forward(x, )`, `self.conv1(x)`,
/// `torch.linear(x, self.fc.weight, …)` or `getattr(self.layer1, "0")…`.
std::string layer_in(std::string_view line) {
  if (const std::size_t call = line.find(").forward"); call != std::string_view::npos) {
    const std::size_t open = line.rfind('(', call);
    const std::string_view name =
        open == std::string_view::npos ? "" : line.substr(open + 1, call - open - 1);
    if (!name.empty() && path_at(name).size() == name.size()) return std::string(name);
  }
  for (std::size_t at = line.find("self."); at != std::string_view::npos; at = line.find("self.", at + 5)) {
    std::string name(path_at(line.substr(at + 5)));
    const std::string_view rest = line.substr(at + 5 + name.size());
    if (rest.starts_with(", \"")) {
      const std::string_view number = path_at(rest.substr(3));
      return name.append(".").append(number);
    }
    for (const std::string_view ending : {".forward", ".weight"}) {
      if (name.ends_with(ending)) return name.substr(0, name.size() - ending.size());
    }
    if (rest.starts_with("(")) return name;
  }
  return "";
}

}  // namespace

std::string shorten_trace(const std::string& message) {
  if (message.find("TorchScript") == std::string::npos) return message;
  std::string layer, previous, reason;
  std::istringstream lines(message);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t error = line.find("Error: ");
    if (line.find("<--- HERE") != std::string::npos) {
      const std::string called = layer_in(previous);
      if (!called.empty()) layer += (layer.empty() ? "" : ".") + called;
    } else if (line.find("Traceback of TorchScript, original code") != std::string::npos) {
      layer.clear();  // the same calls again, in the user's words
    } else if (reason.empty() && error != std::string::npos && line.find(' ') == error + 6) {
      reason = line.substr(error + 7);
    } else if (!reason.empty() && !line.empty()) {
      reason += ' ' + line;
    }
    previous = line;
  }
  if (reason.empty()) return message;
  return layer.empty() ? reason : "layer " + layer + ": " + reason;
}

}  // namespace ds::train
