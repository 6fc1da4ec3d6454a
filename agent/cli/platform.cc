// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/platform.h"

#include <errno.h>
#include <unistd.h>

#include <cstdio>

#include "hal/base/log.h"
#include "hal/base/text.h"

namespace holdfast::agent {
namespace {

int Size(std::string_view text) { return int(text.size()); }

void PrintProblems(const std::vector<config::Diagnostic>& problems, const std::string& path) {
  for (const config::Diagnostic& problem : problems) {
    std::fprintf(stderr, "%s\n", config::Format(problem, path).c_str());
  }
}

}  // namespace

Exit ExitFor(const Error& error) {
  switch (error.code) {
    // This device's own trouble: coming back later with the same disk does not help.
    case Code::kNoMemory:
    case Code::kNoSpace:
    case Code::kReadOnly:
    case Code::kIo: return Exit::kFailed;
    default: break;
  }
  switch (Classify(error)) {
    case Disposition::kRetryLater:
    case Disposition::kRetryWhenLinkUp:
    case Disposition::kRetryWhenClockSet: return Exit::kTryLater;
    case Disposition::kResolve:
    case Disposition::kPark:
    case Disposition::kStop: return Exit::kFailed;
  }
  return Exit::kFailed;
}

Exit Fail(const char* what, const Error& error, std::string_view why) {
  char words[256];
  Describe(error, words, sizeof words);
  if (why.empty()) {
    Complain("%s: %s", what, words);
  } else {
    Complain("%s: %s: %.*s", what, words, Size(why), why.data());
  }
  return Exit::kFailed;
}

Exit Workplace::LoadConfig(bool with_server) {
  const std::string& path = context_.config_path;
  if (access(path.c_str(), F_OK) != 0 && errno == ENOENT) {
    Complain(
        "no configuration: %s does not exist; name one with --config FILE, or begin with "
        "'holdfast config sample'",
        path.c_str());
    return Exit::kUsage;
  }
  loaded_ = config::LoadFile(path.c_str());
  PrintProblems(loaded_.problems, path);
  if (!loaded_.ok()) return Exit::kUsage;
  SetLogOptions({.level = context_.quiet ? LogLevel::kError : loaded_.config.log.level});
  if (!with_server) return Exit::kDone;
  const auto problems = config::CheckFiles(loaded_);
  PrintProblems(problems, path);
  return problems.empty() ? Exit::kDone : Exit::kUsage;
}

Result<Workplace::Way> Workplace::MakeWay() {
  Way way;
  HF_TRY_ASSIGN(way.transport,
                context_.platform.MakeTransport(loaded_.config, store_->installation_id()));
  HF_TRY_ASSIGN(way.workspace, Workspace::Create());
  return way;
}

Exit Workplace::OpenStore() {
  store::Options options;
  options.path = loaded_.config.database.c_str();
  auto opened = store::Store::Open(options, context_.platform.storage(), context_.platform.clock(),
                                   context_.platform.random());
  if (!opened) return Fail(options.path, opened.error());
  store_ = std::move(opened).value();
  return Exit::kDone;
}

Exit Workplace::DefineTables() {
  std::vector<store::Column> columns;
  for (const config::TableConfig& table : loaded_.config.tables) {
    auto defined = store_->DefineTable(MakeTableSpec(table, columns));
    if (defined) continue;
    const std::string what = "table " + table.name;
    Fail(what.c_str(), defined.error(), store_->why());
    return defined.error().code == Code::kInvalidArgument ? Exit::kUsage : Exit::kFailed;
  }
  return Exit::kDone;
}

Exit Workplace::Open(bool with_server) {
  if (const Exit exit = LoadConfig(with_server); exit != Exit::kDone) return exit;
  if (const Exit exit = OpenStore(); exit != Exit::kDone) return exit;
  return DefineTables();
}

const config::TableConfig* Workplace::FindTableConfig(std::string_view name) const {
  return agent::FindTableConfig(loaded_.config, name);
}

const store::Table* Workplace::FindTable(std::string_view name) const {
  // The configuration decides: a table of an earlier one may still stand in the database.
  if (const config::TableConfig* table = FindTableConfig(name)) {
    return store_->FindTable(table->name);
  }
  std::string known;
  std::vector<std::string_view> names;
  for (const config::TableConfig& table : loaded_.config.tables) {
    known.append(" ").append(table.name);
    names.push_back(table.name);
  }
  const std::string_view nearest = Nearest(name, names);
  if (!nearest.empty()) {
    Complain("no table '%.*s' in %s; did you mean '%.*s'?", Size(name), name.data(),
             context_.config_path.c_str(), Size(nearest), nearest.data());
  } else {
    Complain("no table '%.*s' in %s; there is:%s", Size(name), name.data(),
             context_.config_path.c_str(), known.empty() ? " none" : known.c_str());
  }
  return nullptr;
}

}  // namespace holdfast::agent
