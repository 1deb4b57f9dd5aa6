#include "tests/unit/collective/contract_cases.hpp"

#include <numeric>

#include "tests/unit/collective/reference.hpp"

namespace ds::collective {
namespace {

constexpr ReduceOperator kOperators[] = {ReduceOperator::sum, ReduceOperator::product,
                                         ReduceOperator::minimum, ReduceOperator::maximum};

/// Where a member keeps its vectors.
enum class Memory { own, shared, alternating };

template <class T>
struct Vectors {
  SharedMemory shared;
  std::vector<std::vector<T>> own;
  std::vector<std::span<T>> spans;
};

/// One vector a content, in own memory or in segments of the communicator.
template <class T>
Vectors<T> make_vectors(Communicator& communicator, Memory memory,
                        const std::vector<std::vector<T>>& contents) {
  Vectors<T> vectors;
  const bool shared =
      memory == Memory::shared || (memory == Memory::alternating && communicator.rank() % 2 == 0);
  if (!shared) {
    vectors.own = contents;
    for (auto& vector : vectors.own) vectors.spans.emplace_back(vector);
    return vectors;
  }
  std::size_t total = 0;
  for (const auto& content : contents) total += content.size();
  vectors.shared = communicator.allocate(total * sizeof(T)).value();
  std::size_t at = 0;
  for (const auto& content : contents) {
    vectors.spans.push_back(vectors.shared.template as<T>().subspan(at, content.size()));
    std::ranges::copy(content, vectors.spans.back().begin());
    at += content.size();
  }
  return vectors;
}

template <class T>
std::vector<ConstVector> const_vectors(const std::vector<std::span<T>>& spans) {
  return {spans.begin(), spans.end()};
}

template <class T>
std::string describe_case(const char* what, ReduceOperator op, std::size_t size) {
  return std::string(what) + " of " + std::to_string(size) + " " +
         kernels::name_of(kernels::element_type_of<T>()) + " (" + kernels::name_of(op) + ")";
}

/// Checks an outcome: a failure, or other bits than these.
template <class T>
std::string verdict(const std::string& what, const Result<void>& done, std::span<const T> got,
                    std::span<const T> expected) {
  if (!done) return what + ": " + done.error().message + "\n";
  return has_same_bits<T>(got, expected) ? "" : what + ": other bits\n";
}

template <class T>
std::string check_reductions(Communicator& communicator, Memory memory, ReduceOperator op, std::size_t size) {
  const auto known = known_reduction<T>(op, communicator.logical_ranks(), size);
  const RankRange hosted = communicator.hosted();
  const std::vector<T>& expected = known->result;
  std::vector<std::vector<T>> contents(known->leaves.begin() + hosted.first,
                                       known->leaves.begin() + hosted.last);
  contents.emplace_back(size);  // the output
  const CallOptions options{op, std::nullopt};
  std::string wrong;

  Vectors<T> vectors = make_vectors(communicator, memory, contents);
  const std::span<T> output = vectors.spans.back();
  vectors.spans.pop_back();
  const auto inputs = const_vectors(vectors.spans);
  Result<void> done = communicator.all_reduce(inputs, output, options);
  wrong += verdict<T>(describe_case<T>("all_reduce", op, size), done, output, expected);

  const Slice slice = slice_of(size, communicator.world_size(), communicator.rank());
  const auto expected_slice = std::span<const T>(expected).subspan(slice.first, slice.size());
  std::ranges::fill(output, T{});
  done = communicator.reduce_scatter(inputs, output.first(slice.size()), size, options);
  wrong += verdict<T>(describe_case<T>("reduce_scatter", op, size), done, output.first(slice.size()),
                      expected_slice);

  if (hosted.size() == 0) {
    done = communicator.all_reduce(inputs, output, options);
    return wrong +
           verdict<T>(describe_case<T>("all_reduce, hosting nothing", op, size), done, output, expected);
  }
  done = communicator.all_reduce(inputs, vectors.spans.back(), options);
  wrong +=
      verdict<T>(describe_case<T>("all_reduce in place", op, size), done, vectors.spans.back(), expected);
  return wrong;
}

template <class T>
std::string check_reduce_scatter_in_place(Communicator& communicator, Memory memory, std::size_t size) {
  const auto known = known_reduction<T>(ReduceOperator::sum, communicator.logical_ranks(), size);
  const RankRange hosted = communicator.hosted();
  const std::vector<T>& expected = known->result;
  const Slice slice = slice_of(size, communicator.world_size(), communicator.rank());
  std::vector<std::vector<T>> contents(known->leaves.begin() + hosted.first,
                                       known->leaves.begin() + hosted.last);
  if (hosted.size() == 0) contents.emplace_back(size);
  Vectors<T> vectors = make_vectors(communicator, memory, contents);
  auto inputs = const_vectors(vectors.spans);
  if (hosted.size() == 0) inputs.clear();
  const std::span<T> output = vectors.spans.front().subspan(slice.first, slice.size());
  const Result<void> done = communicator.reduce_scatter(inputs, output, size);
  return verdict<T>(describe_case<T>("reduce_scatter in place", ReduceOperator::sum, size), done, output,
                    std::span<const T>(expected).subspan(slice.first, slice.size()));
}

template <class T>
std::string check_copies(Communicator& communicator, Memory memory, std::size_t size) {
  std::string wrong;
  const std::vector<T> whole = wild_vector<T>(size, 5);
  const Slice slice = slice_of(size, communicator.world_size(), communicator.rank());
  const std::vector<T> own(whole.begin() + static_cast<std::ptrdiff_t>(slice.first),
                           whole.begin() + static_cast<std::ptrdiff_t>(slice.last));
  Vectors<T> vectors = make_vectors<T>(communicator, memory, {own, std::vector<T>(size)});
  Result<void> done = communicator.all_gather(vectors.spans[0], vectors.spans[1]);
  wrong += verdict<T>(describe_case<T>("all_gather", {}, size), done, vectors.spans[1], whole);

  std::ranges::fill(vectors.spans[1], T{});
  const std::span<T> place = vectors.spans[1].subspan(slice.first, slice.size());
  std::ranges::copy(own, place.begin());
  done = communicator.all_gather(place, vectors.spans[1]);
  wrong += verdict<T>(describe_case<T>("all_gather in place", {}, size), done, vectors.spans[1], whole);

  for (std::uint32_t root = 0; root < communicator.world_size(); ++root) {
    const std::vector<T> message = wild_vector<T>(size, 100 + root);
    std::ranges::fill(vectors.spans[1], T{});
    if (communicator.rank() == root) std::ranges::copy(message, vectors.spans[1].begin());
    done = communicator.broadcast(vectors.spans[1], root);
    wrong += verdict<T>(describe_case<T>("broadcast", {}, size), done, vectors.spans[1], message);
  }
  return wrong;
}

template <class T>
std::string check_type(Communicator& communicator) {
  std::string wrong;
  for (const ReduceOperator op : kOperators) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{7}, std::size_t{1021}})
      wrong += check_reductions<T>(communicator, Memory::own, op, size);
  }
  wrong += check_copies<T>(communicator, Memory::own, 1021);
  wrong += check_reductions<T>(communicator, Memory::own, ReduceOperator::sum, 10'007);
  wrong += check_reductions<T>(communicator, Memory::shared, ReduceOperator::maximum, 10'007);
  return wrong;
}

template <class T>
std::string check_memory(Communicator& communicator, Memory memory) {
  std::string wrong;
  for (const std::size_t size : {std::size_t{3}, std::size_t{8'191}, std::size_t{300'001}}) {
    wrong += check_reductions<T>(communicator, memory, ReduceOperator::sum, size);
    wrong += check_reduce_scatter_in_place<T>(communicator, memory, size);
    wrong += check_copies<T>(communicator, memory, size);
  }
  return wrong;
}

/// Each member starts them in another order and waits for them in yet another.
std::string check_orders(Communicator& communicator) {
  constexpr std::size_t kOperations = 12;
  const std::uint32_t rank = communicator.rank(), world = communicator.world_size();
  std::string wrong;
  for (std::uint32_t round = 0; round < 3; ++round) {
    std::vector<std::vector<std::int64_t>> vectors(kOperations);
    std::vector<std::optional<Operation>> operations(kOperations);
    for (std::size_t i = 0; i < kOperations; ++i) {
      const std::size_t which = (i * 5 + rank * 7) % kOperations;
      vectors[which].assign(1 + which * which * 60, static_cast<std::int64_t>(which + rank));
      const auto tag = static_cast<std::uint32_t>(which);
      const Vector vector(vectors[which]);
      operations[which] = which % 4 == 3
                              ? communicator.start_broadcast(vector, tag % world, {{}, tag})
                              : communicator.start_all_reduce(vector, vector, {ReduceOperator::maximum, tag});
    }
    for (std::size_t i = 0; i < kOperations; ++i) {
      const std::size_t which = (i * 7 + rank * 5) % kOperations;
      const Result<void> done = operations[which]->wait();
      if (!operations[which]->done()) wrong += "not done after it was waited for\n";
      const auto expected = static_cast<std::int64_t>(which + (which % 4 == 3 ? which % world : world - 1));
      wrong += verdict<std::int64_t>("operation " + std::to_string(which), done, vectors[which],
                                     std::vector<std::int64_t>(vectors[which].size(), expected));
    }
  }
  return wrong;
}

std::string check_untagged_starts(Communicator& communicator) {
  std::vector<std::vector<std::int32_t>> vectors;
  std::vector<Operation> operations;
  for (std::int32_t i = 0; i < 8; ++i) vectors.emplace_back(static_cast<std::size_t>(1 + i * 1000), i);
  for (auto& vector : vectors)
    operations.push_back(communicator.start_all_reduce(vector, vector, {ReduceOperator::minimum, {}}));
  operations.push_back(communicator.start_barrier());
  std::string wrong;
  for (const Operation& operation : operations) {
    if (const Result<void> done = operation.wait(); !done) wrong += done.error().message + "\n";
  }
  for (std::int32_t i = 0; i < 8; ++i) {
    if (std::ranges::count(vectors[static_cast<std::size_t>(i)], i) != 1 + i * 1000)
      wrong += "other values\n";
  }
  return wrong;
}

/// Starts need one input a member.
template <std::string (*check)(Communicator&)>
std::string where_each_hosts_one(Communicator& communicator) {
  return communicator.logical_ranks() == communicator.world_size() ? check(communicator) : "";
}

std::string check_many_small(Communicator& communicator) {
  std::string wrong;
  for (int round = 0; round < 100 && wrong.empty(); ++round) {
    std::vector<float> slice(slice_of(17, communicator.world_size(), communicator.rank()).size(),
                             static_cast<float>(round));
    std::vector<float> whole(17);
    const Result<void> done = communicator.all_gather(slice, whole);
    wrong += verdict<float>("round " + std::to_string(round), done, whole,
                            std::vector<float>(17, static_cast<float>(round)));
    if (const Result<void> met = communicator.barrier(); !met) wrong += met.error().message;
  }
  return wrong;
}

}  // namespace

const std::vector<ContractCase>& contract_cases() {
  static const std::vector<ContractCase> cases{
      {"float32", check_type<float>},
      {"float64", check_type<double>},
      {"bfloat16", check_type<BFloat16>},
      {"float16", check_type<Float16>},
      {"int32", check_type<std::int32_t>},
      {"int64", check_type<std::int64_t>},
      {"own_memory", [](Communicator& c) { return check_memory<float>(c, Memory::own); }},
      {"shared_memory", [](Communicator& c) { return check_memory<double>(c, Memory::shared); }},
      {"alternating_memory", [](Communicator& c) { return check_memory<BFloat16>(c, Memory::alternating); }},
      {"orders", where_each_hosts_one<check_orders>},
      {"untagged_starts", where_each_hosts_one<check_untagged_starts>},
      {"many_small", check_many_small},
  };
  return cases;
}

}  // namespace ds::collective
