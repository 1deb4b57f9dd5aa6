#include "scheduler/simulator/workload.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "scheduler/simulator/csv_table.hpp"

namespace ds::simulator {
namespace {

constexpr std::size_t kMaxKinds = 16;  ///< of GPU

std::optional<std::uint32_t> to_count(std::string_view text, std::uint32_t most) {
  std::uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value == 0 || value > most)
    return std::nullopt;
  return value;
}

template <class Profile>
std::string list_names(const std::map<std::string, Profile>& profiles) {
  std::string names;
  for (const auto& [name, profile] : profiles) names += (names.empty() ? "" : ", ") + name;
  return names;
}

/// What was measured for the job in `row`, whose columns begin with model, batch size and slots.
Read<const StepRates*> find_rates(const std::string& file, const CsvTable& table, std::size_t row,
                                  const std::map<std::string, ThroughputTable>& models) {
  const auto refuse_cell = [&](std::size_t column, const std::string& why) {
    return refuse(fmt::format("{}:{}:{}: {}", file, row + 2, table.place(row, column), why));
  };
  const auto model = models.find(table.text(row, 0));
  if (model == models.end())
    return refuse_cell(0, fmt::format("model_name: there are no throughputs of \"{}\", only of {}",
                                      table.text(row, 0), list_names(models)));
  const auto rates = model->second.find(table.count(row, 1));
  if (rates == model->second.end())
    return refuse_cell(1, fmt::format("batch_size: {} was not measured with batches of {}", model->first,
                                      table.count(row, 1)));
  if (!rates->second.has(table.count(row, 2)))
    return refuse_cell(2, fmt::format("num_gpu: {} was not measured with batches of {} on {} slots",
                                      model->first, rates->first, table.count(row, 2)));
  return &rates->second;
}

}  // namespace

Read<std::vector<PolluxSubmission>> read_pollux_workload(const std::filesystem::path& file,
                                                         const ApplicationsByKind& applications) {
  constexpr std::array kColumns{Column{"name", Cell::text}, Column{"time", Cell::trace_time},
                                Column{"application", Cell::text}, Column{"num_replicas", Cell::count},
                                Column{"batch_size", Cell::positive}};
  auto table = CsvTable::read(file, kColumns);
  if (!table) return tl::unexpected(table.error());
  std::vector<PolluxSubmission> jobs;
  for (std::size_t row = 0; row < table->rows(); ++row) {
    const std::string& name = table->text(row, 2);
    std::vector<const ApplicationProfile*> profiles;
    for (const auto& of_kind : applications) {
      const auto found = of_kind.find(name);
      if (found == of_kind.end())
        return refuse(fmt::format("{}:{}:{}: application: there is no profile of \"{}\", only of {}",
                                  file.string(), row + 2, table->place(row, 2), name, list_names(of_kind)));
      profiles.push_back(&found->second);
    }
    // The same for all kinds: the batches are those of the trained runs, which have none.
    const double most = profiles.front()->limits().max;
    if (table->count(row, 3) > most)
      return refuse(
          fmt::format("{}:{}:{}: num_replicas: expected 1 to {}, as no batch of {} has more samples, got {}",
                      file.string(), row + 2, table->place(row, 3), most, name, table->count(row, 3)));
    if (table->number(row, 4) < 1 || table->number(row, 4) > most)
      return refuse(
          fmt::format("{}:{}:{}: batch_size: expected 1 to {} samples, the largest batch of {}, got {}",
                      file.string(), row + 2, table->place(row, 4), most, name, table->text(row, 4)));
    jobs.push_back({table->text(row, 0), table->number(row, 1), std::move(profiles), table->count(row, 3),
                    table->number(row, 4), table->at(row, 3)});
  }
  std::stable_sort(jobs.begin(), jobs.end(),
                   [](const auto& a, const auto& b) { return a.submitted_s < b.submitted_s; });
  return jobs;
}

Read<ElasticFlowWorkload> read_elasticflow_workload(const std::filesystem::path& file,
                                                    const std::map<std::string, ThroughputTable>& models) {
  constexpr std::array kColumns{Column{"model_name", Cell::text},
                                Column{"batch_size", Cell::count},
                                Column{"num_gpu", Cell::count},
                                Column{"job_id", Cell::text},
                                Column{"submit_time", Cell::at_least_zero},
                                Column{"ddl", Cell::at_least_zero},
                                Column{"iteration", Cell::count},
                                Column{"duration", Cell::positive}};
  const auto table = CsvTable::read(file, kColumns);
  if (!table) return tl::unexpected(table.error());
  std::vector<ElasticFlowSubmission> jobs;
  for (std::size_t row = 0; row < table->rows(); ++row) {
    const auto rates = find_rates(file.string(), *table, row, models);
    if (!rates) return tl::unexpected(rates.error());
    jobs.push_back({table->text(row, 3), table->number(row, 4), table->number(row, 5), table->number(row, 6),
                    *rates, table->count(row, 2), table->number(row, 7), table->at(row, 2)});
  }
  std::stable_sort(jobs.begin(), jobs.end(),
                   [](const auto& a, const auto& b) { return a.submitted_s < b.submitted_s; });
  const double first_s = jobs.front().submitted_s;
  for (std::size_t row = 0; row < table->rows(); ++row) {
    for (const std::size_t column : {4, 5}) {
      if (table->number(row, column) - first_s > kMaxTraceS)
        return refuse(fmt::format(
            "{}:{}:{}: {}: expected ten years after the first submission at most, got {}", file.string(),
            row + 2, table->place(row, column), kColumns[column].name, table->text(row, column)));
    }
  }
  for (ElasticFlowSubmission& job : jobs) {
    job.submitted_s -= first_s;
    job.deadline_s -= first_s;
  }
  return ElasticFlowWorkload{std::move(jobs), first_s};
}

Read<NamedCluster> parse_cluster(std::string_view text) {
  const auto wrong = [&] {
    return refuse(fmt::format(
        "--cluster: expected nodes x slots of each, such as 16x4 (at most 65536x64), or with kinds of GPU "
        "6x4:aws+3x8:rtx (at most {}), got \"{}\"",
        kMaxKinds, text));
  };
  NamedCluster named;
  for (std::string_view rest = text;;) {
    const std::size_t plus = rest.find('+');
    std::string_view part = rest.substr(0, plus);
    const std::size_t colon = part.find(':');
    const std::string_view kind = colon == std::string_view::npos ? "" : part.substr(colon + 1);
    part = part.substr(0, colon);
    const std::size_t times = part.find('x');
    const auto nodes = to_count(part.substr(0, times), 65'536);
    const auto slots = times == std::string_view::npos ? std::nullopt : to_count(part.substr(times + 1), 64);
    const bool is_alone = plus == std::string_view::npos && named.kinds.empty();
    if (!nodes || !slots || (kind.empty() && (!is_alone || colon != std::string_view::npos))) return wrong();
    if (kind.find_first_of("/\\") != std::string_view::npos) return wrong();
    named.cluster.slots.insert(named.cluster.slots.end(), *nodes, *slots);
    if (!kind.empty()) {
      if (std::find(named.kinds.begin(), named.kinds.end(), kind) != named.kinds.end()) return wrong();
      named.cluster.kinds.insert(named.cluster.kinds.end(), *nodes,
                                 static_cast<std::uint32_t>(named.kinds.size()));
      named.kinds.emplace_back(kind);
      if (named.kinds.size() > kMaxKinds) return wrong();
    }
    if (plus == std::string_view::npos) return named;
    rest = rest.substr(plus + 1);
  }
}

}  // namespace ds::simulator
