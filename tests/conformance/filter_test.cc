// SPDX-License-Identifier: Apache-2.0
// A filter means the same on the device, on the server, and to a reader of its text.
//
// Node's azure-mobile-apps is asked simple forms only: comparisons with a literal that is not null,
// eq null and ne null, and, or. It differs where a null meets ne or not (three-valued there);
// startswith, endswith and substringof choose nothing; indexof, and div and mod of whole numbers,
// choose other rows; contains, length, substring, in and a minus before a column are refused with
// 500. The simulated server understands a pull's filter only, and is not asked.
#include <cstring>
#include <set>

#include "agent/sync/answer.h"
#include "tests/conformance/filter_corpus.h"
#include "tests/conformance/scene.h"
#include "transport/wire.h"

namespace holdfast::test {
namespace {

using Ids = std::set<std::string>;

constexpr std::uint64_t kSeed = 20;
constexpr int kFiltersHere = 3000;
constexpr int kFiltersThere = 300;
// The transport puts a parenthesis around a filter.
constexpr std::size_t kLevelsOfTheTransport = 1;

std::string Listed(const Ids& ids) {
  std::string text;
  for (const std::string& id : ids) text += " " + id.substr(0, id.find('-'));
  return text.empty() ? " none" : text;
}

class IdSink : public RowSink {
 public:
  Ids ids;
  std::string last;
  Result<void> OnRow(RowView row) override {
    last = FindText(row, kId);
    ids.insert(last);
    return Ok();
  }
};

}  // namespace

// clang-format off
TEST_GROUP(Filters) {
  Scene scene;
  Device& d = scene.device();
  std::vector<FilterRow> rows;
  std::unique_ptr<transport::Transport> theirs;
  agent::Answer answer;
  std::unique_ptr<query::ParsedFilter> parsed = std::make_unique<query::ParsedFilter>();
  std::unique_ptr<query::Parameters> parameters = std::make_unique<query::Parameters>();
  std::vector<char> room = std::vector<char>(64 << 10);
  query::QueryError error;

  bool real_server() { return scene.simulated() == nullptr; }
  bool holdfast_server() {
    return std::strcmp(scene.server(), "holdfast") == 0 || std::strcmp(scene.server(), "coap") == 0;
  }
  bool npm() { return std::strcmp(scene.server(), "npm") == 0; }

  void PutRows() {
    rows = AwkwardRows();
    for (FilterRow& row : rows) {
      row.id = scene.S(row.id);
      d.Put(row.id, row.Json());
    }
    CHECK(d.Push().outcome.ok());
  }

  Ids Meant(const Expression& filter) {
    Ids ids;
    for (const FilterRow& row : rows) {
      if (IsTrue(Evaluate(filter, row))) ids.insert(row.id);
    }
    return ids;
  }

  Ids Here(const std::string& text) {
    Arena arena(room);
    CHECK_TRUE_TEXT(query::ParseFilter(text, arena, *parsed, error).ok(), text.c_str());
    IdSink sink;
    store::ReadQuery query;
    query.filter = parsed.get();
    const auto read = d.store->Read(*d.table, query, sink);
    CHECK_TRUE_TEXT(read.ok(), (text + ": " + std::string(d.store->why())).c_str());
    return sink.ids;
  }

  void Ask(const std::string& filter, const std::string& after) {
    if (theirs == nullptr) theirs = scene.Connect();
    transport::Request request;
    request.table = "readings";
    request.list.filter = filter;
    request.list.order_by = "id";
    request.list.after_id = after;
    request.list.top = 500;
    answer.Reset();
    CHECK_TRUE_TEXT(theirs->Begin(request, answer).ok(), filter.c_str());
    while (!answer.done()) theirs->Pump(hal::Duration::Milliseconds(100));
    CHECK_TRUE_TEXT(answer.outcome().ok(), filter.c_str());
  }
  std::string Words() {
    char text[512];
    return std::string(answer.Words(text));
  }

  // The server may hold other tests' rows.
  Ids There(const std::string& filter) {
    const std::string ours = scene.S("");
    IdSink sink;
    for (;;) {
      Ask(filter, sink.last);
      LONGS_EQUAL_TEXT(200, answer.native_status(), (filter + ": " + Words()).c_str());
      std::vector<char> page(1 << 16), memory(1 << 20);
      Arena arena(memory);
      wire::PageReader reader(page, arena, sink);
      CHECK(reader.Feed(answer.body()).ok());
      if (reader.rows() == 0) break;
    }
    std::erase_if(sink.ids, [&](const std::string& id) { return !id.ends_with(ours); });
    return sink.ids;
  }

  void CheckSame(const std::string& filter, const char* where, const Ids& meant, const Ids& got) {
    if (meant == got) return;
    FAIL((filter + "\n\tmeant:" + Listed(meant) + "\n\t" + where + ":" + Listed(got)).c_str());
  }

  // Where the device finds a mistake: "column 5: no such column"; empty: there is none.
  std::string Mistake(const std::string& text) {
    Arena arena(room);
    std::vector<char> sql(limits::kFilterBytes * 4);
    TextWriter out(sql);
    const bool good = query::ParseFilter(text, arena, *parsed, error).ok() &&
                      query::AppendWhere(*parsed, *d.table, arena, out, *parameters, error).ok();
    if (!good && error.what == nullptr) return "the SQL is too long";
    return good ? "" : "column " + std::to_string(error.column) + ": " + error.what;
  }
  // The transport puts a parenthesis before the filter, so the server counts one more; and where
  // the device expects the end, the server expects the other parenthesis.
  void CheckRefusedThere(const std::string& text) {
    if (!holdfast_server()) return;
    const std::string expected = "column " + std::to_string(error.column + 1) + ": ";
    Ask(text, "");
    LONGS_EQUAL_TEXT(400, answer.native_status(), text.c_str());
    STRCMP_CONTAINS_TEXT(expected.c_str(), Words().c_str(), text.c_str());
  }
};
// clang-format on

TEST(Filters, MeanTheSameOnTheDeviceAndOnTheServer) {
  PutRows();
  FilterCorpus corpus(kSeed, rows, npm() ? Flavour::kSimple : Flavour::kWhole);
  const int count = real_server() ? kFiltersThere : kFiltersHere;
  int choosing = 0;
  for (int i = 0; i < count; ++i) {
    const Expression filter = corpus.Next();
    const std::string text = TextOf(filter);
    const Ids meant = Meant(filter);
    choosing += int(!meant.empty() && meant.size() < rows.size());
    CheckSame(text, "device", meant, Here(text));
    if (real_server()) CheckSame(text, scene.server(), meant, There(text));
  }
  // A corpus that chooses all or nothing would prove little.
  CHECK_TRUE_TEXT(choosing * 2 > count, std::to_string(choosing).c_str());
}

TEST(Filters, SimpleFormsMeanTheSameEverywhere) {
  PutRows();
  FilterCorpus corpus(kSeed + 1, rows, Flavour::kSimple);
  for (int i = 0; i < 100; ++i) {
    const Expression filter = corpus.Next();
    const std::string text = TextOf(filter);
    CheckSame(text, "device", Meant(filter), Here(text));
    if (real_server()) CheckSame(text, scene.server(), Meant(filter), There(text));
  }
}

TEST(Filters, MistakesAreRefusedWhereTheyStand) {
  PutRows();
  const struct {
    const char* text;
    const char* mistake;
  } cases[] = {
      {"nosuch eq 1", "column 1: no such column"},
      {"value gt 1 and nosuch eq 1", "column 16: no such column"},
      {"value gt 1 and not(length(nosuch) eq 1)", "column 27: no such column"},
      {"value == 1", "column 7: an operator or the end is expected"},
      {"value gt", "column 9: expected a value"},
      {"sensor eq 'it's'", "column 15: an operator or the end is expected"},
      {"nosuch(sensor) eq 1", "column 1: no such function"},
      {"startswith(sensor) eq true", "column 18: an argument is missing"},
      {"tolower(sensor,'x') eq 'x'", "column 15: too many arguments"},
      {"value eq 12x", "column 12: expected an operator"},
      {"quality eq 9223372036854775808", "column 12: not a number within range"},
      {"sensor in (value)", "column 12: expected a literal"},
      {"value eq 'x'", "column 10: a value of another type is expected"},
      {"value", "column 1: expected a condition"},
  };
  for (const auto& one : cases) {
    STRCMP_EQUAL_TEXT(one.mistake, Mistake(one.text).c_str(), one.text);
    CheckRefusedThere(one.text);
  }
  // Not for the server: the parenthesis that is missing here is the transport's there.
  STRCMP_EQUAL("column 12: expected an operator or ')'", Mistake("(value gt 1").c_str());
}

TEST(Filters, DeepFiltersAreRefusedWhereTheyBecomeTooDeep) {
  PutRows();
  const auto nested = [](std::size_t levels) {
    return std::string(levels, '(') + "quality eq 1" + std::string(levels, ')');
  };
  STRCMP_EQUAL("", Mistake(nested(limits::kFilterDepth)).c_str());
  STRCMP_EQUAL("column 34: too deeply nested", Mistake(nested(limits::kFilterDepth + 1)).c_str());
  // Its parenthesis takes the transport one level, so the mistake is found one level earlier: in
  // the same column of what is sent.
  Ids ones;
  for (const FilterRow& row : rows) {
    if (row.quality == 1) ones.insert(row.id);
  }
  CheckSame("32 levels", "device", ones, Here(nested(limits::kFilterDepth)));
  if (!holdfast_server()) return;
  const std::size_t left = limits::kFilterDepth - kLevelsOfTheTransport;
  CheckSame("31 levels", "server", ones, There(nested(left)));
  Ask(nested(left + 1), "");
  LONGS_EQUAL(400, answer.native_status());
  STRCMP_CONTAINS("column 34: too deeply nested", Words().c_str());
}

TEST(Filters, LongFiltersAreRefusedWhereTheyBecomeTooLong) {
  PutRows();
  const auto padded = [](std::size_t bytes) {
    const std::string text = "sensor eq ''";
    return "sensor eq '" + std::string(bytes - text.size(), 'x') + "'";
  };
  STRCMP_EQUAL("", Mistake(padded(limits::kFilterBytes)).c_str());
  STRCMP_EQUAL("column 4097: a filter has at most 4096 bytes",
               Mistake(padded(limits::kFilterBytes + 1)).c_str());
  if (!holdfast_server()) return;
  Ask(padded(limits::kFilterBytes - 2), "");  // two parentheses
  LONGS_EQUAL_TEXT(200, answer.native_status(), Words().c_str());
  Ask(padded(limits::kFilterBytes - 1), "");
  LONGS_EQUAL(400, answer.native_status());
  STRCMP_CONTAINS("4096 bytes", Words().c_str());
}

TEST(Filters, FiltersOfTooManyPartsAreRefusedAtTheFirstPartTooMany) {
  PutRows();
  // A condition is three values and operators, and the chain is one.
  const auto chain = [](int conditions) {
    std::string text;
    for (int i = 0; i < conditions; ++i) text += std::string(i == 0 ? "" : " or ") + "id eq 'x'";
    return text;
  };
  const int most = int(limits::kFilterNodes - 1) / 3;
  STRCMP_EQUAL("", Mistake(chain(most)).c_str());
  CheckSame("85 conditions", "device", {}, Here(chain(most)));
  if (holdfast_server()) {
    Ask(chain(most), "");
    LONGS_EQUAL_TEXT(200, answer.native_status(), Words().c_str());
  }
  STRCMP_CONTAINS("at most 256 values and operators", Mistake(chain(most + 1)).c_str());
  CheckRefusedThere(chain(most + 1));
}

}  // namespace holdfast::test
