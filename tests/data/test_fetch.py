"""Downloads against a local server: verified, or nothing."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from auditkit import data
from auditkit.data.catalog import File
from auditkit.errors import DataError, DownloadError

NURSE, PILOT = b'{"nurse": 85}', b'{"pilot": 10}'


class Server(BaseHTTPRequestHandler):
    """/good/... serves the files; /changed/ other bytes; /dropped/ half of them; /later/ drops the second only."""

    def do_GET(self):
        _, mode, name = self.path.split("/")
        body = {"nurse.json": NURSE, "pilot.json": PILOT}.get(name)
        if mode == "absent" or body is None:
            self.send_error(404)
            return
        self.server.served.append(name)
        drop = mode == "dropped" or (mode == "later" and name == "pilot.json")
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if drop else b"x" * len(body) if mode == "changed" else body)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    httpd.served = []
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield httpd
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture
def url(server):
    return f"http://127.0.0.1:{server.server_port}"


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """An empty cache, no other data, and a catalogue of one dataset of two files."""
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("AUDITKIT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("AUDITKIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    files = tuple(
        File(name, name, hashlib.sha256(body).hexdigest())
        for name, body in [("nurse.json", NURSE), ("pilot.json", PILOT)]
    )
    toy = data.Entry("toy", "Toy", "occupations", "CC0-1.0", "None (2020).", "Two jobs.", "toy", "http://unused", files)
    monkeypatch.setitem(data.entries(), "toy", toy)
    return tmp_path / "cache" / "toy"


def kept(cache):
    return sorted(path.name for path in cache.iterdir()) if cache.exists() else []


def test_a_fetched_dataset_loads_by_its_name(url, cache):
    assert data.fetch("toy", base_url=f"{url}/good") == cache
    assert kept(cache) == ["nurse.json", "pilot.json"]
    toy = data.load("toy")
    assert [o.title for o in toy.items] == ["nurse", "pilot"]
    assert toy.sha256 == hashlib.sha256(NURSE + PILOT).hexdigest()


def test_what_is_there_is_not_downloaded_again(server, url):
    data.fetch("toy", base_url=f"{url}/good")
    data.fetch("toy", base_url=f"{url}/good")
    assert server.served == ["nurse.json", "pilot.json"]


def test_a_wrong_hash_leaves_nothing(url, cache):
    with pytest.raises(DownloadError, match="does not have the expected sha256"):
        data.fetch("toy", base_url=f"{url}/changed")
    assert kept(cache) == []


def test_a_dropped_connection_leaves_nothing(url, cache):
    with pytest.raises(DownloadError, match="could not be downloaded"):
        data.fetch("toy", base_url=f"{url}/dropped")
    assert kept(cache) == []


def test_a_dropped_connection_leaves_what_was_complete_and_fetch_resumes(server, url, cache):
    with pytest.raises(DownloadError, match=r"pilot\.json could not be downloaded"):
        data.fetch("toy", base_url=f"{url}/later")
    assert kept(cache) == ["nurse.json"]
    assert (cache / "nurse.json").read_bytes() == NURSE
    data.fetch("toy", base_url=f"{url}/good")
    assert server.served == ["nurse.json", "pilot.json", "pilot.json"]


def test_a_missing_file_and_a_dead_server(url, cache):
    with pytest.raises(DownloadError, match="404"):
        data.fetch("toy", base_url=f"{url}/absent")
    with pytest.raises(DownloadError, match=r"toy cannot be fetched: 127\.0\.0\.1 is out of reach.*AUDITKIT_DATA"):
        data.fetch("toy", base_url="http://127.0.0.1:9")
    assert kept(cache) == []


def test_a_file_damaged_in_the_cache_is_noticed_and_replaced(url, cache):
    data.fetch("toy", base_url=f"{url}/good")
    (cache / "nurse.json").write_bytes(b'{"nurse": 10}')
    with pytest.raises(DataError, match="is not the published file"):
        data.load("toy")
    data.fetch("toy", base_url=f"{url}/good")
    assert len(data.load("toy").items) == 2


def test_shipped_data_need_no_download(server):
    assert (data.fetch("builtin_pairs") / "pairs.csv").is_file()
    assert server.served == []
