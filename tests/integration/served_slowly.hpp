#pragma once

#include <map>

#include "tests/integration/served_models.hpp"

namespace ds::tests {

/// A head with the tenants `calm` and `flood`, and a model whose every request costs the same time of a core.
class ServedSlowly : public ServedModels {
 protected:
  void SetUp() override {
    std::ofstream(cluster_.path() / "tenants.yaml")
        << "version: 1\ntenants:\n  calm: {guaranteed: 1}\n  flood: {guaranteed: 1}\n";
    cluster_.start_head({"--tenants", (cluster_.path() / "tenants.yaml").string()});
    cluster_.start_node("node-1", 2);
    ASSERT_TRUE(cluster_.wait_for_nodes(1)) << cluster_.logs();
  }

  /// Serves it as `answers`, for the tenant `flood`; `more` follows in the job's file. Sets `job_`. A batch
  /// costs what one request does, but by default there is none.
  void serve_slowly(int ms, const std::string& more,
                    const std::string& batching = "{mode: off, max_size: 1}") {
    ASSERT_NO_FATAL_FAILURE(run_torch(R"(import time
torch.set_num_threads(1)
class Model(torch.nn.Module):
    def __init__(self, times: int):
        super().__init__()
        self.times = times
        self.w = torch.nn.Parameter(torch.eye(128), requires_grad=False)
    def forward(self, x):
        y = self.w
        for _ in range(self.times):
            y = torch.mm(y, self.w)
        return x * y[0, 0]
short = torch.jit.script(Model(100))
def took():
    start = time.process_time()
    short(torch.zeros(1, 1))
    return time.process_time() - start
each = min(took() for _ in range(50)) / 100  # the least: others may share the processor's core
torch.jit.script(Model(max(1, int(float(sys.argv[2]) / 1000 / each)))).save(sys.argv[1] + '/model.pt')
)",
                                      {std::to_string(ms)}));
    const std::string model =
        "{source: \"file:model.pt\", inputs: [{name: x, datatype: FP32, shape: [-1, 1]}], outputs: [{name: "
        "y}]}";
    job_ = cluster_.submit_job(
        write_serve("answers", model, "tenant: flood\nbatching: " + batching + "\n" + more));
    ASSERT_TRUE(has_replicas(job_, 1)) << cluster_.logs();
  }

  struct Heard {
    int status = 0;  ///< 0: there was no answer
    bool says_when = false;
    std::string body;
  };
  /// Asks once, for a tenant (empty: for none), over a connection that stays. `timeout_us`: of the request;
  /// 0: the job's.
  static Heard ask(httplib::Client& http, const std::string& tenant, std::int64_t timeout_us = 0) {
    const std::string body = R"({"parameters":{"timeout":)" + std::to_string(timeout_us) +
                             R"(},"inputs":[{"name":"x","datatype":"FP32","shape":[1,1],"data":[3]}]})";
    httplib::Headers headers;
    if (!tenant.empty()) headers.emplace("DS-Tenant", tenant);
    const auto answer = http.Post("/v2/models/answers/infer", headers, body, "application/json");
    if (!answer) return {0, false, "no answer"};
    return {answer->status, answer->has_header("Retry-After"), answer->body};
  }
};

/// What a process has in memory, in KiB; 0: it is gone.
inline long resident_kib(int pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::stol(line.substr(6));
  }
  return 0;
}

inline std::size_t descriptors(int pid) {
  std::size_t count = 0;
  std::error_code ignored;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd", ignored))
    count += entry.path().empty() ? 0 : 1;
  return count;
}

}  // namespace ds::tests
