#include "actors/gateway/request_target.hpp"

#include <optional>

namespace ds::gateway {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(plus_is_space && text[i] == '+' ? ' ' : text[i]);
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_digit(text[i + 1]);
    const int low = hex_digit(text[i + 2]);
    if (high < 0 || low < 0 || (high == 0 && low == 0)) return std::nullopt;
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return out;
}

tl::unexpected<Error> broken_escape() {
  return fail(ErrorCode::invalid_argument, "the request's address holds a broken percent escape",
              "write a literal percent sign as %25");
}

}  // namespace

std::string_view to_origin_form(std::string_view target) {
  constexpr std::string_view kScheme = "http://";
  if (!target.starts_with(kScheme)) return target;
  const auto slash = target.find_first_of("/?", kScheme.size());
  return slash == std::string_view::npos ? std::string_view("/") : target.substr(slash);
}

bool is_below(std::string_view target, std::string_view path) {
  target = to_origin_form(target);
  if (path.empty() || !target.starts_with(path)) return false;
  return target.size() == path.size() || target[path.size()] == '/' || target[path.size()] == '?';
}

std::string_view target_in(std::string_view bytes) {
  bytes = bytes.substr(0, bytes.find_first_of("\r\n"));
  const auto space = bytes.find(' ');
  const auto begin = space == std::string_view::npos ? space : bytes.find_first_not_of(' ', space);
  if (begin == std::string_view::npos) return {};
  return bytes.substr(begin, bytes.find(' ', begin) - begin);
}

Result<RequestTarget> parse_request_target(std::string_view target) {
  target = to_origin_form(target);
  if (!target.starts_with('/')) {
    return fail(ErrorCode::invalid_argument, "the request's address must begin with /");
  }
  target = target.substr(0, target.find('#'));
  const auto question = target.find('?');
  RequestTarget result;
  auto path = decode(target.substr(0, question), false);
  if (!path) return broken_escape();
  result.path = std::move(*path);
  if (question == std::string_view::npos) return result;

  std::string_view rest = target.substr(question + 1);
  while (!rest.empty()) {
    const auto end = rest.find('&');
    const std::string_view pair = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    if (pair.empty()) continue;
    const auto equals = pair.find('=');
    auto key = decode(pair.substr(0, equals), true);
    auto value = equals == std::string_view::npos ? std::string() : decode(pair.substr(equals + 1), true);
    if (!key || !value) return broken_escape();
    if (!result.query.emplace(*key, std::move(*value)).second) {
      return fail(ErrorCode::invalid_argument, "the query names '" + *key + "' twice", "give it once");
    }
  }
  return result;
}

}  // namespace ds::gateway
