/* The calls: what they send, and what has to come back. */

#include "load.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

/* Large enough that no answer of a run ever waits for a window. */
enum { WINDOW = 1 << 24 };

/* The file holds, for each body, its size in four bytes (little endian) and then its bytes. */
void map_bodies(void) {
  struct stat info;
  int file = open(options.bodies, O_RDONLY);
  if (file < 0 || fstat(file, &info) || info.st_size < 4) die("cannot read %s", options.bodies);
  size_t size = (size_t)info.st_size, count = 0, room = 0;
  /* Read in advance, so that the disk has no part in what is measured. */
  const uint8_t *bytes = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
  if (bytes == MAP_FAILED) die("cannot map %s", options.bodies);
  for (size_t at = 0; at + 4 <= size; count++) {
    if (count == room) {
      room = room ? 2 * room : 1024;
      run.bodies = realloc(run.bodies, room * sizeof *run.bodies);
      if (!run.bodies) die("out of memory");
    }
    uint32_t length = (uint32_t)bytes[at] | (uint32_t)bytes[at + 1] << 8 |
                      (uint32_t)bytes[at + 2] << 16 | (uint32_t)bytes[at + 3] << 24;
    at += 4;
    if (length > size - at) die("%s is cut off", options.bodies);
    run.bodies[count] = (struct body){bytes + at, length};
    at += length;
  }
  run.units = count / options.step_count;
  if (!run.units) die("%s holds too few bodies", options.bodies);
}

static ssize_t give_body(nghttp2_session *session, int32_t stream, uint8_t *to, size_t room,
                         uint32_t *flags, nghttp2_data_source *source, void *data) {
  (void)session, (void)stream, (void)data;
  struct unit *unit = source->ptr;
  size_t number = unit->number % run.units * options.step_count + unit->step;
  const struct body *body = &run.bodies[number];
  size_t size = body->size - unit->sent;
  if (size > room) size = room;
  memcpy(to, body->bytes + unit->sent, size);
  unit->sent += size;
  if (unit->sent == body->size) *flags |= NGHTTP2_DATA_FLAG_EOF;
  return (ssize_t)size;
}

static nghttp2_nv header(const char *name, const char *value) {
  return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value),
                      NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

static void submit_step(struct unit *unit) {
  unit->sent = unit->size = 0;
  unit->status = -1;
  unit->message[0] = 0;
  /* HPACK sends each of these once a connection, and one byte for it from then on. */
  const nghttp2_nv headers[] = {
      header(":method", "POST"),
      header(":scheme", "http"),
      header(":path", options.steps[unit->step].path),
      header(":authority", unit->connection->authority),
      header("te", "trailers"),
      header("content-type", "application/grpc"),
      header("user-agent", "load"),
      /* Real callers set a deadline, and a server has work with it. */
      header("grpc-timeout", "20S"),
  };
  nghttp2_data_provider body = {.source.ptr = unit, .read_callback = give_body};
  int32_t stream = nghttp2_submit_request(unit->connection->session, NULL, headers,
                                          sizeof headers / sizeof *headers, &body, unit);
  if (stream < 0) die("cannot call: %s", nghttp2_strerror(stream));
}

void start_unit(struct connection *connection, uint64_t due_ns) {
  struct unit *unit = connection->free;
  connection->free = unit->next_free;
  unit->due_ns = due_ns;
  unit->number = run.started++;
  unit->step = 0;
  submit_step(unit);
}

static void end_unit(struct unit *unit) {
  run.last_ns = now_ns();
  record(&run.latencies, run.last_ns - unit->due_ns);
  run.done++;
  unit->next_free = unit->connection->free;
  unit->connection->free = unit;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *data) {
  (void)name_size, (void)value_size, (void)flags, (void)data;
  struct unit *unit = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
  /* nghttp2 ends names and values with a zero byte. */
  if (unit && !strcmp((const char *)name, "grpc-status"))
    unit->status = strtol((const char *)value, NULL, 10);
  else if (unit && !strcmp((const char *)name, "grpc-message"))
    snprintf(unit->message, MESSAGE_MAX, "%s", (const char *)value);
  return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *bytes,
                   size_t size, void *data) {
  (void)flags, (void)data;
  struct unit *unit = nghttp2_session_get_stream_user_data(session, stream);
  if (!unit) return 0;
  if (size > ANSWER_MAX - unit->size) die("an answer is longer than %d bytes", ANSWER_MAX);
  memcpy(unit->answer + unit->size, bytes, size);
  unit->size += size;
  return 0;
}

static int on_stream_end(nghttp2_session *session, int32_t stream, uint32_t error, void *data) {
  (void)data;
  struct unit *unit = nghttp2_session_get_stream_user_data(session, stream);
  if (!unit) return 0;
  const struct step *step = &options.steps[unit->step];
  bool is_failed = error || unit->status;
  if (!is_failed && answer_says(unit->answer, unit->size, &step->wanted)) {
    if (++unit->step < options.step_count)
      submit_step(unit);
    else
      end_unit(unit);
    return 0;
  }
  if (!run.first_fault[0] && is_failed)
    snprintf(run.first_fault, sizeof run.first_fault, "grpc-status %ld, HTTP/2 error %u: %s",
             unit->status, error, unit->message);
  else if (!run.first_fault[0])
    snprintf(run.first_fault, sizeof run.first_fault, "an answer says something else");
  ++*(is_failed ? &run.failed : &run.mismatched);
  end_unit(unit);
  return 0;
}

nghttp2_session *new_session(void) {
  nghttp2_session_callbacks *callbacks;
  nghttp2_session *session;
  if (nghttp2_session_callbacks_new(&callbacks)) die("out of memory");
  nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_end);
  if (nghttp2_session_client_new(&session, callbacks, NULL)) die("out of memory");
  nghttp2_session_callbacks_del(callbacks);
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW},
  };
  if (nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, 2) ||
      nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, WINDOW))
    die("cannot begin an HTTP/2 session");
  return session;
}
