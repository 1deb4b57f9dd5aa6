#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scheduler/spec/job_spec.hpp"
#include "scheduler/spec/section.hpp"

/// The format of job files as a value, for people and editors: what each field means and which values it may
/// have.
///
/// Its fields are those of `job_keys.hpp`, by which files are read: making it fails where one of the two has
/// a field that the other has not. That values are right as well is what `job_format_test.cpp` asks the
/// reader.
namespace ds::scheduler {

struct FormatField;

/// One of the forms that a value may have.
struct FormatType {
  enum class Kind { whole, real, flag, text, choice, list, mapping };

  Kind kind = Kind::text;
  std::string noun;                  ///< what a person calls it, where the kind does not say it: `a duration`
  RealRange range{};                 ///< of numbers
  std::string pattern{};             ///< of a text, a regular expression for the whole of it; empty: any
  std::span<const Known> words{};    ///< of a choice
  std::size_t fewest = 0, most = 0;  ///< items of a list
  std::vector<FormatType> items{};   ///< of a list: one of these is the form of each item
  std::vector<FormatField> fields{};  ///< of a mapping
  std::vector<FormatType> others{};   ///< of a mapping whose further keys have any names: of their values
};

struct FormatField {
  std::string_view name;
  std::vector<FormatType> types{};  ///< one of them; none: such a job may not have the field (yet)
  std::string otherwise{};  ///< what counts where it is not given, as a file would say it; may be empty
  std::string meaning{};
  std::string example{};  ///< as a file would say it, in one line
  bool is_required = false;
};

/// The fields at the root of jobs of that kind, in the order of `job_keys.hpp`.
std::vector<FormatField> job_format(JobKind kind);

/// `a whole number from 1 to 1024 or a mapping of min, max`: what may stand there.
std::string describe(std::span<const FormatType> types);

// ---- what the format is made of -------------------------------------------------------------------

namespace format {

FormatType whole(double low, double high);
FormatType real(RealRange range);
FormatType flag();
FormatType always();  ///< `true` alone
FormatType text(std::string noun = "text");
FormatType pattern(std::string noun, std::string expression);
FormatType name();
FormatType queue();
FormatType choice(std::span<const Known> words);
FormatType duration();
FormatType moment();
FormatType size();
FormatType steps(std::string noun = "a number of steps, such as 200 or 200 steps");
FormatType list(FormatType item, std::size_t fewest, std::size_t most);
/// An item alone, or a list.
std::vector<FormatType> one_or_list(const FormatType& item, std::size_t most);
/// Throws `std::logic_error` where these are not the fields of `keys`. Those that are not supported yet may
/// be left out.
FormatType mapping(std::span<const Known> keys, std::vector<FormatField> fields);
/// A mapping whose keys are any names, and values of that form.
FormatType mapping_of(FormatType value, std::string noun);

/// The fields of `keys`, in their order, each once; throws as `mapping` does.
std::vector<FormatField> in_order(std::span<const Known> keys, std::vector<FormatField> fields);

// The parts of the format: fields that a job of some kind has at its root.
std::vector<FormatField> common_fields(JobKind kind);
std::vector<FormatField> train_fields();
std::vector<FormatField> serve_fields();
std::vector<FormatField> command_fields();
FormatField data_field();
/// `data.train` and the like.
FormatType source();

}  // namespace format
}  // namespace ds::scheduler
