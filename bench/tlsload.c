/* tlsload - loads a server through TLS, or through the same code in plain, for the comparison.
 *
 *   tlsload reads --port N [--plain] [--conns N] [--depth N] [--secs S] [--keys N] [--login JSON]
 *           pipelined reads: prints how many a second
 *   tlsload storm --port N [--conns N] [--resume]
 *           all connect at once, shake hands and ask one thing: prints seconds until the last has its answer
 *   tlsload hold  --port N [--plain] [--conns N] [--login JSON]
 *           logs in --conns sessions, prints one line and keeps them until stdin ends
 *
 * One thread, epoll; prints one line of JSON. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <gnutls/gnutls.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

typedef struct {
  int fd, outstanding;
  bool open, wants_out, resumed;
  gnutls_session_t tls;                      /* NULL: plain */
  char *out;
  size_t out_len, out_off, in_len, in_off;
  char in[32 * 1024]; /* came, and is not yet taken by GnuTLS */
  long lines;
} Conn;

static int port = 7000, conns = 1, depth = 64, ep;
static long keys = 10000;
static double secs = 3;
static bool plain, resume, storm;
static const char *login = "";
static gnutls_certificate_credentials_t credentials;
static gnutls_priority_t priority;
static gnutls_datum_t ticket;
static uint64_t rnd = 88172645463325252u;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}
static void die(const char *what) { fprintf(stderr, "tlsload: %s\n", what); exit(1); }
static void watch(Conn *c, bool out, int how) {
  struct epoll_event e = {.events = EPOLLIN | (out ? EPOLLOUT : 0), .data.ptr = c};
  if (how == EPOLL_CTL_MOD && c->wants_out == out) return;
  c->wants_out = out;
  epoll_ctl(ep, how, c->fd, &e);
}
/* GnuTLS asks for a head and then for its record: one recv shall serve both, lest the generator be the slower side. */
static ssize_t pull(gnutls_transport_ptr_t pointer, void *data, size_t size) {
  Conn *c = pointer;
  if (c->in_off == c->in_len) {
    ssize_t got = recv(c->fd, c->in, sizeof c->in, 0);
    if (got <= 0) return got;
    c->in_off = 0, c->in_len = got;
  }
  size_t part = c->in_len - c->in_off;
  if (part > size) part = size;
  memcpy(data, c->in + c->in_off, part);
  c->in_off += part;
  return part;
}
static ssize_t push(gnutls_transport_ptr_t pointer, const void *data, size_t size) { return send(((Conn *)pointer)->fd, data, size, MSG_NOSIGNAL); }
static void begin(Conn *c) {
  struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int one = 1;
  c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (connect(c->fd, (struct sockaddr *)&a, sizeof a) < 0 && errno != EINPROGRESS) die(strerror(errno));
  if (!plain) {
    gnutls_init(&c->tls, GNUTLS_CLIENT | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);
    gnutls_priority_set(c->tls, priority);
    gnutls_credentials_set(c->tls, GNUTLS_CRD_CERTIFICATE, credentials);
    if (storm) {
      gnutls_transport_set_int(c->tls, c->fd); /* a ticket is waited for by GnuTLS's own functions */
    } else {
      gnutls_transport_set_ptr(c->tls, c);
      gnutls_transport_set_pull_function(c->tls, pull);
      gnutls_transport_set_push_function(c->tls, push);
    }
    if (ticket.data) gnutls_session_set_data(c->tls, ticket.data, ticket.size);
  }
  watch(c, true, EPOLL_CTL_ADD);
}
static ssize_t send_some(Conn *c, const char *p, size_t n) {
  ssize_t r = c->tls ? gnutls_record_send(c->tls, p, n) : send(c->fd, p, n, MSG_NOSIGNAL);
  if (r >= 0) return r;
  return c->tls ? (r == GNUTLS_E_AGAIN || r == GNUTLS_E_INTERRUPTED ? 0 : -1) : errno == EAGAIN ? 0 : -1;
}
static void flush_out(Conn *c) {
  while (c->out_off < c->out_len) {
    ssize_t r = send_some(c, c->out + c->out_off, c->out_len - c->out_off);
    if (r < 0) die("the server closed a connection");
    if (r == 0) { watch(c, true, EPOLL_CTL_MOD); return; }
    c->out_off += r;
  }
  c->out_len = c->out_off = 0;
  watch(c, false, EPOLL_CTL_MOD);
}
static void ask(Conn *c, const char *line) {
  size_t n = strlen(line);
  c->out = realloc(c->out, c->out_len + n);
  memcpy(c->out + c->out_len, line, n);
  c->out_len += n;
  c->outstanding++;
}
static void ask_read(Conn *c) {
  char line[200];
  rnd ^= rnd << 13, rnd ^= rnd >> 7, rnd ^= rnd << 17;
  snprintf(line, sizeof line, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"object.read\",\"params\":{\"type\":\"host\",\"name\":\"obj%06ld\"}}\n",
           (long)(rnd % keys));
  ask(c, line);
}
/* True once the connection can be written to. */
static bool shake(Conn *c) {
  if (c->open) return true;
  if (c->tls) {
    int r = gnutls_handshake(c->tls);
    if (r == GNUTLS_E_AGAIN || r == GNUTLS_E_INTERRUPTED) { watch(c, gnutls_record_get_direction(c->tls), EPOLL_CTL_MOD); return false; }
    if (r < 0) die(gnutls_strerror(r));
    c->resumed = gnutls_session_is_resumed(c->tls);
  }
  return c->open = true;
}
/* Lines that came. */
static long take(Conn *c) {
  static char buffer[1 << 18];
  long lines = 0;
  for (;;) {
    ssize_t n = c->tls ? gnutls_record_recv(c->tls, buffer, sizeof buffer) : recv(c->fd, buffer, sizeof buffer, 0);
    if (c->tls && n == GNUTLS_E_AGAIN) {
      if (gnutls_record_check_pending(c->tls) == 0) break;
      continue;
    }
    if (!c->tls && n < 0 && errno == EAGAIN) break;
    if (n <= 0) die(c->tls && n < 0 ? gnutls_strerror(n) : "the server closed a connection");
    if (lines + c->lines == 0 && memmem(buffer, n, "\"error\"", 7)) die(buffer);
    for (char *p = buffer; (p = memchr(p, '\n', buffer + n - p)); p++) lines++;
    if (!c->tls && n < (ssize_t)sizeof buffer) break;
  }
  c->lines += lines;
  c->outstanding -= lines;
  return lines;
}
/* Drives all of them until each had `wanted` answers (to what begin_ asked), or for `seconds` with reads. */
static long drive(Conn *list, long wanted, double seconds, const char *first) {
  struct epoll_event events[512];
  long total = 0, done = 0;
  double end = seconds ? now() + seconds : 0;
  if (seconds)
    for (int i = 0; i < conns; i++) {
      while (list[i].outstanding < depth) ask_read(&list[i]);
      flush_out(&list[i]);
    }
  while (seconds ? now() < end : done < conns) {
    int n = epoll_wait(ep, events, 512, 100);
    for (int i = 0; i < n; i++) {
      Conn *c = events[i].data.ptr;
      bool was_open = c->open;
      if (!shake(c)) continue;
      if (!was_open && first) ask(c, first);
      long got = (events[i].events & EPOLLIN) || c->tls ? take(c) : 0;
      total += got;
      if (!seconds && got && c->lines == wanted) done++;
      if (seconds && c->outstanding <= depth / 2)
        while (c->outstanding < depth) ask_read(c);
      flush_out(c);
    }
  }
  return total;
}
int main(int argc, char **argv) {
  for (int i = 2; i < argc; i++) {
    if (!strcmp(argv[i], "--plain")) { plain = true; continue; }
    if (!strcmp(argv[i], "--resume")) { resume = true; continue; }
    if (i + 1 == argc) die("an option lacks its value");
    const char *o = argv[i++];
    if (!strcmp(o, "--port")) port = atoi(argv[i]);
    else if (!strcmp(o, "--conns")) conns = atoi(argv[i]);
    else if (!strcmp(o, "--depth")) depth = atoi(argv[i]);
    else if (!strcmp(o, "--secs")) secs = atof(argv[i]);
    else if (!strcmp(o, "--keys")) keys = atol(argv[i]);
    else if (!strcmp(o, "--login")) login = argv[i];
    else die("bad option (see the head of tlsload.c)");
  }
  if (argc < 2) die("which mode? (see the head of tlsload.c)");
  struct rlimit r;
  getrlimit(RLIMIT_NOFILE, &r);
  r.rlim_cur = r.rlim_max;
  setrlimit(RLIMIT_NOFILE, &r);
  ep = epoll_create1(0);
  gnutls_certificate_allocate_credentials(&credentials);
  gnutls_priority_init(&priority, "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2", NULL);
  Conn *list = calloc(conns, sizeof *list);
  char *line = NULL;
  storm = !strcmp(argv[1], "storm");
  if (storm) {
    const char *info = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"server.info\"}\n";
    if (resume) {
      int all = conns;
      Conn one = {0};
      conns = 1;
      begin(&one);
      drive(&one, 1, 0, info);
      if (gnutls_session_get_data2(one.tls, &ticket) < 0) die("no ticket came");
      conns = all;
    }
    double t = now();
    for (int i = 0; i < conns; i++) begin(&list[i]);
    drive(list, 1, 0, info);
    int resumed = 0;
    for (int i = 0; i < conns; i++) resumed += list[i].resumed;
    printf("{\"clients\": %d, \"seconds\": %.2f, \"resumed\": %d}\n", conns, now() - t, resumed);
    return 0;
  }
  if (asprintf(&line, "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"session.open\",\"params\":%s}\n", login) < 0) die("no memory");
  for (int i = 0; i < conns; i++) begin(&list[i]);
  drive(list, 1, 0, line);
  if (!strcmp(argv[1], "hold")) {
    printf("{\"sessions\": %d}\n", conns);
    fflush(stdout);
    while (getchar() != EOF) continue;
    return 0;
  }
  double t = now();
  long total = drive(list, 0, secs, NULL);
  printf("{\"reads\": %ld, \"per_second\": %.0f}\n", total, total / (now() - t));
  return 0;
}
