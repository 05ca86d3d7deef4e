"""Identity documents: taken only as pictures, kept without what a camera hung on them, encrypted, looked at on record,
and gone when their time is over (B38)."""

from __future__ import annotations

import http.client
import io
import os
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image, ImageDraw, PngImagePlugin

from api_deployment import Deployment, Owner
from leverlock.desk_chores import STRAY_AFTER_MS
from leverlock.documents.pictures import cleaned, sniffed
from leverlock.domain.recovery_case import PictureType
from leverlock.domain.roles import Role
from operators import (
    DAY_MS,
    at_desk,
    cancel_link,
    client,
    opened,
    operator,
    picture,
    signed_in,
    submitted,
    sweep,
    upload,
)

CANARY = b"CANARY-IN-THE-PICTURE"


@pytest.fixture(scope="module")
def person(deployment: Deployment) -> Owner:
    return operator(deployment, Role.SUPPORT)


@pytest.fixture
def agent(person: Owner) -> Owner:
    return signed_in(person)


def on_disk(deployment: Deployment) -> dict[str, bytes]:
    """Every file of the deployment's folder: database, log, documents."""
    root = deployment.path.parent
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def files(deployment: Deployment) -> list[Path]:
    return sorted(path for path in (deployment.path.parent / "documents").rglob("*") if path.is_file())


def from_a_camera(kind: str) -> bytes:
    """A picture with everything that a camera or a program puts beside the points."""
    image = Image.new("RGB", (64, 48), "white")
    ImageDraw.Draw(image).line((0, 0, 63, 47), fill="red", width=3)
    word = CANARY.decode()
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    exif[0x010F] = word  # the maker
    exif.get_ifd(0x8825)[1] = "N"  # where it was taken
    exif.get_ifd(0x8769)[0x9286] = CANARY  # the user's comment
    out = io.BytesIO()
    if kind == "JPEG":
        image.save(out, "JPEG", exif=exif, comment=CANARY, icc_profile=CANARY * 9, xmp=b"<x:xmpmeta>" + CANARY)
        return out.getvalue() + CANARY  # and behind its end
    info = PngImagePlugin.PngInfo()
    info.add_text("Author", word)
    info.add_itxt("XML:com.adobe.xmp", word)
    info.add_text("Comment", word, zip=True)
    image.save(out, "PNG", exif=exif, pnginfo=info, icc_profile=CANARY * 9)
    return out.getvalue() + CANARY


@pytest.mark.bar("B38")
@pytest.mark.mission("M20")
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_of_a_picture_its_points_are_kept_and_nothing_else(deployment: Deployment, agent: Owner, kind: str) -> None:
    owner = client(deployment)
    case = opened(owner)
    sent = from_a_camera(kind)
    assert CANARY in sent
    media = f"image/{kind.lower()}"
    taken = upload(owner, f"/v1/recovery-cases/{case}", sent, media)
    assert taken.status == 201, taken
    assert taken.json["type"] == media
    path = f"{at_desk(owner, case)}/documents/{taken.json['id']}/view"
    seen = agent.call("POST", path, {"reason": "identity"})
    assert (seen.status, seen.headers["content-type"]) == (200, media)
    assert seen.headers["cache-control"] == "no-store"
    assert seen.headers["content-disposition"] == "attachment"
    assert seen.headers["x-content-type-options"] == "nosniff"
    assert CANARY not in seen.body
    shown = Image.open(io.BytesIO(seen.body))
    assert shown.size == (48, 64)  # turned the way it was held, since what said so is gone
    assert not shown.getexif()
    assert set(shown.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    red = shown.convert("RGB").getpixel((46, 1))
    assert isinstance(red, tuple)
    assert red[0] > 150 > red[1]
    assert len(seen.body) == taken.json["size"]


@pytest.mark.bar("B38")
def test_every_look_is_on_record_before_a_byte_leaves(deployment: Deployment, agent: Owner) -> None:
    owner = client(deployment)
    case = submitted(owner)
    document = owner.call("GET", f"/v1/recovery-cases/{case}").json["documents"][0]["id"]
    path = f"{at_desk(owner, case)}/documents/{document}/view"
    for reason in ("identity", "again, with a colleague"):
        assert agent.call("POST", path, {"reason": reason}).status == 200
    for body in (None, {}, {"reason": ""}, {"reason": " "}, {"reason": "x\u202e"}, {"reason": "x", "more": 1}):
        assert agent.call("POST", path, body).status in (400, 415)
    told = [(e["principal"], e["details"]) for e in owner.events() if e["kind"] == "recovery_case.document_viewed"]
    by = f"operator:{agent.account_id}"
    assert told == [
        (by, {"case": case, "document": document, "reason": reason})
        for reason in ("identity", "again, with a colleague")
    ]
    # The owner himself is shown what he brought, and not its bytes; nobody else is shown that there is a case.
    assert owner.call("POST", path, {"reason": "mine"}).problem == "not-permitted"


@pytest.mark.bar("B38")
def test_what_lies_on_disk_says_nothing(deployment: Deployment) -> None:
    owner = client(deployment)
    before = {path.name for path in files(deployment)}
    case = opened(owner)
    plain = cleaned(picture(), PictureType.JPEG, most_points=10**6)
    assert upload(owner, f"/v1/recovery-cases/{case}", picture()).status == 201
    (stored,) = [path for path in files(deployment) if path.name not in before]
    assert stored.stat().st_mode & 0o777 == 0o600
    assert stored.parent.stat().st_mode & 0o777 == 0o700
    content = stored.read_bytes()
    assert len(content) == len(plain) + 16
    for start in range(0, len(plain) - 32, 16):
        assert plain[start : start + 32] not in content
    assert b"JFIF" not in content
    # Two cases have two keys; and a file put in another's place is shown to nobody.
    again = client(deployment)
    other = opened(again)
    assert upload(again, f"/v1/recovery-cases/{other}", picture()).status == 201


@pytest.mark.bar("B38")
@pytest.mark.parametrize("harm", ["edited", "swapped", "cut", "gone"])
def test_a_file_that_is_not_what_was_stored_is_not_shown(deployment: Deployment, agent: Owner, harm: str) -> None:
    owner = client(deployment)
    case = submitted(owner)
    documents = owner.call("GET", f"/v1/recovery-cases/{case}").json["documents"]
    folder = deployment.path.parent / "documents" / case
    paths = [folder / one["id"] for one in documents]
    content = paths[0].read_bytes()
    if harm == "edited":
        paths[0].write_bytes(content[:-20] + bytes([content[-20] ^ 1]) + content[-19:])
    elif harm == "swapped":
        paths[0].write_bytes(paths[1].read_bytes())
    elif harm == "cut":
        paths[0].write_bytes(content[:100])
    else:
        paths[0].unlink()
    view = f"{at_desk(owner, case)}/documents/{documents[0]['id']}/view"
    assert agent.call("POST", view, {"reason": "x"}).problem == "unknown-id"


# -- what is not taken -----------------------------------------------------------------------------------------------
def png(width: int, height: int, *, rows: bytes = b"", chunks: bytes = b"") -> bytes:
    """A PNG whose head says what it likes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunks + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def bomb() -> bytes:
    """Some hundred bytes that would be 30 gigabytes of points."""
    return png(100_000, 100_000, rows=zlib.compress(bytes(10_000)))


def text_bomb() -> bytes:
    """A picture of one point with a compressed text of 200 megabytes beside it."""
    data = b"Comment\0\0" + zlib.compress(bytes(200 * 1024 * 1024), 9)
    text = struct.pack(">I", len(data)) + b"zTXt" + data + struct.pack(">I", zlib.crc32(b"zTXt" + data))
    return png(1, 1, rows=zlib.compress(b"\0\0\0\0"), chunks=text)


PDF = b"%PDF-1.7\n1 0 obj<</Type/Catalog/OpenAction<</S/JavaScript/JS(app.alert(1))>>>>endobj\ntrailer<</Root 1 0 R>>"
HOSTILE: dict[str, tuple[bytes, str, int, str]] = {
    # name: (bytes, declared as, status, problem)
    "nothing": (b"", "image/png", 400, "malformed"),
    "one byte": (b"\xff", "image/jpeg", 415, "not-a-document"),
    "a pdf": (PDF, "application/pdf", 415, "not-a-document"),
    "a pdf that says it is a picture": (PDF, "image/png", 415, "not-a-document"),
    "a gif": (b"GIF89a" + bytes(100), "image/png", 415, "not-a-document"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", "image/png", 415, "not-a-document"),
    "html": (b"<!doctype html><script>alert(1)</script>", "image/jpeg", 415, "not-a-document"),
    "a program": (b"\x7fELF" + bytes(100), "image/png", 415, "not-a-document"),
    "a zip": (b"PK\x03\x04" + bytes(100), "image/jpeg", 415, "not-a-document"),
    "jpeg magic and no picture": (b"\xff\xd8\xff\xe0" + os.urandom(500), "image/jpeg", 415, "not-a-document"),
    "png magic and no picture": (b"\x89PNG\r\n\x1a\n" + os.urandom(500), "image/png", 415, "not-a-document"),
    "png magic over a pdf": (b"\x89PNG\r\n\x1a\n" + PDF, "image/png", 415, "not-a-document"),
    "half a jpeg": (picture()[: len(picture()) // 2], "image/jpeg", 415, "not-a-document"),
    "half a png": (picture("PNG")[:-40], "image/png", 415, "not-a-document"),
    "a decompression bomb": (bomb(), "image/png", 415, "not-a-document"),
    "a text bomb": (text_bomb(), "image/png", 415, "not-a-document"),
    "a line of points": (png(1_000_000, 1, rows=zlib.compress(bytes(3_000_001))), "image/png", 415, "not-a-document"),
    "no points at all": (png(0, 0), "image/png", 415, "not-a-document"),
    "no type": (picture(), "", 415, "not-a-document"),
    "json": (b'{"a": 1}', "application/json", 415, "not-a-document"),
    "a form": (b"--x\r\n\r\n--x--", "multipart/form-data; boundary=x", 415, "not-a-document"),
    "too large": (picture() + bytes(8 * 1024 * 1024), "image/jpeg", 413, "document-too-large"),
}


@pytest.mark.bar("B38")
@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_no_picture_is_refused_and_leaves_nothing(deployment: Deployment, name: str) -> None:
    content, media, status, problem = HOSTILE[name]
    owner = client(deployment)
    case = opened(owner)
    before = deployment.digest(), [str(path) for path in files(deployment)]
    refused = upload(owner, f"/v1/recovery-cases/{case}", content, media)
    assert (refused.status, refused.problem) == (status, problem)
    assert (deployment.digest(), [str(path) for path in files(deployment)]) == before
    assert upload(owner, f"/v1/recovery-cases/{case}", picture()).status == 201  # the next one is taken


@pytest.mark.bar("B38")
def test_a_picture_with_a_program_in_it_loses_the_program(deployment: Deployment, agent: Owner) -> None:
    """Polyglots: good pictures that are a page, an archive or a script as well."""
    owner = client(deployment)
    case = opened(owner)
    good = picture("PNG")
    page = b"<script>alert(1)</script>"
    # Behind the end, in a chunk of its own, and in a comment before the points.
    private = struct.pack(">I", len(page)) + b"prVt" + page + struct.pack(">I", zlib.crc32(b"prVt" + page))
    for content, media in (
        (good + b"PK\x03\x04" + page, "image/png"),
        (good[:33] + private + good[33:], "image/png"),
        (picture()[:2] + b"\xff\xfe" + struct.pack(">H", len(page) + 2) + page + picture()[2:], "image/jpeg"),
    ):
        assert page in content
        taken = upload(owner, f"/v1/recovery-cases/{case}", content, media)
        assert taken.status == 201, taken
        path = f"{at_desk(owner, case)}/documents/{taken.json['id']}/view"
        seen = agent.call("POST", path, {"reason": "x"}).body
        assert page not in seen
        assert b"PK\x03\x04" not in seen


@pytest.mark.parametrize(
    "query",
    [
        "",
        "?kind=",
        "?kind=passport",
        "?kind=identity&kind=identity",
        "?kind=identity&name=..%2f..%2fetc",
        "?name=a.png",
    ],
)
def test_a_document_has_a_kind_and_no_name(deployment: Deployment, query: str) -> None:
    owner = client(deployment)
    case = opened(owner)
    before = [str(path) for path in files(deployment)]
    path = f"/v1/recovery-cases/{case}/documents{query}"
    refused = owner.call("POST", path, raw=picture(), headers=[("Content-Type", "image/jpeg")])
    assert refused.problem == "malformed"
    assert [str(path) for path in files(deployment)] == before


def test_a_file_name_in_a_header_means_nothing(deployment: Deployment) -> None:
    owner = client(deployment)
    case = opened(owner)
    headers: list[tuple[str, str | bytes]] = [
        ("Content-Type", "image/jpeg"),
        ("Content-Disposition", 'attachment; filename="../../../../tmp/owned.jpg"'),
    ]
    taken = owner.call("POST", f"/v1/recovery-cases/{case}/documents?kind=identity", raw=picture(), headers=headers)
    assert taken.status == 201
    assert (deployment.path.parent / "documents" / case / taken.json["id"]).is_file()
    assert not Path("/tmp/owned.jpg").exists()


def test_a_case_takes_ten_documents(deployment: Deployment) -> None:
    owner = client(deployment)
    case = opened(owner)
    answers = [upload(owner, f"/v1/recovery-cases/{case}", picture()) for _ in range(11)]
    assert [answer.status for answer in answers] == [201] * 10 + [409]
    assert answers[-1].problem == "too-many-documents"
    assert len(list((deployment.path.parent / "documents" / case).iterdir())) == 10


@pytest.mark.bar("B62")
def test_a_stranger_is_turned_away_before_his_bytes_are_read(deployment: Deployment) -> None:
    """He announces a hundred megabytes and sends none of them; the answer comes all the same."""
    owner = client(deployment)
    case = opened(owner)
    for token, status in (("x" * 40, b"401"), (owner.token, b"413")):
        connection = http.client.HTTPConnection("127.0.0.1", deployment.api.port, timeout=5)
        connection.putrequest("POST", f"/v1/recovery-cases/{case}/documents?kind=identity")
        connection.putheader("Authorization", f"Bearer {token}")
        connection.putheader("Content-Type", "image/jpeg")
        connection.putheader("Content-Length", str(100 * 1024 * 1024))
        connection.endheaders()
        assert str(connection.getresponse().status).encode() == status
        connection.close()


# -- the end of it ---------------------------------------------------------------------------------------------------
@pytest.mark.bar("B38")
def test_when_their_time_is_over_they_are_gone_from_database_log_and_disk(deployment: Deployment, agent: Owner) -> None:
    owner = client(deployment)
    # As long as it may be, so that it lies in pages of its own.
    written = f"The telephone of {owner.login} fell into the sea. " + "And so it went. " * 120
    body = {"environments": ["futures"], "statement": written.strip()}
    case = owner.call("POST", "/v1/recovery-cases", body).json["id"]
    for kind in ("identity", "ownership"):
        assert upload(owner, f"/v1/recovery-cases/{case}", picture(), kind=kind).status == 201
    ((nonce, sealed, statement),) = deployment.rows(
        "SELECT nonce, ciphertext, statement FROM recovery_case WHERE case_id = ?", (case,)
    )
    stored = [path.read_bytes() for path in sorted((deployment.path.parent / "documents" / case).iterdir())]
    documents = owner.call("GET", f"/v1/recovery-cases/{case}").json["documents"]
    # In pieces: a row of several pages may be cut anywhere.
    traces = [*(sealed[at : at + 16] for at in (0, 16, 32)), statement[:60].encode(), statement[-60:].encode()]
    here = list(on_disk(deployment).values())
    assert sum(any(trace in content for content in here) for trace in traces) >= 4

    link = cancel_link(deployment, owner.account_id)
    assert deployment.api.call("POST", "/v1/cancellations", {"token": link}).status == 204
    deployment.clock.advance(30 * DAY_MS - 1)
    sweep(deployment)
    assert (deployment.path.parent / "documents" / case).is_dir()  # not a moment earlier
    deployment.clock.advance(1)
    sweep(deployment)

    assert not (deployment.path.parent / "documents" / case).exists()
    for name, content in on_disk(deployment).items():
        for trace in (*traces, nonce):
            assert trace not in content, name
        for blob in stored:
            assert blob[:64] not in content, name
    told = [e["details"] for e in owner.events() if e["kind"] == "recovery_case.documents_destroyed"]
    assert told == [{"case": case, "documents": sorted(one["id"] for one in documents)}]
    agent = signed_in(agent)
    view = f"{at_desk(owner, case)}/documents/{documents[0]['id']}/view"
    assert agent.call("POST", view, {"reason": "late"}).problem == "unknown-id"
    sweep(deployment)
    assert len([e for e in owner.events() if e["kind"] == "recovery_case.documents_destroyed"]) == 1


@pytest.mark.bar("B38")
def test_what_a_crash_left_behind_is_removed(deployment: Deployment) -> None:
    """A file without a row (the process died between the two), and a folder whose case has lost its key."""
    owner = client(deployment)
    case = opened(owner)
    assert upload(owner, f"/v1/recovery-cases/{case}", picture()).status == 201
    folder = deployment.path.parent / "documents" / case
    (kept,) = folder.iterdir()
    stray = folder / ("doc_" + "a" * 26)
    young = folder / ("doc_" + "b" * 26 + ".part")
    lost = deployment.path.parent / "documents" / ("case_" + "c" * 26)
    lost.mkdir()
    (lost / ("doc_" + "d" * 26)).write_bytes(b"x")
    now = deployment.clock.now_ms() / 1000
    for path in (stray, young):
        path.write_bytes(b"x")
    for path in (stray, lost / ("doc_" + "d" * 26), kept):
        os.utime(path, (now - STRAY_AFTER_MS / 1000 - 1,) * 2)
    os.utime(young, (now, now))
    sweep(deployment)
    assert sorted(folder.iterdir()) == sorted([kept, young])
    assert not lost.exists()


def test_what_is_looked_at_is_told_by_its_first_bytes() -> None:
    assert sniffed(picture()) is PictureType.JPEG
    assert sniffed(picture("PNG")) is PictureType.PNG


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
def test_pictures_of_every_mode_are_taken(mode: str) -> None:
    out = io.BytesIO()
    kind = "JPEG" if mode == "CMYK" else "PNG"
    Image.new(mode, (20, 10)).save(out, kind)
    shown = Image.open(io.BytesIO(cleaned(out.getvalue(), PictureType[kind], most_points=1000)))
    assert (shown.size, shown.mode in ("L", "RGB")) == ((20, 10), True)
