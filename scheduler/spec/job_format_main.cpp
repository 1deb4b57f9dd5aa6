// Writes the format of job files as a source file of ds-submit, which explains it and prints its schema
// without a head: the folder of the clients includes nothing of this one.
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "scheduler/spec/job_schema.hpp"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: ds-job-format FILE.cpp\n", stderr);
    return 2;
  }
  const nlohmann::json document{{"schema", ds::scheduler::job_schema()},
                                {"fields", ds::scheduler::job_fields()}};
  std::ofstream out(argv[1]);
  out << "// Written by ds-job-format.\n#include \"clients/job_format.hpp\"\n\nnamespace ds::clients {\n\n"
         "std::string_view job_format_text() {\n  return R\"ds_format("
      << document.dump() << ")ds_format\";\n}\n\n}  // namespace ds::clients\n";
  out.close();
  if (out) return 0;
  std::fprintf(stderr, "ds-job-format: cannot write %s\n", argv[1]);
  return 1;
}
