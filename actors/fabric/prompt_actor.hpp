#pragma once

namespace ds::fabric {

/// A base of actors whose handlers are short: a message from another process runs them on the progress thread
/// that has received it, where they run on no thread at the moment, and so wakes no other. Requests and
/// responses leave them to CAF's threads, as do messages to all other actors.
class PromptActor {
 protected:
  PromptActor() = default;
  ~PromptActor() = default;
};

}  // namespace ds::fabric
