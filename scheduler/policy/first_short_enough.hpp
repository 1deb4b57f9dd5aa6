#pragma once

#include <algorithm>
#include <cstdint>

namespace ds::scheduler {

/// A node update for trees (`__gnu_pbds::tree`) of pointers to jobs: the tree also finds the first job behind
/// another, in its order, that does not last too long, at the cost of about the logarithm of its size.
///
/// `Length` says how long a job lasts, which must not change while it is in the tree.
template <class Length>
struct FirstShortEnough {
  template <class ConstNode, class Node, class Compare, class Allocator>
  class Update {
   public:
    using metadata_type = std::int64_t;  ///< how long the shortest job of the subtree lasts

    /// The first one behind `after` (null: behind nothing) that lasts at most `most`; null: there is none.
    template <class Job>
    Job* first_behind(Job* after, std::int64_t most) const {
      return find(node_begin(), after, most);
    }

   protected:
    virtual ~Update() = default;
    void operator()(Node node, ConstNode end) const {
      std::int64_t least = Length()(**node);
      for (const ConstNode child : {ConstNode(node.get_l_child()), ConstNode(node.get_r_child())}) {
        if (child != end) least = std::min<std::int64_t>(least, child.get_metadata());
      }
      const_cast<metadata_type&>(node.get_metadata()) = least;
    }

   private:
    virtual ConstNode node_begin() const = 0;
    virtual ConstNode node_end() const = 0;

    template <class Job>
    Job* find(ConstNode node, Job* after, std::int64_t most) const {
      if (node == node_end() || node.get_metadata() > most) return nullptr;
      Job* const own = **node;
      if (after == nullptr || Compare()(after, own)) {
        if (Job* const left = find(node.get_l_child(), after, most)) return left;
        if (Length()(own) <= most) return own;
      }
      return find(node.get_r_child(), after, most);
    }
  };
};

}  // namespace ds::scheduler
