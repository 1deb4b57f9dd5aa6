#pragma once

#include "actors/data/vocabulary.hpp"

namespace ds::train {

using data::next_word;
using data::Vocabulary;

}  // namespace ds::train
