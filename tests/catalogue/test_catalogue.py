import os
from pathlib import Path

import pytest

from orchestrator.catalogue import Catalogue, PolicyFolder, packaged, read_contexts, read_folder
from orchestrator.core.errors import ConfigurationError

SOUND = (packaged("policies") / "ignore-offers.ttl").read_text()


def change(path: Path, text: str) -> None:
    path.write_text(text)
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000))


def test_everything_that_ships_can_be_read() -> None:
    catalogue = Catalogue.load({})
    assert {"notification", "lenient", "announce-review"} <= set(catalogue.shapes)
    assert "shape-violated" in catalogue.problems


@pytest.mark.parametrize("name", ["UPPER.ttl", "with space.ttl", "ünïcode.ttl", "a" * 65 + ".ttl"])
def test_a_file_with_a_strange_name_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(SOUND)
    with pytest.raises(ConfigurationError, match="name files with"):
        read_folder(tmp_path, ".ttl")


def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    outside, folder = tmp_path / "secret", tmp_path / "policies"
    outside.write_text("secret")
    folder.mkdir()
    (folder / "p.ttl").symlink_to(outside)
    with pytest.raises(ConfigurationError, match="leads out"):
        read_folder(folder, ".ttl")


def test_a_file_that_is_too_large_or_not_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.ttl").write_bytes(b"#" * (256 * 1024 + 1))
    with pytest.raises(ConfigurationError, match="256 KiB"):
        read_folder(tmp_path, ".ttl")
    (tmp_path / "p.ttl").write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match="UTF-8"):
        read_folder(tmp_path, ".ttl")


def test_an_operators_context_is_taken_and_a_bundled_one_cannot_be_replaced(tmp_path: Path) -> None:
    file = tmp_path / "c.jsonld"
    file.write_text('{"@context": {"x": "https://x.example/x"}}')
    assert read_contexts({"https://x.example/c": file}).find("https://x.example/c") is not None
    with pytest.raises(ConfigurationError, match="cannot be replaced"):
        read_contexts({"https://coar-notify.net/": file})
    file.write_text("[]")
    with pytest.raises(ConfigurationError, match="no @context"):
        read_contexts({"https://x.example/c": file})


def test_a_changed_policy_is_put_in_force_and_a_broken_one_is_not(tmp_path: Path) -> None:
    file = tmp_path / "p.ttl"
    file.write_text(SOUND)
    folder = PolicyFolder(tmp_path)
    first = folder.snapshot()
    assert not folder.reload()
    change(file, SOUND.replace("Do not log offers", "Never log offers"))
    assert folder.reload()
    second = folder.snapshot()
    assert second.id != first.id
    change(file, SOUND + "<#broken")
    assert not folder.reload()
    assert folder.snapshot() is second
    file.unlink()
    assert folder.reload()
    assert folder.snapshot().policies == {}


def test_a_broken_set_at_the_first_start_refuses_to_start(tmp_path: Path) -> None:
    (tmp_path / "p.ttl").write_text("<#p> a")
    with pytest.raises(ConfigurationError, match=r"p\.ttl"):
        PolicyFolder(tmp_path)
