// SPDX-License-Identifier: Apache-2.0
// transport/sim/sim_filter.h - a filter of the 2.0 language, evaluated over one row in memory.
//
// Purpose: the model server's own evaluator, apart from the SQL generator it is to be compared
// with.
//          Comparisons, and, or, not, in; functions and arithmetic are not in it.
#ifndef HOLDFAST_TRANSPORT_SIM_SIM_FILTER_H_
#define HOLDFAST_TRANSPORT_SIM_SIM_FILTER_H_

#include <memory>
#include <string_view>

#include "hal/base/arena.h"
#include "hal/base/query.h"
#include "transport/sim/sim_server.h"

namespace holdfast::transport {

class SimFilter {
 public:
  // False: not a filter this can evaluate.
  bool Parse(std::string_view text);
  bool Passes(const SimRow& row) const;

  // What a name stands for in a row: a column or one of the system's. Dates are text.
  static SimValue Column(const SimRow& row, std::string_view name);
  // -1, 0, 1; nothing when the two cannot be compared (null, different kinds).
  static std::optional<int> Compare(const SimValue& a, const SimValue& b);

 private:
  bool Supported(int index) const;
  bool True(const SimRow& row, int index) const;
  SimValue Evaluate(const SimRow& row, int index) const;
  bool CompareNode(const SimRow& row, const query::Node& node) const;

  std::unique_ptr<query::ParsedFilter> parsed_;
  std::unique_ptr<char[]> bytes_;
  std::unique_ptr<Arena> arena_;
};

}  // namespace holdfast::transport

#endif  // HOLDFAST_TRANSPORT_SIM_SIM_FILTER_H_
