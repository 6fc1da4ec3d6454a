// SPDX-License-Identifier: Apache-2.0
// agent/cli/get.cc - get and delete: rows out of a table, here or there.
#include <memory>

#include "agent/cli/advice.h"
#include "agent/cli/commands.h"
#include "agent/cli/filter.h"
#include "agent/cli/signals.h"
#include "agent/sync/remote.h"
#include "transport/wire.h"

namespace holdfast::agent {
namespace {

constexpr std::size_t kLineBytes = 2 * limits::kRowBytes + (64 << 10);
constexpr std::size_t kArenaBytes = limits::kRowBytes + (64 << 10);

// Prints rows as JSON lines, the id first. What a server sent is brought to the form of the
// declared columns, so that both tables print alike.
class RowPrinter : public RowSink {
 public:
  RowPrinter(Output& out, const store::Table& table)
      : out_(out),
        table_(table),
        line_(new char[kLineBytes]),
        arena_bytes_(new char[kArenaBytes]),
        arena_({arena_bytes_.get(), kArenaBytes}) {}

  Result<void> OnRow(RowView row) override {
    fields_.clear();
    arena_.Reset();
    if (const Field* id = Find(row, kId)) HF_TRY(fields_.Add(kId, ColumnType::kText, id->value));
    for (const Field& field : row) {
      if (EqualsIgnoreCase(field.name, kId)) continue;
      Field shown = field;
      if (const auto column = table_.Lookup(field.name); column && field.type == ColumnType::kAny) {
        shown.type = column->type;
        HF_TRY(wire::Conform(column->type, arena_, shown.value));
      }
      HF_TRY(fields_.Add(shown.name, shown.type, shown.value));
    }
    TextWriter text({line_.get(), kLineBytes});
    HF_TRY(wire::EncodeRow(fields_.view(), text));
    out_.Put(text.view()).Put("\n");
    ++rows_;
    // Nobody reads on: reading on would be waste.
    if (out_.error() != 0) return Error{Code::kIo, Origin::kErrno, out_.error(), nullptr};
    if (Interrupted()) return Error{Code::kCancelled, Origin::kNone, 0, "stopped on request"};
    return Ok();
  }

  std::uint64_t rows() const { return rows_; }

 private:
  Output& out_;
  const store::Table& table_;
  std::unique_ptr<char[]> line_, arena_bytes_;
  Arena arena_;
  RowFields fields_;
  std::uint64_t rows_ = 0;
};

Exit FailRemote(const Error& error, std::string_view words) {
  Fail("the server's table", error, words);
  if (const std::string_view advice = Advice(error.code); !advice.empty()) {
    std::fprintf(stderr, "%.*s\n", int(advice.size()), advice.data());
  }
  return ExitFor(error);
}

struct GetQuery {
  std::string_view id, filter, order;
  std::uint64_t top = UINT64_MAX, skip = 0;
};

Exit GetRemote(Context& context, Workplace& place, const store::Table& table, const GetQuery& query,
               RowPrinter& printer) {
  auto way = place.MakeWay();
  if (!way) return FailTransport(way.error());
  const config::SyncConfig& sync = place.config().sync;
  Remote remote(*way->transport, context.platform.random(), *way->workspace,
                place.exchange_timeout(), Interrupted);
  Result<void> got;
  if (!query.id.empty()) {
    got = remote.Lookup(table.name(), query.id, printer);
  } else {
    got = remote.List(
        table.name(),
        {query.filter, query.order, query.top, query.skip, std::uint32_t(sync.page_rows)}, printer);
  }
  if (got || context.out.error() != 0) return Exit::kDone;  // the output's error is told at the end
  return FailRemote(got.error(), remote.words());
}

Exit GetLocal(Context& context, Workplace& place, const store::Table& table, const GetQuery& query,
              const CheckedFilter& checked, RowPrinter& printer) {
  store::ReadQuery read;
  read.id = query.id;
  read.filter = query.filter.empty() ? nullptr : &checked.filter();
  read.order_by = query.order;
  read.top = query.top;
  read.skip = query.skip;
  auto got = place.store().Read(table, read, printer);
  if (!got && context.out.error() == 0) {
    return Fail("the table cannot be read", got.error(), place.store().why());
  }
  if (!query.id.empty() && printer.rows() == 0) {
    Complain("no row '%.*s' in %.*s", int(query.id.size()), query.id.data(),
             int(table.name().size()), table.name().data());
    return Exit::kFailed;
  }
  return Exit::kDone;
}

}  // namespace

Exit RunGet(Context& context, const Arguments& arguments) {
  const bool is_remote = arguments.Has("--remote");
  GetQuery query;
  if (arguments.positionals.size() > 1) query.id = arguments.positionals[1];
  query.filter = arguments.Text("--where");
  query.order = arguments.Text("--order");
  query.top = arguments.Count("--top", UINT64_MAX);
  query.skip = arguments.Count("--skip", 0);
  const bool asks_many = !query.filter.empty() || !query.order.empty() || arguments.Has("--top") ||
                         arguments.Has("--skip");
  if (arguments.positionals.size() > 1 && (asks_many || query.id.empty())) {
    Complain("get: an ID names one row; --where, --order, --top and --skip do not go with it");
    return Exit::kUsage;
  }
  Workplace place(context);
  if (const Exit exit = place.Open(is_remote); exit != Exit::kDone) return exit;
  const store::Table* table = place.FindTable(arguments.positionals[0]);
  if (table == nullptr) return Exit::kUsage;
  CheckedFilter checked;
  if (!query.filter.empty() && !checked.CheckWhere(query.filter, *table, is_remote)) {
    return Exit::kUsage;
  }
  if (!query.order.empty() && !checked.CheckOrder(query.order, *table, is_remote)) {
    return Exit::kUsage;
  }
  RowPrinter printer(context.out, *table);
  return is_remote ? GetRemote(context, place, *table, query, printer)
                   : GetLocal(context, place, *table, query, checked, printer);
}

namespace {

struct Deleted {
  std::uint64_t rows = 0, missing = 0;
  Exit exit = Exit::kDone;
};

void Missing(std::string_view id, Deleted& deleted) {
  Complain("no row '%.*s'", int(id.size()), id.data());
  ++deleted.missing;
}

Deleted DeleteLocal(Workplace& place, const store::Table& table,
                    std::span<const std::string_view> ids) {
  Deleted deleted;
  store::Store& store = place.store();
  auto step = store.Begin();
  for (std::size_t i = 0; step && i < ids.size(); ++i) {
    auto done = store.Delete(table, ids[i]);
    if (!done) {
      step = done.error();
    } else if (*done) {
      ++deleted.rows;
    } else {
      Missing(ids[i], deleted);
    }
  }
  if (step) step = store.Commit();
  if (!step) {
    deleted.exit = Fail("nothing was deleted", step.error(), store.why());
    store.Rollback();
    deleted.rows = 0;
  }
  return deleted;
}

Deleted DeleteRemote(Context& context, Workplace& place, const store::Table& table,
                     std::span<const std::string_view> ids) {
  Deleted deleted;
  auto way = place.MakeWay();
  if (!way) {
    deleted.exit = FailTransport(way.error());
    return deleted;
  }
  Remote remote(*way->transport, context.platform.random(), *way->workspace,
                place.exchange_timeout(), Interrupted);
  for (const std::string_view id : ids) {
    auto done = remote.Delete(table.name(), id);
    if (done) {
      ++deleted.rows;
    } else if (done.error().code == Code::kNotFound) {
      Missing(id, deleted);
    } else {
      deleted.exit = FailRemote(done.error(), remote.words());
      break;
    }
  }
  return deleted;
}

}  // namespace

Exit RunDelete(Context& context, const Arguments& arguments) {
  const bool is_remote = arguments.Has("--remote");
  Workplace place(context);
  if (const Exit exit = place.Open(is_remote); exit != Exit::kDone) return exit;
  const store::Table* table = place.FindTable(arguments.positionals[0]);
  if (table == nullptr) return Exit::kUsage;
  const std::span<const std::string_view> ids{arguments.positionals.data() + 1,
                                              arguments.positionals.size() - 1};
  Deleted deleted =
      is_remote ? DeleteRemote(context, place, *table, ids) : DeleteLocal(place, *table, ids);
  if (deleted.exit == Exit::kDone && deleted.missing > 0) deleted.exit = Exit::kFailed;
  if (arguments.Has("--json")) {
    JsonWriter json(context.out);
    json.Text("status", deleted.exit == Exit::kDone ? "complete" : "failed");
    json.Text("table", table->name()).Number("deleted", deleted.rows);
    json.Number("missing", deleted.missing).End();
  }
  return deleted.exit;
}

}  // namespace holdfast::agent
