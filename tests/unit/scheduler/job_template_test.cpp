// The job files that `ds-submit init` writes are job files.
#include "clients/job_template.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "scheduler/spec/job_file.hpp"

namespace ds::scheduler {
namespace {

/// Its comments that hold a key taken into use.
std::string with_all(std::string text) {
  for (std::size_t at = 0; (at = text.find("\n# ", at)) != std::string::npos;) text.erase(at + 1, 2);
  return text;
}

TEST(JobTemplate, IsAJobFileAndSoItIsWithAllThatItOffersInComments) {
  for (const char* kind : {"train", "serve", "command"}) {
    const auto text = clients::job_template(kind);
    for (const auto& file : {text, with_all(text)}) {
      const auto parsed = parse_job_file(file, "/data");
      if (const auto* errors = std::get_if<std::vector<SpecError>>(&parsed)) {
        FAIL() << kind << ": " << format_spec_error(errors->front(), "f") << file;
      }
      EXPECT_EQ(to_string(std::get<ParsedJob>(parsed).spec.kind), kind);
    }
    EXPECT_NE(text, with_all(text));
  }
  EXPECT_EQ(clients::job_template("tune"), "");
}

}  // namespace
}  // namespace ds::scheduler
