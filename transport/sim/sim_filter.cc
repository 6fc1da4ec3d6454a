// SPDX-License-Identifier: Apache-2.0
#include "transport/sim/sim_filter.h"

#include <string>

#include "hal/base/text.h"
#include "hal/base/timestamp.h"

namespace holdfast::transport {
namespace {

constexpr std::size_t kArenaBytes = 64 << 10;

bool IsNumber(const SimValue& value) {
  return value.type == ValueType::kInteger || value.type == ValueType::kReal ||
         value.type == ValueType::kBoolean;
}
double Number(const SimValue& value) {
  return value.type == ValueType::kReal ? value.real : double(value.integer);
}

template <typename T>
int Order(const T& a, const T& b) {
  return a < b ? -1 : (b < a ? 1 : 0);
}

}  // namespace

bool SimFilter::Parse(std::string_view text) {
  parsed_ = std::make_unique<query::ParsedFilter>();
  bytes_ = std::make_unique<char[]>(kArenaBytes);
  arena_ = std::make_unique<Arena>(std::span<char>(bytes_.get(), kArenaBytes));
  query::QueryError error;
  return query::ParseFilter(text, *arena_, *parsed_, error).ok() && Supported(parsed_->root);
}

bool SimFilter::Supported(int index) const {
  if (index < 0) return true;
  const query::Node& node = parsed_->nodes[std::size_t(index)];
  switch (node.op) {
    case query::Op::kCall:
    case query::Op::kAdd:
    case query::Op::kSub:
    case query::Op::kMul:
    case query::Op::kDiv:
    case query::Op::kMod:
    case query::Op::kNegate: return false;
    default: break;
  }
  for (int child = node.first; child >= 0; child = parsed_->nodes[std::size_t(child)].next) {
    if (!Supported(child)) return false;
  }
  return true;
}

bool SimFilter::Passes(const SimRow& row) const {
  return parsed_->root < 0 || True(row, parsed_->root);
}

SimValue SimFilter::Column(const SimRow& row, std::string_view name) {
  SimValue value;
  value.type = ValueType::kText;
  if (name == kId) {
    value.text = row.id;
  } else if (name == kUpdatedAt) {
    value.text = FormatTimestamp(row.updated_at, 7).view();
  } else if (name == kCreatedAt) {
    value.text = FormatTimestamp(row.created_at, 7).view();
  } else if (name == kVersion) {
    value.text = std::to_string(row.version);
  } else if (name == kDeleted) {
    value.type = ValueType::kBoolean;
    value.integer = row.deleted ? 1 : 0;
  } else if (const SimValue* found = row.Find(name)) {
    return *found;
  } else {
    return {};
  }
  return value;
}

std::optional<int> SimFilter::Compare(const SimValue& a, const SimValue& b) {
  if (IsNumber(a) && IsNumber(b)) return Order(Number(a), Number(b));
  if (a.type != ValueType::kText || b.type != ValueType::kText) return std::nullopt;
  return Order(a.text, b.text);
}

SimValue SimFilter::Evaluate(const SimRow& row, int index) const {
  const query::Node& node = parsed_->nodes[std::size_t(index)];
  if (node.op == query::Op::kLiteral) return SimValue::From(node.literal);
  if (node.op == query::Op::kColumn) return Column(row, node.name);
  SimValue truth;
  truth.type = ValueType::kBoolean;
  truth.integer = True(row, index) ? 1 : 0;
  return truth;
}

bool SimFilter::CompareNode(const SimRow& row, const query::Node& node) const {
  const int second = parsed_->nodes[std::size_t(node.first)].next;
  const SimValue a = Evaluate(row, node.first), b = Evaluate(row, second);
  const bool dates =
      parsed_->nodes[std::size_t(node.first)].literal_type == ColumnType::kDatetime ||
      parsed_->nodes[std::size_t(second)].literal_type == ColumnType::kDatetime;
  std::optional<int> order = Compare(a, b);
  if (dates) {
    const auto first = ParseTimestamp(a.text), other = ParseTimestamp(b.text);
    order = first && other ? std::optional<int>(Order(*first, *other)) : std::nullopt;
  }
  const bool nulls = a.type == ValueType::kNull && b.type == ValueType::kNull;
  switch (node.op) {
    case query::Op::kEq: return nulls || order == 0;
    case query::Op::kNe: return !nulls && order != 0;
    case query::Op::kGt: return order && *order > 0;
    case query::Op::kGe: return order && *order >= 0;
    case query::Op::kLt: return order && *order < 0;
    case query::Op::kLe: return order && *order <= 0;
    default: return false;
  }
}

bool SimFilter::True(const SimRow& row, int index) const {
  const query::Node& node = parsed_->nodes[std::size_t(index)];
  const auto next = [&](int at) { return int(parsed_->nodes[std::size_t(at)].next); };
  switch (node.op) {
    case query::Op::kOr: return True(row, node.first) || True(row, next(node.first));
    case query::Op::kAnd: return True(row, node.first) && True(row, next(node.first));
    case query::Op::kNot: return !True(row, node.first);
    case query::Op::kLiteral:
    case query::Op::kColumn: {
      const SimValue value = Evaluate(row, index);
      return IsNumber(value) && Number(value) != 0;
    }
    case query::Op::kIn: {
      const SimValue wanted = Evaluate(row, node.first);
      for (int at = next(node.first); at >= 0; at = next(at)) {
        if (Compare(wanted, Evaluate(row, at)) == 0) return true;
      }
      return false;
    }
    default: return CompareNode(row, node);
  }
}

}  // namespace holdfast::transport
