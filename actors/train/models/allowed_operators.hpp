#pragma once

#include <string_view>

namespace ds::train {

/// Whether a TorchScript program that a stranger wrote may have this operator: `aten::relu`, `prim::If`.
///
/// True for those that are listed, and for their forms that change their argument (`aten::relu_`): they
/// compute from their arguments, draw random numbers, steer the program, or print. All else is not: what
/// reads or writes files, talks to other processes or hosts, waits for them, runs Python, looks at a clock or
/// reseeds the generator; what torch offers without checks (`aten::_sparse_coo_tensor_unsafe`); what only its
/// own passes and backends use; operators of extensions; and what a torch yet to come will bring. Pure; any
/// thread.
bool is_allowed_operator(std::string_view name);

}  // namespace ds::train
