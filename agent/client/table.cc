// SPDX-License-Identifier: Apache-2.0
// The device's table and the server's, behind the same words.
#include "agent/client/impl.h"
#include "hal/base/text.h"

namespace holdfast {
namespace {

// Hands rows to a function that may have seen enough.
class ToFunction : public RowSink {
 public:
  // `table`: rows come from the server, and are given its types.
  explicit ToFunction(const std::function<bool(const Row&)>& row,
                      const store::Table* table = nullptr)
      : row_(row), table_(table) {}
  Result<void> OnRow(RowView row) override {
    Conformed values;
    if (table_ != nullptr) {
      HF_TRY(values.Make(*table_, row));
      row = values.view();
    }
    if (row_(Row(row))) return Ok();
    enough_ = true;
    return Error{Code::kCancelled, Origin::kNone, 0, "the reader has seen enough"};
  }
  bool enough() const { return enough_; }

 private:
  const std::function<bool(const Row&)>& row_;
  const store::Table* table_;
  bool enough_ = false;
};

class LocalTable final : public Table {
 public:
  LocalTable(Client::Impl& client, const store::Table& table) : client_(client), table_(table) {}
  std::string_view name() const override { return table_.name(); }

  Result<std::string> Insert(const Row& row) override {
    RowFields fields;
    Conformed values;
    HF_TRY(Take(row, fields, values));
    store::Id id;
    if (auto done = client_.store().Insert(table_, values.view(), id); !done) {
      return Explain(done.error());
    }
    return std::string(id.view());
  }
  Result<void> Update(const Row& row) override {
    RowFields fields;
    Conformed values;
    HF_TRY(Take(row, fields, values));
    // Together, or somebody deletes the row in between and it would come back as a new one.
    if (auto begun = client_.store().Begin(); !begun) return Explain(begun.error());
    Result<void> done;
    if (auto there = Lookup(row.id()); there) {
      store::Id id;
      done = client_.store().Put(table_, values.view(), id);
      if (done) done = client_.store().Commit();
      if (!done) Explain(done.error());
    } else {
      done = there.error();
    }
    if (!done) client_.store().Rollback();
    return done;
  }
  Result<void> Delete(std::string_view id) override {
    auto deleted = client_.store().Delete(table_, id);
    if (!deleted) return Explain(deleted.error());
    return *deleted ? Ok() : Result<void>(NoSuchRow());
  }
  Result<Row> Lookup(std::string_view id) override {
    Row found;
    store::ReadQuery query;
    query.id = id;
    const std::function<bool(const Row&)> keep = [&](const Row& row) {
      found = row;
      return true;
    };
    ToFunction sink(keep);
    if (!id.empty()) {
      if (auto read = client_.store().Read(table_, query, sink); !read) {
        return Explain(read.error());
      }
    }
    if (found.empty()) return NoSuchRow();
    return found;
  }
  Result<void> Read(const Query& query, const std::function<bool(const Row&)>& row) override {
    Filter filter;
    HF_TRY(filter.Parse(query.where, client_.why));
    store::ReadQuery read;
    read.filter = filter.get();
    read.order_by = query.order_by;
    read.top = query.top;
    read.skip = query.skip;
    ToFunction sink(row);
    auto done = client_.store().Read(table_, read, sink);
    if (done || sink.enough()) return Ok();
    return Explain(done.error());
  }

 private:
  Error Explain(const Error& error) { return client_.Explain(error, client_.store().why()); }
  Result<void> Take(const Row& row, RowFields& fields, Conformed& values) {
    if (auto taken = row.AppendTo(fields); !taken) return client_.Explain(taken.error());
    if (auto made = values.Make(table_, fields.view()); !made) {
      return client_.Explain(made.error());
    }
    return Ok();
  }
  Error NoSuchRow() {
    return client_.Explain({Code::kNotFound, Origin::kNone, 0, "no such row on this device"});
  }
  Client::Impl& client_;
  const store::Table& table_;
};

class RemoteTable final : public Table {
 public:
  RemoteTable(Client::Impl& client, const store::Table& table) : client_(client), table_(table) {}
  std::string_view name() const override { return table_.name(); }

  Result<std::string> Insert(const Row& row) override {
    const Exchanging ours(client_);
    HF_TRY(ours.Check());
    RowFields given, fields;
    Conformed values;
    HF_TRY(Writable(row, given, values, fields));
    store::Id id;
    HF_TRY(Said(client_.remote->Insert(table_.name(), fields.view(), id)));
    return std::string(id.view());
  }
  Result<void> Update(const Row& row) override {
    const Exchanging ours(client_);
    HF_TRY(ours.Check());
    RowFields given, fields;
    Conformed values;
    HF_TRY(Writable(row, given, values, fields));
    const std::string version = row.version();
    return Said(client_.remote->Update(table_.name(), fields.view(), version));
  }
  Result<void> Delete(std::string_view id) override {
    const Exchanging ours(client_);
    HF_TRY(ours.Check());
    return Said(client_.remote->Delete(table_.name(), id));
  }
  Result<Row> Lookup(std::string_view id) override {
    const Exchanging ours(client_);
    HF_TRY(ours.Check());
    Row found;
    const std::function<bool(const Row&)> keep = [&](const Row& row) {
      found = row;
      return true;
    };
    ToFunction sink(keep, &table_);
    HF_TRY(Said(client_.remote->Lookup(table_.name(), id, sink)));
    // Some servers show a row that is deleted.
    if (found.Flag("deleted")) {
      return client_.Explain({Code::kNotFound, Origin::kNone, 0, "the row is deleted"});
    }
    return found;
  }
  Result<void> Read(const Query& query, const std::function<bool(const Row&)>& row) override {
    Filter filter;  // a server may answer a wrong filter with nothing at all
    HF_TRY(filter.Parse(query.where, client_.why));
    const Exchanging ours(client_);
    HF_TRY(ours.Check());
    agent::RemoteQuery remote;
    remote.filter = query.where;
    remote.order_by = query.order_by;
    remote.top = query.top;
    remote.skip = query.skip;
    ToFunction sink(row, &table_);
    auto done = client_.remote->List(table_.name(), remote, sink);
    return done || sink.enough() ? Ok() : Said(done);
  }

 private:
  // System columns belong to the server.
  Result<void> Writable(const Row& row, RowFields& given, Conformed& values, RowFields& fields) {
    Result<void> done = row.AppendTo(given);
    if (done) done = values.Make(table_, given.view());
    for (const Field& field : values.view()) {
      if (IsSystemColumn(field.name) && !EqualsIgnoreCase(field.name, kId)) continue;
      if (done) done = fields.Add(field.name, field.type, field.value);
    }
    return done ? done : Result<void>(client_.Explain(done.error()));
  }
  Result<void> Said(Result<void> outcome) {
    if (outcome) return outcome;
    return client_.Explain(outcome.error(), client_.remote->words());
  }
  Client::Impl& client_;
  const store::Table& table_;
};

}  // namespace

std::unique_ptr<Table> MakeLocalTable(Client::Impl& client, const store::Table& table) {
  return std::make_unique<LocalTable>(client, table);
}

std::unique_ptr<Table> MakeRemoteTable(Client::Impl& client, const store::Table& table) {
  return std::make_unique<RemoteTable>(client, table);
}

Result<std::vector<Row>> Table::ReadAll(const Query& query) {
  std::vector<Row> rows;
  HF_TRY(Read(query, [&](const Row& row) {
    rows.push_back(row);
    return true;
  }));
  return rows;
}

Result<void> Filter::Parse(const std::string& text, std::string& why) {
  text_ = text;
  if (text.empty()) return Ok();
  constexpr std::size_t kBytes = limits::kFilterBytes + 4096;
  bytes_.reset(new char[kBytes]);
  arena_ = std::make_unique<Arena>(std::span<char>(bytes_.get(), kBytes));
  parsed_ = std::make_unique<query::ParsedFilter>();
  query::QueryError problem;
  auto parsed = query::ParseFilter(text_, *arena_, *parsed_, problem);
  if (!parsed) {
    why = "column " + std::to_string(problem.column) + ": " +
          (problem.what != nullptr ? problem.what : "the filter cannot be used");
  }
  return parsed;
}

}  // namespace holdfast
