#include <ATen/core/ivalue.h>  // first: clang 14 wants the type whole before a vector of it

#include "actors/train/models/loss.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "actors/train/models/settings.hpp"

namespace ds::train {
namespace {

tl::unexpected<Error> refuse(const std::string& problem) {
  return fail(ErrorCode::invalid_argument, "loss: " + problem);
}

using Shape = std::vector<std::int64_t>;

/// With a dimension of length `first` before it.
Shape behind(std::int64_t first, const Shape& shape) {
  Shape longer{first};
  longer.insert(longer.end(), shape.begin(), shape.end());
  return longer;
}

Result<void> check_term(const scheduler::LossTerm& term, Fit fit, std::uint32_t classes, const Shape& label) {
  const auto is = [&](const char* name) { return term.name == name; };
  if (!is("cross_entropy") && !is("focal") && !is("bce") && !is("mse") && !is("dice"))
    return refuse(fmt::format("no loss \"{}\", there are cross_entropy, bce, mse, dice, focal", term.name));
  if (is("cross_entropy") && fit == Fit::one_score)
    return refuse("cross_entropy needs a score for each of the two classes, the model gives one");
  if (is("cross_entropy") && fit == Fit::numbers && (label.empty() || label.front() < 2))
    return refuse("cross_entropy needs a class as label, or a probability for each class");
  if (is("mse") && fit != Fit::numbers) return refuse("mse compares numbers, the label is a class");
  if (!term.classes.empty()) {
    const std::size_t known = fit == Fit::numbers && is("cross_entropy")
                                  ? static_cast<std::size_t>(label.front())
                                  : static_cast<std::size_t>(classes);
    if (!is("cross_entropy") && !is("focal"))
      return refuse(fmt::format("{} takes no weights of classes", term.name));
    if (term.classes.size() != known)
      return refuse(fmt::format("{} has weights for {} classes, the label has {}", term.name,
                                term.classes.size(), known));
  }
  return {};
}

}  // namespace

Result<Loss> Loss::create(const std::vector<scheduler::LossTerm>& terms, std::uint32_t classes,
                          const data::FieldShape& label, const Shape& output) {
  Loss loss;
  loss.classes_ = classes;
  loss.label_shape_ = label.shape;
  loss.output_shape_ = output;
  const auto classes_first = std::int64_t{classes};
  if (classes > 0) {
    if (label.element == data::Element::float32) return refuse("a label that is a class is a whole number");
    if (loss.label_shape_ == Shape{1}) loss.label_shape_.clear();
    loss.knows_unknown_ = label.element == data::Element::int64;
    const Shape& shape = loss.label_shape_;
    if (output == behind(classes_first, shape)) {
      loss.fit_ = Fit::scores;
    } else if (classes == 2 && (output == shape || output == behind(1, shape))) {
      loss.fit_ = Fit::one_score;
      loss.output_shape_ = shape;
    } else {
      return refuse(fmt::format(
          "for a sample the model gives {}, the label {} of {} classes needs {}: its last layer does not fit",
          to_text(output), to_text(shape), classes, to_text(behind(classes_first, shape))));
    }
  } else {
    loss.fit_ = Fit::numbers;
    const Shape& shape = label.shape;
    const bool squeezable =
        product_of(shape) == product_of(output) && (output == behind(1, shape) || shape == behind(1, output));
    if (output != shape && !squeezable) {
      return refuse(
          fmt::format("for a sample the model gives {}, the label is {}: its last layer does not fit",
                      to_text(output), to_text(shape)));
    }
    loss.output_shape_ = shape;
  }
  if (terms.empty()) return refuse("there is none");
  for (const scheduler::LossTerm& term : terms) {
    const Result<void> fits = check_term(term, loss.fit_, classes, label.shape);
    if (!fits) return tl::unexpected(fits.error());
    Term made{term, {}};
    if (!term.classes.empty()) made.class_weights = at::tensor(term.classes, at::kDouble).to(at::kFloat);
    loss.terms_.push_back(std::move(made));
  }
  return loss;
}

at::Tensor Loss::to_label(const at::Tensor& label) const {
  const at::Tensor typed = label.to(fit_ == Fit::numbers ? at::kFloat : at::kLong);
  return typed.reshape(behind(label.size(0), label_shape_));
}

at::Tensor Loss::to_output(const at::Tensor& output) const {
  if (output.size(0) == 0) return output.to(at::kFloat);
  return output.to(at::kFloat).reshape(behind(output.size(0), output_shape_));
}

at::Tensor Loss::sum(const at::Tensor& output, const at::Tensor& label) const {
  at::Tensor total;
  for (const Term& term : terms_) {
    at::Tensor part = sum_of(term, output, label);
    if (term.spec.weight != 1) part = part * term.spec.weight;
    total = total.defined() ? total + part : part;
  }
  return total;
}

at::Tensor Loss::sum_of(const Term& term, const at::Tensor& output, const at::Tensor& label) const {
  if (term.spec.name == "cross_entropy") return cross_entropy(term, output, label);
  if (term.spec.name == "focal") return focal(term, output, label);
  if (term.spec.name == "bce") return bce(output, label);
  if (term.spec.name == "mse") return mse(output, label);
  return dice(output, label);
}

/// The sum over the rows of the mean over a row's known elements; the loss of unknown ones must be 0.
at::Tensor Loss::sum_rows(const at::Tensor& elements, const at::Tensor& label) const {
  if (elements.dim() == 1) return elements.sum();
  const at::Tensor flat = elements.flatten(1);
  if (fit_ == Fit::numbers || !knows_unknown_) return flat.mean(1).sum();
  const at::Tensor known = label.ne(-1).flatten(1).sum(1).clamp_min(1);
  return flat.sum(1).div(known).sum();
}

at::Tensor Loss::cross_entropy(const Term& term, const at::Tensor& output, const at::Tensor& label) const {
  const double smoothing = term.spec.label_smoothing;
  if (label.dim() == 1)
    return at::cross_entropy_loss(output, label, term.class_weights, at::Reduction::Sum, -1, smoothing);
  const at::Tensor elements =
      fit_ == Fit::numbers
          ? at::cross_entropy_loss(output, label, term.class_weights, at::Reduction::None, -100, smoothing)
          : at::cross_entropy_loss(output, label, term.class_weights, at::Reduction::None, -1, smoothing);
  return sum_rows(elements, label);
}

at::Tensor Loss::focal(const Term& term, const at::Tensor& output, const at::Tensor& label) const {
  at::Tensor log_right, known, classes;
  if (fit_ == Fit::scores) {
    classes = label.clamp_min(0);
    log_right = at::log_softmax(output, 1).gather(1, classes.unsqueeze(1)).squeeze(1);
  } else {  // the two classes' logarithms, mixed as the label says
    const at::Tensor share = fit_ == Fit::numbers ? label : label.clamp_min(0).to(at::kFloat);
    classes = fit_ == Fit::numbers ? label.round().to(at::kLong) : label.clamp_min(0);
    log_right = at::log_sigmoid(output) * share + at::log_sigmoid(-output) * (1 - share);
  }
  const at::Tensor wrong = (1 - log_right.exp()).clamp_min(1e-7);  // pow has no gradient at 0
  at::Tensor elements = -wrong.pow(term.spec.gamma) * log_right;
  if (term.class_weights.defined())
    elements = elements * term.class_weights.index_select(0, classes.flatten()).view_as(classes);
  if (fit_ != Fit::numbers && knows_unknown_) elements = elements * label.ne(-1);
  return sum_rows(elements, label);
}

at::Tensor Loss::bce(const at::Tensor& output, const at::Tensor& label) const {
  if (fit_ == Fit::numbers)
    return sum_rows(at::binary_cross_entropy_with_logits(output, label, {}, {}, at::Reduction::None), label);
  const at::Tensor known = label.clamp_min(0);
  at::Tensor elements;
  if (fit_ == Fit::one_score) {
    elements =
        at::binary_cross_entropy_with_logits(output, known.to(at::kFloat), {}, {}, at::Reduction::None);
  } else {
    const at::Tensor right = at::zeros_like(output).scatter_(1, known.unsqueeze(1), 1);
    elements = at::binary_cross_entropy_with_logits(output, right, {}, {}, at::Reduction::None).mean(1);
  }
  return sum_rows(elements * label.ne(-1), label);
}

at::Tensor Loss::mse(const at::Tensor& output, const at::Tensor& label) const {
  return sum_rows((output - label).square(), label);
}

at::Tensor Loss::dice(const at::Tensor& output, const at::Tensor& label) const {
  constexpr double kSmooth = 1;  // a class that is neither there nor predicted has no loss
  at::Tensor chance, truth;      // [rows, classes that count, elements]
  const std::int64_t rows = output.size(0);
  if (fit_ == Fit::numbers) {
    chance = output.sigmoid().reshape({rows, 1, -1});
    truth = label.reshape({rows, 1, -1});
  } else {
    const at::Tensor known = label.ne(-1).reshape({rows, 1, -1});
    const at::Tensor classes = label.clamp_min(0).reshape({rows, 1, -1});
    if (fit_ == Fit::one_score) {
      chance = output.sigmoid().reshape({rows, 1, -1});
      truth = classes.to(at::kFloat);
    } else {
      chance = output.softmax(1).reshape({rows, classes_, -1});
      truth = at::zeros_like(chance).scatter_(1, classes, 1);
      chance = chance.narrow(1, 1, classes_ - 1);
      truth = truth.narrow(1, 1, classes_ - 1);
    }
    chance = chance * known;
    truth = truth * known;
  }
  const at::Tensor both = (chance * truth).sum(2) * 2 + kSmooth;
  const at::Tensor each = 1 - both / (chance.sum(2) + truth.sum(2) + kSmooth);
  at::Tensor of_row = each.mean(1);
  if (fit_ != Fit::numbers) of_row = of_row * label.ne(-1).reshape({rows, -1}).any(1);
  return of_row.sum();
}

}  // namespace ds::train
