// `data` of a training job, and sources of data elsewhere.
#include "scheduler/spec/job_format.hpp"
#include "scheduler/spec/job_keys.hpp"
#include "scheduler/spec/job_sections.hpp"

namespace ds::scheduler::format {
namespace {

std::vector<FormatType> tolerance() {
  return {choice(keys::kTolerances), mapping(keys::kTolerance, {{.name = "skip",
                                                                 .types = {whole(1, 1e12)},
                                                                 .meaning = "So many are skipped at most.",
                                                                 .example = "50",
                                                                 .is_required = true}})};
}

FormatField field_of(const char* otherwise) {
  return {.name = "field",
          .types = {choice(keys::kFields)},
          .meaning = std::string("The field of the sample that is changed; else ") + otherwise + ".",
          .example = otherwise};
}

FormatField size_of() {
  return {.name = "size",
          .types = {list(whole(1, 65'536), 2, 3)},
          .meaning = "Height and width; of volumes depth first.",
          .example = "[28, 28]",
          .is_required = true};
}

FormatType columns() {
  std::vector<FormatField> fields;
  for (const auto& [name, meaning] :
       {std::pair{"text", "Columns with the text."}, std::pair{"features", "Columns with numbers."},
        std::pair{"image", "Columns with the image."}, std::pair{"label", "The column with the label."}}) {
    fields.push_back({.name = name,
                      .types = one_or_list(text("the name of a column, or its number from 1"), 1024),
                      .meaning = meaning,
                      .example = name,
                      .is_required = std::string_view(name) == "label"});
  }
  return mapping(keys::kFields, std::move(fields));
}

FormatType text_transforms(std::string_view which) {
  if (which == "tokenize") {
    return mapping(keys::kTokenize,
                   {{.name = "vocabulary",
                     .types = {whole(3, 10'000'000)},
                     .otherwise = "8000",
                     .meaning = "The most frequent tokens of the training data that are kept.",
                     .example = "8000"},
                    {.name = "method",
                     .types = {choice(keys::kTokenizers)},
                     .otherwise = "word",
                     .meaning = "What a token is.",
                     .example = "byte_pair"},
                    {.name = "ngrams",
                     .types = {whole(1, Tokenize::kMostNgrams)},
                     .otherwise = "1",
                     .meaning = "Up to so many neighbouring words are a token, too.",
                     .example = "2"},
                    field_of("text")});
  }
  return mapping(keys::kPadSequences, {{.name = "length",
                                        .types = {whole(3, 65'536)},
                                        .otherwise = "32",
                                        .meaning = "Tokens of a sample; longer ones are cut.",
                                        .example = "32"},
                                       field_of("text")});
}

std::vector<FormatType> normalize() {
  return {pattern("per_sample", "per_sample"),
          mapping(keys::kNormalize, {{.name = "mean",
                                      .types = one_or_list(real(kAnyReal), 1024),
                                      .meaning = "Taken off: one number, or one of each channel.",
                                      .example = "0.13"},
                                     {.name = "deviation",
                                      .types = one_or_list(real(kAboveZero), 1024),
                                      .meaning = "Divided by, as mean.",
                                      .example = "0.31"},
                                     {.name = "per_sample",
                                      .types = {flag()},
                                      .otherwise = "false",
                                      .meaning = "Both are taken from each sample itself.",
                                      .example = "true"},
                                     field_of("features")})};
}

FormatType image_transforms(std::string_view which) {
  if (which == "resize") return mapping(keys::kResize, {size_of(), field_of("image")});
  if (which == "crop") {
    return mapping(keys::kCrop, {size_of(),
                                 {.name = "padding",
                                  .types = {whole(0, 4096)},
                                  .otherwise = "0",
                                  .meaning = "Zeros that are put around it before.",
                                  .example = "2"},
                                 {.name = "random",
                                  .types = {flag()},
                                  .otherwise = "true",
                                  .meaning = "Where is drawn while training; else it is the middle.",
                                  .example = "false"},
                                 field_of("image")});
  }
  if (which == "flip") {
    std::vector<FormatType> axes{choice(keys::kAxes), list(choice(keys::kAxes), 1, keys::kAxes.size())};
    return mapping(keys::kFlip, {{.name = "axes",
                                  .types = std::move(axes),
                                  .otherwise = "horizontal",
                                  .meaning = "Along which it may be turned around.",
                                  .example = "[horizontal, vertical]"},
                                 {.name = "probability",
                                  .types = {real(kUpToOne)},
                                  .otherwise = "0.5",
                                  .meaning = "Of each axis.",
                                  .example = "0.5"},
                                 field_of("image")});
  }
  if (which == "rotate") {
    return mapping(keys::kRotate,
                   {{.name = "degrees",
                     .types = {real({.low_open = true, .high = 180, .words = "above 0 to 180"})},
                     .otherwise = "15",
                     .meaning = "At most, in either direction.",
                     .example = "10"},
                    field_of("image")});
  }
  return mapping(keys::kElasticDeform,
                 {{.name = "alpha",
                   .types = {real(kAboveZero)},
                   .otherwise = "10",
                   .meaning = "How far places move, in pixels before they are smoothed.",
                   .example = "10"},
                  {.name = "sigma",
                   .types = {real(kAboveZero)},
                   .otherwise = "4",
                   .meaning = "How smooth that is, in pixels.",
                   .example = "4"},
                  field_of("image")});
}

FormatType transform() {
  return mapping(
      keys::kTransforms,
      {{.name = "tokenize",
        .types = {text_transforms("tokenize")},
        .meaning = "Cuts texts into tokens, by their number in a vocabulary.",
        .example = "{vocabulary: 8000}"},
       {.name = "pad_sequences",
        .types = {text_transforms("pad_sequences")},
        .meaning = "Makes sequences of tokens equally long.",
        .example = "{length: 32}"},
       {.name = "normalize",
        .types = normalize(),
        .meaning = "(x - mean) / deviation.",
        .example = "{mean: 0.13, deviation: 0.31}"},
       {.name = "one_hot",
        .types = {mapping(keys::kOneHot,
                          {{.name = "classes",
                            .types = {whole(2, 1'000'000)},
                            .meaning = "How many there are; else as many as the training data has.",
                            .example = "10"},
                           field_of("label")})},
        .meaning = "Turns a label into zeros and a one.",
        .example = "{classes: 10}"},
       {.name = "resize",
        .types = {image_transforms("resize")},
        .meaning = "Scales images and volumes.",
        .example = "{size: [28, 28]}"},
       {.name = "crop",
        .types = {image_transforms("crop")},
        .meaning = "Takes a part: at random while training, else from the middle.",
        .example = "{size: [24, 24]}"},
       {.name = "flip",
        .types = {image_transforms("flip")},
        .meaning = "Turns it around at random, while training only.",
        .example = "{axes: [horizontal]}"},
       {.name = "rotate",
        .types = {image_transforms("rotate")},
        .meaning = "Turns it at random, while training only.",
        .example = "{degrees: 10}"},
       {.name = "elastic_deform",
        .types = {image_transforms("elastic_deform")},
        .meaning = "Bends it at random, while training only.",
        .example = "{alpha: 10, sigma: 4}"},
       {.name = "noise",
        .types = {mapping(keys::kNoise, {{.name = "deviation",
                                          .types = {real(kAboveZero)},
                                          .otherwise = "0.1",
                                          .meaning = "Of the Gaussian noise.",
                                          .example = "0.1"},
                                         field_of("features")})},
        .meaning = "Adds noise, while training only.",
        .example = "{deviation: 0.1}"}});
}

}  // namespace

FormatType source() {
  return mapping(
      keys::kSource,
      {{.name = "source",
        .types = one_or_list(text("the path of a file or a folder, or a glob"), 1024),
        .meaning = "Where the samples are; paths are relative to the job file.",
        .example = "train.csv",
        .is_required = true},
       {.name = "format",
        .types = {choice(keys::kFormats)},
        .meaning = "Of the files; else what the first one's name tells.",
        .example = "csv"},
       {.name = "columns",
        .types = {columns()},
        .meaning = "Which column is what: of csv, tsv, jsonl and npz.",
        .example = "{text: utterance, label: intent}"},
       {.name = "header",
        .types = {flag()},
        .otherwise = "true",
        .meaning = "The first line names the columns: of csv and tsv.",
        .example = "true"},
       {.name = "labels",
        .types = one_or_list(text("the path of a file or a folder, or a glob"), 1024),
        .meaning =
            "The files with labels or masks, in the order of source: of idx, text, npy, nifti and raw.",
        .example = "labels.idx"},
       {.name = "shape",
        .types = one_or_list(whole(1, 1e9), 8),
        .meaning = "Of one sample: of raw.",
        .example = "[1, 28, 28]"},
       {.name = "element",
        .types = {choice(keys::kElements)},
        .meaning = "Type of each number: of raw.",
        .example = "uint8"},
       {.name = "records",
        .types = {mapping(keys::kRecords, {{.name = "from",
                                            .types = {whole(0, 1e12)},
                                            .otherwise = "0",
                                            .meaning = "The first, counted from 0.",
                                            .example = "0"},
                                           {.name = "to",
                                            .types = {whole(1, 1e12)},
                                            .meaning = "Before which it ends; else all.",
                                            .example = "1000"}})},
        .meaning = "Only a part of the samples, in their order.",
        .example = "{from: 0, to: 1000}"}});
}

FormatField data_field() {
  return {.name = "data",
          .types = {mapping(
              keys::kData,
              {{.name = "train",
                .types = {source()},
                .meaning = "What is learnt from.",
                .example = "{source: train.csv, columns: {text: utterance, label: intent}}",
                .is_required = true},
               {.name = "validate",
                .types = {source()},
                .meaning = "What the model is evaluated on; without it there is no evaluation.",
                .example = "{source: test.csv, columns: {text: utterance, label: intent}}"},
               {.name = "transforms",
                .types = {list(transform(), 0, 1024)},
                .meaning = "What is done with each sample, in this order. Texts are tokenized and padded "
                           "anyway.",
                .example = "[tokenize: {vocabulary: 8000}, pad_sequences: {length: 32}]"},
               {.name = "shuffle",
                .types = {flag()},
                .otherwise = "true",
                .meaning = "Another order in each epoch, by the seed.",
                .example = "false"},
               {.name = "on_bad_record",
                .types = tolerance(),
                .otherwise = "fail",
                .meaning = "What to do about a record that cannot be read: fail, or skip it (100 at "
                           "most, or so many as are said).",
                .example = "{skip: 50}"},
               {.name = "shards",
                .types = {whole(0, 1024)},
                .otherwise = "0",
                .meaning = "Processes that read and batch for the workers; with 0 workers do it.",
                .example = "2"}})},
          .meaning = "What the job learns from.",
          .example = "{train: {source: train.csv, columns: {text: utterance, label: intent}}}",
          .is_required = true};
}

}  // namespace ds::scheduler::format
