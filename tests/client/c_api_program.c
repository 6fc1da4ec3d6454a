/* SPDX-License-Identifier: Apache-2.0
 *
 * The C API from C11, against a running server: c_api_program CONFIG. Says what failed, exit 1.
 */
#include <holdfast/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                          \
  do {                                                            \
    if (!(condition)) {                                           \
      fprintf(stderr, "line %d: %s: %s\n", __LINE__, #condition,  \
              client != NULL ? hf_message(client) : "no client"); \
      exit(1);                                                    \
    }                                                             \
  } while (0)

static hf_client* client;

struct seen {
  int rows, pulled, sent, waiting, pushes;
  int64_t number;
  char last[512];
};

static int on_row(const char* row, void* user) {
  struct seen* seen = user;
  ++seen->rows;
  snprintf(seen->last, sizeof seen->last, "%s", row);
  return 0;
}

static int first_row(const char* row, void* user) {
  on_row(row, user);
  return 1;
}

static hf_send before_send(const char* table, const char* id, hf_action action, const char* row,
                           char* changed, size_t size, void* user) {
  struct seen* seen = user;
  (void)table, (void)id;
  ++seen->sent;
  if (action == HF_INSERT && strstr(row, "secret") != NULL) {
    snprintf(changed, size, "{\"sensor\":\"hidden\"}");
  }
  return HF_SEND;
}

static void on_pulled(const char* table, const char* row, int deleted, void* user) {
  struct seen* seen = user;
  (void)table, (void)row, (void)deleted;
  ++seen->pulled;
}

static void after_push(hf_status outcome, const hf_report* report, void* user) {
  struct seen* seen = user;
  seen->pushes += outcome == HF_OK && report->pushed == 2;
}

static int on_waiting(const hf_waiting* waiting, void* user) {
  struct seen* seen = user;
  ++seen->waiting;
  seen->number = waiting->number;
  snprintf(seen->last, sizeof seen->last, "%s %s", waiting->local, waiting->server);
  return 0;
}

int main(int argc, char** argv) {
  char text[512] = "", id[256];
  struct seen seen = {0};
  hf_report report;
  hf_queue_state queue;
  uint64_t removed = 0, discarded = 0;
  hf_events events = {0};

  CHECK(argc == 2);
  CHECK(hf_open("/nowhere.conf", &client, text, sizeof text) == HF_INVALID && text[0] != '\0');
  CHECK(hf_open(argv[1], &client, text, sizeof text) == HF_OK);

  for (int where = HF_DEVICE; where <= HF_SERVER; ++where) {
    memset(&seen, 0, sizeof seen);
    snprintf(text, sizeof text, "{\"id\":\"row-%d\",\"sensor\":\"s\",\"value\":1.5}", where);
    CHECK(hf_insert(client, where, "readings", text, id) == HF_OK);
    CHECK(hf_insert(client, where, "readings", text, NULL) == HF_EXISTS);
    CHECK(hf_insert(client, where, "readings", "not json", NULL) == HF_INVALID);
    CHECK(hf_insert(client, where, "nothing", text, NULL) == HF_NOT_FOUND);
    snprintf(text, sizeof text, "{\"id\":\"row-%d\",\"value\":2.5}", where);
    CHECK(hf_update(client, where, "readings", text) == HF_OK);
    CHECK(hf_lookup(client, where, "readings", id, on_row, &seen) == HF_OK);
    CHECK(seen.rows == 1 && strstr(seen.last, "2.5") != NULL && strstr(seen.last, "\"s\"") != NULL);
    CHECK(hf_read(client, where, "readings", "value gt 2", "value desc", 0, 0, first_row, &seen) ==
          HF_OK);
    CHECK(seen.rows == 2);
    CHECK(hf_read(client, where, "readings", "value gt", NULL, 0, 0, on_row, &seen) == HF_INVALID);
    CHECK(strstr(hf_message(client), "column") != NULL);
    CHECK(hf_delete(client, where, "readings", "nobody") == HF_NOT_FOUND);
  }

  memset(&seen, 0, sizeof seen);
  events.user = &seen;
  events.before_send = before_send;
  events.on_pulled = on_pulled;
  events.after_push = after_push;
  hf_set_events(client, &events);
  CHECK(hf_insert(client, HF_DEVICE, "readings", "{\"id\":\"s\",\"sensor\":\"secret\"}", NULL) ==
        HF_OK);
  CHECK(hf_queue(client, &queue) == HF_OK && queue.queued == 2 && queue.sendable == 2);
  CHECK(hf_push(client, NULL, &report) == HF_OK && seen.pushes == 1);
  CHECK(hf_push_parked(client, "readings", &report) == HF_OK && report.pushed == 0);
  CHECK(hf_push(client, "nothing", NULL) == HF_NOT_FOUND);
  CHECK(hf_queue(client, &queue) == HF_OK && queue.queued == 0 && queue.database_bytes > 0);
  CHECK(report.skipped == 0 && seen.sent == 2 && report.remaining == 0);
  CHECK(hf_lookup(client, HF_SERVER, "readings", "s", on_row, &seen) == HF_OK);
  CHECK(strstr(seen.last, "hidden") != NULL);
  CHECK(hf_pull(client, "readings", NULL, NULL, 0, &report) == HF_OK);
  CHECK(report.received == 1 && seen.pulled == 1);
  hf_set_events(client, NULL);

  CHECK(hf_update(client, HF_SERVER, "readings", "{\"id\":\"row-0\",\"sensor\":\"theirs\"}") ==
        HF_OK);
  CHECK(hf_update(client, HF_DEVICE, "readings", "{\"id\":\"row-0\",\"value\":9.5}") == HF_OK);
  CHECK(hf_push(client, "readings", &report) == HF_OK && report.conflicts == 1);
  CHECK(hf_conflicts(client, on_waiting, &seen) == HF_OK && seen.waiting == 1);
  CHECK(strstr(seen.last, "9.5") != NULL && strstr(seen.last, "theirs") != NULL);
  CHECK(hf_purge(client, "readings", NULL, 0, NULL, NULL) == HF_PENDING);
  CHECK(hf_resolve(client, seen.number, HF_MERGE, "{\"value\":9.5}") == HF_OK);
  CHECK(hf_resolve(client, seen.number + 100, HF_DISCARD, NULL) == HF_NOT_FOUND);
  CHECK(hf_push(client, NULL, &report) == HF_OK && report.pushed == 1);
  CHECK(hf_purge(client, "readings", "value gt 9", 0, &removed, &discarded) == HF_OK);
  CHECK(removed == 1 && discarded == 0);

  CHECK(hf_insert(client, HF_DEVICE, "readings", "{\"value\":1}", NULL) == HF_OK);
  hf_cancel(client);
  CHECK(hf_push(client, NULL, &report) == HF_CANCELLED && report.pushed == 0);
  CHECK(hf_push(client, NULL, &report) == HF_OK && report.pushed == 1);
  hf_close(client);
  puts("ok");
  return 0;
}
