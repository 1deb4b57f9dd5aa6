#pragma once

#include <string>

#include "scheduler/simulator/simulation.hpp"

namespace ds::simulator {

/// An SVG drawing of two charts over time. A Gantt chart with a row for each job, in the order of submission:
/// a thin line while it waits, a bar while it has slots, darker for more. And the share of jobs done within
/// so many seconds of their submission. At least one job.
std::string draw_svg(const Outcome& outcome);

}  // namespace ds::simulator
