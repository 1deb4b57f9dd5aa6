#include "actors/train/models/script_text.hpp"

#include <cctype>
#include <sstream>

namespace ds::train {

std::string member(const std::string& name) {
  std::string path = "self";
  std::istringstream parts(name);
  for (std::string part; std::getline(parts, part, '.');) {
    const bool number = !part.empty() && std::isdigit(static_cast<unsigned char>(part.front())) != 0;
    path = number ? "getattr(" + path + ", \"" + part + "\")" : path + "." + part;
  }
  return path;
}

}  // namespace ds::train
