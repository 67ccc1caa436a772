/* load: calls gRPC methods with bodies prepared beforehand, and checks every answer.
 *
 * A unit of work is one or more calls, one after the other, each with a body of its own: a lease
 * of etcd, for example, is a LeaseGrant and then a Txn. Closed loop: every stream starts its next
 * unit when the last has ended. Open loop (--rate): units start at fixed times, and a latency is
 * counted from the time at which the unit was due, so a stall of the server is counted for
 * everybody who would have waited (no coordinated omission).
 *
 * One thread, because it must stay much cheaper than what it measures. nghttp2 speaks HTTP/2. */

#ifndef LOAD_H
#define LOAD_H

#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum {
  TARGETS_MAX = 16,
  STEPS_MAX = 4,
  ANSWER_MAX = 4096,
  MESSAGE_MAX = 200,
  OUT_SIZE = 1 << 18,
};
#define SECOND UINT64_C(1000000000)

struct expectation {
  uint32_t field; /* is in the message */
  bool has_value; /* ... as a varint of this value */
  uint64_t value;
};

enum { SUB_BITS = 7, SUB_BUCKETS = 1 << SUB_BITS, BUCKETS = (64 - SUB_BITS + 1) * SUB_BUCKETS };

struct histogram {
  uint64_t counts[BUCKETS];
  uint64_t max_ns;
};

struct body {
  const uint8_t *bytes; /* a whole gRPC message, with its prefix */
  uint32_t size;
};

struct step {
  const char *path;
  struct expectation wanted;
};

/* One unit on its way. */
struct unit {
  struct connection *connection;
  struct unit *next_free;
  uint64_t due_ns;
  size_t number; /* which bodies it sends */
  size_t step;
  size_t sent; /* bytes of the body */
  long status; /* of gRPC; -1 until it has come */
  char message[MESSAGE_MAX];
  size_t size;
  uint8_t answer[ANSWER_MAX];
};

struct connection {
  int socket;
  bool waits_to_write;
  nghttp2_session *session;
  const char *authority;
  struct unit *free; /* streams without work */
  size_t out_from, out_to;
  uint8_t out[OUT_SIZE];
};

struct options {
  const char *targets[TARGETS_MAX];
  struct step steps[STEPS_MAX];
  size_t target_count, step_count, connections, streams;
  const char *bodies;
  double seconds, rate;
  bool repeat;
};

struct run {
  struct body *bodies;
  size_t units;         /* that the file has bodies for */
  size_t started, done; /* units */
  size_t mismatched, failed;
  uint64_t start_ns, last_ns;
  char first_fault[MESSAGE_MAX + 64];
  struct histogram latencies;
  int epoll;
};

extern struct options options;
extern struct run run;

_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));
uint64_t now_ns(void);

/* answer.c */
bool read_expectation(const char *text, struct expectation *wanted);
bool answer_says(const uint8_t *answer, size_t size, const struct expectation *wanted);

/* histogram.c */
void record(struct histogram *histogram, uint64_t ns);
void print_histogram(const struct histogram *histogram);

/* calls.c */
void map_bodies(void);
nghttp2_session *new_session(void);
void start_unit(struct connection *connection, uint64_t due_ns);

/* wire.c */
struct connection *open_connection(const char *target);
void send_pending(struct connection *connection);
void receive(struct connection *connection);

#endif
