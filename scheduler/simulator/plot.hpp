#pragma once

#include <string>

#include "scheduler/simulator/packing_simulation.hpp"
#include "scheduler/simulator/simulation.hpp"

namespace ds::simulator {

/// An SVG drawing of two charts over time. A Gantt chart with a row for each job, in the order of submission:
/// a thin line while it waits, a bar while it has slots, darker for more. And the share of jobs done within
/// so many seconds of their submission. At least one job.
std::string draw_svg(const Outcome& outcome);

/// An SVG drawing of the share of the GPUs that is allocated while jobs come, as FGD's authors draw it,
/// beside the most that could be: all that was asked for, up to all GPUs.
std::string draw_svg(const PackingOutcome& outcome);

}  // namespace ds::simulator
