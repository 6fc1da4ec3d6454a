/* SPDX-License-Identifier: Apache-2.0
 *
 * holdfast/c.h - the agent as a library, for C and for languages that bind to C.
 *
 * Purpose: what holdfast/holdfast.h does, with opaque handles and no exceptions. Rows are JSON
 *          objects in UTF-8, as `holdfast get` prints them.
 * Owner:   hf_open() gives a client, hf_close() takes it back. Texts given to callbacks live during
 *          the call; texts given to functions are copied.
 * Threads: one at a time for each client; hf_cancel() from any, and from a signal handler.
 * Errors:  HF_OK or one of hf_status; hf_message() says it in words. No function keeps going after
 *          an error.
 */
#ifndef HOLDFAST_C_H_
#define HOLDFAST_C_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hf_client hf_client;

typedef enum {
  HF_OK = 0,
  HF_INVALID = 1,   /* an argument, a row, a filter or the configuration is wrong */
  HF_NOT_FOUND = 2, /* no such row or table */
  HF_EXISTS = 3,    /* a row of that id is there already */
  HF_CONFLICT = 4,  /* the row changed on the server */
  HF_PENDING = 5,   /* operations wait, and would be lost */
  HF_TRY_LATER = 6, /* the server cannot be reached, or asks to come back: nothing is lost */
  HF_REFUSED = 7,   /* the server refuses the request or our credentials */
  HF_STORAGE = 8,   /* the database: full, read-only, damaged, locked */
  HF_CANCELLED = 9, /* stopped on request */
  HF_FAILED = 10    /* anything else */
} hf_status;

typedef enum { HF_DEVICE = 0, HF_SERVER = 1 } hf_where; /* whose table */
typedef enum { HF_INSERT = 0, HF_UPDATE = 1, HF_DELETE = 2 } hf_action;

/* The configuration's problems, a line each, are cut to `size` bytes; `problems` may be NULL. */
hf_status hf_open(const char* config_path, hf_client** client, char* problems, size_t size);
void hf_close(hf_client* client);
/* The last error in words; lives until the next call. */
const char* hf_message(const hf_client* client);

/* ---- rows */

/* `id` gets the row's id, at most 255 bytes and a zero; it may be NULL. */
hf_status hf_insert(hf_client* client, hf_where where, const char* table, const char* row,
                    char id[256]);
hf_status hf_update(hf_client* client, hf_where where, const char* table, const char* row);
hf_status hf_delete(hf_client* client, hf_where where, const char* table, const char* id);

/* Gets rows; not 0: enough. */
typedef int (*hf_row_fn)(const char* row, void* user);
hf_status hf_lookup(hf_client* client, hf_where where, const char* table, const char* id,
                    hf_row_fn row, void* user);
/* `filter` and `order` may be NULL; `top` 0: all. */
hf_status hf_read(hf_client* client, hf_where where, const char* table, const char* filter,
                  const char* order, uint64_t top, uint64_t skip, hf_row_fn row, void* user);

/* ---- sync */

typedef struct {
  uint64_t pushed, recognised, resolved, conflicts, parked, skipped, remaining;
  uint64_t received, deleted, unchanged, skipped_pending;
  uint64_t requests, bytes_sent, bytes_received;
  double retry_after_s; /* negative: the server did not say */
} hf_report;

/* `table` NULL: all. `report` may be NULL. */
hf_status hf_push(hf_client* client, const char* table, hf_report* report);

/* As hf_push(); rows that the server has refused are sent again. */
hf_status hf_push_parked(hf_client* client, const char* table, hf_report* report);

enum { HF_PULL_FULL = 1, HF_PULL_NO_PUSH = 2 };
/* `filter` and `query_id` may be NULL. */
hf_status hf_pull(hf_client* client, const char* table, const char* filter, const char* query_id,
                  unsigned flags, hf_report* report);

/* HF_PENDING: operations of these rows wait and `force` is 0. Counts may be NULL. */
hf_status hf_purge(hf_client* client, const char* table, const char* filter, int force,
                   uint64_t* removed, uint64_t* discarded);

/* Ends the sync that is under way, or the next one. */
void hf_cancel(hf_client* client);

/* What this device holds, without asking anybody. */
typedef struct {
  uint64_t queued;    /* operations that the server does not have */
  uint64_t sendable;  /* of these: the next push sends them */
  uint64_t attempted; /* of these: sent, and no answer came */
  uint64_t conflicts, parked;
  int64_t oldest_unix_s; /* when the oldest was queued; 0: nothing is, or no date was known */
  uint64_t database_bytes, wal_bytes;
} hf_queue_state;
hf_status hf_queue(hf_client* client, hf_queue_state* state);

/* ---- conflicts */

typedef struct {
  int64_t number;  /* for hf_resolve() */
  int is_conflict; /* else: refused by the server */
  int http_status;
  hf_action action;
  const char *table, *id;
  const char *local, *server; /* rows; server "{}": it has none, or gave none */
  const char* server_words;
} hf_waiting;

typedef int (*hf_waiting_fn)(const hf_waiting* waiting, void* user); /* not 0: enough */
hf_status hf_conflicts(hf_client* client, hf_waiting_fn waiting, void* user);

typedef enum { HF_KEEP_LOCAL = 0, HF_KEEP_SERVER = 1, HF_MERGE = 2, HF_DISCARD = 3 } hf_settle;
/* `merged`: a row, for HF_MERGE only. */
hf_status hf_resolve(hf_client* client, int64_t number, hf_settle settle, const char* merged);

/* ---- events: what a program may say while a sync goes on */

typedef enum { HF_SEND = 0, HF_SKIP = 1, HF_ABORT_SEND = 2 } hf_send;
typedef enum { HF_PARK = 0, HF_RETRY = 1, HF_ABORT_REFUSED = 2 } hf_refused;

typedef struct {
  void* user;
  /* A row to send instead is written to `changed` (zero-ended, at most `size` bytes). */
  hf_send (*before_send)(const char* table, const char* id, hf_action action, const char* row,
                         char* changed, size_t size, void* user);
  /* Returns 0 to leave it to the table's policy. A merged row is written to `merged`. */
  int (*on_conflict)(const char* table, const char* id, hf_action action, const char* local,
                     const char* server, hf_settle* settle, char* merged, size_t size, void* user);
  hf_refused (*on_refused)(const char* table, const char* id, hf_action action, int http_status,
                           void* user);
  /* Must not use the client. */
  void (*on_pulled)(const char* table, const char* row, int deleted, void* user);
  void (*on_progress)(uint64_t pushed, uint64_t received, uint64_t bytes_sent,
                      uint64_t bytes_received, void* user);
  void (*after_push)(hf_status outcome, const hf_report* report, void* user);
} hf_events;

/* Functions may be NULL. `events` is copied; NULL: none. */
void hf_set_events(hf_client* client, const hf_events* events);

#ifdef __cplusplus
}
#endif

#endif /* HOLDFAST_C_H_ */
