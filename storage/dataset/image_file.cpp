#include "storage/dataset/image_file.hpp"

#include <fmt/format.h>
#include <png.h>
#include <turbojpeg.h>

#include <memory>

namespace ds::storage {
namespace {

tl::unexpected<Error> fail_image(const std::string& name, std::string_view what) {
  return fail(ErrorCode::invalid_argument, fmt::format("{}: {}", name, what));
}

bool is_jpeg(std::string_view file) {
  return file.starts_with("\xFF\xD8\xFF");
}
bool is_png(std::string_view file) {
  return file.starts_with("\x89PNG\r\n\x1A\n");
}

/// libjpeg-turbo's decompressor, one a thread: making one costs as much as decoding a small image.
tjhandle jpeg_decompressor() {
  struct Destroy {
    void operator()(void* handle) const { tjDestroy(handle); }
  };
  thread_local const std::unique_ptr<void, Destroy> handle(tjInitDecompress());
  return handle.get();
}

unsigned char* bytes_of(std::string_view file) {
  return reinterpret_cast<unsigned char*>(const_cast<char*>(file.data()));  // its interface knows no const
}

Result<void> check_size(const std::string& name, std::uint64_t width, std::uint64_t height) {
  if (width == 0 || height == 0) return fail_image(name, "an image without pixels");
  if (width * height > kMaxPixels)
    return fail_image(
        name, fmt::format("{} x {} pixels are more than {} million", height, width, kMaxPixels / 1'000'000));
  return {};
}

struct JpegHeader {
  int width = 0, height = 0, subsampling = 0, colours = 0;
};

Result<JpegHeader> read_jpeg_header(std::string_view file, const std::string& name) {
  const tjhandle handle = jpeg_decompressor();
  JpegHeader header;
  if (handle == nullptr) return fail(ErrorCode::resource_exhausted, "no memory for libjpeg-turbo");
  if (tjDecompressHeader3(handle, bytes_of(file), file.size(), &header.width, &header.height,
                          &header.subsampling, &header.colours) != 0)
    return fail_image(name, fmt::format("a damaged JPEG file ({})", tjGetErrorStr2(handle)));
  auto fits =
      check_size(name, static_cast<std::uint64_t>(header.width), static_cast<std::uint64_t>(header.height));
  if (!fits) return tl::unexpected(fits.error());
  if (header.colours == TJCS_CMYK || header.colours == TJCS_YCCK)
    return fail_image(name, "a JPEG file of CMYK colours, which no screen shows");
  return header;
}

/// The smallest of 1, 1/2, 1/4 and 1/8 that leaves enough pixels.
int choose_denominator(const JpegHeader& header, ImageSize enough) {
  if (enough.height == 0 || enough.width == 0) return 1;
  int denominator = 1;
  while (denominator < 8 &&
         TJSCALED(header.width, (tjscalingfactor{1, denominator * 2})) >= static_cast<int>(enough.width) &&
         TJSCALED(header.height, (tjscalingfactor{1, denominator * 2})) >= static_cast<int>(enough.height))
    denominator *= 2;
  return denominator;
}

Result<void> decode_jpeg(std::string_view file, const std::string& name, std::uint32_t channels,
                         ImageSize enough, Pixels& out) {
  const auto header = read_jpeg_header(file, name);
  if (!header) return tl::unexpected(header.error());
  const tjscalingfactor scale{1, choose_denominator(*header, enough)};
  const int width = TJSCALED(header->width, scale);
  const int height = TJSCALED(header->height, scale);
  out.size = {static_cast<std::uint32_t>(height), static_cast<std::uint32_t>(width), channels};
  out.bytes.resize(std::size_t{out.size.height} * out.size.width * channels);
  const tjhandle handle = jpeg_decompressor();
  const int status = tjDecompress2(handle, bytes_of(file), file.size(), out.bytes.data(), width, 0, height,
                                   channels == 1 ? TJPF_GRAY : TJPF_RGB, 0);
  if (status == 0) return {};
  // Stray bytes between markers harm nothing, every other warning means that pixels are made up.
  const std::string_view why = tjGetErrorStr2(handle);
  if (tjGetErrorCode(handle) == TJERR_WARNING && why.find("extraneous bytes") != std::string_view::npos)
    return {};
  return fail_image(name, fmt::format("a damaged JPEG file ({})", why));
}

class PngImage {
 public:
  explicit PngImage(std::string_view file) {
    image_.version = PNG_IMAGE_VERSION;
    ready_ = png_image_begin_read_from_memory(&image_, file.data(), file.size()) != 0;
  }
  PngImage(const PngImage&) = delete;
  PngImage& operator=(const PngImage&) = delete;
  ~PngImage() { png_image_free(&image_); }

  bool ready() const { return ready_; }
  png_image& get() { return image_; }

 private:
  png_image image_ = {};
  bool ready_ = false;
};

Result<void> decode_png(std::string_view file, const std::string& name, std::uint32_t channels, Pixels& out) {
  PngImage image(file);
  if (!image.ready()) return fail_image(name, fmt::format("a damaged PNG file ({})", image.get().message));
  auto fits = check_size(name, image.get().width, image.get().height);
  if (!fits) return fits;
  image.get().format = channels == 1 ? PNG_FORMAT_GRAY : PNG_FORMAT_RGB;
  image.get().flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
  out.size = {image.get().height, image.get().width, channels};
  out.bytes.resize(std::size_t{out.size.height} * out.size.width * channels);
  const png_color black = {0, 0, 0};  // behind what is transparent
  if (png_image_finish_read(&image.get(), &black, out.bytes.data(), 0, nullptr) == 0)
    return fail_image(name, fmt::format("a damaged PNG file ({})", image.get().message));
  return {};
}

}  // namespace

Result<ImageSize> read_image_size(std::string_view file, const std::string& name) {
  if (is_jpeg(file)) {
    const auto header = read_jpeg_header(file, name);
    if (!header) return tl::unexpected(header.error());
    return ImageSize{static_cast<std::uint32_t>(header->height), static_cast<std::uint32_t>(header->width),
                     header->colours == TJCS_GRAY ? 1U : 3U};
  }
  if (!is_png(file)) return fail_image(name, "neither a JPEG nor a PNG file, whatever its name says");
  PngImage image(file);
  if (!image.ready()) return fail_image(name, fmt::format("a damaged PNG file ({})", image.get().message));
  auto fits = check_size(name, image.get().width, image.get().height);
  if (!fits) return tl::unexpected(fits.error());
  return ImageSize{image.get().height, image.get().width,
                   (image.get().format & PNG_FORMAT_FLAG_COLOR) != 0 ? 3U : 1U};
}

Result<void> decode_image(std::string_view file, const std::string& name, std::uint32_t channels,
                          ImageSize enough, Pixels& out) {
  if (is_jpeg(file)) return decode_jpeg(file, name, channels, enough, out);
  if (is_png(file)) return decode_png(file, name, channels, out);
  return fail_image(name, "neither a JPEG nor a PNG file, whatever its name says");
}

}  // namespace ds::storage
