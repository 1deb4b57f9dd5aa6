#pragma once

#include <string_view>

namespace ds::scheduler {

/// What a format of `data.train.format` needs and takes.
struct SourceFormat {
  std::string_view name;
  bool has_columns = false;  ///< `columns`, required
  bool has_header = false;   ///< `header`
  bool has_labels = false;   ///< `labels`, required: the labels stand in files of their own
  bool is_raw = false;       ///< `shape` and `element`, required: the bytes say nothing of either
};

/// The format of that name, or null.
const SourceFormat* find_source_format(std::string_view name);

/// The format that a file's name tells, `.gz` and `.zst` looked through: `a.csv.gz` is `csv`, a path that
/// ends in `/` is an `image_folder`. Empty when the name tells nothing.
std::string_view format_of_name(std::string_view path);

}  // namespace ds::scheduler
