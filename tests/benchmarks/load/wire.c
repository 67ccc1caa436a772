/* The connections: bytes from nghttp2 to the socket and back. */

#include "load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* No frame of a prepared body is longer, so what nghttp2 gives next always fits. */
enum { FRAME_MAX = 1 << 15 };

static int connect_to(const char *target) {
  char host[64];
  unsigned port = 0;
  struct sockaddr_in address = {.sin_family = AF_INET};
  if (sscanf(target, "%63[0-9.]:%u", host, &port) != 2 || port > UINT16_MAX ||
      !inet_aton(host, &address.sin_addr))
    die("not an address: %s", target);
  address.sin_port = htons((uint16_t)port);
  int on = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address))
    die("cannot connect to %s: %s", target, strerror(errno));
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) || fcntl(fd, F_SETFL, O_NONBLOCK))
    die("cannot set up a socket: %s", strerror(errno));
  return fd;
}

struct connection *open_connection(const char *target) {
  struct connection *connection = calloc(1, sizeof *connection);
  struct unit *units = calloc(options.streams, sizeof *units);
  if (!connection || !units) die("out of memory");
  connection->socket = connect_to(target);
  connection->authority = target;
  connection->session = new_session();
  for (size_t i = 0; i < options.streams; i++) {
    units[i].connection = connection;
    units[i].next_free = connection->free;
    connection->free = &units[i];
  }
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
  if (epoll_ctl(run.epoll, EPOLL_CTL_ADD, connection->socket, &event)) die("cannot watch a socket");
  return connection;
}

static void wait_to_write(struct connection *connection, bool waits) {
  if (connection->waits_to_write == waits) return;
  struct epoll_event event = {.events = waits ? EPOLLIN | EPOLLOUT : EPOLLIN,
                              .data.ptr = connection};
  if (epoll_ctl(run.epoll, EPOLL_CTL_MOD, connection->socket, &event)) die("cannot watch a socket");
  connection->waits_to_write = waits;
}

static void gather(struct connection *connection) {
  connection->out_from = connection->out_to = 0;
  while (connection->out_to <= OUT_SIZE - FRAME_MAX) {
    const uint8_t *bytes;
    ssize_t size = nghttp2_session_mem_send(connection->session, &bytes);
    if (size < 0 || size > FRAME_MAX) die("cannot send: %s", nghttp2_strerror((int)size));
    if (size == 0) return;
    memcpy(connection->out + connection->out_to, bytes, (size_t)size);
    connection->out_to += (size_t)size;
  }
}

/* Whatever is due goes out in as few writes as possible. */
void send_pending(struct connection *connection) {
  for (;;) {
    if (connection->out_from == connection->out_to) gather(connection);
    if (connection->out_to == 0) break;
    ssize_t size = write(connection->socket, connection->out + connection->out_from,
                         connection->out_to - connection->out_from);
    if (size < 0 && errno == EAGAIN) {
      wait_to_write(connection, true);
      return;
    }
    if (size < 0) die("a connection broke: %s", strerror(errno));
    connection->out_from += (size_t)size;
  }
  wait_to_write(connection, false);
}

void receive(struct connection *connection) {
  static uint8_t bytes[1 << 16];
  ssize_t size = read(connection->socket, bytes, sizeof bytes);
  if (size < 0 && errno == EAGAIN) return;
  if (size <= 0) die("a connection was closed: %s", size ? strerror(errno) : "by the server");
  ssize_t taken = nghttp2_session_mem_recv(connection->session, bytes, (size_t)size);
  if (taken != size) die("not HTTP/2: %s", nghttp2_strerror((int)taken));
}
