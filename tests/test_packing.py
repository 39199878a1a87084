"""Reports as one file: what is in it, what is not, and what is refused."""

import hashlib
import json
import zipfile

import pandas as pd
import pytest
from factories import data_set, measurement, training_run

from cnnbench.journal import JOURNAL_NAME, Journal
from cnnbench.packing import Names, names_here, pack, read_pack, unpacked
from cnnbench.records import Environment
from cnnbench.report.frames import load_report, report_of, write_report
from cnnbench.report.tables import SCHEMA

NAMES = Names("anvil.example.org", "robin", "/home/robin")


def write(folder, *records):
    """Write a report as a session does, with its journal, and return its folder."""
    folder.mkdir()
    records = (Environment({"machine": {"cpu": "x"}}), *records)
    journal = Journal(folder / JOURNAL_NAME)
    for record in records:
        journal.append(record)
    journal.close()
    write_report(report_of(records), folder)
    return folder


@pytest.fixture
def report(tmp_path):
    return write(tmp_path / "run", data_set(), training_run(), measurement())


def packed(report, **changes):
    out = report.with_name("x.zip")
    pack(report, out, **{"names": NAMES, **changes})
    return out


# What is in it


def test_a_pack_holds_every_file_and_its_hash(report):
    out = packed(report)
    with zipfile.ZipFile(out) as archive:
        names = archive.namelist()
        manifest = json.loads(archive.read("manifest.json"))
    files = {path.name for path in report.iterdir()}
    assert names == sorted({*files, "manifest.json"})
    assert {f"{name}.csv" for name in SCHEMA} < files
    assert manifest["files"] == {
        name: hashlib.sha256((report / name).read_bytes()).hexdigest() for name in files
    }
    assert {"cnnbench_pack", "schema", "cnnbench"} < set(manifest)


def test_a_pack_has_the_same_bytes_each_time(report):
    first = packed(report).read_bytes()
    for path in report.iterdir():
        path.write_bytes(path.read_bytes())  # another time of writing
    assert packed(report).read_bytes() == first
    assert packed(report.rename(report.with_name("other"))).read_bytes() == first


def test_a_pack_does_not_say_when_or_where_it_was_made(report):
    with zipfile.ZipFile(packed(report)) as archive:
        times = {one.date_time for one in archive.infolist()}
        systems = {one.create_system for one in archive.infolist()}
    assert (times, systems) == ({(1980, 1, 1, 0, 0, 0)}, {3})


def test_a_pack_is_read_as_the_report(report):
    one, other = load_report(report), load_report(packed(report))
    assert one.environment == other.environment
    for name, frame in one.tables().items():
        pd.testing.assert_frame_equal(frame, other.tables()[name], check_exact=True)


def test_a_table_that_lacks_a_column_is_named_in_its_pack(report):
    runs = pd.read_csv(report / "runs.csv", dtype="str")
    runs.drop(columns="seed").to_csv(report / "runs.csv", index=False)
    out = packed(report)
    with pytest.raises(ValueError, match=f"^{out}/runs.csv lacks the columns seed"):
        load_report(out)


def test_a_killed_run_is_packed_by_its_journal(report):
    for path in report.glob("*.csv"):
        path.unlink()
    assert len(load_report(packed(report)).runs) == 1


def test_other_files_are_left_out_and_named(report):
    (report / "notes.txt").write_text("by robin")
    (report / "more").mkdir()
    assert pack(report, report.with_name("x.zip"), names=NAMES) == ("more", "notes.txt")
    assert "notes.txt" not in read_pack(report.with_name("x.zip"))


def test_names_are_added_when_asked_for(report):
    environment = load_report(packed(report, with_names=True)).environment
    assert environment["names"] == {"host": "anvil.example.org", "user": "robin"}
    assert "names" not in load_report(packed(report)).environment


def test_what_is_packed_may_not_be_half_written(report):
    out = packed(report)
    assert [path.name for path in out.parent.iterdir() if path.suffix == ".new"] == []


# Names


@pytest.mark.parametrize(
    ("record", "what"),
    [
        (Environment({"a": [{"b": "on ANVIL.example.org"}]}), "host name 'anvil.example.org'"),
        (Environment({"cpu": "anvil"}), "short host name 'anvil'"),
        (Environment({"flags": {"x": "--by=robin"}}), "user name 'robin'"),
        (Environment({"cache": "/home/robin/.cache"}), "home folder '/home/robin'"),
        (data_set(name="of robin"), "user name 'robin'"),
        (measurement(variant="robin:build"), "user name 'robin'"),
        (training_run(data_hash="robin"), "user name 'robin'"),
    ],
)
def test_a_name_in_a_value_is_refused(tmp_path, record, what):
    folder = write(tmp_path / "run")
    journal = Journal(folder / JOURNAL_NAME)
    journal.append(record)
    journal.close()
    with pytest.raises(ValueError, match=rf"journal.jsonl, line 2: .*{what}"):
        packed(folder)
    assert not (tmp_path / "x.zip").exists()


def test_a_name_in_the_environment_is_refused(report):
    (report / "environment.json").write_text('{"a": {"b": ["robin"]}}')
    with pytest.raises(ValueError, match=r"environment.json, a value: user name 'robin'"):
        packed(report)


def test_a_name_in_a_picture_says_how_to_go_on(tmp_path):
    names = ("val/cats/robin_1.jpg", "b", "c", "d")
    folder = write(tmp_path / "run", data_set(validation_names=names), training_run())
    with pytest.raises(ValueError, match=r"predictions.csv, line 2: .*rename.*--with-names"):
        packed(folder)
    assert packed(folder, with_names=True).is_file()


def test_a_name_that_json_writes_otherwise_is_found(tmp_path):
    folder = write(tmp_path / "run", data_set(name="Zoë"))
    with pytest.raises(ValueError, match="user name 'Zoë'"):
        packed(folder, names=Names("", "Zoë", ""))
    folder = write(tmp_path / "two", data_set(name="C:\\Users\\Ann\\x"))
    with pytest.raises(ValueError, match="home folder"):
        packed(folder, names=Names("", "", "C:\\Users\\Ann"))


@pytest.mark.parametrize("value", ["robins", "xrobin", "robin2"])
def test_a_part_of_a_word_is_no_name(tmp_path, value):
    packed(write(tmp_path / "run", data_set(name=value)))


@pytest.mark.parametrize("user", ["seed", "variant", "record", "loss", "rounds"])
def test_a_column_or_a_key_is_no_name(report, user):
    packed(report, names=Names("", user, ""))


@pytest.mark.parametrize("user", ["root", "cpu", "train", "x", ""])
def test_names_that_say_nothing_are_not_searched(report, user):
    packed(report, names=Names("localhost", user, ""))


def test_this_machine_has_names():
    names = names_here()
    assert names.home
    assert set(names.searched()) <= {"host name", "short host name", "user name", "home folder"}


def test_an_account_without_a_name_has_none(monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: (_ for _ in ()).throw(KeyError("uid")))
    assert names_here().user == ""


# Bad input


def test_no_report_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No such report folder. Received: report="):
        packed(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"No report in this folder.*Received: report="):
        packed(tmp_path / "empty")


def test_another_suffix_is_refused(report):
    with pytest.raises(ValueError, match=r"Expected a .zip file to write. Received: out="):
        pack(report, report.with_name("x.tar"), names=NAMES)


def rewritten(out, **changes):
    """Rewrite a pack with other contents of some files; None leaves one out."""
    with zipfile.ZipFile(out) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    files.update({name.replace("__", "."): content for name, content in changes.items()})
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            if content is not None:
                archive.writestr(name, content)
    return out


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"runs__csv": b"x"}, "not those of its manifest"),
        ({"runs__csv": None}, "not those of its manifest"),
        ({"manifest__json": None}, "files that no pack has"),
        ({"manifest__json": b"{"}, "Expecting"),
        ({"manifest__json": b"{}"}, "cnnbench_pack"),
        ({"manifest__json": b'{"cnnbench_pack": 99}'}, "pack version 99"),
        ({"../evil": b""}, "files that no pack has: "),
        ({"/etc/x": b""}, "files that no pack has: "),
        ({"more__csv": b""}, "files that no pack has: "),
    ],
)
def test_what_was_not_packed_so_is_refused(report, changes, why):
    out = rewritten(packed(report), **changes)
    with pytest.raises(ValueError, match=rf"`cnnbench pack` of this version.*{why}.*Received: "):
        read_pack(out)


def test_a_pack_that_is_too_large_is_refused(report):
    out = rewritten(packed(report), runs__csv=b"0" * 1_000_000)
    assert out.stat().st_size < 100_000
    with pytest.raises(ValueError, match="more than 500000 bytes unpacked"):
        read_pack(out, 500_000)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_is_there_twice_is_refused(report):
    out = packed(report)
    with zipfile.ZipFile(out, "a") as archive:
        archive.writestr("runs.csv", b"")
    with pytest.raises(ValueError, match="files that no pack has"):
        read_pack(out)


@pytest.mark.parametrize("cut", [10, 300, 1000])
def test_a_damaged_file_is_refused(report, cut):
    out = packed(report)
    content = out.read_bytes()
    out.write_bytes(content[:cut])
    with pytest.raises(ValueError, match="Received: file="):
        load_report(out)
    out.write_bytes(content[:cut] + b"\xff" * 40 + content[cut + 40 :])
    with pytest.raises(ValueError, match="Received: file="):
        load_report(out)


def test_nothing_stays_behind(report):
    with unpacked(packed(report)) as folder:
        assert (folder / "runs.csv").is_file()
    assert not folder.exists()
