#include "scheduler/spec/zoo_settings.hpp"

namespace ds::scheduler {
namespace {

using Kind = ZooSetting::Kind;

constexpr unsigned kMaxWidth = 8192;

constexpr ZooSetting whole(std::string_view name, unsigned low, unsigned high, double value) {
  return {.name = name, .kind = Kind::whole, .low = low, .high = high, .values = {value}};
}

/// Not written into the job when it is not given: states that were saved before it was known do not name it.
constexpr ZooSetting optional_flag(std::string_view name) {
  return {.name = name, .kind = Kind::flag, .count = 0};
}

constexpr ZooSetting dropout(double value) {
  return {.name = "dropout", .kind = Kind::below_one, .values = {value}};
}

constexpr std::array kTextClassifier{whole("width", 1, kMaxWidth, 128), dropout(0.1)};
constexpr std::array kBagOfWords{whole("width", 1, kMaxWidth, 64), dropout(0.1)};
constexpr std::array kMlp{ZooSetting{.name = "hidden",
                                     .low = 1,
                                     .high = 65'536,
                                     .fewest = 0,
                                     .most = 32,
                                     .values = {256, 128},
                                     .count = 2},
                          dropout(0)};
constexpr std::array kResnet{
    ZooSetting{
        .name = "blocks", .low = 1, .high = 64, .fewest = 1, .most = 8, .values = {2, 2, 2, 2}, .count = 4},
    whole("width", 1, 1024, 64)};
constexpr std::array kTransformer{whole("layers", 1, 96, 2),
                                  whole("width", 1, kMaxWidth, 128),
                                  whole("heads", 1, 128, 4),
                                  ZooSetting{.name = "feed_forward", .low = 1, .high = 65'536, .count = 0},
                                  dropout(0.1),
                                  optional_flag("first_token")};
constexpr std::array kLstm{whole("layers", 1, 16, 1),
                           whole("width", 1, kMaxWidth, 128),
                           dropout(0),
                           ZooSetting{.name = "bidirectional", .kind = Kind::flag},
                           ZooSetting{.name = "embedding", .low = 1, .high = kMaxWidth, .count = 0},
                           optional_flag("last")};
constexpr std::array kUnet{whole("width", 1, 512, 16), whole("depth", 1, 6, 3), whole("stride", 1, 8, 1)};

}  // namespace

std::span<const ZooSetting> find_zoo_settings(std::string_view zoo) {
  if (zoo == "text_classifier") return kTextClassifier;
  if (zoo == "bag_of_words") return kBagOfWords;
  if (zoo == "mlp") return kMlp;
  if (zoo == "resnet") return kResnet;
  if (zoo == "transformer") return kTransformer;
  if (zoo == "lstm") return kLstm;
  if (zoo == "unet") return kUnet;
  return {};
}

}  // namespace ds::scheduler
