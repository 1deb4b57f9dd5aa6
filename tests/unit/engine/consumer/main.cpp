// Doubles three numbers with the model of a file.
#include <iostream>

#include "actors/engine/inference_engine.hpp"

int main(int, char** argv) {
  auto engine = ds::InferenceEngine::open(
      {.model_path = argv[1], .inputs = {{"x", ds::serving::Datatype::fp32, {-1, 3}}}});
  if (!engine) return std::cout << engine.error().message << '\n', 1;
  const auto outputs = engine->predict({ds::make_tensor("x", {1, 3}, std::vector<float>{1, 2, 3.5})});
  if (!outputs) return std::cout << outputs.error().message << '\n', 2;
  for (const float value : ds::floats_of(outputs->front())) std::cout << value << ' ';
}
