#include "clients/word_list.hpp"

namespace ds::clients {

std::string join_words(const std::vector<std::string>& words) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string join_words(const nlohmann::json& words) {
  std::vector<std::string> texts;
  for (const auto& word : words) {
    if (word.is_string()) texts.push_back(word.get<std::string>());
  }
  return join_words(texts);
}

}  // namespace ds::clients
