#include "actors/train/models/loading_code.hpp"

#include <fmt/format.h>
#include <torch/csrc/jit/frontend/lexer.h>
#include <torch/csrc/jit/frontend/parser.h>
#include <torch/csrc/jit/frontend/tree_views.h>

#include <algorithm>
#include <memory>

namespace ds::train {
namespace {

using torch::jit::Tree;
using torch::jit::TreeRef;

/// `a.b.c`; empty: it is no such path.
std::string path_of(const Tree& tree) {
  if (tree.kind() == torch::jit::TK_VAR) return tree.tree(0)->tree(0)->stringValue();
  if (tree.kind() != '.') return {};
  const auto before = path_of(*tree.tree(0));
  return before.empty() ? before : before + "." + tree.tree(1)->tree(0)->stringValue();
}

bool is_plain(const Tree& tree);

/// Whether all below it are.
bool are_plain(const TreeRef& tree) {
  return std::ranges::all_of(tree->trees(), [](const TreeRef& one) {
    const bool is_list = one->kind() == torch::jit::TK_LIST || one->kind() == torch::jit::TK_OPTION;
    return is_list ? are_plain(one) : is_plain(*one);
  });
}

/// Whether nothing runs to know its value. What stands among an archive's constants (`CONSTANTS.c0`) may be
/// an object with methods of its own behind dots and brackets.
bool is_plain(const Tree& tree) {
  using namespace torch::jit;
  switch (tree.kind()) {
    case TK_CONST:
    case TK_STRINGLITERAL:
    case TK_TRUE:
    case TK_FALSE:
    case TK_NONE:
    case TK_VAR:
      return true;
    case '.':
      return !path_of(tree).empty() &&
             (!path_of(tree).starts_with("CONSTANTS.") || tree.tree(0)->kind() == TK_VAR);
    case TK_UNARY_MINUS:
      return tree.tree(0)->kind() == TK_CONST || path_of(*tree.tree(0)) == "inf";
    case TK_LIST_LITERAL:
    case TK_TUPLE_LITERAL:
    case TK_DICT_LITERAL:
      return std::ranges::all_of(tree.trees(), are_plain);
    case TK_SUBSCRIPT: {  // of a type
      const auto path = path_of(*tree.tree(0));
      return !path.empty() && !path.starts_with("CONSTANTS") && are_plain(tree.tree(1));
    }
    case TK_APPLY: {
      const auto path = path_of(*tree.tree(0));
      return (path == "annotate" || path == "torch.device") && are_plain(tree.tree(1)) &&
             tree.tree(2)->trees().empty();
    }
    default:
      return false;
  }
}

/// The first in it that is computed.
std::optional<std::string> find_computed(const Tree& tree) {
  using namespace torch::jit;
  if (tree.kind() == TK_PARAM && !are_plain(tree.tree(2)))
    return fmt::format("the default of {} is computed", tree.tree(0)->tree(0)->stringValue());
  if (tree.kind() == TK_CLASS_DEF) {
    for (const TreeRef& statement : tree.tree(2)->trees()) {
      if (statement->kind() == TK_ASSIGN && !are_plain(statement->tree(1)))
        return fmt::format("a constant of class {} is computed", tree.tree(0)->tree(0)->stringValue());
    }
  }
  for (const TreeRef& below : tree.trees()) {
    if (auto found = find_computed(*below)) return found;
  }
  return std::nullopt;
}

/// What archives of old torches begin with.
void skip_head(torch::jit::Lexer& lexer) {
  using namespace torch::jit;
  const auto skip_line = [&] {
    while (lexer.cur().kind != TK_NEWLINE && lexer.cur().kind != TK_EOF) lexer.next();
    lexer.nextIf(TK_NEWLINE);
  };
  if (lexer.cur().kind == TK_IDENT && lexer.cur().text() == "op_version_set") skip_line();
  while (lexer.cur().kind == TK_IMPORT) skip_line();
}

}  // namespace

std::optional<std::string> find_code_run_while_loading(std::string_view source) {
  if (source.find("__setstate__") != std::string_view::npos) return "__setstate__";
  torch::jit::Parser parser(std::make_shared<torch::jit::Source>(std::string(source)));
  skip_head(parser.lexer());
  while (parser.lexer().cur().kind != torch::jit::TK_EOF) {
    const bool is_class = parser.lexer().cur().kind == torch::jit::TK_CLASS_DEF;
    const TreeRef tree = is_class ? parser.parseClass() : parser.parseFunction(/*is_method=*/false);
    if (auto found = find_computed(*tree)) return found;
    skip_head(parser.lexer());
  }
  return std::nullopt;
}

}  // namespace ds::train
