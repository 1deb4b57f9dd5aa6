#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace ds::scheduler {

/// The files that versions were made of stand in the checkpoint store as steps of a job that there is not: an
/// id of a job has a `-`.
inline constexpr std::string_view kModelFiles = "registry.files";

/// What a version is never changes.
struct ModelVersion {
  std::uint64_t number = 0;  ///< from 1; that of one that was removed is given to no other of the model
  std::string source;        ///< whose checkpoint: a job's id, or `kModelFiles`
  std::uint64_t step = 0;    ///< of that checkpoint
  std::string from;          ///< as people read it: `ckpt:intents-4f7a2k@40`, `file:/models/a.pt`
  std::string digest = {};   ///< SHA-256 of a file in hex; empty: a job's checkpoint
  std::map<std::string, double> metrics = {};  ///< of the checkpoint, where it was evaluated
  std::int64_t added_ms = 0;                   ///< Unix time
  bool is_file() const { return source == kModelFiles; }
  bool operator==(const ModelVersion&) const = default;
};

struct RegisteredModel {
  std::string name;
  std::vector<ModelVersion> versions;  ///< by number; never empty
  std::uint64_t last = 0;              ///< the highest number that was given
  /// By tag the versions that it has pointed at, now at the last; never empty.
  std::map<std::string, std::vector<std::uint64_t>, std::less<>> tags;

  const ModelVersion* find(std::uint64_t number) const;
  /// 0: there is no such tag.
  std::uint64_t tagged(std::string_view tag) const;
  bool operator==(const RegisteredModel&) const = default;
};

/// Why something can't be, in words for who asked.
struct ModelFault {
  std::string message, hint;
  bool operator==(const ModelFault&) const = default;
};

/// Names, numbered versions and tags that point at them. A plain value, changed by events only.
class ModelRegistry {
 public:
  static constexpr std::size_t kMostModels = 200, kMostVersions = 500;  ///< of a model
  static constexpr std::size_t kMostTags = 32;                          ///< of a model
  static constexpr std::size_t kMostMoves = 64;  ///< that a tag remembers, the last ones

  struct Found {
    const RegisteredModel* model = nullptr;
    const ModelVersion* version = nullptr;
    std::string tag = {};  ///< that was meant; empty: the version itself
  };
  /// `reference`: a version's number, a tag, `newest`; empty: what `prod` points at, or without that tag the
  /// newest.
  std::variant<Found, ModelFault> resolve(std::string_view model, std::string_view reference) const;

  /// The version of the model that is the same already; null: there is none.
  const ModelVersion* find_same(std::string_view model, const ModelVersion& version) const;
  /// Why the model may not have another version, of which `tag` (empty: none) is to point at; none: it may.
  std::optional<ModelFault> check_room(std::string_view model, std::string_view tag) const;
  /// Which version a rollback of the tag leads to.
  std::variant<Found, ModelFault> find_former(std::string_view model, std::string_view tag) const;

  /// Why the version (0: the whole model, with its tags) can't be removed, as far as the registry knows.
  std::optional<ModelFault> check_removal(std::string_view model, std::uint64_t version) const;

  /// False when it contradicts what is known, then nothing changed.
  bool add(const std::string& model, const ModelVersion& version);
  /// `back`: the move before is undone, and forgotten.
  bool point(const std::string& model, const std::string& tag, std::uint64_t version, bool back);
  /// A version that tags have pointed at before is left out of where they came from.
  bool remove(const std::string& model, std::uint64_t version);

  const RegisteredModel* find(std::string_view model) const;
  const std::map<std::string, RegisteredModel, std::less<>>& models() const { return models_; }
  /// Steps of the job that versions are made of.
  std::vector<std::uint64_t> steps_of(std::string_view source) const;
  /// A step of `kModelFiles` that no version has.
  std::uint64_t next_file() const;

  nlohmann::json to_json() const;
  /// Takes what `to_json` gave. Throws what the JSON library throws.
  static ModelRegistry from_json(const nlohmann::json& document);
  bool operator==(const ModelRegistry&) const = default;

 private:
  std::map<std::string, RegisteredModel, std::less<>> models_;
};

/// Whether it may be a tag: an identifier that is no number, nor `newest`.
bool is_tag(std::string_view tag);
/// Which tag it is not, and why.
ModelFault explain_tag(std::string_view tag);

}  // namespace ds::scheduler
