#pragma once

#include <filesystem>
#include <string>

#include "storage/result.hpp"

namespace ds::storage {

/// What can be told of a CSV file of texts and labels in a moment, for use at submit: it can be read, is not
/// empty, its header has both columns, and one good row follows. Reads at most 64 KiB; whoever reads the
/// whole file judges the rest.
///
/// Errors are `invalid_argument` that name `file:line:column`, both from one, columns in characters: a header
/// without the column (the hint lists those there are and the nearest) or with it twice, what `CsvParser`
/// refuses, a first row with more or fewer fields than the header, an empty label, no row at all. `not_found`
/// and `permission_denied` for the file itself.
Result<void> check_labelled_text(const std::filesystem::path& file, const std::string& text_column,
                                 const std::string& label_column);

}  // namespace ds::storage
