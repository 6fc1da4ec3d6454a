// SPDX-License-Identifier: Apache-2.0
#include "config/config.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

#include "config/json.h"
#include "config/keys.h"
#include "config/parse.h"

namespace holdfast::config {
namespace {

std::string FolderOf(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// A daemon may change its folder later, so relative paths become absolute here.
std::string Absolute(const std::string& folder) {
  char resolved[PATH_MAX];
  return realpath(folder.c_str(), resolved) == nullptr ? folder : std::string(resolved);
}

// 0, or errno. Reads one byte more than allowed, so that the caller sees that there is more.
int ReadWhole(const char* path, std::string& text) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return errno;
  text.resize(limits::kConfigFileBytes + 1);
  std::size_t used = 0;
  int problem = 0;
  while (used < text.size()) {
    const ssize_t got = read(fd, text.data() + used, text.size() - used);
    if (got == 0) break;
    if (got > 0) {
      used += std::size_t(got);
    } else if (errno != EINTR) {
      problem = errno;
      break;
    }
  }
  close(fd);
  text.resize(used);
  return problem;
}

// Empty, or what is wrong with a file that somebody has to read.
std::string FileProblem(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return std::string("cannot be read: ") + std::strerror(errno);
  struct stat facts {};
  const bool regular = fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode);
  close(fd);
  return regular ? "" : "is not a file";
}

std::string FolderProblem(const std::string& folder) {
  struct stat facts {};
  if (stat(folder.c_str(), &facts) != 0) {
    return "its folder cannot be used: " + std::string(std::strerror(errno));
  }
  if (!S_ISDIR(facts.st_mode)) return "its folder is not a folder";
  if (access(folder.c_str(), W_OK | X_OK) != 0) {
    return "its folder is not writable: " + std::string(std::strerror(errno));
  }
  return "";
}

}  // namespace

Config Defaults() {
  Config config;
  SetDefaults(config);
  return config;
}

Loaded Parse(std::string_view text, std::string_view folder) {
  Loaded loaded;
  loaded.config = Defaults();
  if (text.size() > limits::kConfigFileBytes) {
    loaded.problems.push_back(
        {0, 0, "", "longer than " + std::to_string(limits::kConfigFileBytes) + " bytes"});
    return loaded;
  }
  JsonTree tree;
  if (ReadJson(text, tree, loaded.problems)) Judge(tree, folder, loaded).Run();
  return loaded;
}

Loaded LoadFile(const char* path) {
  std::string text;
  if (const int problem = ReadWhole(path, text); problem != 0) {
    Loaded loaded;
    loaded.problems.push_back({0, 0, "", std::string("cannot be read: ") + std::strerror(problem)});
    return loaded;
  }
  return Parse(text, Absolute(FolderOf(path)));
}

std::vector<Diagnostic> CheckFiles(const Loaded& loaded) {
  std::vector<Diagnostic> problems;
  Config config = loaded.config;
  for (const Key& key : Keys()) {
    if (key.kind != Kind::kPath || key.of_table()) continue;
    const auto& path = *static_cast<const std::string*>(key.member(&config));
    if (path.empty()) continue;
    // The database is made by `init`; only its folder has to be there.
    const bool database = key.name == "database";
    const std::string problem = database ? FolderProblem(FolderOf(path)) : FileProblem(path);
    if (problem.empty()) continue;
    Diagnostic diagnostic{0, 0, key.Path(), problem + " (got " + QuoteJson(path) + ")"};
    for (const Position& position : loaded.positions) {
      if (position.key != diagnostic.key) continue;
      diagnostic.line = position.line;
      diagnostic.column = position.column;
    }
    problems.push_back(std::move(diagnostic));
  }
  return problems;
}

std::string Format(const Diagnostic& diagnostic, std::string_view file_name) {
  std::string text(file_name);
  if (diagnostic.line > 0) text.append(":").append(std::to_string(diagnostic.line));
  if (!diagnostic.key.empty()) text.append(": ").append(diagnostic.key);
  return text.append(": ").append(diagnostic.text);
}

}  // namespace holdfast::config
