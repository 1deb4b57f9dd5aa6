#pragma once

#include "actors/train/model.hpp"
#include "actors/train/models/script_text.hpp"

namespace ds::train {

// The models that we bring, one file each. Errors are `invalid_argument` and name the job file's field.
// All but the first two begin as PyTorch's layers do; token 0 is padding.

/// Embedding, convolution over three words, maximum over time, linear. `width` 128, `dropout` 0.
Result<ScriptText> make_text_classifier(const ModelRequest& request);

/// The sum of the tokens' embeddings over the root of their number, linear: the fastest on text, and hard to
/// beat with `ngrams: 2` (Joulin and others, "Bag of Tricks for Efficient Text Classification", EACL 2017,
/// take the mean). `width` 64, `dropout` 0.
Result<ScriptText> make_bag_of_words(const ModelRequest& request);

/// Linear layers with ReLU over the flattened input. `hidden` [256, 128], `dropout` 0.
Result<ScriptText> make_mlp(const ModelRequest& request);

/// Residual network of basic blocks, batch norm; named as torchvision's. `blocks` [2, 2, 2, 2] a stage,
/// `width` 64 of the first stage, doubled at each further one. An image whose shorter side is under 64 pixels
/// gets a 3x3 convolution first, others a 7x7 one of stride 2 and a maximum pooling.
Result<ScriptText> make_resnet(const ModelRequest& request);

/// BERT's encoder, layers named as torch.nn.TransformerEncoder's. `layers` 2, `width` 128, `heads` 4,
/// `feed_forward` 4 x width, `dropout` 0.1, `first_token` 0: pools the mean of the tokens, 1: the first.
Result<ScriptText> make_transformer(const ModelRequest& request);

/// torch.nn.LSTM over the tokens up to each row's last. `embedding` and `width` 128, `layers` 1,
/// `bidirectional` 0, `dropout` 0, `last` 0: pools the mean of the outputs, 1: the last state.
Result<ScriptText> make_lstm(const ModelRequest& request);

/// U-Net with group norm for masks in two or three dimensions, of any size. `width` 16 of the first level,
/// doubled at each further one, `depth` 3 halvings.
Result<ScriptText> make_unet(const ModelRequest& request);

}  // namespace ds::train
