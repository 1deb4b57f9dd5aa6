#pragma once

namespace ds::storage {

/// Lets this process have as many descriptors as it may, up to 65,536, which is more than it is given: what
/// it holds for others must not take those that its files need. Plain system calls.
void raise_descriptor_limit();
/// For what this process starts the limit is what it was: a program that uses `select` counts on that.
void restore_descriptor_limit();

}  // namespace ds::storage
