#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace ds::scheduler {

/// The text of a job file, one that `parse_job_file` takes, with `tenant` as the job's tenant: in place of
/// the one that it names, or as its first field. The text is what is kept of a job, so whose it is must stand
/// there. None when the text has no place for it (a first key after `?`, a value over several lines). Pure.
std::optional<std::string> name_tenant(std::string_view text, std::string_view tenant);

}  // namespace ds::scheduler
