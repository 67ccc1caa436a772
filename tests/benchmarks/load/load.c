/* The load generator: options, the loop, and the result as one JSON object. See load.h. */

#include "load.h"

#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_MAX = 64, TICK_MS = 100 };
/* What is still on its way so long after the end is given up. */
#define PATIENCE_NS (15 * SECOND)

struct options options = {.connections = 1, .streams = 1, .seconds = 1};
struct run run;

void die(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  fprintf(stderr, "load: ");
  vfprintf(stderr, format, arguments);
  fprintf(stderr, "\n");
  va_end(arguments);
  exit(1);
}

uint64_t now_ns(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (uint64_t)time.tv_sec * SECOND + (uint64_t)time.tv_nsec;
}

static void add_step(char *text) {
  if (options.step_count == STEPS_MAX) die("too many steps");
  struct step *step = &options.steps[options.step_count++];
  step->path = strtok(text, " ");
  const char *wanted = strtok(NULL, " ");
  if (!wanted || !read_expectation(wanted, &step->wanted))
    die("a step is a path and what its answer must say: \"/service/Method 1\" or \"... 2=1\"");
}

static void read_options(int count, char **texts) {
  static const struct option known[] = {
      {"target", 1, NULL, 't'},  {"step", 1, NULL, 's'},    {"bodies", 1, NULL, 'b'},
      {"repeat", 0, NULL, 'r'},  {"seconds", 1, NULL, 'd'}, {"rate", 1, NULL, 'q'},
      {"streams", 1, NULL, 'm'}, {"connections", 1, NULL, 'c'}, {0}};
  int option;
  while ((option = getopt_long(count, texts, "", known, NULL)) != -1) switch (option) {
      case 't':
        if (options.target_count == TARGETS_MAX) die("too many targets");
        options.targets[options.target_count++] = optarg;
        break;
      case 's': add_step(optarg); break;
      case 'b': options.bodies = optarg; break;
      case 'r': options.repeat = true; break;
      case 'd': options.seconds = strtod(optarg, NULL); break;
      case 'q': options.rate = strtod(optarg, NULL); break;
      case 'm': options.streams = strtoul(optarg, NULL, 10); break;
      case 'c': options.connections = strtoul(optarg, NULL, 10); break;
      default: exit(1);
    }
  if (!options.target_count || !options.step_count || !options.bodies || !options.streams ||
      !options.connections || options.seconds <= 0 || options.rate < 0)
    die("--target, --step and --bodies are needed, and counts above zero");
}

/* When the next unit is due, or UINT64_MAX when none is to start any more. */
static uint64_t next_due_ns(uint64_t now) {
  uint64_t end_ns = run.start_ns + (uint64_t)(options.seconds * (double)SECOND);
  if (!options.repeat && run.started == run.units) return UINT64_MAX;
  if (options.rate == 0) return now < end_ns ? now : UINT64_MAX;
  uint64_t due_ns = run.start_ns + (uint64_t)((double)run.started / options.rate * (double)SECOND);
  return due_ns < end_ns ? due_ns : UINT64_MAX;
}

/* Starts what is due on connections in turn. What finds no free stream keeps the time at which it
 * was due, and starts when a stream is free. Returns when the next unit is due. */
static uint64_t start_due(struct connection **connections) {
  static size_t turn;
  uint64_t now = now_ns(), due_ns;
  size_t full = 0;
  while ((due_ns = next_due_ns(now)) <= now && full < options.connections) {
    struct connection *connection = connections[turn++ % options.connections];
    if (!connection->free) {
      full++;
      continue;
    }
    full = 0;
    start_unit(connection, due_ns);
  }
  return due_ns;
}

static void wake_at(int timer, uint64_t due_ns) {
  struct itimerspec at = {.it_value = {(time_t)(due_ns / SECOND), (long)(due_ns % SECOND)}};
  if (timerfd_settime(timer, TFD_TIMER_ABSTIME, &at, NULL)) die("cannot set the timer");
}

static void drive(struct connection **connections, int timer) {
  uint64_t give_up_ns = run.start_ns + (uint64_t)(options.seconds * (double)SECOND) + PATIENCE_NS;
  for (;;) {
    uint64_t due_ns = start_due(connections);
    for (size_t i = 0; i < options.connections; i++) send_pending(connections[i]);
    if (due_ns == UINT64_MAX && run.done == run.started) return;
    if (now_ns() > give_up_ns) return;
    /* In the closed loop the answers say when to go on. */
    if (options.rate > 0 && due_ns != UINT64_MAX && due_ns > now_ns()) wake_at(timer, due_ns);
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(run.epoll, events, EVENTS_MAX, TICK_MS);
    for (int i = 0; i < count; i++) {
      uint64_t expirations;
      if (events[i].data.ptr)
        receive(events[i].data.ptr);
      else if (read(timer, &expirations, sizeof expirations) < 0)
        continue;
    }
  }
}

static void print_string(const char *text) {
  putchar('"');
  for (; *text; text++)
    if (*text == '"' || *text == '\\' || (unsigned char)*text < ' ' || *text & 128)
      putchar('?');
    else
      putchar(*text);
  putchar('"');
}

static void print_result(void) {
  double elapsed_s = run.done ? (double)(run.last_ns - run.start_ns) / (double)SECOND : 0;
  printf("{\"done\":%zu,\"unanswered\":%zu,\"mismatched\":%zu,\"failed\":%zu,", run.done,
         run.started - run.done, run.mismatched, run.failed);
  printf("\"elapsed_s\":%.6f,\"first_fault\":", elapsed_s);
  print_string(run.first_fault);
  printf(",\"max_ns\":%llu,\"latencies_ns\":", (unsigned long long)run.latencies.max_ns);
  print_histogram(&run.latencies);
  printf("}\n");
}

int main(int count, char **texts) {
  read_options(count, texts);
  map_bodies();
  run.epoll = epoll_create1(0);
  int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
  if (run.epoll < 0 || timer < 0 || epoll_ctl(run.epoll, EPOLL_CTL_ADD, timer, &event))
    die("cannot set up the loop");
  struct connection **connections = calloc(options.connections, sizeof(struct connection *));
  if (!connections) die("out of memory");
  for (size_t i = 0; i < options.connections; i++)
    connections[i] = open_connection(options.targets[i % options.target_count]);
  run.start_ns = now_ns();
  drive(connections, timer);
  print_result();
  return 0;
}
