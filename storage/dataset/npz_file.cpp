#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>
#include <zip.h>

#include <memory>

#include "storage/dataset/array_file.hpp"
#include "storage/dataset/nearest_name.hpp"
#include "storage/dataset/unpack.hpp"
#include "storage/log/log_store.hpp"

namespace ds::storage {
namespace {

struct CloseArchive {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};
struct CloseMember {
  void operator()(zip_file_t* member) const { zip_fclose(member); }
};

tl::unexpected<Error> fail_in(const std::filesystem::path& file, std::string_view what,
                              std::string hint = {}) {
  return fail(ErrorCode::invalid_argument, fmt::format("{}: {}", file.string(), what), std::move(hint));
}

std::vector<std::string> names_in(zip_t* archive) {
  std::vector<std::string> names;
  const zip_int64_t count = std::min<zip_int64_t>(zip_get_num_entries(archive, 0), 1000);
  for (zip_int64_t i = 0; i < count; ++i) {
    const char* name = zip_get_name(archive, static_cast<zip_uint64_t>(i), 0);
    if (name == nullptr) continue;
    std::string shown = escape_control_characters(name);
    if (shown.ends_with(".npy")) shown.resize(shown.size() - 4);
    names.push_back(std::move(shown));
  }
  return names;
}

Result<TemporaryFile> unpack_member(zip_t* archive, const std::filesystem::path& file,
                                    const std::string& name) {
  const std::unique_ptr<zip_file_t, CloseMember> member(zip_fopen(archive, (name + ".npy").c_str(), 0));
  if (!member) {
    const std::vector<std::string> names = names_in(archive);
    const auto nearest = find_nearest_name(name, names);
    return fail_in(
        file, fmt::format("the archive has no array \"{}\"", name),
        fmt::format("{}The arrays are: {}", nearest ? fmt::format("Did you mean \"{}\"? ", *nearest) : "",
                    fmt::join(names, ", ")));
  }
  auto out = make_temporary_file();
  if (!out) return out;
  std::string piece(std::size_t{256} << 10, '\0');
  for (;;) {
    const zip_int64_t size = zip_fread(member.get(), piece.data(), piece.size());
    if (size == 0) return out;
    Result<void> written;
    if (size < 0)
      written = fail_in(file, fmt::format("the array \"{}\" can't be unpacked: {}", name,
                                          zip_error_strerror(zip_file_get_error(member.get()))));
    else if (out->size > DataFile::kMaxUnpackedBytes)
      written = fail(ErrorCode::resource_exhausted,
                     fmt::format("{}: \"{}\" unpacks to more than {} GiB", file.string(), name,
                                 DataFile::kMaxUnpackedBytes >> 30));
    else
      written = append_to(*out, {piece.data(), static_cast<std::size_t>(size)});
    if (written) continue;
    ::close(out->descriptor);
    return tl::unexpected(written.error());
  }
}

}  // namespace

Result<std::vector<std::shared_ptr<const DataFile>>> open_npz(const std::filesystem::path& file,
                                                              std::span<const std::string> names,
                                                              const std::shared_ptr<PieceCache>& cache) {
  // Opened by us first, for errors in our words.
  const auto plain = DataFile::open(file, cache);
  if (!plain) return tl::unexpected(plain.error());
  int code = 0;
  const std::unique_ptr<zip_t, CloseArchive> archive(
      zip_open(file.c_str(), ZIP_RDONLY | ZIP_CHECKCONS, &code));
  if (!archive) {
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const std::string why = zip_error_strerror(&error);
    zip_error_fini(&error);
    return fail_in(file, fmt::format("no .npz archive that can be read: {}", why),
                   "Save it with numpy.savez; fetch it again if it was cut off.");
  }
  std::vector<std::shared_ptr<const DataFile>> arrays;
  for (const std::string& name : names) {
    const auto unpacked = unpack_member(archive.get(), file, name);
    if (!unpacked) return tl::unexpected(unpacked.error());
    auto array =
        DataFile::adopt(file, fmt::format("{}:{}", file.string(), name), unpacked->descriptor, cache);
    if (!array) return tl::unexpected(array.error());
    arrays.push_back(std::move(*array));
  }
  return arrays;
}

}  // namespace ds::storage
