#!/usr/bin/env python3
"""longhaul beside curl and wget2, in one run on one machine.

    python3 benches/side_by_side.py > result.json

It builds the release command, starts an nginx of its own on loopback, and prints a table on stderr
and one JSON object on stdout. See README.md beside it for what is measured and why in this way.
Needs nginx, curl and wget2, about 20 GiB of disk, and a quiet machine. Python's own library only.
"""

import argparse
import filecmp
import hashlib
import json
import mmap
import multiprocessing
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MIB = 1024 * 1024
ROOT = Path(__file__).resolve().parent.parent
SMALL_BYTES = 64 * 1024
AT_ONCE = 16

NGINX = """daemon off;
master_process off;
worker_processes 1;
pid {dir}/nginx.pid;
error_log {dir}/error.log warn;
events {{ worker_connections 1024; }}
http {{
  client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2; fastcgi_temp_path {dir}/t3;
  uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
  access_log off;
  default_type application/octet-stream;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  server {{ listen 127.0.0.1:{port} backlog=1024; root {dir}/www; }}
}}
"""


def say(text=""):
    print(text, file=sys.stderr, flush=True)


def which(name, package):
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path is None:
        sys.exit(f"{name} is not installed: `apt-get install {package}` on Debian provides it")
    return path


def version(program):
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return shown.stdout.splitlines()[0]


def cargo(*arguments):
    """Runs cargo and returns the executables that it made."""
    command = ["cargo", *arguments, "--message-format=json-render-diagnostics"]
    built = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if built.returncode != 0:
        sys.exit(f"cargo {arguments[0]} failed")
    lines = (json.loads(line) for line in built.stdout.splitlines())
    return [line["executable"] for line in lines if line.get("executable")]


class Discarder:
    """A server in a process of its own that takes bodies at http://127.0.0.1:PORT/ and lets the kernel
    drop them unseen, so that it is never the limit. It does not sleep while a body comes: on loopback
    the sender pays for waking the receiver, which in a guest costs more than all the rest, and the more
    the faster the sender is. At /check it reads bodies and puts their SHA-256 into `digests`."""

    def __init__(self):
        self.digests = multiprocessing.SimpleQueue()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.process = multiprocessing.Process(target=self.serve, daemon=True)
        self.process.start()

    def url(self, name):
        return f"http://127.0.0.1:{self.port}/{name}"

    def serve(self):
        while True:
            connection, _ = self.listener.accept()
            with connection:
                try:
                    while self.take(connection):
                        pass
                except ConnectionError:
                    pass  # A client that was stopped is none of our business.

    def take(self, connection):
        """One request; False when the client has closed the connection."""
        head = b""
        while b"\r\n\r\n" not in head:
            more = connection.recv(64 * 1024)
            if not more:
                return False
            head += more
        head, body = head.split(b"\r\n\r\n", 1)
        lines = head.lower().split(b"\r\n")
        fields = dict(line.split(b":", 1) for line in lines[1:])
        if b"expect" in fields:
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        rest = int(fields[b"content-length"]) - len(body)
        digest = hashlib.sha256(body) if b" /check " in lines[0] else None
        buffer = bytearray(MIB)
        flags = 0 if digest else socket.MSG_TRUNC | socket.MSG_DONTWAIT
        while rest > 0:
            try:
                count = connection.recv_into(buffer, min(rest, MIB), flags)
            except BlockingIOError:
                continue
            if count == 0:
                return False
            if digest:
                digest.update(memoryview(buffer)[:count])
            rest -= count
        if digest:
            self.digests.put(digest.hexdigest())
        connection.sendall(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
        return True

    def stop(self):
        self.process.terminate()
        self.process.join()


class Server:
    """nginx with one worker on a free port of 127.0.0.1; its files lie in `www`."""

    def __init__(self, directory):
        self.directory = directory
        self.www = directory / "www"
        self.www.mkdir(parents=True)
        # Workers that are not root's must be able to read it.
        os.chmod(directory, 0o755)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        configuration = directory / "nginx.conf"
        configuration.write_text(NGINX.format(dir=directory, port=self.port))
        program = which("nginx", "nginx-light")
        log = str(directory / "error.log")
        self.process = subprocess.Popen(
            [program, "-p", str(directory), "-c", str(configuration), "-e", log]
        )
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    sys.exit("nginx did not start: " + Path(log).read_text())
                time.sleep(0.02)

    def url(self, name):
        return f"http://127.0.0.1:{self.port}/{name}"

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def start(command, directory):
    with open(directory / "output.txt", "wb") as output:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=directory
        )


def check_end(child, directory):
    if child.returncode != 0:
        tail = (directory / "output.txt").read_text(errors="replace")[-2000:]
        sys.exit(f"{child.args[0]} ended with {child.returncode}: {tail}")


def timed(command, directory):
    """Runs a command to its end: wall seconds, and CPU seconds of it (user and system)."""
    began = time.monotonic()
    child = start(command, directory)
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.monotonic() - began
    # wait4 has taken its end, so Popen must not look for it.
    child.returncode = os.waitstatus_to_exitcode(status)
    check_end(child, directory)
    return {"wall_s": wall, "cpu_s": usage.ru_utime + usage.ru_stime}


def peak_kib(command, directory):
    """Runs a command to its end: its peak memory. `ru_maxrss` would not do, because the kernel lets
    a new program begin with that of the process which started it, and Python is larger than most."""
    peak = 0
    child = start(command, directory)
    while child.poll() is None:
        try:
            status = Path(f"/proc/{child.pid}/status").read_text()
            lines = [line for line in status.splitlines() if line.startswith("VmHWM:")]
            own = os.readlink(f"/proc/{child.pid}/exe") if lines else ""
        except (ProcessLookupError, FileNotFoundError):
            break  # It ended between two looks.
        if lines and own != os.path.realpath(sys.executable):
            peak = max(peak, int(lines[0].split()[1]))
        time.sleep(0.001)
    child.wait()
    check_end(child, directory)
    return peak


def interleaved(clients, rounds, run):
    """Runs every client once in each round, in an order that moves on from round to round."""
    names = list(clients)
    runs = {name: [] for name in names}
    for number in range(rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            figures = run(name, number)
            runs[name].append(figures)
            say(f"  round {number + 1} {name:9} wall {figures['wall_s']:.3f} s, "
                f"cpu {figures['cpu_s']:.3f} s")
    return runs


def summary(runs, peaks, base):
    """Medians of each client, and the medians of its ratios to `base` in the same round."""
    table = {}
    for name, figures in runs.items():
        row = {key: statistics.median(run[key] for run in figures) for key in figures[0]}
        for key in ("wall_s", "cpu_s"):
            pairs = zip(figures, runs[base])
            ratios = [ours[key] / theirs[key] for ours, theirs in pairs]
            row[key.replace("_s", f"_to_{base}")] = statistics.median(ratios)
        row["peak_kib"] = peaks[name]
        row["runs"] = figures
        table[name] = row
    return table


def show(title, table, base):
    say()
    say(f"{title} (medians; ratios are medians of the ratios of each round)")
    say(f"  {'client':10} {'wall s':>8} {'cpu s':>8} {'peak MiB':>9} "
        f"{'wall/' + base:>10} {'cpu/' + base:>10}")
    for name, row in table.items():
        say(f"  {name:10} {row['wall_s']:8.3f} {row['cpu_s']:8.3f} {row['peak_kib'] / 1024:9.1f} "
            f"{row['wall_to_' + base]:10.2f} {row['cpu_to_' + base]:10.2f}")
    say()


def warm():
    """Touches half of the free memory and lets it go, so that the host has pages behind what the
    next client fills. A guest with free page reporting gives freed memory back within seconds, and
    its first touch then costs ten times the copy that is measured: who pays is chance."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    free_kib = next(int(line.split()[1]) for line in lines if line.startswith("MemFree:"))
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
    mmap.mmap(-1, free_kib * 1024 // 2, flags=flags).close()


def one_big_file(options, server, longhaul, work):
    """A file of some GiB: the target is removed and everything synced before each run."""
    say(f"one file of {options.big_mib} MiB, {options.rounds} rounds")
    source = server.www / "big.bin"
    with open(source, "wb") as file:
        for _ in range(options.big_mib):
            file.write(os.urandom(MIB))
    url = server.url("big.bin")
    directory = work / "big"
    directory.mkdir()
    target = directory / "target.bin"
    state = work / "state"
    clients = {
        "curl": ["curl", "-q", "-sS", "-f", "-o", str(target), url],
        "wget2": ["wget2", "--no-config", "-q", "-O", str(target), url],
        "longhaul": [longhaul, "get", url, "-o", str(target), "--state-dir", str(state)],
    }

    def run(name, number, measure=timed):
        target.unlink(missing_ok=True)
        os.sync()
        warm()
        figures = measure(clients[name], directory)
        if target.stat().st_size != source.stat().st_size:
            sys.exit(f"{name} wrote {target.stat().st_size} bytes")
        if number == 0 and not filecmp.cmp(source, target, shallow=False):
            sys.exit(f"{name} wrote other bytes than the server has")
        return figures

    # The first read of the source, from nginx and into the page cache, belongs to nobody's time.
    run("curl", 1)
    runs = interleaved(clients, options.rounds, run)
    peaks = {name: run(name, 1, peak_kib) for name in clients}
    target.unlink()
    source.unlink()
    table = summary(runs, peaks, "curl")
    show(f"one file of {options.big_mib} MiB", table, "curl")
    return {"bytes": options.big_mib * MIB, "clients": table}


def many_small_files(options, server, longhaul, work):
    """Many small files: each run has a fresh directory, and nothing is removed before the end."""
    say(f"{options.files} files of {SMALL_BYTES} bytes, {options.rounds} rounds")
    names = [f"small-{number:05}.bin" for number in range(options.files)]
    for name in names:
        (server.www / name).write_bytes(os.urandom(SMALL_BYTES))
    listing = work / "list.txt"
    listing.write_text("".join(server.url(name) + "\n" for name in names))

    def command(client, files, directory):
        if client == "longhaul":
            return [longhaul, "get", "-i", str(listing), "-j", str(AT_ONCE), "-d", str(files),
                    "--state-dir", str(directory / "state")]
        lines = (f'url = "{server.url(name)}"\noutput = "{files / name}"\n' for name in names)
        configuration = directory / "curl.conf"
        configuration.write_text("".join(lines))
        return ["curl", "-q", "-sS", "-f", "-Z", "--parallel-max", str(AT_ONCE),
                "-K", str(configuration)]

    def run(client, number, measure=timed):
        directory = work / f"small-{number}-{client}-{measure.__name__}"
        files = directory / "files"
        files.mkdir(parents=True)
        line = command(client, files, directory)
        os.sync()
        warm()
        figures = measure(line, directory)
        sizes = [entry.stat().st_size for entry in os.scandir(files)]
        if len(sizes) != len(names) or sum(sizes) != len(names) * SMALL_BYTES:
            sys.exit(f"{client} wrote {len(sizes)} files of {sum(sizes)} bytes together")
        compared = names if number == 0 else names[:: max(1, len(names) // 100)]
        for name in compared:
            if not filecmp.cmp(server.www / name, files / name, shallow=False):
                sys.exit(f"{client} wrote other bytes than the server has into {name}")
        return figures

    clients = ["curl", "longhaul"]
    runs = interleaved(clients, options.rounds, run)
    peaks = {client: run(client, 1, peak_kib) for client in clients}
    table = summary(runs, peaks, "curl")
    show(f"{options.files} files of {SMALL_BYTES // 1024} KiB, {AT_ONCE} at once", table, "curl")
    for row in table.values():
        row["files_per_s"] = options.files / row["wall_s"]
    return {"files": options.files, "file_bytes": SMALL_BYTES, "clients": table}


def one_upload(options, longhaul, work):
    """A file of some GiB from the page cache to a server that drops it."""
    say(f"upload of one file of {options.big_mib} MiB, {options.rounds} rounds")
    server = Discarder()
    source = work / "upload.bin"
    content = hashlib.sha256()
    with open(source, "wb") as file:
        for _ in range(options.big_mib):
            piece = os.urandom(MIB)
            content.update(piece)
            file.write(piece)
    directory = work / "upload"
    directory.mkdir()

    def command(client, url):
        if client == "curl":
            return ["curl", "-q", "-sS", "-f", "-T", str(source), url]
        return [longhaul, "put", str(source), url, "-X", "PUT", "--protocol", "plain",
                "--state-dir", str(directory / "state")]

    def run(name, _, measure=timed):
        os.sync()
        return measure(command(name, server.url("drop")), directory)

    try:
        # The first read of the file into the page cache belongs to nobody's time.
        clients = ["curl", "longhaul"]
        for name in clients:
            timed(command(name, server.url("check")), directory)
            if server.digests.get() != content.hexdigest():
                sys.exit(f"{name} sent other bytes than the file has")
        runs = interleaved(clients, options.rounds, run)
        peaks = {name: run(name, 0, peak_kib) for name in clients}
    finally:
        server.stop()
    source.unlink()
    table = summary(runs, peaks, "curl")
    show(f"upload of one file of {options.big_mib} MiB", table, "curl")
    return {"bytes": options.big_mib * MIB, "clients": table}


def queued_tasks():
    """Memory of 10,000 queued tasks over an idle engine, medians of three runs."""
    (program,) = cargo("bench", "-p", "longhaul", "--bench", "queued_tasks", "--no-run")
    shown = [
        json.loads(subprocess.run([program], capture_output=True, text=True, check=True).stdout)
        for _ in range(3)
    ]
    figures = {key: statistics.median(run[key] for run in shown) for key in shown[0]}
    figures["over_idle_mib"] = (figures["queued_kib"] - figures["idle_kib"]) / 1024
    say(f"{figures['tasks']} queued tasks: {figures['over_idle_mib']:.1f} MiB over an idle engine "
        f"of {figures['idle_kib'] / 1024:.1f} MiB, at most {figures['peak_kib'] / 1024:.1f} MiB")
    return figures


def check_room(options, directory):
    """Refuses to begin what would fill the disk or be slowed down by the kernel's write-back."""
    small = options.files * (SMALL_BYTES + 4096) * (1 + 2 * (options.rounds + 1))
    needed = 2 * options.big_mib * MIB + small + 2048 * MIB
    free = shutil.disk_usage(directory).free
    if free < needed:
        sys.exit(f"{directory} has {free // MIB} MiB free, and {needed // MIB} MiB are needed; "
                 "give another directory with --directory")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    ratio = int(Path("/proc/sys/vm/dirty_ratio").read_text())
    if options.big_mib * MIB > memory * ratio // 100:
        say(f"warning: the file is larger than the kernel keeps unwritten ({ratio} % of memory), "
            "so the disk limits every client")


def arguments():
    parser = argparse.ArgumentParser(description="longhaul beside curl and wget2")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--big-mib", type=int, default=2048)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--directory", type=Path, default=ROOT / "target",
                        help="where the temporary files lie; a real disk, not a tmpfs")
    parser.add_argument("--only", choices=["big", "small", "upload", "memory"], action="append",
                        help="measure this only; may be given more than once")
    return parser.parse_args()


def main():
    options = arguments()
    only = set(options.only or ["big", "small", "upload", "memory"])
    options.directory.mkdir(exist_ok=True)
    check_room(options, options.directory)
    which("curl", "curl"), which("wget2", "wget2")
    (longhaul,) = cargo("build", "--release", "-p", "longhaul-cli", "--bin", "longhaul")
    result = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": {
            "cpus": os.cpu_count(),
            "kernel": platform.release(),
            "load_before": os.getloadavg(),
        },
        "versions": [version(program) for program in ("curl", "wget2", longhaul)],
    }
    if os.getloadavg()[0] > 0.5:
        say(f"warning: the machine is busy (load {os.getloadavg()[0]:.1f}); figures will be noisy")
    work = Path(tempfile.mkdtemp(prefix="side-by-side-", dir=options.directory))
    os.chmod(work, 0o755)
    try:
        server = Server(work / "server")
        try:
            if "big" in only:
                result["one_big_file"] = one_big_file(options, server, longhaul, work)
            if "small" in only:
                result["many_small_files"] = many_small_files(options, server, longhaul, work)
        finally:
            server.stop()
        if "upload" in only:
            result["one_upload"] = one_upload(options, longhaul, work)
    finally:
        shutil.rmtree(work)
    if "memory" in only:
        result["queued_tasks"] = queued_tasks()
    result["machine"]["load_after"] = os.getloadavg()
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
