#!/usr/bin/env python3
"""Runs the workload of BASELINES.md against each peer and prints a Markdown table.

    ./run.py                     every peer, then the table
    ./run.py redis ovsdb         those only; results/PEER.json of the others is kept and shown
    ./run.py table               the table from results/
    ./run.py --quick redis       one repetition instead of three

A peer runs on core 0 with its data in a temporary folder, the generator on core 1. A new server is one more class below:
start() and the load generator's driver arguments; one that speaks newline-delimited JSON needs no C (driver jsonl)."""
import glob, json, os, re, shutil, signal, statistics, subprocess, sys, tempfile, time

HERE = os.path.dirname(os.path.abspath(__file__))
KEYS, PORT = 100_000, 17000
TICKS = os.sysconf("SC_CLK_TCK")
reps = 3


class Failed(Exception):
    pass


def build(work):
    for name in ("loadgen", "echo"):
        subprocess.run(["cc", "-O2", "-o", f"{work}/{name}", f"{HERE}/{name}.c"], check=True)


class Peer:
    driver, args, proc = None, [], None
    pipelined, subs, durable, loads = True, (1000, 10000), True, True
    page, bulk_depth, bulk_pages, storm = None, 1, 1, 5000
    skip, extra, notes = {}, {}, ""

    def __init__(self, work):
        self.work, self.dir = work, f"{work}/{self.name}.data"
        os.makedirs(self.dir)
        self.prepare()

    def prepare(self): pass
    def replica(self): return None                     # argv, driver arguments of a real replica

    def spawn(self, argv, core="0", **kw):
        log = open(f"{self.dir}/out.log", "a")
        return subprocess.Popen(["taskset", "-c", core, *argv], stdout=log, stderr=log, cwd=self.dir, start_new_session=True, **kw)

    def start(self):
        """Seconds from process start until it answers (a read of an object once loaded)."""
        t = time.time()
        self.proc = self.spawn(self.argv())
        return t

    def stop(self, proc=None, how=signal.SIGTERM):
        proc = proc or self.proc
        if proc and proc.poll() is None:
            proc.send_signal(how)
            try: proc.wait(60)
            except subprocess.TimeoutExpired: proc.kill(); proc.wait()

    def gen(self, mode, *args, driver=None, port=None, timeout=40):
        cmd = ["taskset", "-c", "1", f"{self.work}/loadgen", driver or self.driver, mode, "--port", str(port or PORT), "--keys", str(KEYS),
               *self.args, *map(str, args)]
        r = subprocess.run(cmd, capture_output=True, text=True, timeout=timeout)
        if r.returncode: raise Failed((r.stderr.strip().splitlines() or [f"exit {r.returncode}"])[-1])
        return json.loads(r.stdout)

    def up(self, since):
        import socket
        while time.time() < since + 120:
            try: socket.create_connection(("127.0.0.1", PORT)).close(); return
            except OSError: time.sleep(.005)
        raise Failed("does not listen")

    def load(self):
        return self.gen("create", "--count", KEYS, "--conns", 64, timeout=90)

    def memory(self, proc=None):
        s = open(f"/proc/{(proc or self.proc).pid}/status").read()
        return {k: int(re.search(rf"{k}:\s+(\d+)", s)[1]) * 1024 for k in ("VmRSS", "RssAnon", "RssFile", "VmHWM")}


class Echo(Peer):
    name, driver, loads = "echo", "jsonl", False
    bulk_args = ["--bulk-end", '"bulk":"end"']
    def argv(self): return [f"{self.work}/echo", str(PORT), f"{self.dir}/log"]
    skip = {"W5": "holds no data", "W6": "holds no data"}


class Redis(Peer):
    name, driver = "redis", "redis"
    bulk_pages = 100
    def argv(self, port=None, name="data"):
        os.makedirs(f"{self.dir}/{name}", exist_ok=True)
        return ["redis-server", "--port", str(port or PORT), "--bind", "127.0.0.1", "--dir", f"{self.dir}/{name}", "--appendonly", "yes",
                "--appendfsync", "always", "--save", "", "--requirepass", "bench", "--masterauth", "bench", "--maxclients", "15000",
                "--tcp-backlog", "4096", "--repl-diskless-sync-delay", "0"]
    def replica(self):
        return [*self.argv(PORT + 1, "replica"), "--appendonly", "no", "--replicaof", f"127.0.0.1 {PORT}"], "redis"


class Ovsdb(Peer):
    name, driver = "ovsdb", "ovsdb"
    columns = dict.fromkeys("name state address os osversion site contact comment".split(), "string") | \
        dict.fromkeys("dbid tenant folder port".split(), "integer")
    def prepare(self):
        cols = {k: {"type": v} for k, v in self.columns.items()}
        cols["options"] = {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}}
        json.dump({"name": "bench", "version": "1.0.0", "tables": {"obj": {"columns": cols, "indexes": [["name"]], "isRoot": True}}},
                  open(f"{self.dir}/schema", "w"))
        subprocess.run(["ovsdb-tool", "create", f"{self.dir}/db", f"{self.dir}/schema"], check=True)
    def argv(self):
        return ["ovsdb-server", f"--remote=ptcp:{PORT}:127.0.0.1", f"--unixctl={self.dir}/ctl", "-vconsole:off", f"{self.dir}/db"]
    def replica(self):
        return ["ovsdb-server", f"--remote=ptcp:{PORT + 1}:127.0.0.1", f"--unixctl={self.dir}/ctl2", "-vconsole:off",
                f"relay:bench:tcp:127.0.0.1:{PORT}"], "ovsdb"


class Slapd(Peer):
    name, driver = "slapd", "ldap"
    def prepare(self):
        os.makedirs(f"{self.dir}/db")
        open(f"{self.dir}/conf", "w").write(f"""include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
moduleload syncprov
pidfile {self.dir}/pid
loglevel 0
sizelimit unlimited
idletimeout 0
database mdb
suffix "dc=bench"
rootdn "cn=admin,dc=bench"
directory {self.dir}/db
maxsize 4294967296
index objectClass eq
index cn eq
index entryCSN,entryUUID eq
overlay syncprov
syncprov-checkpoint 100 10
syncprov-sessionlog 10000
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="cn=client,dc=bench" write by * none
limits dn.exact="cn=client,dc=bench" size=unlimited time=unlimited
""")
    def argv(self): return ["slapd", "-h", f"ldap://127.0.0.1:{PORT}", "-f", f"{self.dir}/conf", "-d", "0"]
    def load(self):                                   # offline, as an administrator would; on-line: one fsync an object
        self.stop()
        t = time.time()
        with open(f"{self.dir}/ldif", "w") as f: subprocess.run([f"{self.work}/loadgen", "ldap", "ldif"], stdout=f, check=True)
        pw = subprocess.run(["slappasswd", "-s", "bench"], capture_output=True, text=True).stdout.strip()
        subprocess.run(["sed", "-i", f"s|^userPassword: bench|userPassword: {pw}|", f"{self.dir}/ldif"], check=True)
        subprocess.run(["slapadd", "-q", "-w", "-f", f"{self.dir}/conf", "-l", f"{self.dir}/ldif"], check=True, capture_output=True)
        t = time.time() - t
        self.up(self.start())
        return {"secs": t, "rate": KEYS / t, "errors": 0}
    def fanout_args(self):                            # subscribers start at the present state: no refresh stage
        r = subprocess.run(["ldapsearch", "-x", "-LLL", "-H", f"ldap://127.0.0.1:{PORT}", "-D", "cn=client,dc=bench", "-w", "bench",
                            "-s", "base", "-b", "dc=bench", "contextCSN"], capture_output=True, text=True)
        m = re.search(r"contextCSN: (\S+)", r.stdout)
        return ["--cookie", f"rid=001,csn={m[1]}"] if m else []


class ZooKeeper(Peer):
    name, driver = "zookeeper", "zk"
    bulk_pages, bulk_depth = KEYS, 64
    def prepare(self):
        open(f"{self.dir}/zoo.cfg", "w").write(f"tickTime=2000\ndataDir={self.dir}/data\nclientPort={PORT}\nclientPortAddress=127.0.0.1\n"
            "maxClientCnxns=0\nadmin.enableServer=false\nclientPortListenBacklog=4096\n")
        open(f"{self.dir}/log4j.properties", "w").write("log4j.rootLogger=OFF\n")
        os.makedirs(f"{self.dir}/data")
    def up(self, since):                              # it listens before it serves; such connections are forgotten
        super().up(since)
        time.sleep(2)
    def argv(self):
        return ["java", "-Xmx1000m", "-cp", f"{self.dir}:/usr/share/java/zookeeper.jar:/usr/share/java/slf4j-log4j12.jar:/usr/share/java/log4j-1.2.jar",
                "org.apache.zookeeper.server.quorum.QuorumPeerMain", f"{self.dir}/zoo.cfg"]


class Etcd(Peer):
    name, driver = "etcd", "etcd-grpc"
    bulk_pages = 100
    def argv(self):
        return ["etcd", "--logger=zap", "--data-dir", f"{self.dir}/data", "--listen-client-urls", f"http://127.0.0.1:{PORT}", "--advertise-client-urls",
                f"http://127.0.0.1:{PORT}", "--listen-peer-urls", f"http://127.0.0.1:{PORT + 2}", "--quota-backend-bytes", "8589934592",
                "--log-level", "error"]
    extra = {"gateway read 64": ("read", "--conns", 64, {"driver": "etcd-http"}),
             "gateway write 64": ("write", "--conns", 64, {"driver": "etcd-http"}),
             "linearizable read 64": ("read", "--conns", 64, "--linearizable", {})}


def host(key):
    """The object of loadgen, as a host: a dozen attributes and 20 options."""
    return {"type": "host", "name": f"obj{key:06d}", "address": f"10.{key >> 16}.{key >> 8 & 255}.{key & 255}", "osType": "linux",
            "annex": {"site": {"version": "12.11", "site": f"site-{key % 211:03d}", "contact": f"ops-{key % 977:03d}@example.org",
                               "comment": f"object {key} of the benchmark"},
                      "options": {f"option-{i:02d}": f"parameter {i:02d} of {key:06d}" for i in range(20)}}}


class Confserv(Peer):
    """This tree's own: build/ of the checkout.  One object more than the generator's dozen attributes hold is no different."""
    name, driver = "confserv", "jsonl"
    build = os.environ.get("CONFSERV_BUILD", os.path.join(os.path.dirname(HERE), "build"))
    args = ["--login", '{"jsonrpc":"2.0","id":{id},"method":"session.open","params":{"user":"default","password":"bench","application":"confctl"}}',
            "--read", '{"jsonrpc":"2.0","id":{id},"method":"object.read","params":{"type":"host","name":"{key}"}}',
            "--write", '{"jsonrpc":"2.0","id":{id},"method":"object.update","params":{"type":"host","name":"{key}","patch":{"address":"r{rev}"}}}',
            "--subscribe", '{"jsonrpc":"2.0","id":{id},"method":"subscription.open","params":{}}',
            "--bulk", '{"jsonrpc":"2.0","id":{id},"method":"subscription.open","params":{"initial":true,"types":["host"]}}']
    bulk_args = ["--bulk-end", '"subscription.loaded"']

    def prepare(self):
        with open(f"{self.dir}/confserv.conf", "w") as f:
            f.write(f"[confserv]\nport = {PORT}\nserver = dbserver\n[log]\nverbose = standard\nall = stderr\n"
                    "[dbserver]\ndbengine = sqlite\ndbname = confserv.db\n")
        with open(f"{self.dir}/password", "w") as f: f.write("bench\n")
        subprocess.run([f"{self.build}/core/confserv", "-init", "-admin-password-file", "password"], cwd=self.dir, check=True,
                       stdout=subprocess.DEVNULL)
    def argv(self): return [f"{self.build}/core/confserv"]
    def gen(self, mode, *args, **kw):
        return super().gen(mode, *self.args, *args, **kw)
    def client(self):
        import socket
        s = socket.create_connection(("127.0.0.1", PORT))
        f = s.makefile("rw")
        def call(method, params):
            f.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}) + "\n")
            f.flush()
            while True:
                m = json.loads(f.readline())
                if m.get("id") == 1: return m["result"]
        call("session.open", {"user": "default", "password": "bench", "application": "confctl"})
        return call
    def load(self):
        call, t = self.client(), time.time()
        for begin in range(0, KEYS, 1000):
            call("transaction", {"operations": [{"op": "create", "object": host(k)} for k in range(begin, begin + 1000)]})
        return {"rate": KEYS / (time.time() - t), "errors": 0}
    def replica(self):
        call, folder = self.client(), f"{self.dir}/proxy"
        if call("object.count", {"type": "application", "filter": {"name": "proxy"}})["count"] == 0:
            call("object.create", {"object": {"type": "application", "name": "proxy", "applicationType": "configurationServer",
                                              "ports": [{"id": "default", "port": PORT + 1}]}})
        return [f"{self.build}/core/confserv", "-host", "127.0.0.1", "-port", str(PORT), "-app", "proxy", "-user", "default",
                "-password-file", f"{self.dir}/password"], "jsonl"


PEERS = {c.name: c for c in (Echo, Redis, Ovsdb, Slapd, ZooKeeper, Etcd, Confserv)}


def busy(peer):
    """CPU ticks so far: of all the machine, and of this benchmark (this process's children and the peer)."""
    f = list(map(int, open("/proc/stat").readline().split()[1:9]))
    u = os.times()
    own = (u.user + u.system + u.children_user + u.children_system) * TICKS
    try: own += sum(map(int, open(f"/proc/{peer.proc.pid}/stat").read().rsplit(")", 1)[1].split()[11:13]))
    except OSError: pass
    return sum(f) - f[3] - f[4], own


def median(peer, fn, key):
    """Runs fn reps times; of every figure the median, and the spread (max - min) / median of `key`. A repetition during
    which other processes took more than a fifth of a core is done again, at most three times."""
    runs = []
    for _ in range(reps):
        for attempt in range(4):
            (a, own_a), t = busy(peer), time.time()
            r = fn()
            (b, own_b), t = busy(peer), time.time() - t
            foreign = ((b - a) - (own_b - own_a)) / TICKS / t if t else 0
            r["foreign"] = round(max(foreign, 0), 3)
            if foreign < .2 or t < .5: break
        runs.append(r)
        if r.get("served", 0) < r.get("clients", 0): break        # given up: once is enough
    out = {k: statistics.median(r[k] for r in runs) for k in runs[0] if isinstance(runs[0][k], (int, float))}
    v = [r[key] for r in runs]
    out["spread"] = (max(v) - min(v)) / statistics.median(v) if statistics.median(v) else 0
    return out


def measure(peer):
    res = {"load1": os.getloadavg()[0]}

    def cell(name, fn, key):
        if name.split()[0] in peer.skip: res[name] = {"skip": peer.skip[name.split()[0]]}; return
        t = time.time()
        try: res[name] = median(peer, fn, key)
        except subprocess.TimeoutExpired as e: res[name] = {"skip": f"not done after {e.timeout:g} s"}
        except Failed as e: res[name] = {"skip": str(e)}
        if peer.proc.poll() is not None: peer.up(peer.start()); res[name]["died"] = True
        print(f"  {peer.name} {name} ({time.time() - t:.0f} s): {json.dumps(res[name])}", file=sys.stderr, flush=True)

    peer.up(peer.start())
    if peer.loads:
        time.sleep(1)
        empty = peer.memory()
        res["load"] = peer.load()
        print(f"  {peer.name} load: {res['load']}", file=sys.stderr, flush=True)
        time.sleep(2)
        peer.gen("read", "--conns", 64)          # mdb maps its pages when they are read
        m = peer.memory()
        res["W5 memory"] = {"empty_mb": empty["VmRSS"] / 1e6, "rss_mb": m["VmRSS"] / 1e6, "anon_mb": m["RssAnon"] / 1e6,
                            "bytes_per_object": (m["VmRSS"] - empty["VmRSS"]) / KEYS}
        print(f"  {peer.name} W5: {res['W5 memory']}", file=sys.stderr, flush=True)
    for n in (1, 64, 1000): cell(f"W1 read {n}", lambda: peer.gen("read", "--conns", n), "rate")
    cell("W1 read 64x16", lambda: peer.gen("read", "--conns", 64, "--depth", 16), "rate")
    for name, (mode, *args, kw) in peer.extra.items(): cell(f"W1 {name}", lambda: peer.gen(mode, *args, **kw), "rate")
    for n in (1, 64): cell(f"W3 write {n}", lambda: peer.gen("write", "--conns", n), "rate")
    def bulk():
        args = ["--count", peer.bulk_pages, "--depth", peer.bulk_depth, *getattr(peer, "bulk_args", [])]
        r = peer.gen("bulk", *args)
        return r | {"mb_s": r["mb"] / r["secs"], "objects_s": KEYS / r["secs"]}
    cell("W4 bulk", bulk, "secs")
    if peer.replica():
        def replica():
            argv, driver = peer.replica()
            t = time.time()
            p = peer.spawn(argv, core="1")
            try:
                peer.gen("ready", driver=driver, port=PORT + 1)
                return {"secs": time.time() - t, "rss_mb": peer.memory(p)["VmRSS"] / 1e6}
            finally: peer.stop(p); time.sleep(.5)
        cell("W4 replica", replica, "secs")
    for n in peer.subs:
        cell(f"W2 fan-out {n}", lambda: peer.gen("fanout", "--conns", n, *getattr(peer, "fanout_args", list)(),
             "--rounds", 20 if n <= 1000 else 8, timeout=90), "issue_ms")
        time.sleep(1)
    cell("W7 storm", lambda: peer.gen("storm", "--conns", peer.storm, timeout=90), "secs")
    time.sleep(1)
    if peer.loads:
        def restart():
            peer.stop()
            t = peer.start()
            peer.gen("ready")
            r = {"secs": time.time() - t}
            return r | {"rss_mb": peer.memory()["VmRSS"] / 1e6}
        cell("W6 restart", restart, "secs")
    return res


def table():
    files = {n: json.load(open(f"{HERE}/results/{n}.json")) for n in PEERS if os.path.exists(f"{HERE}/results/{n}.json")}
    print("| | " + " | ".join(files) + " |\n|---|" + "---:|" * len(files))

    def row(title, cell, fmt):
        out = []
        for res in files.values():
            r = res.get(cell)
            bad = r and r.get("errors", 0) + r.get("unanswered", 0) > 0
            out.append("–" if r is None else "skipped" if "skip" in r else
                       fmt(r) + (f" ±{r['spread'] * 50:.0f}%" if r.get("spread", 0) > .2 and title[0] != "–" else "") + (" (errors)" if bad else ""))
        print(f"| {title} | " + " | ".join(out) + " |")

    def us(v): return f"{v / 1000:.1f} ms" if v >= 10000 else f"{v / 1000:.2f} ms" if v >= 1000 else f"{v:.0f} µs"
    def rate(r): return f"{r['rate']:,.0f}"
    def lat(r): return f"{us(r['p50_us'])} / {us(r['p99_us'])} / {us(r['p999_us'])}"
    for n in ("1", "64", "1000", "64x16"):
        row(f"W1 reads/s, {n} conn.", f"W1 read {n}", rate)
        row("– p50 / p99 / p99.9", f"W1 read {n}", lat)
    for n in (1000, 10000):
        row(f"W2 {n:,} subscribers: issue → last has it", f"W2 fan-out {n}", lambda r: f"{r['issue_ms']:.1f} ms")
        row("– acknowledgement → last has it", f"W2 fan-out {n}", lambda r: f"{r['ack_ms']:.1f} ms")
        row("– sustained notifications/s", f"W2 fan-out {n}", lambda r: f"{r['events_s']:,.0f}")
    for n in (1, 64):
        row(f"W3 durable writes/s, {n} conn.", f"W3 write {n}", rate)
        row("– p50 / p99", f"W3 write {n}", lambda r: f"{us(r['p50_us'])} / {us(r['p99_us'])}")
    row("W4 bulk read: seconds", "W4 bulk", lambda r: f"{r['secs']:.2f}")
    row("– MB/s, objects/s", "W4 bulk", lambda r: f"{r['mb_s']:,.0f}, {r['objects_s']:,.0f}")
    row("W4 real replica, start → serving: seconds", "W4 replica", lambda r: f"{r['secs']:.2f}")
    row("W5 RSS per object after load, bytes", "W5 memory", lambda r: f"{r['bytes_per_object']:,.0f}")
    row("– RSS empty → loaded, MB", "W5 memory", lambda r: f"{r['empty_mb']:.0f} → {r['rss_mb']:.0f}")
    row("W6 restart → serving 100k: seconds", "W6 restart", lambda r: f"{r['secs']:.2f}")
    row("– RSS after restart, MB", "W6 restart", lambda r: f"{r['rss_mb']:.0f}")
    row("W7 5,000 reconnect, log in, read: seconds", "W7 storm",
        lambda r: f"{r['secs']:.2f}" if r["served"] == r["clients"] else f"{r['served']:,.0f} served in 30 s")
    row("load of 100k, objects/s", "load", rate)
    for n, res in files.items():
        for cell, r in res.items():
            if cell.startswith("W1 ") and not cell.startswith("W1 read"): print(f"\n{n}, {cell[3:]}: {rate(r)}/s, {lat(r)}" if "rate" in r else f"\n{n}, {cell}: {r}")
    for n, res in files.items():
        for cell, r in res.items():
            if isinstance(r, dict) and ("skip" in r or r.get("merged") or r.get("timeouts") or r.get("retries") or r.get("died") or r.get("errors")):
                print(f"\n{n} {cell}: " + (r.get("skip") or ", ".join(f"{k} {r[k]:g}" for k in ("merged", "timeouts", "retries", "died", "errors", "lost") if r.get(k))))


def main():
    global reps
    args = [a for a in sys.argv[1:] if not a.startswith("-")]
    if "--quick" in sys.argv: reps = 1
    if args != ["table"]:
        work = tempfile.mkdtemp(prefix="bench-")
        try:
            build(work)
            for name in args or PEERS:
                t, peer = time.time(), PEERS[name](work)
                try: res = measure(peer)
                except (Failed, OSError, subprocess.SubprocessError) as e: print(f"{name}: {e}", file=sys.stderr); continue
                finally: peer.stop(); shutil.rmtree(peer.dir)
                res["seconds"] = round(time.time() - t)
                os.makedirs(f"{HERE}/results", exist_ok=True)
                json.dump(res, open(f"{HERE}/results/{name}.json", "w"), indent=1)
                print(f"{name}: {res['seconds']} s", file=sys.stderr, flush=True)
        finally: shutil.rmtree(work)
    table()


if __name__ == "__main__":
    main()
