#!/usr/bin/env python3
"""Measures what bench/RESULTS.md reports beside the plain workloads of run.py: fan-out to very many sessions, a huge
transaction, a proxy that loads under writes, a restart that a proxy hardly notices, a storm of log-ins.

    bench/scenarios.py [--build build] [NAME ...]        names: interest transaction proxy restart logins keepalive missed
                                                     history replay

Starts its own servers in a temporary folder, on core 0; this driver runs on core 1.  Prints one JSON line a scenario."""
import argparse, json, os, resource, select, shutil, signal, socket, sqlite3, subprocess, sys, tempfile, time

PASSWORD = "bench"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, build, folder, arguments=()):
        self.build, self.folder, self.arguments = os.path.abspath(build), folder, list(arguments)
        self.process = None

    def start(self, core="0"):
        log = open(f"{self.folder}/server.log", "a")
        self.process = subprocess.Popen(["taskset", "-c", core, f"{self.build}/core/confserv", *self.arguments], cwd=self.folder,
                                        stdout=log, stderr=log)
        return self

    def wait(self, port, seconds=60):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    sys.exit(open(f"{self.folder}/server.log").read())
                time.sleep(0.002)
        sys.exit("the server did not start")

    def cpu(self):
        fields = open(f"/proc/{self.process.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def run_time(self):
        """As cpu(), to the nanosecond: work that is done at the ticks of the clock looks longer to a count of ticks."""
        total = 0
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            with open(f"/proc/{self.process.pid}/task/{task}/schedstat") as f:
                total += int(f.read().split()[0])
        return total / 1e9

    def rss(self):
        for line in open(f"/proc/{self.process.pid}/status"):
            if line.startswith("VmRSS"):
                return int(line.split()[1]) * 1024

    def stop(self, number=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait()


class Client:
    def __init__(self, port, user="default", password=PASSWORD, login=True, receive_buffer=0):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer, self.id, self.notes, self.answers = b"", 0, [], {}
        if login:
            self.call("session.open", user=user, password=password, application="confctl")

    def send(self, method, **params):
        self.id += 1
        self.socket.sendall((json.dumps({"jsonrpc": "2.0", "id": self.id, "method": method, "params": params}) + "\n").encode())
        return self.id

    def line(self):
        while b"\n" not in self.buffer:
            data = self.socket.recv(1 << 20)
            if not data:
                raise EOFError
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line

    def wait(self, number):
        while number not in self.answers:
            message = json.loads(self.line())
            if "method" in message:
                self.notes.append(message)
            else:
                self.answers[message["id"]] = message
        message = self.answers.pop(number)
        if "error" in message:
            raise RuntimeError(message["error"])
        return message["result"]

    def call(self, method, **params):
        return self.wait(self.send(method, **params))


class World:
    def __init__(self, build, options=""):
        self.build, self.folder = build, tempfile.mkdtemp(prefix="confserv-bench-")
        self.port, self.servers = free_port(), []
        with open(f"{self.folder}/confserv.conf", "w") as f:
            f.write(f"[confserv]\nport = {self.port}\nserver = dbserver\n{options}\n[log]\nverbose = standard\nall = stderr\n"
                    "[dbserver]\ndbengine = sqlite\ndbname = confserv.db\n")
        with open(f"{self.folder}/password", "w") as f:
            f.write(PASSWORD + "\n")
        subprocess.run([f"{os.path.abspath(build)}/core/confserv", "-init", "-admin-password-file", "password"], cwd=self.folder,
                       check=True, stdout=subprocess.DEVNULL)
        self.primary = Server(build, self.folder).start()
        self.servers.append(self.primary)
        self.primary.wait(self.port)

    def load(self, count):
        client = Client(self.port)
        pending = []
        for begin in range(0, count, 1000):
            pending.append(client.send("transaction", operations=[
                {"op": "create", "object": {"type": "host", "name": f"obj{k:06d}", "address": f"10.{k >> 16}.{k >> 8 & 255}.{k & 255}",
                                            "annex": {"options": {f"option-{i:02d}": f"parameter {i:02d} of {k:06d}" for i in range(20)}}}}
                for k in range(begin, min(count, begin + 1000))]))
            if len(pending) > 4:
                client.wait(pending.pop(0))
        for number in pending:
            client.wait(number)

    def proxy(self, name, core="1", file=None):
        client, port = Client(self.port), free_port()
        if client.call("object.count", type="application", filter={"name": name})["count"] == 0:
            client.call("object.create", object={"type": "application", "name": name, "applicationType": "configurationServer",
                                                 "ports": [{"id": "default", "port": port}]})
        folder = f"{self.folder}/{name}"
        os.makedirs(folder, exist_ok=True)
        shutil.copy(f"{self.folder}/password", folder)
        server = Server(self.build, folder, ["-host", "127.0.0.1", "-port", str(self.port), "-app", name, "-user", "default",
                                             "-password-file", "password", *(["-c", file] if file else [])]).start(core)
        self.servers.append(server)
        return server, port

    def close(self):
        for server in reversed(self.servers):
            server.stop()
        shutil.rmtree(self.folder)


def cost_of_writes(world, count=300):
    """CPU seconds of the primary a write."""
    client = Client(world.port)
    before = world.primary.cpu()
    for i in range(count):
        client.call("object.update", type="host", name=f"obj{i % 10:06d}", patch={"address": f"r{i}"})
    return (world.primary.cpu() - before) / count


def interest(build):
    results = {}
    for sessions in (10, 10000):
        world = World(build)
        world.load(10000)
        first = Client(world.port).call("object.read", type="host", name="obj000000")["object"]["dbid"]
        clients = []
        for i in range(sessions):
            client = Client(world.port)
            client.call("subscription.open", objects=[{"type": "host", "dbid": first + i}])
            clients.append(client)
        results[sessions] = min(cost_of_writes(world) for _ in range(3)) * 1e6
        world.close()
    return {"write_us_10": round(results[10], 1), "write_us_10000": round(results[10000], 1),
            "ratio": round(results[10000] / results[10], 2)}


def transaction(build, subscribers=1000, operations=10000):
    world = World(build)
    clients = [Client(world.port, receive_buffer=32768) for _ in range(subscribers)]
    poll = select.epoll()
    for client in clients:
        client.call("subscription.open", types=["host"])
        client.socket.setblocking(False)
        client.done, client.size = False, 0
        poll.register(client.socket.fileno(), select.EPOLLIN)
    by_fd = {client.socket.fileno(): client for client in clients}
    writer = Client(world.port)
    writer.call("server.statistics")  # takes the longest turn so far
    began = time.monotonic()
    number = writer.send("transaction", operations=[
        {"op": "create", "object": {"type": "host", "name": f"obj{k:06d}", "annex": {"o": {f"k{i}": "x" * 40 for i in range(20)}}}}
        for k in range(operations)])
    left, closed, tail = subscribers, 0, {}
    while left:
        for fd, _ in poll.poll(60) or sys.exit("nothing came for 60 s"):
            client = by_fd[fd]
            try:
                data = client.socket.recv(1 << 20)
            except BlockingIOError:
                continue
            if not data:
                closed, left = closed + 1, left - 1
                poll.unregister(fd)
                continue
            client.size += len(data)
            end = tail.get(fd, b"") + data[-64:]
            tail[fd] = end[-64:]
            # the last line of the transaction has no "more":true before its end
            if end.endswith(b"\n") and not end.endswith(b'"more":true}}\n'):
                left -= 1
                poll.unregister(fd)
    seconds = time.monotonic() - began
    writer.wait(number)
    statistics = writer.call("server.statistics")
    if os.environ.get("KEEP_LOG"):
        shutil.copy(f"{world.folder}/server.log", os.environ["KEEP_LOG"])
    world.close()
    return {"seconds": round(seconds, 2), "closed": closed, "slow_consumers": statistics["slowConsumers"],
            "longest_turn_ms": round(statistics["longestTurnUsec"] / 1000, 1), "mb_each": round(clients[0].size / 1e6, 1)}


def proxy(build, count=200000, rate=2000):
    world = World(build)
    world.load(count)
    began = time.monotonic()
    server, port = world.proxy("proxy1")
    server.wait(port)
    quiet = time.monotonic() - began
    server.stop()
    # again, under writes
    writer = Client(world.port)
    server, port2 = world.proxy("proxy2")
    began, sent, worst, ready, pending, i = time.monotonic(), 0, 0.0, None, {}, 0
    while ready is None or time.monotonic() - began < ready + 1:
        now = time.monotonic()
        while sent < (now - began) * rate and len(pending) < 4000:
            pending[writer.send("object.update", type="host", name=f"obj{i % count:06d}", patch={"address": f"w{i}"})] = time.monotonic()
            i, sent = i + 7919, sent + 1
        readable, _, _ = select.select([writer.socket], [], [], 0.0005)
        if readable:
            writer.buffer += writer.socket.recv(1 << 20)
        while b"\n" in writer.buffer:
            message = json.loads(writer.line())
            if message.get("id") in pending:
                worst = max(worst, time.monotonic() - pending.pop(message["id"]))
        if ready is None:
            try:
                socket.create_connection(("127.0.0.1", port2)).close()
                ready = time.monotonic() - began
            except OSError:
                pass
        if now - began > 120:
            sys.exit("the proxy did not load")
    while pending:
        message = json.loads(writer.line())
        pending.pop(message.get("id"), None)
    revision = writer.call("server.info")["revision"]
    reader = Client(port2)
    reader.call("object.read", type="tenant", dbid=1, minRevision=revision, timeout=30)
    same = reader.call("server.info")["digest"] == writer.call("server.info")["digest"]
    result = {"load_s": round(quiet, 2), "load_under_writes_s": round(ready, 2), "writes": sent, "worst_write_ms": round(worst * 1000, 1),
              "digests_equal": same, "snapshots": reader.call("server.statistics")["masterSnapshots"],
              "rss_per_object": round(world.primary.rss() / count), "proxy_rss_per_object": round(server.rss() / count)}
    world.close()
    return result


def restart(build, missed=1000):
    world = World(build)
    world.load(100000)
    server, port = world.proxy("proxy1")
    server.wait(port)
    # Frozen, and its link gone: the kernel's buffers must not bring it what it is to miss.
    server.process.send_signal(signal.SIGSTOP)
    world.primary.stop(signal.SIGKILL)
    world.primary.start()
    world.primary.wait(world.port)
    writer = Client(world.port)
    for i in range(missed):
        writer.call("object.update", type="host", name=f"obj{i:06d}", patch={"address": f"m{i}"})
    revision = writer.call("server.info")["revision"]
    world.primary.stop(signal.SIGKILL)
    server.process.send_signal(signal.SIGCONT)
    began = time.monotonic()
    world.primary.start()
    world.primary.wait(world.port)
    up = time.monotonic() - began
    reader = Client(port)
    reader.call("object.read", type="tenant", dbid=1, minRevision=revision, timeout=30)
    statistics = reader.call("server.statistics")
    world.close()
    return {"restart_s": round(up, 2), "proxy_caught_up_s": round(time.monotonic() - began, 2), "snapshots": statistics["masterSnapshots"],
            "resumes": statistics["masterResumes"]}


def logins(build, accounts=5000):
    world = World(build)
    world.load(10000)
    admin = Client(world.port)
    application = admin.call("object.read", type="application", name="confctl")["object"]["dbid"]
    group = admin.call("object.create", object={"type": "accessGroup", "name": "loaded", "kind": "custom"})["dbid"]
    admin.call("permission.update", type="application", dbid=application,
               grant=[{"account": {"type": "accessGroup", "dbid": group}, "rights": ["read", "execute"]}])
    dbids = []
    for begin in range(0, accounts, 1000):
        dbids += [r["dbid"] for r in admin.call("transaction", operations=[
            {"op": "create", "object": {"type": "person", "name": f"user{k:05d}"}} for k in range(begin, begin + 1000)])["results"]]
    admin.call("object.update", type="accessGroup", dbid=group, add={"members": dbids})
    admin.call("account.setPassword", dbid=dbids[0], password="secret")
    world.primary.stop()
    # Hashing 5,000 passwords would take as long as what is measured: all persons get the hash of the first.
    with sqlite3.connect(f"{world.folder}/confserv.db") as database:
        database.execute("UPDATE object SET secrets = (SELECT secrets FROM object WHERE body LIKE '%\"name\":\"user00000\"%') "
                         "WHERE body LIKE '%\"type\":\"person\"%\"name\":\"user%'")
    database.close()
    world.primary.start()
    world.primary.wait(world.port)
    reader = Client(world.port)

    def read_p99(seconds, until=None):
        times, end = [], time.monotonic() + seconds
        while time.monotonic() < end and not (until and until()):
            t = time.monotonic()
            reader.call("object.read", type="host", name=f"obj{len(times) % 10000:06d}")
            times.append(time.monotonic() - t)
            time.sleep(0.001)
        times.sort()
        return times[int(len(times) * 0.99)] * 1e6

    quiet = read_p99(3)
    clients = []
    for k in range(accounts):
        client = Client(world.port, login=False)
        client.socket.setblocking(False)
        clients.append(client)
    poll, left = select.epoll(), accounts
    began = time.monotonic()
    refused = 0
    for k, client in enumerate(clients):
        client.socket.setblocking(True)
        client.send("session.open", user=f"user{k:05d}", password="secret", application="confctl")
        poll.register(client.socket.fileno(), select.EPOLLIN)
    state = {"left": accounts, "refused": 0}
    by_fd = {client.socket.fileno(): client for client in clients}

    def collect():
        for fd, _ in poll.poll(0):
            message = json.loads(by_fd[fd].line())
            poll.unregister(fd)
            state["left"] -= 1
            state["refused"] += "error" in message
        return state["left"] == 0

    busy = read_p99(600, collect)
    seconds = time.monotonic() - began
    world.close()
    return {"accounts": accounts, "seconds": round(seconds, 1), "refused": state["refused"], "read_p99_us_quiet": round(quiet),
            "read_p99_us_busy": round(busy), "ratio": round(busy / quiet, 2)}


def keepalive(build, sessions=10000, timeout=10, seconds=40):
    """Share of a core that idle sessions cost with a keep-alive: the server polls each of them every `timeout` seconds."""
    world = World(build, "plugins = addp")
    poll, clients = select.epoll(), {}
    for _ in range(sessions):
        client = Client(world.port, login=False)
        client.call("session.open", user="default", password=PASSWORD, application="confctl", addp={"remoteTimeout": timeout})
        clients[client.socket.fileno()] = client
        poll.register(client.socket.fileno(), select.EPOLLIN)

    def answer(until):
        count = 0
        while time.monotonic() < until:
            for fd, _ in poll.poll(0.05):
                client = clients[fd]
                message = json.loads(client.line())
                client.socket.sendall(b'{"jsonrpc":"2.0","id":%d,"result":{}}\n' % message["id"])
                count += 1
        return count

    answer(time.monotonic() + timeout)
    before, began = world.primary.run_time(), time.monotonic()
    polls = answer(began + seconds)
    share = (world.primary.run_time() - before) / (time.monotonic() - began)
    statistics = Client(world.port).call("server.statistics")
    world.close()
    return {"sessions": sessions, "timeout_s": timeout, "percent_of_core": round(share * 100, 2), "polls_per_s": round(polls / seconds),
            "lost": statistics["addp.lost"], "longest_turn_ms": round(statistics["longestTurnUsec"] / 1000, 1)}


def history(build, count=10000, rounds=int(os.environ.get("ROUNDS", 3))):
    """Durable writes a second with plugin history and without, 1 and 64 connections; rounds in turn."""
    here, work = os.path.dirname(os.path.abspath(__file__)), tempfile.mkdtemp(prefix="confserv-bench-")
    subprocess.run(["cc", "-O2", "-o", f"{work}/loadgen", f"{here}/loadgen.c"], check=True)
    request = '{"jsonrpc":"2.0","id":{id},"method":'
    arguments = ["--keys", str(count), "--login", request + '"session.open","params":{"user":"default","password":"bench",'
                 '"application":"confctl"}}', "--write", request + '"object.update","params":{"type":"host","name":"{key}",'
                 '"patch":{"address":"r{rev}"}}}']
    rates = {}
    for _ in range(rounds):
        for name, options in (("without", ""), ("with", "plugins = history")):
            world = World(build, options)
            world.load(count)
            for connections in (1, 64):
                run = subprocess.run(["taskset", "-c", "1", f"{work}/loadgen", "jsonl", "write", "--port", str(world.port), "--conns",
                                      str(connections), *arguments], capture_output=True, text=True, timeout=60)
                rates.setdefault((name, connections), []).append(json.loads(run.stdout)["rate"])
            world.close()
    shutil.rmtree(work)
    middle = {key: sorted(values)[len(values) // 2] for key, values in rates.items()}
    return {f"{name}_{connections}": round(rate) for (name, connections), rate in middle.items()} | {
        f"ratio_{connections}": round(middle["with", connections] / middle["without", connections], 2) for connections in (1, 64)}


def missed(build, count=10000, rounds=int(os.environ.get("ROUNDS", 5))):
    """Missed changes a second out of plugin history, where memory holds almost none of them; with them all in memory."""
    result = {}
    for name, ring in (("history", "recent-changes = 1048576"), ("memory", "recent-changes = 1073741824")):
        world = World(build, "plugins = history\n" + ring)
        client = Client(world.port)
        for k in range(100):
            client.call("object.create", object={"type": "host", "name": f"h{k}", "address": "10.0.0.1"})
        since, pending = client.call("object.count")["revision"], []
        for k in range(count):
            pending.append(client.send("object.update", type="host", name=f"h{k % 100}", patch={"address": f"10.1.{k}"}))
            if len(pending) > 200:
                client.wait(pending.pop(0))
        for number in pending:
            client.wait(number)
        before, seconds, peak = world.primary.rss(), [], 0
        for _ in range(rounds):
            reader = Client(world.port)
            began, lines = time.perf_counter(), 0
            reader.send("subscription.open", types=["host"], since=since)
            while lines < count + 1:
                data = reader.socket.recv(1 << 20)
                if not data:
                    raise EOFError
                lines += data.count(b"\n")
            seconds.append(time.perf_counter() - began)
            peak = max(peak, world.primary.rss())
            reader.socket.close()
        middle = sorted(seconds)[len(seconds) // 2]
        result |= {f"{name}_per_second": round(count / middle), f"{name}_ms": round(middle * 1000, 1),
                   f"{name}_more_memory_mib": round((peak - before) / (1 << 20), 1)}
        world.close()
    return result


class Tls:
    """A primary with a plain port and a secured one, whose certificate is ECDSA P-256, and the generator for both."""

    def __init__(self, build, tls=""):
        here, self.work = os.path.dirname(os.path.abspath(__file__)), tempfile.mkdtemp(prefix="confserv-bench-")
        subprocess.run(["cc", "-O2", "-o", f"{self.work}/tlsload", f"{here}/tlsload.c", "-lgnutls"], check=True)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "30",
                        "-subj", "/CN=localhost", "-keyout", f"{self.work}/key.pem", "-out", f"{self.work}/certificate.pem"],
                       check=True, capture_output=True)
        self.world = World(build, f"plugins = tls\nmax-unauthenticated = 20000\n[tls]\ncertificate = {self.work}/certificate.pem\n"
                           f"certificate-key = {self.work}/key.pem\n{tls}")
        self.ports = {"plain": self.world.port, "tls": free_port()}
        Client(self.world.port).call("object.update", type="application", name="confserv", add={
            "ports": [{"id": "tls", "port": self.ports["tls"], "listening": "secured"}]})
        self.world.primary.wait(self.ports["tls"])

    def run(self, mode, way="tls", *arguments):
        login = '{"user":"default","password":"bench","application":"confctl"}'
        command = ["taskset", "-c", "1", f"{self.work}/tlsload", mode, "--port", str(self.ports[way]), "--login", login, *arguments]
        return command + (["--plain"] if way == "plain" else [])

    def json(self, *arguments):
        return json.loads(subprocess.run(self.run(*arguments), check=True, capture_output=True, text=True, timeout=120).stdout)

    def close(self):
        self.world.close()
        shutil.rmtree(self.work)


def tls_reads(build, rounds=5):
    """Pipelined reads through TLS 1.3 and in plain, in turn; and what one costs the server."""
    tls = Tls(build)
    tls.world.load(10000)
    rates, costs = {"plain": [], "tls": []}, {"plain": [], "tls": []}
    for _ in range(rounds):
        for way in rates:
            before = tls.world.primary.cpu()
            result = tls.json("reads", way, "--conns", "8", "--depth", "64", "--secs", "3")
            rates[way].append(result["per_second"])
            costs[way].append((tls.world.primary.cpu() - before) / result["reads"] * 1e6)
    tls.close()
    middle = {way: sorted(values)[rounds // 2] for way, values in rates.items()}
    cost = {way: sorted(values)[rounds // 2] for way, values in costs.items()}
    return {"plain_per_s": round(middle["plain"]), "tls_per_s": round(middle["tls"]), "ratio": round(middle["tls"] / middle["plain"], 3),
            "plain_us": round(cost["plain"], 2), "tls_us": round(cost["tls"], 2), "cost_ratio": round(cost["plain"] / cost["tls"], 3)}


def tls_memory(build, sessions=2000):
    """Bytes of the server a session, logged in and idle, in plain and through TLS."""
    result = {}
    for way in ("plain", "tls"):
        tls = Tls(build)
        before = tls.world.primary.rss()
        holder = subprocess.Popen(tls.run("hold", way, "--conns", str(sessions)), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        holder.stdout.readline()
        result[f"{way}_bytes"] = round((tls.world.primary.rss() - before) / sessions)
        holder.communicate()
        tls.close()
    return {"sessions": sessions, **result, "tls_more": result["tls_bytes"] - result["plain_bytes"]}


def tls_storm(build, clients=2000):
    """All connect at once, by a full handshake and by a ticket; meanwhile one client in plain reads every millisecond."""
    result = {"clients": clients}
    for name, more in (("full", []), ("resumed", ["--resume"])):
        tls = Tls(build)
        tls.world.load(1000)
        reader, times = Client(tls.world.port), []
        storm = subprocess.Popen(tls.run("storm", "tls", "--conns", str(clients), *more), stdout=subprocess.PIPE, text=True)
        while storm.poll() is None:
            t = time.monotonic()
            reader.call("object.read", type="host", name=f"obj{len(times) % 1000:06d}")
            times.append(time.monotonic() - t)
            time.sleep(0.001)
        times.sort()
        out = json.loads(storm.stdout.read())
        result |= {f"{name}_s": out["seconds"], f"{name}_tickets": out["resumed"], f"{name}_read_p99_ms": round(times[int(len(times) * 0.99)] * 1e3, 1)}
        tls.close()
    return result


def replay(build, count=100000):
    """Change records a second out of the history file, as a proxy sends them to a replica whose memory does not reach back."""
    world = World(build, "plugins = history\n[history-log]\naudit-max-records = 1000000\n")
    world.load(1000)
    client = Client(world.port)
    client.call("object.create", object={"type": "application", "name": "proxy2", "applicationType": "configurationServer"})
    os.makedirs(f"{world.folder}/proxy1")
    with open(f"{world.folder}/proxy1/proxy.conf", "w") as f:
        f.write("[csproxy]\nplugins = history\n[history-log]\naudit-max-records = 1000000\n")
    server, port = world.proxy("proxy1", core="0", file="proxy.conf")
    server.wait(port)
    first, pending = client.call("server.info")["revision"], []
    for i in range(count):
        pending.append(client.send("object.update", type="host", name=f"obj{i % 1000:06d}", patch={"address": f"r{i}"}))
        if len(pending) > 500:
            client.wait(pending.pop(0))
    for number in pending:
        client.wait(number)
    last = client.call("server.info")["revision"]
    reader = Client(port)
    reader.call("object.read", type="tenant", dbid=1, minRevision=last, timeout=60)
    while reader.call("server.statistics")["history.durableRevision"] < last:
        time.sleep(0.1)
    server.stop()
    server.start("0").wait(port)
    replica = Client(port, login=False)
    replica.call("session.open", user="default", password=PASSWORD, application="proxy2")
    statistics, cpu = Client(port), server.cpu()
    began, size, tail = time.monotonic(), 0, replica.buffer
    replica.send("replica.open", application="proxy2", role="proxy", release="0", changesFrom=first)
    while b'"replica.loaded"' not in tail:
        data = replica.socket.recv(1 << 20)
        size, tail = size + len(data), tail[-32:] + data
    seconds = time.monotonic() - began
    replayed = statistics.call("server.statistics")["history.replayed"]
    cpu = server.cpu() - cpu
    world.close()
    return {"records": replayed, "records_per_s": round(replayed / seconds), "records_per_cpu_s": round(replayed / cpu),
            "mb": round(size / 1e6)}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default="build")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.sched_setaffinity(0, {1})
    scenarios = {"interest": interest, "transaction": transaction, "proxy": proxy, "restart": restart, "logins": logins,
                 "keepalive": keepalive, "missed": missed,
                 "history": history, "replay": replay, "tls-reads": tls_reads, "tls-memory": tls_memory, "tls-storm": tls_storm}
    for name in arguments.names or scenarios:
        print(json.dumps({"scenario": name, **scenarios[name](arguments.build)}), flush=True)


if __name__ == "__main__":
    main()
